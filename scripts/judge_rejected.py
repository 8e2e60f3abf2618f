"""Rule judge_rejected: with `on_rejected: fail`, a run with rejected samples ends with a non-zero exit code."""

import csv
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

counts = []
for table in snakemake.input.rejected:
    with open(table, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if rows:
        counts.append(f"{len(rows)} {'images' if 'image' in rows[0] else 'samples'} were rejected; see {table}")
if counts:
    verdict = f"on_rejected is `fail`, and {', and '.join(counts)}"
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(verdict + "\n")
    sys.exit(verdict)
