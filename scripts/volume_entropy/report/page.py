"""The report page: one HTML file and a folder of scripts beside it, which open from disk without server or network.

It reads the tables of the cohort and nothing of any other stage. Figures and thumbnails are linked by name, so that
new figures need no new page. The same tables give the same bytes.

Further parts of the page come as `Section`s: text, HTML and plots that a stage of its own tables makes. `write_report`
takes an ordered list of them and puts them between the rejected samples and the methods. To add one, write a function
that makes a `Section` from the folder of the tables, or None where it has nothing to say, and list it in
`report.sections.MAKERS`; the tables that it reads become inputs of the rule `report`. A trace of its plots whose
`customdata` are sample ids takes part in selection: a click on a point opens the sample.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replaced_when_whole, write_text
from ..joblog import phase
from .data import Table, counts, measures_of, overview, page_data, read_table, span, warnings
from .methods import methods
from .templating import TEMPLATES, template_environment

if TYPE_CHECKING:
    from markupsafe import Markup

# In the order in which the page loads them.
SCRIPTS = (
    "vendor/plotly-basic.min.js",
    "vendor/tabulator.min.js",
    "page.js",
    "plots.js",
    "samples.js",
    "contact_sheet.js",
    "detail.js",
)
STYLES = ("vendor/tabulator_simple.min.css", "report.css")


def files_of_page(*, with_samples: bool) -> list[str]:
    """List what lies in the folder beside the page; one of sections alone has no scripts."""
    return [Path(name).name for name in ((*SCRIPTS, *STYLES) if with_samples else STYLES)]


@dataclass(frozen=True)
class Plot:
    """A Plotly figure of a section.

    Attributes
    ----------
    title
        Heading above the plot; name quantity and unit in the axes, not here.
    data, layout
        Traces and layout as Plotly's JSON schema has them, of trace types `scatter`, `bar` or `pie`; the page sets
        fonts, colours of the paper and margins.
    alt
        What the plot shows, in words, for those who do not see it.
    """

    title: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    alt: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    title
        Heading, and entry of the navigation.
    anchor
        Id in the page's address, `[a-z-]+`, unique.
    text
        Paragraphs of plain text above the rest; escaped.
    html
        Further content that is safe as it is: `markupsafe.Markup`, in which data were escaped; plain text is escaped.
    plots
        Drawn when they are scrolled into view.
    """

    title: str
    anchor: str
    text: Sequence[str] = ()
    html: "Markup | str" = ""
    plots: Sequence[Plot] = field(default_factory=tuple)


def write_report(
    tables: str | os.PathLike[str],
    page: str | os.PathLike[str],
    assets: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any],
    group: str | None,
    figure_format: str,
    citation: Mapping[str, Any] | None = None,
    sections: Sequence[Section] = (),
) -> None:
    """Write the report page.

    Parameters
    ----------
    tables
        Folder with `subjects`, `review_queue` and `rejected`, each as `.csv` and `.json`.
    page, assets
        The HTML file, and the folder for its scripts and styles; one folder holds both.
    settings
        What the cohort's numbers depend on: `config.entropy_settings`.
    group
        The column within which samples were compared.
    figure_format
        Suffix of the QC figures, which lie at `<sample>/<sample>_qc.<suffix>` beside the page.
    citation
        The content of CITATION.cff.
    sections
        Further parts, in their order.

    Raises
    ------
    ValueError
        A table and its dictionary differ, or two sections have one anchor.
    """
    with phase("read the tables"):
        subjects, queue, rejected = (read_table(tables, name) for name in ("subjects", "review_queue", "rejected"))
    with phase("write the page"):
        data = page_data(subjects, queue, group=group, figure_format=figure_format)
        data["sections"] = _plots_of(sections)
        environment = template_environment()
        html = environment.get_template("report.html.j2").render(
            data=data,
            counts=counts(subjects, queue, rejected),
            facts=_facts(subjects, settings),
            overview=overview(subjects),
            warnings=warnings(subjects),
            rejected=rejected.rows,
            figure_format=figure_format,
            sections=sections,
            methods=methods(settings, group=group, n_members=_most_members(subjects), citation=citation),
            scripts=[Path(name).name for name in SCRIPTS],
            styles=[Path(name).name for name in STYLES],
            assets=Path(assets).name,
        )
        _write_page(page, html, assets, (*SCRIPTS, *STYLES))


def write_sections(
    page: str | os.PathLike[str],
    assets: str | os.PathLike[str],
    *,
    title: str,
    version: str,
    sections: Sequence[Section],
) -> None:
    """Write a page of sections alone, without scripts: that of a study without volumes.

    Parameters
    ----------
    page, assets
        As in `write_report`.
    title, version
        Its heading; the version of this workflow.
    sections
        In their order; their plots are left out.
    """
    html = (
        template_environment()
        .get_template("sections.html.j2")
        .render(
            title=title,
            version=version,
            sections=[replace(section, plots=()) for section in sections],
            styles=[Path(name).name for name in STYLES],
            assets=Path(assets).name,
        )
    )
    _write_page(page, html, assets, STYLES)


def _write_page(page: str | os.PathLike[str], html: str, assets: str | os.PathLike[str], files: Sequence[str]) -> None:
    """Write scripts and styles, then the page that names them."""
    with replaced_when_whole(assets) as folder:
        folder.mkdir()
        for name in files:
            shutil.copyfile(TEMPLATES / name, folder / Path(name).name)
    write_text(page, html)


def _plots_of(sections: Sequence[Section]) -> dict[str, list[dict[str, Any]]]:
    by_anchor = {
        section.anchor: [{"data": list(plot.data), "layout": dict(plot.layout)} for plot in section.plots]
        for section in sections
    }
    if len(by_anchor) < len(sections):
        raise ValueError(f"two sections have one anchor: {', '.join(section.anchor for section in sections)}")
    return by_anchor


def _most_members(subjects: Table) -> int:
    return max((int(cell) for cell in subjects.texts("n_members")), default=1)


def _facts(subjects: Table, settings: Mapping[str, Any]) -> dict[str, str]:
    """Say what the cohort is, for the page's head."""
    several = "regions" if settings["kind"] == "regions" else "classes"
    return {
        f"measures, in {settings['unit']}": ", ".join(name.replace("_", " ") for name in measures_of(subjects)),
        several: ", ".join(settings["classes"]),
        "members a sample": span(subjects.texts("n_members")),
    }
