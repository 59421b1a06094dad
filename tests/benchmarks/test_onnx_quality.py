"""What 8 bits and fewer tokens cost is read on validation, beside fp32 at the tuned budget."""

import numpy as np
import pytest

from benchmarks import onnx_quality
from benchmarks.onnx_quality import measure_quality
from benchmarks.texts import text_of
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.capability.aptitude import AptitudeTest
from modelsat.onnx.sizes import Precision
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix
from tests.profiles import profile

COUNT = 40


class Rounding:
    """Knows who is right, up to the rounding of its precision; fewer tokens tell it less."""

    def __init__(self, truth: np.ndarray, precision: Precision, tokens: int) -> None:
        noise = np.random.default_rng(0).normal(size=truth.shape)
        self.scores = (truth + noise * (1 + 64 / tokens) + (0.01 if precision == "int8" else 0)).astype(
            np.float32
        )

    def score(
        self, instructions: tuple[Instruction, ...], profiles: tuple[CapabilityProfile, ...]
    ) -> ScoreMatrix:
        return ScoreMatrix(
            instruction_ids=tuple(row.id for row in instructions),
            candidates=tuple(each.candidate for each in profiles),
            logits=self.scores,
            probabilities=np.asarray(1 / (1 + np.exp(-self.scores)), dtype=np.float32),
        )


@pytest.fixture
def routed() -> EvaluationSet:
    names = ("a", "b", "c")
    table = OutcomeTable(
        instructions=tuple(Instruction(id=str(at), text=f"question {at}") for at in range(COUNT)),
        candidates=names,
        scores=(np.random.default_rng(1).random((COUNT, 3)) < 0.5).astype(np.float32),
        output_tokens=np.full(3, np.nan, dtype=np.float32),
    )
    none = table.select(np.zeros(COUNT, dtype=np.bool_))
    return EvaluationSet(
        name="made up",
        table=table,
        profiles=tuple(profile(name, {"t": 0.5}) for name in names),
        exam=AptitudeTest.shipped(),
        parts={"validation": np.arange(COUNT)},
        groups={"all": names},
        zoos={"all": names, "two": ("a", "b")},
        seen=names,
        tuning=none,
        learning=none,
        fitting=none,
        choosing=none,
        group_by="category",
    )


@pytest.mark.parametrize("vnni", [True, False])
def test_the_first_row_is_the_reference_and_the_others_differ_from_it(
    routed: EvaluationSet, monkeypatch: pytest.MonkeyPatch, vnni: bool
) -> None:
    def load(checkpoint: object, *, precision: Precision, tokens: int) -> Rounding:
        return Rounding(routed.table.scores, precision, tokens)

    monkeypatch.setattr(onnx_quality, "load_onnx_scorer", load)
    monkeypatch.setattr(onnx_quality, "has_vnni", lambda: vnni)
    report = measure_quality(routed, budgets=(16,))
    tuned = report.rows[0].tokens
    fast = "int8" if vnni else "fp32"
    expected = [("fp32", tuned), *([("int8", tuned)] if vnni else []), (fast, 16)]
    assert [(row.precision, row.tokens) for row in report.rows] == expected
    reference, short = report.rows[0], report.rows[-1]
    assert (reference.auc_loss, reference.changed, reference.points, reference.largest_difference) == (
        0,
        0,
        0,
        0,
    )
    assert short.auc_loss == pytest.approx(reference.auc - short.auc)
    assert short.auc_loss > 0
    assert short.changed > 0
    if vnni:
        # The same offset for everyone changes no order.
        assert report.rows[1].changed == 0
        assert 0 < report.rows[1].largest_difference < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 16, 128])
def test_texts_to_time_with_have_the_length_they_say(tokens: int) -> None:
    from modelsat.onnx.tokens import DecoderTokens
    from modelsat.scoring.weights import EMBEDDED_BACKBONE, TOKENIZER_FILE, embedded_folder

    decoder = DecoderTokens(embedded_folder(EMBEDDED_BACKBONE) / TOKENIZER_FILE)
    texts = {text_of(tokens, number=number) for number in range(8)}
    assert len(texts) == 8
    assert {len(decoder.encode(text, budget=1_000)) for text in texts} == {tokens}
