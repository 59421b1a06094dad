"""`modelsat zoo`: who can be chosen, and what each can do."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import CommandGroup, print_json, print_table, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.capability.zoo import ModelZoo
    from modelsat.types import Candidate, CapabilityProfile

app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, help="List and edit the candidates that can be chosen."
)

STALE_AFTER_DAYS = 180
NAMES_SHOWN = 4

ZooOption = Annotated[
    Path | None,
    typer.Option(
        "--zoo", metavar="FILE", help="Zoo file (TOML); the shipped zoo by default.", show_default=False
    ),
]
StaleOption = Annotated[
    int, typer.Option("--stale-after", min=1, metavar="DAYS", help="Call cards that are older stale.")
]
ZooFileOption = Annotated[Path, typer.Option("--zoo", metavar="FILE", help="The zoo file (TOML) to change.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The candidate's name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog="Example: modelsat zoo list --tag open-weights --stale-after 90")
def list_(
    zoo: ZooOption = None,
    stale_after: StaleOption = STALE_AFTER_DAYS,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Only candidates with this tag; repeat for more.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the candidates, strongest first."""
    from modelsat.capability.card import is_stale

    chosen = _load(zoo)
    tags = {tag for candidate in chosen.candidates for tag in candidate.tags}
    for wanted in tag or ():
        if wanted not in tags:
            raise DataError(
                f"no candidate has the tag {wanted!r}; they have {', '.join(sorted(tags)) or 'none'}."
            )
    members = [
        (candidate, profile)
        for candidate, profile in zip(chosen.candidates, chosen.profiles, strict=True)
        if set(tag or ()) <= set(candidate.tags)
    ]
    members.sort(key=lambda member: -member[1].level)
    stale = {candidate.name: is_stale(profile.date, stale_after) for candidate, profile in members}
    if as_json:
        print_json(
            [
                {**candidate_object(candidate, profile), "stale": stale[candidate.name]}
                for candidate, profile in members
            ]
        )
        return
    print_table(
        ["candidate", "level", "shots", "in", "out", "context", "card", "tags"],
        [
            (
                candidate.name,
                f"{profile.level:.3f}",
                sum(result.shots for result in profile.results),
                _price(candidate.input_price, chosen.currency),
                _price(candidate.output_price, chosen.currency),
                "?" if candidate.context_window is None else f"{candidate.context_window / 1000:,.0f}k",
                f"{profile.date or '?'}{' stale' if stale[candidate.name] else ''}",
                ", ".join(candidate.tags),
            )
            for candidate, profile in members
        ],
        numeric=["level", "shots", "in", "out", "context"],
    )
    say(
        "level: accuracy over the exam's items; card: when it sat them; context: thousands of tokens; "
        f"in, out: {chosen.currency} per million tokens."
    )
    if any(stale.values()):
        say(
            f"{sum(stale.values())} stale: over {stale_after} days old, or of unknown age; models behind an endpoint "
            "change. Renew with  modelsat exam run --zoo FILE --register FILE."
        )


@app.command(epilog="Example: modelsat zoo show gemini-1.5-pro-002")
def show(name: NameArgument, zoo: ZooOption = None, as_json: JsonOption = False) -> None:
    """Show one candidate and its results, best tasks first."""
    from modelsat.capability.card import card_object

    chosen = _load(zoo)
    candidate, profile, runs = chosen[name], chosen.profile(name), chosen.runs(name)
    if as_json:
        other_exams = [card_object(other, runs.get(other.exam)) for other in profile.other_exams]
        print_json(
            {
                **candidate_object(candidate, profile),
                "profile": card_object(profile, runs.get(profile.exam)),
                "other_exams": other_exams,
            }
        )
        return
    fields = [
        (key, ", ".join(value) if isinstance(value, tuple) else value)
        for key, value in candidate_object(candidate, profile).items()
        if value not in (None, "", ()) and key not in ("level", "shots")
    ]
    print_table(["field", "value"], fields)
    for sat in profile.exams:
        print_profile(sat)


@app.command(
    epilog="Example: modelsat zoo add our-model --card cards/our-model.json --zoo zoo.toml "
    "--output-price 0.4 --tag eu-only"
)
def add(
    name: NameArgument,
    card: Annotated[
        list[Path],
        typer.Option(
            "--card",
            metavar="FILE",
            help="Its capability card (`modelsat exam grade`); repeat for further exams that it sat.",
        ),
    ],
    zoo: ZooFileOption,
    endpoint: Annotated[str | None, typer.Option(help="Base URL of its API.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Its name at that endpoint.", show_default=False)] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the endpoint's key.", show_default=False)
    ] = None,
    api_key_file: Annotated[
        str | None, typer.Option(help="File with the endpoint's key.", show_default=False)
    ] = None,
    input_price: Annotated[
        float | None, typer.Option(help="Money per million input tokens.", show_default=False)
    ] = None,
    output_price: Annotated[
        float | None, typer.Option(help="Money per million output tokens.", show_default=False)
    ] = None,
    output_tokens: Annotated[
        float | None,
        typer.Option(
            help="Mean tokens of its answers, for the price; by default its card's.", show_default=False
        ),
    ] = None,
    context_window: Annotated[
        int | None, typer.Option(help="Tokens that fit, in and out together.", show_default=False)
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            help="What it accepts: text (the default), image, audio, video, file; repeat.",
            show_default=False,
        ),
    ] = None,
    tools: Annotated[
        bool | None,
        typer.Option("--tools/--no-tools", help="Whether it calls tools.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A label; repeat for more.", show_default=False)
    ] = None,
    notes: Annotated[str, typer.Option(help="Expert notes, in words; they join its representation.")] = "",
    card_candidate: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="OTHER",
            help="The cards were measured under this other name: one model at two endpoints.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the candidate of this name.")] = False,
    with_shipped: Annotated[
        bool, typer.Option("--with-shipped", help="Begin a new zoo file with the shipped candidates.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a candidate to a zoo file, which is made if it does not exist; comments in it stay.

    It is routable at once: nothing is retuned.
    """
    from modelsat.capability.zoo import ModelZoo
    from modelsat.capability.zoo_file import add_entry, read_own_cards
    from modelsat.types import Candidate

    candidate = Candidate(
        name=name,
        endpoint=endpoint,
        model=model,
        api_key_env=api_key_env,
        api_key_file=api_key_file,
        input_price=input_price,
        output_price=output_price,
        output_tokens=output_tokens,
        context_window=context_window,
        modalities=tuple(modality or ("text",)),  # type: ignore[arg-type]
        tools=tools,
        tags=tuple(tag or ()),
        notes=notes,
    )
    # Checked before a file is made.
    read_own_cards(card, name, card_candidate)
    if zoo.exists():
        if with_shipped:
            raise DataError(f"{zoo}: exists already; --with-shipped is for a new file.")
        if name in ModelZoo.load(zoo) and not replace:
            raise DataError(f"{zoo}: candidate {name!r} is there already; use --replace or another name.")
    elif with_shipped:
        ModelZoo.shipped().save(zoo)
    add_entry(zoo, candidate, *card, card_candidate=card_candidate)
    _report(zoo, f"added {name}", as_json=as_json)


@app.command(
    "set",
    epilog="Example: modelsat zoo set our-model input_price=0.1 output_price=0.4 tags=eu-only,chat --zoo zoo.toml",
)
def set_(
    name: NameArgument,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE...",
            help="Fields of the entry; commas separate the entries of a list, and nothing after = removes the field.",
        ),
    ],
    zoo: ZooFileOption,
    as_json: JsonOption = False,
) -> None:
    """Change fields of a candidate in a zoo file; comments and all else stay."""
    from modelsat.capability.zoo_file import set_fields

    values = {}
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise DataError(f"{change!r}: expected FIELD=VALUE, such as output_price=0.4.")
        if key.strip() in values:
            raise DataError(f"{key.strip()} is given twice; give each field once.")
        values[key.strip()] = value.strip()
    set_fields(zoo, name, values)
    if as_json:
        print_json({"zoo": str(zoo), "candidate": name, "set": values})
    else:
        say(f"{zoo}: {name}: set {', '.join(values)}")


@app.command(epilog="Example: modelsat zoo check --zoo zoo.toml --call")
def check(
    zoo: ZooOption = None,
    call: Annotated[
        bool,
        typer.Option(
            "--call", help="Call each endpoint, too: does it answer, take its key, and list the model?"
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on warnings, too.")] = False,
    stale_after: StaleOption = STALE_AFTER_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Check entries, endpoints, keys, prices, lengths, windows, modalities and cards; exit with 1 on faults."""
    from modelsat.capability.zoo import shipped_zoo_file
    from modelsat.endpoints.check import check_zoo

    with nullcontext(zoo) if zoo is not None else shipped_zoo_file() as path:
        findings, entries = check_zoo(path, stale_after=stale_after, call=call)
    faults = sum(finding.severity == "fault" for finding in findings)
    warnings = len(findings) - faults
    if as_json:
        print_json(
            {
                "zoo": None if zoo is None else str(zoo),
                "candidates": entries,
                "faults": faults,
                "warnings": warnings,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        together: dict[tuple[str, str, str], list[str]] = {}
        for one in sorted(findings, key=lambda finding: finding.severity):
            together.setdefault((one.severity, one.subject, one.message), []).append(one.candidate or "?")
        if together:
            print_table(
                ["", "about", "finding", "candidates"],
                [(*kind, _listed(names)) for kind, names in together.items()],
            )
        say(
            f"{zoo or 'the shipped zoo'}: {faults} fault(s) and {warnings} warning(s) in {entries} candidate(s)"
        )
    if faults or (strict and warnings):
        raise typer.Exit(1)


@app.command(epilog="Example: modelsat zoo remove our-model --zoo zoo.toml")
def remove(name: NameArgument, zoo: ZooFileOption, as_json: JsonOption = False) -> None:
    """Take a candidate out of a zoo file; its card stays on disk, and comments stay in the file."""
    from modelsat.capability.zoo_file import remove_entry

    remove_entry(zoo, name)
    _report(zoo, f"removed {name}", as_json=as_json)


def candidate_object(candidate: "Candidate", profile: "CapabilityProfile") -> dict[str, Any]:
    """A candidate and the summary of its profile, for `--json`."""
    return {
        **asdict(candidate),
        "level": round(profile.level, 4),
        "shots": sum(result.shots for result in profile.results),
        "mean_output_tokens": profile.mean_output_tokens,
        "date": profile.date,
    }


def print_profile(profile: "CapabilityProfile") -> None:
    """Write a profile's results as a table, best tasks first."""
    shots = sum(result.shots for result in profile.results)
    print_table(
        ["task", "accuracy", "shots", "keywords"],
        [
            (result.task, f"{100 * result.accuracy:.0f}%", result.shots, ", ".join(result.keywords))
            for result in sorted(profile.results, key=lambda result: -result.accuracy)
        ],
        title=f"{profile.candidate}: {100 * profile.level:.1f}% of {shots} items of exam {profile.exam}",
        numeric=["accuracy", "shots"],
    )
    if profile.notes:
        say(f"notes: {profile.notes}")


def _load(zoo: Path | None) -> "ModelZoo":
    from modelsat.capability.zoo import ModelZoo

    return ModelZoo.shipped() if zoo is None else ModelZoo.load(zoo)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _price(value: float | None, currency: str) -> str:
    from modelsat.routing.pricing import format_money

    return "?" if value is None else format_money(value, currency)


def _report(zoo: Path, what: str, *, as_json: bool) -> None:
    names = _load(zoo).names
    if as_json:
        print_json({"zoo": str(zoo), "candidates": list(names)})
    else:
        say(f"{zoo}: {what}; {len(names)} candidates")
