"""What `modelsat exam run` is told on the command line, as the objects that the exam takes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.capability.irt import ItemBank
    from modelsat.exam.prompts import Prompting
    from modelsat.exam.questions import Question
    from modelsat.exam.session import Seat
    from modelsat.types import Candidate


def who_sits(
    names: Sequence[str],
    zoo: Path | None,
    base_url: str | None,
    model: str | None,
    api_key_env: str | None,
    input_price: float | None,
    output_price: float | None,
) -> "list[Candidate]":
    """Who sits: one that the options describe, or those of a zoo file."""
    from modelsat.capability.zoo_file import read_candidates
    from modelsat.types import Candidate

    given = {"--base-url": base_url, "--model": model, "--api-key-env": api_key_env}
    if zoo is None:
        if len(names) != 1 or base_url is None:
            raise DataError("name one --candidate with its --base-url, or give a --zoo of candidates.")
        return [
            Candidate(
                name=names[0],
                endpoint=base_url,
                model=model,
                api_key_env=api_key_env,
                input_price=input_price,
                output_price=output_price,
            )
        ]
    extra = [option for option, value in given.items() if value is not None]
    if extra or input_price is not None or output_price is not None:
        raise DataError(f"with --zoo, {extra[0] if extra else 'prices'} must stand in the zoo file.")
    found = {candidate.name: candidate for candidate in read_candidates(zoo)}
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{zoo}: no candidate {missing[0]!r}; it has {', '.join(found) or 'none'}.")
    chosen = [found[name] for name in names] or [one for one in found.values() if one.endpoint is not None]
    if not chosen:
        raise DataError(f'{zoo}: no candidate has an endpoint; add  endpoint = "https://.../v1"  to one.')
    return chosen


def require_prices(candidates: "Sequence[Candidate]", max_cost: float | None) -> None:
    """Refuse a limit on money where money cannot be counted."""
    unknown = [one.name for one in candidates if one.input_price is None or one.output_price is None]
    if max_cost is not None and unknown:
        raise DataError(
            f"--max-cost needs the prices of {', '.join(unknown)}; give --input-price and --output-price, "
            "or enter them in the zoo file."
        )


def read_params(given: Sequence[str]) -> dict[str, Any]:
    """Further fields of every request."""
    params: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise DataError(f"--param {text!r}: expected FIELD=JSON, e.g. top_p=0.9 or seed=1.")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value
    return params


def take_seats(candidates: "Sequence[Candidate]", api: str, params: dict[str, Any]) -> "list[Seat]":
    """Where each candidate answers."""
    from modelsat.exam.endpoint import endpoint_of
    from modelsat.exam.prompts import APIS
    from modelsat.exam.session import Seat

    if api not in APIS:
        raise DataError(f"--api is {api!r}; expected {' or '.join(APIS)}.")
    return [
        Seat(candidate=one, endpoint=endpoint_of(one, api=api, params=params))  # type: ignore[arg-type]
        for one in candidates
    ]


def choose_prompting(style: str, api: str, max_tokens: int | None) -> "Prompting":
    """How questions are put."""
    from modelsat.exam.prompts import MAX_TOKENS, STYLES, Prompting

    if style not in STYLES:
        raise DataError(f"--style is {style!r}; expected {' or '.join(STYLES)}.")
    return Prompting(style=style, api=api, max_tokens=max_tokens or MAX_TOKENS[style])  # type: ignore[arg-type,index]


def choose_questions(
    exam: "AptitudeTest", source: str, *, named: Sequence[str], tasks: int | None, shots: int | None
) -> "tuple[list[Question], int]":
    """What is asked, and how many questions are left out since their kind is not graded here."""
    from modelsat.exam.hub import fetch_texts
    from modelsat.exam.questions import HUB, find_questions, read_texts, reduced
    from modelsat.exam.readers import READERS

    texts = fetch_texts(exam.dataset) if source == HUB else read_texts(Path(source))
    chosen = reduced(exam, tasks=tasks, shots=shots, named=named)
    where = f"hub dataset {exam.dataset}" if source == HUB else source
    questions = find_questions(exam, chosen, texts, where=where)
    graded = [question for question in questions if READERS[question.instruction.kind] is not None]
    if not graded:
        raise DataError(f"exam {exam.name}: all its questions are code, whose tests are not run here.")
    return graded, len(questions) - len(graded)


def known_items(
    exam: "AptitudeTest", reference: Path | None, *, circle: bool, adaptive: bool, below: float
) -> "tuple[frozenset[str], ItemBank | None]":
    """What other candidates' cards tell of the items: the hard ones, or how hard each is."""
    from modelsat.capability.irt import ItemBank
    from modelsat.capability.zoo import ModelZoo
    from modelsat.exam.plan import hard_items

    if not (circle or adaptive):
        return frozenset(), None
    known = ModelZoo.shipped() if reference is None else ModelZoo.load(reference)
    if adaptive:
        return frozenset(), ItemBank.of_profiles(exam, known.profiles)
    return hard_items(exam, known.profiles, below=below), None
