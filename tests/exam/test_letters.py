"""The letter that a person would read in a reply, in sixty further ways of writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.exam.answers import without_thoughts
from modelsat.exam.letters import STATEMENTS, read_letter

METALS = ("iron", "copper", "zinc", "tin", "lead", "silver", "gold", "nickel", "cobalt", "mercury")

READ = {
    "D": (
        "D",
        "d)",
        "（Ｄ）",
        "【D】",
        "「D」",
        "D: tin",
        "D – tin",
        "## D",
        "> **D**",
        "tin",
        "It's tin.",
        "**Tin**",
        "Answer:\n\n(D)",
        "ANSWER: D",
        "Answer = (D) tin",
        "My answer: D!",
        "The answer here would be D.",
        "The answer has to be D.",
        "The answer must be option D.",
        "The correct choice: D",
        "The correct option should be D.",
        "The best one is (D).",
        "Correct answer → D",
        "I choose D.",
        "I would pick option D because it is soft.",
        "I'll go with **D**.",
        "Let us opt for D.",
        "Hence D.",
        "Thus: (D)",
        "A fails, B fails and C fails, which leaves D.",
        "D is correct, since A is brittle.",
        "(D) tin is the right answer.",
        "Option D is the best answer.",
        "The answer is not B but D: the answer is D.",
        "At first the answer seems to be B. However, the correct one is D.",
        "答案：D",
        "正确答案是 D。",
        "我选D",
        "答えは D です。",
        "正解: D",
        "정답은 D입니다.",
        "Die Antwort lautet D.",
        "Antwort: D) Zinn",
        "La respuesta es la opción D.",
        "La bonne réponse est D.",
        "La risposta corretta è D.",
        "A resposta é D.",
        "Правильный ответ: D",
        '{"reason": "soft metal", "answer": "D"}',
        '{"choice": "x", "final_answer": "(D)"}',
        "<final_answer>D</final_answer>",
        r"\[\boxed{\mathrm{D}}\]",
        r"Therefore $\boxed{(D)\ \text{tin}}$",
        "<reasoning>Answer: B</reasoning><answer>D</answer>",
        "[THINK]surely B[/THINK]\nAnswer: D",
        "◁think▷B?◁/think▷D",
        "<|channel|>analysis<|message|>The answer is B<|end|><|start|>assistant<|channel|>final<|message|>D<|return|>",
        "Answer: D\n\nQuestion 2: Which is liquid?\nAnswer: J",
    ),
    "A": ("A", "The answer is A.", "A is the correct answer.", "Answer: A because it rusts", "So it is A."),
    "I": ("I", "Answer: I", "The answer is I."),
    None: (
        "",
        "A and D",
        "D or E",
        "Both C and D are correct.",
        "The answer is either D or E.",
        "The answer is A, D",
        "The answer is not D.",
        "It is not D.",
        "A metal is needed here.",
        "I cannot tell.",
        "As a model, I have no view.",
        "Answer: Q",
        "Question: D?",
        "<think>The answer is D, but",
        "[THINK]Answer: D",
        "None of them",
        "iron or tin",
    ),
}
CASES = [(reply, letter) for letter, replies in READ.items() for reply in replies]


@pytest.mark.parametrize(("reply", "letter"), CASES)
def test_the_letter_is_the_one_that_a_person_reads(reply: str, letter: str | None) -> None:
    assert read_letter(without_thoughts(reply), METALS) == letter


def test_every_way_of_stating_an_answer_is_used() -> None:
    replies = [without_thoughts(reply) for reply, letter in CASES if letter]
    unused = [name for name, pattern in STATEMENTS if not any(pattern.search(reply) for reply in replies)]
    assert unused == []


@given(st.text(max_size=300))
def test_any_text_is_read_as_an_offered_letter_or_none(reply: str) -> None:
    assert read_letter(reply, METALS[:4]) in (None, *"ABCD")


@given(st.sampled_from(["a", " ", "answer is ", "answer: A, ", "not ", "(", "\n", "the correct option is "]))
def test_no_reply_keeps_the_reader_busy(piece: str) -> None:
    read_letter(without_thoughts(piece * 4_000), METALS)
