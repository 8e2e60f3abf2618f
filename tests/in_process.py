"""A cohort through the real stages in this process: what Snakemake would start as jobs, for tests of many samples."""

from pathlib import Path
from typing import Any

import yaml
from report_page import ROOT
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.config import REVISION, conversion_settings, entropy_settings, load_config
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.figures.qc import render_qc
from volume_entropy.report.page import write_report
from volume_entropy.samples import Sample, recipe, source_paths
from volume_entropy.stores.probabilities import write_rejection
from volume_entropy.tables import write_tables


def run_cohort(folder: Path, samples: dict[str, Sample], *, figures: bool = False, **config: Any) -> Path:
    """Run every stage on every sample; give the folder of the results, in which the page lies if `figures` do."""
    settings = load_config(config, ROOT / "workflow/schemas/config.schema.yaml", ROOT / "workflow/presets")
    conversion, entropy = conversion_settings(settings), entropy_settings(settings)
    results, work = folder / "results", folder / "work"
    summaries = []
    for name, sample in samples.items():
        made = recipe(sample, source_paths(sample, conversion), conversion, REVISION)
        store, measures = work / name / "probabilities.zarr", work / name / "measures.zarr"
        try:
            convert_sample(sample, store, recipe=made, chunk=64)
        except DataError as error:
            write_rejection(store, error.rejection("convert"), made)
        summaries.append(results / name / f"{name}_summary.json")
        compute_sample(
            store,
            recipe={**made, "settings": entropy},
            measures_path=measures,
            summary_path=summaries[-1],
            maps_dir=results / name / "maps",
            threads=1,
        )
        if figures:
            render_qc(
                measures,
                summaries[-1],
                sample.image,
                results / name / f"{name}_qc.png",
                sample=name,
                settings=settings["figures"],
                thumbnail=results / name / f"{name}_thumb.png",
            )
    metadata = {name: dict(sample.metadata) for name, sample in samples.items()}
    write_tables(summaries, metadata, results, group=settings["group"])
    if figures:
        write_report(
            results,
            results / "report.html",
            results / "report",
            settings=entropy,
            group=settings["group"],
            figure_format="png",
            citation=yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8")),
        )
    return results
