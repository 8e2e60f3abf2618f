"""Report pages of made-up cohorts, written by the real tables and the real page, for tests that open them."""

from pathlib import Path

import cohorts
import yaml
from study import ROOT
from volume_entropy.report.page import write_report
from volume_entropy.tables import write_tables

SETTINGS = {
    **cohorts.settings(),
    "classes": list(cohorts.CLASSES),
    "background": "given",
    "sum_tolerance": 0.01,
    "max_invalid_fraction": 0.001,
    "content": "posterior",
    "threshold": 0.5,
}


def write_page(folder: Path, summaries, metadata, *, group=None, **options) -> Path:
    """Write summaries, tables and page below `folder`; give the page."""
    results = folder / "results"
    write_tables(cohorts.write(results, summaries), metadata, results, group=group)
    page = results / "report.html"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    write_report(
        results,
        page,
        results / "report",
        group=group,
        figure_format="png",
        **{"settings": SETTINGS, "citation": citation, **options},
    )
    return page
