"""Rule judge_rejected: a run in which nothing could be used ends badly; so does one that may have no rejection."""

import sys
from typing import TYPE_CHECKING

from volume_entropy.runs.ending import count_rows, verdict

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

faults = [
    verdict(what, count_rows(usable), count_rows(rejected), rejected, strict=snakemake.params.strict)
    for what, (usable, rejected) in snakemake.params.tables.items()
]
text = " ".join(fault for fault in faults if fault is not None)
if text:
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        log.write(text + "\n")
    sys.exit(text)
