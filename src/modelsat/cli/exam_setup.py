"""The participants and questions of `modelsat exam run`, from its options."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.exam.questions import Question
    from modelsat.exam.settings import ExamSettings
    from modelsat.types import Candidate


def choose_candidates(
    names: Sequence[str],
    zoo: Path | None,
    base_url: str | None,
    model: str | None,
    api_key_env: str | None,
    input_price: float | None,
    output_price: float | None,
) -> "list[Candidate]":
    """The candidate that the options describe, or those of a zoo file."""
    from modelsat.capability.zoo_file import read_candidates
    from modelsat.types import Candidate

    given = {"--base-url": base_url, "--model": model, "--api-key-env": api_key_env}
    given |= {"--input-price": input_price, "--output-price": output_price}  # type: ignore[dict-item]
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
    if extra:
        raise DataError(f"{extra[0]} cannot be combined with --zoo; put it into the zoo file.")
    found = {candidate.name: candidate for candidate in read_candidates(zoo)}
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{zoo}: no candidate {missing[0]!r}; it has {', '.join(found) or 'none'}.")
    chosen = [found[name] for name in names] or [one for one in found.values() if one.endpoint is not None]
    if not chosen:
        raise DataError(f'{zoo}: no candidate has an endpoint; add  endpoint = "https://.../v1"  to one.')
    return chosen


def require_prices(candidates: "Sequence[Candidate]", max_cost: float | None) -> None:
    """Refuse a limit on money if costs cannot be counted."""
    unknown = [one.name for one in candidates if one.input_price is None or one.output_price is None]
    if max_cost is not None and unknown:
        raise DataError(
            f"--max-cost needs the prices of {', '.join(unknown)}; give --input-price and --output-price, "
            "or enter them in the zoo file."
        )


def choose_questions(
    exam: "AptitudeTest", source: str, settings: "ExamSettings"
) -> "tuple[list[Question], int]":
    """The questions to ask, and the number of those left out because their kind cannot be graded here."""
    from modelsat.exam.answers import READERS
    from modelsat.exam.hub import fetch_texts
    from modelsat.exam.questions import HUB, find_questions, read_texts, reduced

    texts = fetch_texts(exam.dataset) if source == HUB else read_texts(Path(source))
    chosen = reduced(exam, tasks=settings.tasks, shots=settings.shots, named=settings.only)
    where = f"hub dataset {exam.dataset}" if source == HUB else source
    questions = find_questions(exam, chosen, texts, where=where)
    graded = [question for question in questions if READERS[question.instruction.kind] is not None]
    if not graded:
        raise DataError(f"exam {exam.name}: all its questions are code, and tests of code are not run here.")
    return graded, len(questions) - len(graded)
