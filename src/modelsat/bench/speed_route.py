"""Where the time of a warm route goes, and what a repeated request costs."""

import time
from statistics import median

from modelsat.bench.measure import Measure
from modelsat.bench.texts import TEXTS
from modelsat.bench.timing import stopwatch
from modelsat.capability.zoo import ModelZoo
from modelsat.onnx.load import load_onnx_scorer
from modelsat.routing.router import Router
from modelsat.routing.score_cache import ScoreCache


def measure_route(repeats: int) -> list[Measure]:
    """Time warm routes of everyday requests, one after the other.

    Args:
        repeats: Rounds over the requests; medians are reported.
    """
    scorer = load_onnx_scorer()
    router = Router(scorer=scorer, zoo=ModelZoo.shipped())
    totals, backbones, encoders = [], [], []
    for repeat in range(repeats + 1):
        with stopwatch(scorer.encoder, "pool") as backbone, stopwatch(scorer.encoder, "embed") as encoder:
            total = _round(router)
        if repeat:
            totals.append(total)
            backbones.append(sum(backbone))
            encoders.append(sum(encoder))
    total, in_backbone, in_encoder = median(totals), median(backbones), median(encoders)
    remembering = Router(scorer=scorer, zoo=router.zoo, score_cache=ScoreCache())
    _round(remembering)
    again = median(_round(remembering) for _ in range(repeats))
    letters = f"texts of {min(map(len, TEXTS))} to {max(map(len, TEXTS))} letters"
    return [
        Measure(
            name="warm route",
            value=1000 * total / len(TEXTS),
            unit="ms",
            note=f"{len(router.zoo)} candidates, {letters}",
        ),
        Measure(
            name="warm route outside the backbone",
            value=100 * max(0.0, 1 - in_backbone / total),
            unit="%",
            bar=10.0,
            note="what a route takes longer than the backbone, beside which the sentence encoder runs",
        ),
        Measure(
            name="- sentence encoder",
            value=1000 * in_encoder / len(TEXTS),
            unit="ms",
            note="in a thread of its own, beside the backbone",
        ),
        Measure(
            name="a request that comes again", value=1000 * again / len(TEXTS), unit="ms", note="remembered"
        ),
    ]


def _round(router: Router) -> float:
    start = time.perf_counter()
    for text in TEXTS:
        router.route(text)
    return time.perf_counter() - start
