"""The main tables: what must hold between their numbers, whoever wins."""

import numpy as np
import pytest

from modelsat.bench.baselines import fit_baselines
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, ORACLE, RANDOM, Method, router_methods
from modelsat.bench.results import MEAN_ZOO, Table
from modelsat.bench.run import EFFORTS
from modelsat.bench.sections import choices
from modelsat.bench.sections.probability import ranking_table, reliability_table
from modelsat.bench.sections.zoos import zoo_table
from modelsat.capability.aptitude import AptitudeTest
from modelsat.records.store import OutcomeDirectory
from modelsat.types import CapabilityProfile
from tests.bench.world import TaskAccuracy, embed, make_run

Rows = dict[tuple[str, str, str], dict[str, float]]


@pytest.fixture(scope="module")
def table(
    routed: EvaluationSet, methods: list[Method], abroad: EvaluationSet, wide_directory: OutcomeDirectory
) -> Table:
    own = router_methods(abroad, TaskAccuracy(), note="", seed=0)
    fitted = fit_baselines(
        abroad, embed, items=wide_directory.instructions, outputs={}, pairs=500, trees=5, seed=0
    )
    return zoo_table([(routed, methods), (abroad, [*own, *fitted])], seed=0)


@pytest.fixture(scope="module")
def rows(table: Table) -> Rows:
    return {(row["method"], row["zoo"], row["part"]): row for row in table.records()}  # type: ignore[misc]


def test_every_method_is_in_every_zoo_and_part(table: Table, methods: list[Method]) -> None:
    records = table.records()
    core = [row for row in records if row["part"] != "ood_datasets"]
    assert len(core) == len(methods) * 3 * 3  # two zoos and their mean; three parts
    assert {row["zoo"] for row in records if row["part"] == "ood_datasets"} == {"abroad"}
    names = [method.name for method in methods]
    assert names[0] == MODEL_SAT
    assert len(set(names)) == len(names)
    for needed in ("best single", "best single per category", "kNN", "k-means", "MLP + card", RANDOM, ORACLE):
        assert needed in names


def test_numbers_agree_with_each_other(rows: Rows) -> None:
    for (method, zoo, part), row in rows.items():
        single, best = rows["best single", zoo, part], rows[ORACLE, zoo, part]
        own = rows[MODEL_SAT, zoo, part]
        assert row["gain"] == pytest.approx(row["accuracy"] - single["accuracy"])
        assert row["regret"] == pytest.approx(best["accuracy"] - row["accuracy"])
        assert row["gain_low"] <= row["gain"] <= row["gain_high"]
        assert row["gap_closed"] == pytest.approx(row["gain"] / best["gain"])
        if method == MODEL_SAT:
            assert row["lead"] is None
        else:
            assert row["lead"] == pytest.approx(own["accuracy"] - row["accuracy"])
            assert row["lead_low"] <= row["lead"] <= row["lead_high"]


def test_the_mean_over_zoos_is_their_mean(rows: Rows) -> None:
    for (method, zoo, part), row in rows.items():
        if zoo == MEAN_ZOO:
            each = [rows[method, name, part] for name in ("four", "two")]
            for column in ("accuracy", "gain", "regret"):
                assert row[column] == pytest.approx(np.mean([other[column] for other in each]))


def test_references_are_what_they_are_called(rows: Rows) -> None:
    for (method, _, _), row in rows.items():
        if method == "best single":
            assert (row["gain"], row["entropy"], row["strongest_rate"]) == (0, 0, 1)
        if method == RANDOM:
            assert row["entropy"] == 1
        if method == ORACLE:
            assert row["regret"] == 0
            assert row["entropy"] is None


def test_a_router_that_reads_cards_leads_blind_choice_and_wrong_cards(rows: Rows) -> None:
    for rival in (RANDOM, "best single", "level only", "shuffled cards", "level-preserving shuffle"):
        assert rows[rival, "four", "test"]["lead_low"] > 0


def test_rivals_that_read_find_the_subjects(rows: Rows) -> None:
    for rival in ("kNN", "k-means", "logistic regression", "MLP", "random forest", "matrix factorisation"):
        assert rows[rival, "four", "test"]["gain_low"] > 0, rival


def test_who_serves_unseen_candidates_is_said(rows: Rows) -> None:
    serving = {method for (method, _, _), row in rows.items() if row["serves_unseen"]}
    assert {MODEL_SAT, "level only", "exam-only kNN", "random forest + card", RANDOM} <= serving
    assert not {"kNN", "MLP", "matrix factorisation", "best single", ORACLE} & serving


def test_ranking_holds_seen_and_unseen_apart(routed: EvaluationSet, methods: list[Method]) -> None:
    table = ranking_table([(routed, methods)]).records()
    assert {row["candidates"] for row in table} == {"seen", "unseen"}
    assert not {row["method"] for row in table} & {RANDOM, ORACLE}
    own = next(row for row in table if row["method"] == MODEL_SAT and row["candidates"] == "unseen")
    assert own["auc"] > 0.7  # type: ignore[operator]


def test_reliability_bins_hold_every_pair_once(routed: EvaluationSet, methods: list[Method]) -> None:
    rows = reliability_table(routed, methods[0]).records()
    for group, members in routed.groups.items():
        inside = [row for row in rows if row["candidates"] == group]
        assert sum(row["count"] for row in inside) == len(routed.widest) * len(members)  # type: ignore[misc]
        assert all(row["bin_low"] <= row["predicted"] <= row["bin_high"] for row in inside)  # type: ignore[operator]


def test_shares_of_a_subject_sum_to_one(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    run = make_run(directory, exam, cards, effort=EFFORTS["full"], split="test", baselines=())
    rows = next(choices.compute(run)).records()
    for zoo in ("four", "two"):
        for subject in ("law", "maths", "code", "history"):
            inside = [row for row in rows if (row["zoo"], row["subject"]) == (zoo, subject)]
            assert sum(row["share"] for row in inside) == pytest.approx(1)  # type: ignore[misc]


def test_the_same_seed_gives_the_same_table(routed: EvaluationSet, methods: list[Method]) -> None:
    first, again, other = (zoo_table([(routed, methods)], seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_without_the_router_there_are_gains_and_no_leads(
    routed: EvaluationSet, methods: list[Method]
) -> None:
    rows = zoo_table([(routed, methods[1:])], seed=0).records()
    assert all(row["lead"] is None for row in rows)
    assert any(row["gain"] for row in rows)


def test_re_ranking_has_a_row_only_if_every_output_is_there(
    routed: EvaluationSet, directory: OutcomeDirectory
) -> None:
    outputs = {
        (row.id, card.candidate): row.text for row in routed.table.instructions for card in routed.profiles
    }

    def names(known: dict[tuple[str, str], str]) -> list[str]:
        fitted = fit_baselines(
            routed,
            embed,
            items=directory.instructions,
            outputs=known,
            pairs=100,
            trees=2,
            seed=0,
            only=("re-ranking", "level only"),
        )
        return [method.name for method in fitted]

    assert names(outputs) == [RANDOM, "level only", "re-ranking", ORACLE]
    outputs.popitem()
    assert "re-ranking" not in names(outputs)
