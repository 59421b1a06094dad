"""The letter of the chosen option in a reply to a multiple-choice question: a table of ways in which replies state it.

Repetitions in the patterns are bounded, so that no reply can cause excessive backtracking.
"""

import re
import unicodedata
from dataclasses import dataclass

# What may surround a letter: quotes, brackets, Markdown, LaTeX.
_WRAP = r"[\s*_`\"'“”‘’(\[{$【「<]{0,10}(?:\\(?:boxed|text|mathrm|mathbf|textbf|bf)\s?\{[\s*(]{0,3}){0,2}"
# Chinese and Japanese set no spaces: only Latin letters and digits go on with a word.
_END_OF_WORD = r"(?![A-Za-z0-9À-ɏ]|['’])"
# "A" and "I" are words too: they are an answer only where punctuation, the end or a reason follows.
_CLOSED = r"(?=[\s*_]{0,3}(?:[).:,;!*\]}$_`\"”】」<\n–—]|$|(?i:because|since|as|is|ist|es|est)\b))"
_CAPITAL = rf"(?:[B-HJ-Z]{_END_OF_WORD}|[AI]{_END_OF_WORD}{_CLOSED})"
_EITHER_CASE = rf"(?:{_CAPITAL}|[a-z]{_END_OF_WORD}{_CLOSED})"

_ANSWER = (
    r"(?<![^\W_])(?i:answer|respuesta|réponse|reponse|risposta|resposta|antwort|lösung|ответ|odpowiedź|antwoord|svar)"
    r"|答案|回答|答え|解答|正解|정답|답"
)
_RIGHT = r"(?i:correct|right|best|true|final|chosen|correcta|correcte|bonne|corretta|richtige?|правильный)"
_OPTION = (
    r"(?i:options?|choices?|letter|alternative|opción|opcion|opção|lettre|lettera|buchstabe|вариант)"
    r"|选项|選択肢|選項"
)
_IS = (
    r"(?i:is|was|are|be|would\sbe|must\sbe|should\sbe|has\sto\sbe|es|est|ist|è|é|lautet|будет)(?![^\W_])"
    r"|は|是|为|為|은|는"
)
_SIGN = r"[\s*_`\"']{0,6}(?:[:：=→>]|-(?!\d)|–|—){0,2}[\s*_`\"']{0,6}"


@dataclass(frozen=True, slots=True)
class _Statement:
    """A way to state an answer; a name, what stands before the letter, the letter, and what follows it."""

    name: str
    before: str
    letter: str = _CAPITAL
    after: str = ""

    def compiled(self) -> re.Pattern[str]:
        return re.compile(f"{self.before}{_WRAP}(?P<letter>{self.letter}){self.after}", flags=re.MULTILINE)


# The last statement of a reply counts, in whatever form it is.
STATEMENTS = tuple(
    (row.name, row.compiled())
    for row in (
        _Statement("boxed", r"\\boxed\s?\{", _EITHER_CASE),
        _Statement(
            "answer",
            rf"(?:{_ANSWER})(?:\s{{1,2}}[^\s.:=\n]{{1,20}}){{0,5}}?[\s*_`\"']{{0,6}}(?:{_IS})?"
            rf"(?P<denied>\s{{1,3}}(?i:not|neither)\b)?{_SIGN}(?:\n[\s*_#]{{0,6}})?(?i:the\s)?"
            rf"(?:(?:{_RIGHT})\s)?(?:(?:{_OPTION})\s{{0,3}})?",
            _EITHER_CASE,
        ),
        _Statement(
            "correct one",
            rf"(?:{_RIGHT})\s(?i:one|option|choice|letter|statement|alternative)\s{{0,3}}(?:{_IS})?"
            rf"(?P<denied>\s{{1,3}}(?i:not)\b)?{_SIGN}(?:(?:{_OPTION})\s{{0,3}})?",
        ),
        _Statement(
            "choosing",
            r"(?i:it\sis|it['’]s|that\sis|that['’]s|must\sbe|should\sbe|choose|select|pick|go\swith|going\swith|opt\sfor"
            r"|say|believe|therefore|thus|hence|so|therefore\sit\sis|i\sam\ssure|i['’]m\ssure|my\s(?:choice|pick)(?:\sis)?"
            r"|leaves|leaving)"
            rf"(?P<denied>\s{{1,3}}(?i:not)\b)?[\s,:]{{0,3}}(?:(?i:the\s)?(?:{_OPTION})\s{{0,3}})?",
        ),
        _Statement("choosing, Chinese and Japanese", r"(?:选择|選擇|選択|选|選)\s{0,2}"),
        _Statement(
            "is correct",
            rf"(?:(?:{_OPTION})\s{{0,3}})?(?<![^\W_])",
            after=rf"[\s*_`\"'”)\]]{{0,6}}(?:\([^)\n]{{0,40}}\)\s?)?(?:{_IS})(?P<denied>\s(?i:not|in)\b)?"
            rf"\s(?i:the\s|die\s|la\s)?(?:{_RIGHT}|{_ANSWER}|{_OPTION})",
        ),
    )
)
_PAIR = re.compile(
    rf"[\s*_`\"'”)\]}}]{{0,6}}(?:,|/|&|、|，|(?i:and|or|und|oder|et|ou|y|o|e)\b){_WRAP}[A-Z]{_END_OF_WORD}"
    r"[\s*_`\"'”)\]}]{0,6}(?:[.!;\n]|$|(?i:are|both)\b)"
)
# The same before a letter: "both A and B are correct".
_PAIR_BEFORE = re.compile(
    r"(?<![A-Za-z0-9])[A-Z][\s*_`\"'”)\]}]{0,6}(?:/|&|、|(?i:and|or|und|oder|et|ou|y|o|e)(?=\W))[\s*_`\"'“(\[{$]{0,10}$"
)
_SEVERAL = re.compile(rf"^{_WRAP}(?:(?i:both|either|options?)\s)?{_WRAP}[A-Z]{_END_OF_WORD}")
_ALONE = re.compile(r"[\s*_`\"'“‘(\[{【「#>]{0,10}([A-Za-z])[\s*_`\"'”’)\]}】」.:]{0,10}")
_BEGINS = re.compile(rf"^{_WRAP}(?P<letter>{_CAPITAL})")
_NAMED = re.compile(rf"(?:{_OPTION})\s{{0,3}}{_WRAP}(?P<letter>{_EITHER_CASE})|\((?P<bracketed>[A-Z])\)")
# Text completion models go on with a question of their own making.
_NEXT_QUESTION = re.compile(
    r"\n\s{0,4}[*#\s]{0,6}(?i:question|frage|pregunta|问题|質問)\s{0,3}\d{0,3}\s{0,2}[:：.]"
)
_INTRODUCTION = re.compile(
    r"^(?i:it is|it's|it’s|that is|that's|this is|i think it is|probably)\s{1,3}(?:the\s)?"
)


def read_letter(reply: str, choices: tuple[str, ...]) -> str | None:
    r"""The letter of the chosen option, or None where a person would read none.

    In this order: the last one stated (see `STATEMENTS`), a last or first line that is only a letter, a letter at the
    beginning, an option in full, the only option named. Two letters at once are no answer.

    Args:
        reply: Without its reasoning.
        choices: The options in the order shown.
    """
    letters = tuple(chr(ord("A") + at) for at in range(len(choices)))
    text = _own_part(unicodedata.normalize("NFKC", reply)).strip()
    last: tuple[int, str | None] = (-1, None)
    for _, pattern in STATEMENTS:
        for match in pattern.finditer(text):
            letter, at = match["letter"].upper(), match.start("letter")
            if letter in letters and not match.groupdict().get("denied") and at > last[0]:
                paired = _PAIR.match(text, match.end("letter")) or _PAIR_BEFORE.search(
                    text, max(0, at - 40), at
                )
                last = at, None if paired else letter
    if last[0] >= 0:
        return last[1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in (*lines[-1:], *lines[:1]):
        alone = _ALONE.fullmatch(line)
        if alone and alone[1].upper() in letters:
            return alone[1].upper()
    several = _SEVERAL.match(text)
    if several and _PAIR.match(text, several.end()):
        return None
    begins = _BEGINS.match(text)
    if begins and begins["letter"] in letters:
        return begins["letter"]
    said = {plain_text(_INTRODUCTION.sub("", line)) for line in (*lines[:1], *lines[-1:])}
    matching = [
        letter for letter, choice in zip(letters, choices, strict=True) if plain_text(choice) in said - {""}
    ]
    if len(matching) == 1:
        return matching[0]
    named = {(match["letter"] or match["bracketed"]).upper() for match in _NAMED.finditer(text)}
    return named.pop() if len(named) == 1 and named <= set(letters) else None


def _own_part(text: str) -> str:
    """A reply up to where it invents the next question."""
    for match in _NEXT_QUESTION.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()]
    return text


def plain_text(text: str) -> str:
    """A text without case, spacing, and punctuation at its ends."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(" .,;:!?*_`\"'“”‘’()[]")
