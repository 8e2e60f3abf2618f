"""The templates of the report's page and figure, and what fills them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def template_environment() -> "Environment":
    """What fills the templates: escaped, and refused where a name is missing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # The filter `tojson` escapes <, >, & and ', so that no text can end the script element.
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    environment.filters["number"] = _number
    return environment


def _number(value: float) -> str:
    """Write a value for reading: four significant digits, thousands apart."""
    if abs(value) >= 10_000:
        return f"{value:,.0f}".replace(",", "\u2009")
    return f"{value:.4g}"
