"""Plots of growing things: models that arrive, models that join, exams that get longer; and calibration."""

from collections.abc import Iterator, Mapping, Sequence
from math import radians, sin
from typing import TYPE_CHECKING, Any

from modelsat.bench.reporting.canvas import (
    GRID,
    INK,
    MUTED,
    OTHER_COLOUR,
    OWN_COLOUR,
    RIVAL_COLOUR,
    Plot,
    finish,
    new_figure,
)
from modelsat.bench.reporting.marks import halo, label_ends, percent_scale
from modelsat.bench.reporting.numbers import apart, count, whole_percent
from modelsat.bench.reporting.observations import sufficient_exam
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    ORACLE,
    OWN,
    RANDOM,
    Row,
    distinct,
    number,
    records,
    role,
    stream_means,
)
from modelsat.bench.results import BenchmarkResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STREAM_HEIGHT = 2.3
# Names of arrivals are slanted while there is room for that; degrees, and inches per letter.
_SLANTED, _UPRIGHT, _SLANTED_ARRIVALS = 40, 90, 10
_LETTER = 0.08
_GROUP_COLOURS = {"seen": OWN_COLOUR, "unseen": RIVAL_COLOUR}


def stream_lines(result: BenchmarkResult) -> Iterator[Plot]:
    """Accuracy after each arrival, one plot per group of candidates."""
    rows = records(result, "stream")
    for group in distinct(row["group"] for row in rows):
        here = [row for row in rows if row["group"] == group]
        means = stream_means(here)
        rivals = [method for method in means if role(method) == "rival" and method != BEST_SINGLE]
        if OWN in means and rivals:
            yield _stream(group, here, means, max(rivals, key=lambda method: means[method]))


def _stream(group: str, rows: Sequence[Row], means: Mapping[str, float], rival: str) -> Plot:
    over = means[OWN] - max(mean for method, mean in means.items() if role(method) == "rival")
    best = max((method for method in means if role(method) == "rival"), key=lambda method: means[method])
    where = "ahead of" if over > 0 else "behind"
    message = f"As models of {group} arrive, {OWN} is {apart(over)} points {where} {best} in the mean"
    arrivals = {number(row, "step"): (str(row["arrived"]), str(row["date"])) for row in rows}
    steps_seen = sorted(arrivals)
    angle = _UPRIGHT if len(arrivals) > _SLANTED_ARRIVALS else _SLANTED
    longest = max(len(name) for name, _ in arrivals.values())
    figure, axes = new_figure(
        message,
        f"Accuracy after each arrival, in the zoo of the five best so far and the newest{_off_the_scale(means)}",
        height=_STREAM_HEIGHT + 0.5 + _LETTER * longest * sin(radians(angle)),
    )
    styles: dict[str, dict[str, Any]] = {
        OWN: {"color": OWN_COLOUR, "linewidth": 3.0, "zorder": 5},
        rival: {"color": RIVAL_COLOUR, "linewidth": 2.4, "zorder": 4},
        BEST_SINGLE: {"color": INK, "linewidth": 1.8, "zorder": 3},
    }
    ends, background = [], 0
    for method in means:
        # Far above and far below, the oracle and chance would press all other lines into one.
        if role(method) in ("variant", "control") or method in (ORACLE, RANDOM):
            continue
        steps = sorted(
            (row for row in rows if row["method"] == method and row["accuracy"] is not None),
            key=lambda row: number(row, "step"),
        )
        places = [number(row, "step") for row in steps]
        heights = [100 * number(row, "accuracy") for row in steps]
        look: dict[str, Any] = styles.get(
            method, {"color": OTHER_COLOUR, "linewidth": 1.1, "alpha": 0.8, "zorder": 2}
        )
        axes.plot(places, heights, **look)
        if method in styles:
            ends.append((method, places[-1], heights[-1], str(look["color"])))
        else:
            background += 1
        if method == OWN:
            axes.fill_between(
                places,
                [100 * number(row, "low") for row in steps],
                [100 * number(row, "high") for row in steps],
                color=OWN_COLOUR,
                alpha=0.13,
                linewidth=0,
            )
    axes.set_xticks(steps_seen, [arrivals[step][0] for step in steps_seen])
    axes.tick_params(axis="x", labelrotation=angle, labelsize=9.5)
    for label in axes.get_xticklabels():
        label.set(ha="right", va="center" if angle == _UPRIGHT else "top", rotation_mode="anchor")
    axes.margins(y=0.04)
    axes.set_xlim(steps_seen[0] - 0.2, steps_seen[-1] + 0.2)
    percent_scale(axes.yaxis)
    axes.grid(axis="y")
    label_ends(axes, ends[::-1], height=_STREAM_HEIGHT)
    first, last = arrivals[steps_seen[0]][1], arrivals[steps_seen[-1]][1]
    grey = f"; grey: {background} other methods" if background else ""
    axes.set_xlabel(f"arrived, {first} to {last}{grey}", fontsize=10.5)
    return finish(figure, name=f"stream-{group}", table="stream", message=message)


def _off_the_scale(means: Mapping[str, float]) -> str:
    known = [f"{method} {whole_percent(means[method])}" for method in (RANDOM, ORACLE) if method in means]
    return f" (means off the scale: {', '.join(known)})" if known else ""


def coverage_bars(result: BenchmarkResult) -> Iterator[Plot]:
    """What small models cover together, one plot per group."""
    rows = records(result, "coverage")
    for group in distinct(row["group"] for row in rows):
        here = sorted((row for row in rows if row["group"] == group), key=lambda row: number(row, "size"))
        last = here[-1]
        message = (
            f"{count(number(last, 'size'))} small models of {group} together solve "
            f"{whole_percent(number(last, 'covered'))} of what the strongest one solves"
        )
        figure, axes = new_figure(
            message,
            "Share of the strongest model's correct answers that at least one small model also has, each added in turn",
            height=0.42 * len(here) + 0.6,
        )
        before = 0.0
        for place, row in enumerate(here):
            covered = 100 * number(row, "covered")
            axes.barh(place, before, height=0.66, color=OWN_COLOUR, alpha=0.28, linewidth=0)
            axes.barh(place, covered - before, left=before, height=0.66, color=OWN_COLOUR, linewidth=0)
            axes.annotate(
                whole_percent(covered / 100),
                (covered, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=11,
            )
            before = covered
        names = [f"{'' if place == 0 else '+ '}{row['added']}" for place, row in enumerate(here)]
        axes.set_yticks(range(len(here)), names)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 109)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.axvline(100, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
        axes.grid(axis="x")
        axes.invert_yaxis()
        yield finish(figure, name=f"coverage-{group}", table="coverage", message=message)


def learning_curve(result: BenchmarkResult) -> Iterator[Plot]:
    """AUC by length of the exam, for seen and unseen candidates."""
    from matplotlib.ticker import MaxNLocator

    rows = [row for row in records(result, "learning_curve") if row["auc"] is not None]
    if not rows:
        return
    unseen = [row for row in rows if row["candidates"] == "unseen"]
    message = _exam_message(unseen)
    figure, axes = new_figure(message, "AUC of Pr(Yes) by length of the exam that candidates sat", height=3.5)
    lengths = sorted({(number(row, "items"), str(row["exam"])) for row in rows})
    place = {exam: index for index, (_, exam) in enumerate(lengths)}
    ends = []
    for group in distinct(row["candidates"] for row in rows):
        line = sorted(
            (row for row in rows if row["candidates"] == group), key=lambda row: number(row, "items")
        )
        places = [place[str(row["exam"])] for row in line]
        heights = [number(row, "auc") for row in line]
        colour = _GROUP_COLOURS.get(group, OTHER_COLOUR)
        axes.plot(places, heights, color=colour, marker="o", markersize=7)
        ends.append((f"{group}\ncandidates", places[-1], heights[-1], colour))
        if group == "unseen":
            for at, height in zip(places, heights, strict=True):
                axes.annotate(
                    f"{height:.3f}",
                    (at, height),
                    xytext=(0, -17),
                    textcoords="offset points",
                    ha="center",
                    fontsize=10,
                    color=INK,
                    path_effects=halo(),
                )
    axes.set_xticks(range(len(lengths)), [_exam_label(items, exam) for items, exam in lengths])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3f}")
    axes.set_xlabel("items of the exam, tasks x shots", fontsize=10.5)
    axes.margins(x=0.06, y=0.16)
    axes.grid(axis="y")
    label_ends(axes, ends, lines=2, height=2.7)
    yield finish(figure, name="learning-curve", table="learning_curve", message=message)


def _exam_message(rows: Sequence[Row]) -> str:
    enough = sufficient_exam(rows)
    if enough is None:
        return "A longer exam does not tell more about a new candidate"
    if number(enough, "items") == max(number(row, "items") for row in rows):
        return "No shorter exam tells nine tenths of what the longest does"
    return f"{count(number(enough, 'items'))} exam items tell nine tenths of what the longest exam does"


def _exam_label(items: float, exam: str) -> str:
    return "no exam" if not items else f"{count(items)}\n{exam}"


def reliability(result: BenchmarkResult) -> Iterator[Plot]:
    """Predicted beside observed, for seen and unseen candidates."""
    rows = [
        row
        for row in records(result, "reliability")
        if row["predicted"] is not None and row["observed"] is not None and number(row, "count") > 0
    ]
    if not rows:
        return
    groups = distinct(row["candidates"] for row in rows)
    errors = {group: _miss([row for row in rows if row["candidates"] == group]) for group in groups}
    said = " and ".join(f"{100 * error:.1f} points for {group}" for group, error in errors.items())
    message = f"Pr(Yes) is off by {said} candidates on average"
    figure, axes = new_figure(
        message, "Share that was right, by predicted probability; a larger point holds more pairs", height=4.4
    )
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
    for group in groups:
        line = sorted(
            (row for row in rows if row["candidates"] == group), key=lambda row: number(row, "predicted")
        )
        most = max(number(row, "count") for row in line)
        places = [100 * number(row, "predicted") for row in line]
        heights = [100 * number(row, "observed") for row in line]
        colour = _GROUP_COLOURS.get(group, OTHER_COLOUR)
        axes.plot(places, heights, color=colour, linewidth=1.8)
        axes.scatter(
            places,
            heights,
            s=[18 + 110 * number(row, "count") / most for row in line],
            color=colour,
            clip_on=False,
            zorder=3,
        )
    _label_apart(axes, rows, groups)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.set_xlabel("predicted")
    axes.set_ylabel("observed")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.grid(color=GRID)
    yield finish(figure, name="reliability", table="reliability", message=message)


def _label_apart(axes: "Axes", rows: Sequence[Row], groups: Sequence[str]) -> None:
    """Name the groups in the emptier corner, in their colours and in the order of their heights."""
    above = {
        group: sum(
            number(row, "observed") - number(row, "predicted") for row in rows if row["candidates"] == group
        )
        for group in groups
    }
    names = [
        (f"{group} candidates", _GROUP_COLOURS.get(group, MUTED))
        for group in sorted(groups, key=lambda g: -above[g])
    ]
    # Points that lie above the diagonal leave the corner below it empty.
    top, left, side = (95, 4, "left") if sum(above.values()) < 0 else (7 * len(names) + 9, 96, "right")
    for place, (name, colour) in enumerate([*names, ("dashed: as predicted", MUTED)]):
        axes.text(
            left, top - 7 * place, name, color=colour, ha=side, va="top", fontsize=11.5, fontweight="bold"
        )


def _miss(rows: Sequence[Row]) -> float:
    """Mean distance of predicted from observed, weighted by pairs."""
    total = sum(number(row, "count") for row in rows)
    return (
        sum(abs(number(row, "predicted") - number(row, "observed")) * number(row, "count") for row in rows)
        / total
    )
