"""The further sections of the report page, in their order; each from tables that need not be there."""

from collections.abc import Callable
from pathlib import Path

from .page import Section
from .predictions import image_section, method_section
from .scores import score_section

# A maker takes the folder of the tables and gives its section, or None where its tables do not exist.
MAKERS: tuple[Callable[[Path], Section | None], ...] = (score_section, method_section, image_section)


def further_sections(tables: Path) -> list[Section]:
    """Make every section that has something to say."""
    return [section for make in MAKERS if (section := make(tables)) is not None]
