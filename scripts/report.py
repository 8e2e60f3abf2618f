"""Rule report: the page that people open."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from volume_entropy.joblog import logged_to
from volume_entropy.parts import parts_gone, remove_parts
from volume_entropy.report.page import write_report, write_sections
from volume_entropy.report.sections import further_sections

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    # No input: another checkout has another path, and the version is among the params.
    citation = Path(snakemake.scriptdir).parent / "CITATION.cff"
    tables = Path(snakemake.output.page).parent
    remove_parts(tables, parts_gone(tables, snakemake.params.parts))
    page, assets, sections = snakemake.output.page, snakemake.output.assets, further_sections(tables)
    if snakemake.params.shown is None:
        title = "Uncertainty of classified images"
        write_sections(page, assets, title=title, version=snakemake.params.version, sections=sections)
    else:
        write_report(
            tables,
            page,
            assets,
            **snakemake.params.shown,
            citation=yaml.safe_load(citation.read_text(encoding="utf-8")),
            sections=sections,
        )
