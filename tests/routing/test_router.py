"""The router: requests in, explained decisions out."""

from collections.abc import Sequence

import numpy as np
import pytest

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError, PolicyError
from modelsat.routing.reasons import NO_ONE_FITS, NONE_SIMILAR, NOT_ENGLISH
from modelsat.routing.router import Router
from modelsat.routing.scorer import Level
from modelsat.types import Candidate, CapabilityProfile, Instruction, ScoreMatrix
from tests.evidence import KnownEvidence, known_parts, scores_of
from tests.profiles import profile

TASKS = ("law", "maths", "code")


class Attentive:
    """Scores by level and by the task that a text names; by level alone where it names none."""

    name = "attentive"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        accuracies = [{result.task: result.accuracy for result in each.results} for each in profiles]
        residuals = [
            [known.get(task, each.level) - each.level for task in TASKS]
            for known, each in zip(accuracies, profiles, strict=True)
        ]
        evidence = []
        for row in instructions:
            weights = np.array([8.0 if task in row.text else 0.7 for task in TASKS], dtype=np.float32)
            evidence.append(
                KnownEvidence(
                    known_parts(
                        tasks=TASKS,
                        attention=weights / weights.sum(),
                        levels=[float(np.log(each.level / (1.001 - each.level))) for each in profiles],
                        residuals=np.array(residuals, dtype=np.float32),
                        similar=weights.max() > 1,
                    )
                )
            )
        return scores_of(evidence, instructions, [each.candidate for each in profiles])


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
    return Router(scorer=Attentive(), zoo=zoo())


def test_a_decision_names_choice_tasks_and_reasons(router: Router) -> None:
    decision = router.route("a question of law")
    assert decision.candidate == "strong"
    assert [task for task, _ in decision.tasks] == ["law"]
    assert decision.reasons == (
        "Highest P(right): 0.81; next cheap, 0.58.",
        "strong leads cheap by 23.1 points: level +19.9 (80% of the exam against 60%), "
        "law +3.5 (10 above its level against 10 below), other tasks -0.3.",
        "Difficulty: a candidate of average level has P(right) 0.50.",
    )


def test_where_no_task_is_similar_the_decision_says_so(router: Router) -> None:
    decision = router.route("hello there")
    assert f"{NONE_SIMILAR}: only level decided." in decision.reasons
    assert "strong leads cheap by 20.0 points: level +20.0 (80% of the exam against 60%)." in decision.reasons
    assert decision.tasks == ()
    priced = router.route("hello there", policy="value=1").reasons
    assert f"{NONE_SIMILAR}: only level and price decided." in priced


def test_a_router_says_why_a_candidate_was_not_chosen(router: Router) -> None:
    assert router.why_not("law", "strong") == ("strong was chosen.",)
    first, second = router.why_not("law", "cheap")
    assert first == "cheap is number 2 of 2: P(right) 0.58 against 0.81 of strong."
    assert second.startswith(
        "cheap trails strong by 23.1 points: level -19.9 (60% of the exam against 80%), law -3.5"
    )
    reached = router.why_not("law", "strong", policy="cheapest-above=0.5")
    assert reached == (
        "strong reaches P(right) 0.5 too, but is no cheaper: $0.000401 against $0.0000101 of cheap.",
    )
    assert (
        router.why_not("law", "cheap", policy="cheapest-above=0.7")[0]
        == "cheap misses P(right) 0.7, with 0.58."
    )
    assert "lower expected value" in router.why_not("law", "cheap", policy="value=1")[0]
    with pytest.raises(DataError, match="no candidate 'nobody' in the zoo; it has strong, cheap"):
        router.why_not("law", "nobody")


def test_a_router_says_who_cannot_take_a_request(router: Router) -> None:
    seen = Instruction(id="x", text="What is this?", images=("cat.png",))
    assert router.why_not(seen, "strong") == ("strong cannot take this request: it takes no images.",)
    (long,) = router.why_not("long " * 10_000, "strong")
    assert long == (
        "strong cannot take this request: its context window is 8,000 tokens, and the request has about 12,500."
    )


def test_scores_without_evidence_are_explained_by_themselves() -> None:
    decision = Router(scorer=Level(), zoo=zoo()).route("hello")
    assert decision.reasons == ("Highest P(right): 0.80; next cheap, 0.60.",)
    assert (decision.tasks, decision.comparison) == ((), None)


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
    assert strong.expected_cost == pytest.approx((1.0 * 1_000 + 4.0 * 100) / 1e6)


def test_whoever_cannot_take_a_request_is_not_named_as_the_next_one(router: Router) -> None:
    decision = router.route(Instruction(id="x", text="What is this?", images=("cat.png",)))
    assert "cheap is the only candidate, with P(right) 0.60." in decision.reasons
    assert decision.comparison is None


def test_of_many_that_cannot_take_a_request_a_few_are_named() -> None:
    members = [
        (Candidate(name=f"blind {number}"), profile(f"blind {number}", {"law": 0.5})) for number in range(9)
    ]
    members.append((Candidate(name="sees", modalities=("text", "image")), profile("sees", {"law": 0.5})))
    decision = Router(scorer=Level(), zoo=ModelZoo(members)).route(
        Instruction(id="x", text="What is this?", images=("cat.png",))
    )
    assert decision.reasons[-1].endswith(
        "(images or length): blind 0, blind 1, blind 2, blind 3, blind 4 and 4 more."
    )


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
