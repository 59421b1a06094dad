"""LiteLLM's heuristic router in an environment of its own: the tier of each text, and how long that took.

Its complexity router scores a text by keywords, length and punctuation, and maps the score to one of four tiers. The
package is not a dependency of this one: it runs in another process.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelsat.errors import DataError

# From the tier of weak models to that of strong ones.
TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
# LiteLLM would fetch its list of prices from the internet before anything else.
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
_PROGRAM = """
import json, sys, time
from importlib.metadata import version
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

router = ComplexityRouter("auto", None)
texts = json.load(sys.stdin)
router.classify(texts[0])
tiers, seconds = [], []
for text in texts:
    started = time.perf_counter()
    tier = router.classify(text)[0]
    seconds.append(time.perf_counter() - started)
    tiers.append(tier.value)
json.dump({"version": version("litellm"), "tiers": tiers, "seconds": seconds}, sys.stdout)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Result of the heuristic router.

    Attributes:
        version: Version of LiteLLM.
        tiers: Tier of each text, one of `TIERS`.
        seconds: Time that each text took.
    """

    version: str
    tiers: tuple[str, ...]
    seconds: tuple[float, ...]


def classify(python: Path, texts: Sequence[str]) -> Tiers:
    """Classify texts with LiteLLM's heuristic router.

    Args:
        python: The interpreter of an environment that has LiteLLM.
        texts: At least one.

    Raises:
        DataError: That interpreter does not run, or its LiteLLM has no such router; quotes its last line.
    """
    try:
        done = subprocess.run(
            [str(python), "-c", _PROGRAM],
            input=json.dumps(list(texts)),
            env={**os.environ, **OFFLINE},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise DataError(f"{python}: does not run ({error.strerror}).") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DataError(f"{python}: LiteLLM's complexity router failed: {last[0]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return Tiers(version=answer["version"], tiers=tuple(answer["tiers"]), seconds=tuple(answer["seconds"]))
