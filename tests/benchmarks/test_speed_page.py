"""The page on speed shows every measured value, its bar, and whether it is met."""

from benchmarks.measure import Measure, MeasureReport
from benchmarks.onnx_quality import OnnxReport, OnnxRow
from benchmarks.speed_page import speed_page

REPORT = MeasureReport(
    machine={"processor": "a processor", "cores": "2", "load": "0.1"},
    versions={"python": "3.11.0"},
    measures=(
        Measure(name="cold start", value=2.5, unit="s", bar=3.0, note="until | it routes"),
        Measure(name="over torch", value=1.5, unit="x", bar=2.0, better="higher"),
        Measure(name="warm route", value=31.4, unit="ms", note="25 candidates"),
    ),
)
ENGINE = OnnxReport(
    machine={"processor": "another processor"},
    versions={},
    layers=14,
    instructions=492,
    candidates=20,
    rows=(
        OnnxRow(
            precision="int8",
            tokens=128,
            auc=0.7461,
            within_auc=0.6685,
            auc_loss=0.0007,
            largest_difference=0.0467,
            changed=0.005,
            points=-0.1,
            cpu_ms=111.4,
        ),
    ),
)


def page(engine: OnnxReport | None = None) -> str:
    return speed_page(REPORT.to_json(), None if engine is None else engine.to_json())


def test_every_value_stands_beside_its_bar() -> None:
    lines = page().splitlines()
    assert "| cold start | 2.5 s | at most 3 s | met | until / it routes |" in lines
    assert "| over torch | 1.5 x | at least 2 x | **missed** |  |" in lines
    assert "| warm route | 31.4 ms | 25 candidates |" in lines
    assert any("a processor" in line and "load 0.1" in line for line in lines)


def test_quality_against_cost_is_shown_where_it_was_measured() -> None:
    assert "Quality against cost" not in page()
    shown = page(ENGINE)
    assert "| int8 | 128 | 0.7461 | +0.0007 | 0.6685 | 0.0467 | 0.5% | -0.10 | 111 |" in shown
    assert "492 instructions, 20 candidates, 14 layers" in shown
    assert "another processor" in shown
