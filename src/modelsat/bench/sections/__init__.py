"""The sections of the benchmark: every module here holds one, as `SECTION`. Adding a section is adding a file."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from modelsat.bench.section import Section, TableSpec


@cache
def all_sections() -> tuple[Section, ...]:
    """Every section, in the order of the report."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    sections: list[Section] = [module.SECTION for module in modules]
    return tuple(sorted(sections, key=lambda section: section.order))


def table_specs() -> dict[str, TableSpec]:
    """The form of every table, by name."""
    return {spec.name: spec for section in all_sections() for spec in section.tables}
