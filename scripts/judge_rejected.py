"""Rule judge_rejected: with `on_rejected: fail`, a run with rejected samples ends with a non-zero exit code."""

import csv
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with open(snakemake.input.rejected, encoding="utf-8", newline="") as stream:
    rejected = [row["sample"] for row in csv.DictReader(stream)]
if rejected:
    verdict = f"on_rejected is `fail`, and {len(rejected)} samples were rejected; see {snakemake.input.rejected}"
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(verdict + "\n")
    sys.exit(verdict)
