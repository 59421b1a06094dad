"""HTML pages: one base template, and one for each kind of page. A page is a single file without scripts or requests."""

from jinja2 import Environment, PackageLoader, StrictUndefined

_PAGES = Environment(
    loader=PackageLoader("modelsat", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: object) -> str:
    """Fill in a template; texts are escaped.

    Args:
        template: File name in this folder.
        values: Variables of the template.
    """
    return _PAGES.get_template(template).render(values)
