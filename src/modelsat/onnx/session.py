"""ONNX Runtime: the one place that imports it, with its telemetry off."""

from pathlib import Path
from typing import Any

from modelsat.environment import disable_telemetry
from modelsat.errors import MissingExtraError


def open_session(path: Path, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Load a graph.

    Args:
        path: The graph.
        threads: Threads that compute.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    runtime = _import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # On few cores, threads that spin while they wait starve whoever works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Memory grows by what is asked for; by default it doubles.
    provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    return runtime.InferenceSession(str(path), options, providers=[provider])


def _import_runtime() -> Any:  # noqa: ANN401
    # Otherwise official builds write a device id below the user's cache folder, and send events to their maker.
    disable_telemetry()
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("engine", "scoring without torch") from None
    # Where the user's own code imported it before, the variable came too late.
    onnxruntime.disable_telemetry_events()
    return onnxruntime
