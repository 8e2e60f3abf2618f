"""One stage of one sample in a process of its own, with what Snakemake has a job's script import first.

    python stage.py convert | compute_entropy | render_qc | render_scores FOLDER [--threads N]

`FOLDER/sample.json` has the sample's paths and settings; `make_recipe` writes it.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

# As in the jobs: Snakemake sets it for those of one thread, and the script of compute_entropy for itself.
os.environ["OPENBLAS_NUM_THREADS"] = "1"


def make_recipe(
    folder: Path,
    probabilities: str,
    *,
    classes: list[str],
    n_members: int = 1,
    reference: str | None = None,
    image: str | None = None,
    **settings: Any,
) -> Path:
    """Write what Snakemake would pass to the jobs of a sample."""
    from volume_entropy.config import REVISION, conversion_settings, entropy_settings, load_config
    from volume_entropy.samples import Sample, recipe, source_paths, used_settings

    root = Path(__file__).parents[2]
    config = {"probabilities": {"classes": classes, "members": n_members if n_members > 1 else None, **settings}}
    config = load_config(config, root / "workflow/schemas/config.schema.yaml", root / "workflow/presets")
    conversion = conversion_settings(config)
    sample = Sample("sub-01", probabilities, image, None, reference, {})
    made = recipe(sample, source_paths(sample, conversion), conversion, REVISION)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sample.json"
    parts = {"conversion": made, "entropy": {**made, "settings": used_settings(sample, entropy_settings(config))}}
    path.write_text(json.dumps({**parts, "figures": config["figures"], "chunk": config["storage"]["chunk"]}))
    return path


def run(stage: str, folder: Path, output: Path, threads: int) -> None:
    """Run one stage; stores lie in `folder`, what `compute_entropy` writes in `output`."""
    from volume_entropy.memory import collect_seldom

    collect_seldom()
    given = json.loads((folder / "sample.json").read_text())
    if stage == "convert":
        from volume_entropy.convert import convert_sample
        from volume_entropy.samples import sample_of

        recipe = given["conversion"]
        convert_sample(sample_of(recipe), folder / "probabilities.zarr", recipe=recipe, chunk=given["chunk"])
    elif stage == "compute_entropy":
        from volume_entropy.compute_entropy import compute_sample

        compute_sample(
            folder / "probabilities.zarr",
            recipe=given["entropy"],
            measures_path=output / "measures.zarr",
            summary_path=output / "summary.json",
            maps_dir=output / "maps",
            threads=threads,
        )
    elif stage == "render_scores":
        from volume_entropy.figures.scores import render_scores

        names = ("measures.zarr", "summary.json", "scores.json", "scores.png")
        render_scores(*(output / name for name in names), recipe=given["entropy"], kind="png")
    else:
        from volume_entropy.figures.qc import render_qc

        measures, summary = output / "measures.zarr", output / "summary.json"
        image, figures, thumbnail = given["entropy"]["paths"]["image"], given["figures"], output / "thumbnail.png"
        render_qc(measures, summary, image, output / "qc.png", sample="sub-01", settings=figures, thumbnail=thumbnail)


def main() -> None:
    # What Snakemake writes before every script: 50 ms that a job takes, too.
    import snakemake.iocontainers
    import snakemake.logging  # noqa: F401

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stage", choices=["convert", "compute_entropy", "render_qc", "render_scores"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, help="where to write instead of FOLDER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="how long each phase took")
    options = parser.parse_args()
    if options.log:
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(relativeCreated)6.0f ms  %(message)s")
    output = options.output or options.folder
    output.mkdir(parents=True, exist_ok=True)
    run(options.stage, options.folder, output, options.threads)
    from volume_entropy.joblog import leave

    leave()


if __name__ == "__main__":
    main()
