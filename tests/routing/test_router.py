"""The router: requests in, explained decisions out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError, PolicyError
from modelsat.routing.baselines import Level
from modelsat.routing.reasons import LEVEL_ONLY, NO_ONE_FITS, NOT_ENGLISH
from modelsat.routing.router import TASKS_KEPT, Router
from modelsat.types import Candidate, CapabilityProfile, Evidence, Instruction, ScoreMatrix
from tests.profiles import profile

TASKS = ("law", "maths", "code")


class AttentiveLevel:
    """The level scorer, with evidence: texts that name a task speak for it, others for none."""

    name = "attentive level"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        weights = np.array(
            [[0.8 if task in row.text else 0.1 for task in TASKS] for row in instructions], dtype=np.float32
        )
        evidence = Evidence(
            tasks=TASKS,
            weights=weights / weights.sum(axis=1, keepdims=True),
            level_only=np.array([not any(task in row.text for task in TASKS) for row in instructions]),
        )
        return replace(Level().score(instructions, profiles), evidence=evidence)


def zoo() -> ModelZoo:
    return ModelZoo(
        [
            (
                Candidate(name="strong", input_price=1.0, output_price=4.0, context_window=8_000),
                profile("strong", {"law": 0.9, "maths": 0.8, "code": 0.7}),
            ),
            (
                Candidate(name="cheap", input_price=0.1, output_price=0.1, modalities=("text", "image")),
                profile("cheap", {"law": 0.5, "maths": 0.7}),
            ),
        ]
    )


@pytest.fixture
def router() -> Router:
    return Router(scorer=AttentiveLevel(), zoo=zoo())


def test_a_decision_names_choice_tasks_and_reasons(router: Router) -> None:
    decision = router.route("a question of maths")
    assert decision.candidate == "strong"
    assert decision.tasks[0][0] == "maths"
    assert len(decision.tasks) <= TASKS_KEPT
    assert 'Highest Pr("Yes"): 0.80; next cheap, 0.60.' in decision.reasons
    assert "maths (80% of the attention): strong 80%, cheap 70%." in decision.reasons
    assert "code (10% of the attention): strong 70%, cheap not sat." in decision.reasons


def test_where_no_task_speaks_the_decision_says_so(router: Router) -> None:
    decision = router.route("hello there")
    assert LEVEL_ONLY in decision.reasons
    assert "Whole exam: strong 80%, cheap 60%." in decision.reasons
    assert decision.tasks == ()


@pytest.mark.parametrize("text", ["日本の首都はどこですか", "ما هي عاصمة اليابان؟", "Какая столица Японии?"])
def test_text_in_another_script_gets_a_note(router: Router, text: str) -> None:
    assert NOT_ENGLISH in router.route(text).reasons


@pytest.mark.parametrize(
    "text", ["¿Cuál es la capital?", "2 + 2 = ?", "\x00\x1b[31mred\x07", "word " * 200_000]
)
def test_other_texts_get_none_and_never_a_crash(router: Router, text: str) -> None:
    assert NOT_ENGLISH not in router.route(text).reasons


@pytest.mark.parametrize("empty", ["", "  \n "])
def test_an_empty_text_is_one_clear_error(router: Router, empty: str) -> None:
    with pytest.raises(DataError, match="the instruction is empty; give it at least one word"):
        router.route(empty)


def test_the_policy_of_a_call_goes_before_the_routers_own(router: Router) -> None:
    assert router.route("law", policy="cheapest-above=0.5").candidate == "cheap"
    assert router.route("law", policy="cheapest-above=0.7").candidate == "strong"
    with pytest.raises(PolicyError, match="unknown policy"):
        router.route("law", policy="finest")


def test_a_price_is_expected_from_the_text_and_the_profile(router: Router) -> None:
    strong = router.route("a" * 4_000).ranking[0]
    assert strong.expected_price == pytest.approx((1.0 * 1_000 + 4.0 * 100) / 1e6)


def test_images_go_to_those_who_see(router: Router) -> None:
    decision = router.route(Instruction(id="x", text="What is this?", images=("cat.png",)))
    assert decision.candidate == "cheap"
    assert any("Left out" in reason and "strong" in reason for reason in decision.reasons)


def test_a_text_too_long_for_a_candidate_goes_elsewhere(router: Router) -> None:
    assert router.route("long " * 10_000).candidate == "cheap"


def test_where_no_one_fits_all_are_considered(router: Router) -> None:
    router.zoo.remove("cheap")
    decision = router.route("long " * 10_000)
    assert decision.candidate == "strong"
    assert NO_ONE_FITS in decision.reasons


def test_a_new_candidate_is_routable_at_once(router: Router) -> None:
    router.zoo.add(Candidate(name="new"), profile("new", {"law": 1.0}))
    assert router.route("law").candidate == "new"


def test_order_and_company_of_the_zoo_do_not_change_a_score(router: Router) -> None:
    whole = router.score(["law", "maths"])
    alone = Router(scorer=router.scorer, zoo=router.zoo.select(["cheap"])).score(["law", "maths"])
    np.testing.assert_array_equal(whole.logits[:, [1]], alone.logits)


def test_a_zoo_of_one_and_a_zoo_of_a_thousand(router: Router) -> None:
    assert "only candidate" in Router(scorer=Level(), zoo=router.zoo.select(["cheap"])).route("x").reasons[0]
    names = [f"candidate {number}" for number in range(1_000)]
    many = ModelZoo((Candidate(name=name), profile(name, {"law": 0.5})) for name in names)
    assert len(Router(scorer=Level(), zoo=many).route("x").ranking) == 1_000


def test_an_empty_zoo_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="the zoo is empty"):
        Router(scorer=Level(), zoo=ModelZoo()).route("x")


def test_many_are_routed_in_order_as_they_are_one_by_one(router: Router) -> None:
    texts = [f"law {number}" for number in range(7)]
    assert list(router.route_many(iter(texts), batch_size=3)) == [router.route(text) for text in texts]


def test_a_chat_is_one_request(router: Router) -> None:
    chat = [{"role": "user", "content": "a question of law"}]
    assert router.route(chat).tasks[0][0] == "law"
