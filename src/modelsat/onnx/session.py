"""ONNX Runtime: the one place that imports it, with its telemetry off."""

from pathlib import Path
from typing import Any

from modelsat.environment import disable_telemetry
from modelsat.onnx.sizes import Precision

_VNNI = ("avx512_vnni", "avx_vnni")


def open_session(graph: Path | bytes, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Load a graph.

    Args:
        graph: A file, or what would be in it.
        threads: Threads that compute.
    """
    runtime = _import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # On few cores, threads that spin while they wait starve whoever works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Memory grows by what is asked for; by default it doubles.
    provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    source = graph if isinstance(graph, bytes) else str(graph)
    return runtime.InferenceSession(source, options, providers=[provider])


def _import_runtime() -> Any:  # noqa: ANN401
    # Otherwise official builds write a device id below the user's cache folder, and send events to their maker.
    disable_telemetry()
    import onnxruntime

    # Where the user's own code imported it before, the variable came too late.
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def best_precision() -> Precision:
    """What linear maps are computed in here: 8 bits where the processor can, else fp32."""
    return "int8" if has_vnni() else "fp32"


def has_vnni() -> bool:
    """Whether the processor adds up products of 8-bit numbers without overflow."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in _VNNI)
