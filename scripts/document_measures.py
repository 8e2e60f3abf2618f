"""Write docs/measures.md from the table of measures, where each of them stands once.

Call: python scripts/document_measures.py [--check]
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from volume_entropy.measures import ALWAYS, ALWAYS_WITH_MEMBERS, MEASURES, Measure

PAGE = Path(__file__).resolve().parent.parent / "docs/measures.md"
HEAD = """# Measures

<!-- Written by scripts/document_measures.py from the table in scripts/volume_entropy/measures. -->

Each measure is one value per voxel: a map, and a set of columns in the tables. Ask for them by name:

```yaml
entropy:
  unit: bit                                   # or nat: of the entropies alone; what has the unit 1 is the same in both
  measures: [predictive_entropy, margin]
```

or in Python: `volume_entropy.uncertainty(p, measures=("margin",))`.

p is the probability that one member gives a class, after the sum over classes was divided out; P is its mean over the
members. C is the number of classes c, R of regions r, M of members. 0 · log 0 is 0. Kind `regions` means independent
sigmoids: each region is a coin of its own, and the values are summed over the regions.

{always} is always written; with two members or more {with_members} are, too.
A measure that needs members is not written for a sample of one: it is known beforehand what it would be.

A voxel is within the stated accuracy of float64 arithmetic on the same input, up to 40 classes. Totals and means are
made from sums of 64-bit integers, so that no order of computation changes them.

| measure | symbol | unit | range | range, regions | needs members |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    always, with_members = ("`, `".join(names) for names in (ALWAYS, ALWAYS_WITH_MEMBERS))
    head = HEAD.format(always=f"`{always}`", with_members=f"`{with_members}`")
    rows = "".join(row(measure) for measure in MEASURES.values())
    return head + rows + "".join(f"\n{section(measure)}" for measure in MEASURES.values())


def unit(measure: Measure) -> str:
    """The unit as the page says it."""
    return "bit or nat" if measure.unit == "entropy" else "1"


def row(measure: Measure) -> str:
    """A line of the overview."""
    link = f"[`{measure.name}`](#{measure.words.replace(' ', '-')})"
    regions = "not defined" if measure.regions is None else measure.regions.range
    members = "yes" if measure.needs_members else "no"
    cells = (link, measure.symbol, unit(measure), measure.softmax.range, regions, members)
    return f"| {' | '.join(cells)} |\n"


def section(measure: Measure) -> str:
    """What the page says of one measure."""
    lines = "".join(f"- {line}\n" for line in facts(measure))
    return f"## {measure.words.capitalize()}\n\n{measure.good_for}\n\n{lines}"


def facts(measure: Measure) -> Iterator[str]:
    """Lines on one measure: definitions, ranges, accuracy, sources."""
    yield f"`{measure.name}`, {measure.symbol}; unit: {unit(measure)}"
    yield f"softmax: `{measure.softmax.definition}`; range {measure.softmax.range}"
    regions = measure.regions
    yield "regions: not defined" if regions is None else f"regions: `{regions.definition}`; range {regions.range}"
    if measure.of_one_member is not None:
        yield f"of one member: {measure.of_one_member.replace('_', ' ')}"
    share = f", and {measure.relative_accuracy:g} of the value" if measure.relative_accuracy else ""
    yield f"accuracy: {measure.accuracy:g}{' bit' if measure.unit == 'entropy' else ''}{share}"
    if measure.source:
        yield f"source: {measure.source}"
    yield from measure.references


def main() -> None:
    """Rewrite the page, or with `--check` say whether it is up to date."""
    new = page()
    if "--check" in sys.argv[1:]:
        old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sys.exit(0 if old == new else f"{PAGE} is not what the table says; run scripts/document_measures.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
