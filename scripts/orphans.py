"""Rule orphans: the folders of samples that are in the table no longer, and what another config made, one a line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.files import size_mib
from volume_entropy.model_recipes import read_cohort
from volume_entropy.runs.orphans import Made, find_leftovers, find_orphans

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

table, roots = snakemake.input.get("samples"), [Path(root) for root in snakemake.params.roots]
samples = read_cohort(Path(table), snakemake.config["model"]) if table else {}
# Without a table nobody can tell which samples are gone.
found = find_orphans(roots, samples) if table else {}
folders = [folder for of_sample in found.values() for folder in of_sample]
leftovers = find_leftovers(*roots, list(samples), Made(**snakemake.params.made))
text = (
    f"Samples with results, and without a row in the samples table: {len(found)}, {size_mib(folders):.3g} MiB\n"
    f"Files and folders that another config made, and this one does not: {len(leftovers)}, "
    f"{size_mib(leftovers):.3g} MiB"
)
paths = [*folders, *leftovers]
Path(snakemake.log[0]).write_text("\n".join([text, *map(str, paths)]) + "\n", encoding="utf-8")
# The paths alone go to the standard output, for a program that removes them.
print(text, file=sys.stderr)
print(*(path.absolute() for path in paths), sep="\n", end="\n" if paths else "")
