"""Plots of what is chosen: gain by zoo, gain by method, and who is chosen for which subject."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
from modelsat.bench.reporting.findings import judged, listed, with_interval
from modelsat.bench.reporting.numbers import count, points, whole_percent
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    ORACLE,
    OWN,
    RANDOM,
    Row,
    averaged_zoos,
    distinct,
    number,
    own_row,
    part_name,
    records,
    role,
    strongest_rival,
    zoo_places,
    zoo_rows,
)
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAIN = "Gain over the best single candidate, points, with paired 95% intervals"
# A cell of the heat map is labelled from this share on.
_LABELLED_SHARE = 0.1
# A title names at most so many zoos.
_NAMED_ZOOS = 2


def zoo_bars(result: BenchmarkResult) -> Iterator[Plot]:
    """Gain in every zoo, beside the strongest rival there."""
    shown: list[tuple[str, Row, Row | None]] = []
    places = zoo_places(result)
    for zoo, part in [*places, (MEAN_ZOO, places[0][1])] if places else ():
        rows = zoo_rows(result, zoo, part)
        own = own_row(rows)
        if own is not None and own["gain"] is not None:
            # The best single candidate is the zero line: it needs no bar.
            others = [row for row in rows if row["method"] != BEST_SINGLE and row["gain"] is not None]
            shown.append((zoo, own, strongest_rival(others)))
    if not shown:
        return
    zoos = [(zoo, own) for zoo, own, _ in shown if zoo != MEAN_ZOO]
    clear = sum(judged(own, "gain") == "won" for _, own in zoos)
    beaten = [zoo for zoo, part in places if any(map(_beats, zoo_rows(result, zoo, part)))]
    message = f"{OWN} beats the best single candidate in {clear} of {len(zoos)} zoos; " + (
        f"a rival beats it in {_named(beaten)}" if beaten else "no rival beats it in any"
    )
    subtitle = f"{_GAIN}; {part_name(str(shown[0][1]['part']))}"
    figure, axes = new_figure(message, subtitle, height=0.62 * len(shown) + 0.5)
    for place, (_, own, rival) in enumerate(shown):
        _bar(axes, place - 0.19, own, OWN_COLOUR)
        if rival is not None:
            _bar(axes, place + 0.19, rival, RIVAL_COLOUR)
    _label_bars(axes, [(place - 0.19, own, OWN, OWN_COLOUR) for place, (_, own, _) in enumerate(shown)])
    _label_bars(
        axes,
        [
            (place + 0.19, rival, str(rival["method"]), RIVAL_COLOUR)
            for place, (_, _, rival) in enumerate(shown)
            if rival is not None
        ],
    )
    averaged = averaged_zoos(result)
    names = [_zoo_label(zoo, own, averaged) for zoo, own, _ in shown]
    _zero_line(axes, names)
    if shown[-1][0] == MEAN_ZOO and len(shown) > 1:
        axes.axhline(len(shown) - 1.5, color=GRID, linewidth=0.8)
    yield finish(figure, name="zoos", table="zoos", message=message)


def method_bars(result: BenchmarkResult) -> Iterator[Plot]:
    """Every method's gain in the mean over zoos, the best on top."""
    rows = [
        row for row in zoo_rows(result) if row["gain"] is not None and row["method"] not in (ORACLE, RANDOM)
    ]
    rows = [row for row in rows if role(str(row["method"])) != "control"]
    own, rival = own_row(rows), strongest_rival(rows)
    if own is None or rival is None or rival["lead"] is None:
        return
    rows.sort(key=lambda row: -number(row, "gain"))
    lead = with_interval(rival, "lead")
    message = {
        "won": f"{OWN} leads every rival in the mean over the zoos; next is {rival['method']}",
        "lost": f"{rival['method']} beats {OWN} in the mean over the zoos",
    }.get(
        judged(rival, "lead"), f"{OWN} and {rival['method']} are too close to call in the mean over the zoos"
    )
    subtitle = f"{_GAIN}; lead over {rival['method']}: {lead}"
    figure, axes = new_figure(message, subtitle, height=0.33 * len(rows) + 0.5)
    colours = {OWN: OWN_COLOUR, str(rival["method"]): RIVAL_COLOUR}
    for place, row in enumerate(rows):
        _bar(axes, place, row, colours.get(str(row["method"]), OTHER_COLOUR), width=0.62)
    _label_bars(
        axes,
        [(place, row, "", colours.get(str(row["method"]), MUTED)) for place, row in enumerate(rows)],
    )
    _zero_line(axes, [str(row["method"]) for row in rows])
    for label in axes.get_yticklabels():
        if label.get_text() in colours:
            label.set(color=colours[label.get_text()], fontweight="bold")
    yield finish(figure, name="methods", table="zoos", message=message)


def choice_maps(result: BenchmarkResult) -> Iterator[Plot]:
    """Share of each subject's instructions that each candidate gets, one map per zoo."""
    rows = records(result, "choices")
    for zoo in distinct(row["zoo"] for row in rows):
        yield _choice_map(zoo, [row for row in rows if row["zoo"] == zoo])


def _choice_map(zoo: str, rows: Sequence[Row]) -> Plot:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    share = {(str(row["subject"]), str(row["candidate"])): number(row, "share") for row in rows}
    subjects = distinct(row["subject"] for row in rows)
    candidates = distinct(row["candidate"] for row in rows)
    table = np.array([[share.get((subject, name), 0.0) for name in candidates] for subject in subjects])
    # Most chosen candidates first, and subjects by who gets them: the map then reads as blocks.
    columns = np.argsort(-table.mean(axis=0), kind="stable")
    table = table[:, columns]
    order = np.lexsort((-table.max(axis=1), table.argmax(axis=1)))
    table = table[order]
    firsts = Counter(candidates[columns[place]] for place in table.argmax(axis=1)).most_common()
    favourite, subjects_won = firsts[0]
    message = f"In {zoo}, {favourite} is the first choice for {subjects_won} of {len(subjects)} subjects"
    message += f", {firsts[1][0]} for {firsts[1][1]}" if len(firsts) > 1 else ""
    figure, axes = new_figure(
        message,
        "Share of a subject's instructions that each candidate gets",
        height=0.36 * len(subjects) + 1.5,
    )
    blues = LinearSegmentedColormap.from_list("choice", ["#f2f6fa", "#9cc7e4", "#0072b2", "#003a5c"])
    axes.pcolormesh(table, cmap=blues, vmin=0, vmax=1, edgecolors="#ffffff", linewidth=1.5)
    for down, across in np.argwhere(table >= _LABELLED_SHARE):
        dark = table[down, across] > 0.45
        axes.text(
            across + 0.5,
            down + 0.5,
            whole_percent(table[down, across]),
            ha="center",
            va="center",
            fontsize=10.5,
            # Not the page's ink: a cell is as light or dark as its share on every page.
            color="#fefefe" if dark else "#101820",
        )
    axes.set_xticks(np.arange(len(candidates)) + 0.5, [candidates[place] for place in columns])
    axes.set_yticks(np.arange(len(subjects)) + 0.5, [subjects[place] for place in order])
    axes.tick_params(axis="x", labelrotation=35, labelsize=10.5, length=0)
    axes.tick_params(axis="y", labelsize=11, length=0)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_visible(False)
    return finish(figure, name=f"choices-{zoo}", table="choices", message=message)


def _bar(axes: "Axes", place: float, row: Row, colour: str, *, width: float = 0.34) -> None:
    gain = 100 * number(row, "gain")
    axes.barh(place, gain, height=width, color=colour, linewidth=0)
    low, high = 100 * number(row, "gain_low"), 100 * number(row, "gain_high")
    if low == low:
        axes.plot([low, high], [place, place], color=INK, linewidth=1.3, solid_capstyle="butt")


def _label_bars(axes: "Axes", labels: Sequence[tuple[float, Row, str, str]]) -> None:
    """Write values, and who it is, right of the bars' intervals."""
    for place, row, name, colour in labels:
        ends = [number(row, "gain"), number(row, "gain_high"), 0.0]
        right = max(end for end in ends if end == end)
        axes.annotate(
            f"{points(number(row, 'gain'))}{'  ' + name if name else ''}",
            (100 * right, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=10.5,
            color=colour,
            annotation_clip=False,
        )


def _zero_line(axes: "Axes", names: Sequence[str]) -> None:
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.invert_yaxis()
    axes.margins(y=0.02)
    low, high = axes.get_xlim()
    # Room for the labels right of the bars.
    axes.set_xlim(low, high + 0.36 * (high - low))


def _named(zoos: Sequence[str]) -> str:
    return listed(zoos) if len(zoos) <= _NAMED_ZOOS else f"{len(zoos)} of them"


def _beats(row: Row) -> bool:
    return role(str(row["method"])) == "rival" and row["lead"] is not None and judged(row, "lead") == "lost"


def _zoo_label(zoo: str, own: Row, averaged: Sequence[str]) -> str:
    if zoo == MEAN_ZOO:
        return f"mean over zoos\n({count(number(own, 'n'))} instructions)"
    return zoo if zoo in averaged else f"{zoo}\n({own['part']})"
