"""Rule orphans: the folders of samples that are in the samples table no longer, one a line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.files import size_mib
from volume_entropy.model_recipes import read_cohort
from volume_entropy.runs.orphans import find_orphans

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

samples = read_cohort(Path(snakemake.input.samples), snakemake.config["model"])
found = find_orphans([Path(root) for root in snakemake.params.roots], samples)
folders = [folder for of_sample in found.values() for folder in of_sample]
text = f"Samples with results, and without a row in the samples table: {len(found)}, {size_mib(folders):.3g} MiB"
Path(snakemake.log[0]).write_text("\n".join([text, *map(str, folders)]) + "\n", encoding="utf-8")
# The folders alone go to the standard output, for a program that removes them.
print(text, file=sys.stderr)
print(*(folder.absolute() for folder in folders), sep="\n", end="\n" if folders else "")
