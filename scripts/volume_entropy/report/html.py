"""Pieces of HTML that sections of the report page share; everything in them is escaped."""

from collections.abc import Sequence

from markupsafe import Markup


def picture(file: str, alt: str) -> Markup:
    """Show a figure that lies beside the page, as wide as the page at most; a click opens it."""
    return Markup('<p><a href="{0}"><img src="{0}" alt="{1}" style="max-width: 100%" loading="lazy"></a></p>').format(
        file, alt
    )


def links(text: str, files: Sequence[tuple[str, str]]) -> Markup:
    """A line of a text and links: each a file beside the page, and its name on it."""
    shown = Markup(", ").join(Markup('<a href="{}">{}</a>').format(file, name) for file, name in files)
    return Markup("<p>{} {}</p>").format(text, shown)


def plain_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, n_words: int = 1) -> Markup:
    """Make a table.

    Parameters
    ----------
    caption, heads
        Of the table, and of its columns.
    rows
        The cells' texts.
    n_words
        How many columns, from the left, hold words; numbers in the others stand to the right.
    """
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_number(place, n_words), name) for place, name in enumerate(heads)
    )
    body = Markup("").join(Markup("<tr>{}</tr>").format(_cells(row, n_words)) for row in rows)
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{0}"><table class="plain"><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>"
    ).format(caption, head, body)


def short(cell: str) -> str:
    """Write a number's text with four significant digits; an empty cell stays empty."""
    return f"{float(cell):.4g}" if cell else ""


def _cells(row: Sequence[str], n_words: int) -> Markup:
    first = Markup('<th scope="row">{}</th>').format(row[0])
    rest = (
        Markup("<td{}>{}</td>").format(_number(place, n_words), cell) for place, cell in enumerate(row[1:], start=1)
    )
    return first + Markup("").join(rest)


def _number(place: int, n_words: int) -> Markup:
    return Markup(' class="n"') if place >= n_words else Markup("")
