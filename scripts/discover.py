"""Find the samples in a producer's output, and write or extend the samples table.

    python scripts/discover.py PRESET ROOT [--table config/samples.tsv] [--space X] [--res N] … [--dry-run]

`snakemake discover` does the same with the config's `preset`, `discover` and `samples`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volume_entropy.config import conversion_settings, load_config, read_preset
from volume_entropy.config_text import read_config
from volume_entropy.discovery.enlisting import enlist
from volume_entropy.discovery.lookalikes import kinds, look_alikes
from volume_entropy.discovery.search import Discovery, discover
from volume_entropy.errors import ConfigError

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CODE = Path(__file__).resolve().parent.parent / "workflow"
ENTITIES = ("sub", "ses", "acq", "run", "space", "res")
EXAMPLES = 3
# Kinds of names that are listed where nothing was found.
KINDS = 12


def presets() -> list[str]:
    """Return the names of all presets."""
    return sorted(path.stem for path in (CODE / "presets").glob("*.yaml"))


def report(
    preset: str, root: str, table: str, settings: Mapping[str, Any], only: Sequence[str], dry_run: bool = False
) -> str:
    """Discover, write the table unless `dry_run`, and say what was found and what was left out and why."""
    content = read_preset(preset, CODE / "presets")
    found = discover(content, root, settings, only)
    enlisted = enlist(found.samples, Path(table), dry_run=dry_run)
    verb = "would be added to" if dry_run else "added to"
    lines = [f"{content['description']}: {_count(len(found.samples), 'sample')} below {root}."]
    lines += _grouped({f"{verb} {table}": [f"{name}: {path}" for name, path in enlisted.added.items()]})
    if enlisted.known:
        lines.append(f"  {len(enlisted.known)} in the table already, left as they are")
    without = [name for name in ("image", "mask") if not any(getattr(sample, name) for sample in found.samples)]
    if found.samples and without:
        lines.append(f"No {' and no '.join(without)} was found by the producer's convention.")
    left_out = {**found.left_out, **enlisted.left_out}
    for title, groups in (("Worth knowing:", found.remarks), ("Left out:", left_out)):
        lines += [title, *_grouped(groups)] if groups else []
    lines += _other_presets(preset, found)
    if not found.samples:
        lines += [f"This preset reads: {rule['pattern']}" for rule in content["discover"]["files"]]
        lines += _names(found)
    lines += ["Notes on this producer:", *(f"  {note}" for note in content["notes"])]
    return "\n".join(lines)


def _other_presets(preset: str, found: Discovery) -> list[str]:
    """Say which files look like those of another producer; where nothing was found, also of those that were refused."""
    files = found.unread if found.samples else found.unread + found.refused
    if not files:
        return []
    others = {name: read_preset(name, CODE / "presets") for name in presets() if name != preset}
    lines = []
    for names, alike in look_alikes(files, others, several=bool(found.samples)).items():
        examples = ", ".join(map(_visible, alike[:EXAMPLES])) + (", …" if len(alike) > EXAMPLES else "")
        verb = "look" if len(alike) > 1 else "looks"
        lines.append(f"{_count(len(alike), 'file')} {verb} like preset {' or '.join(names)}: {examples}")
    return lines


def _names(found: Discovery) -> list[str]:
    """Say which names there are, where no sample was found."""
    if not found.unread:
        return [] if found.left_out else ["There is no file in this folder, nor in those below it."]
    groups = kinds(found.unread)
    shown = dict(list(groups.items())[:KINDS])
    lines = ["Names that it does not read:", *_grouped(shown)]
    if further := len(groups) - len(shown):
        lines.append(
            f"  … and {_count(further, 'other kind')} of names, {_count(_size(groups) - _size(shown), 'file')}"
        )
    return lines


def _size(groups: Mapping[str, Sequence[str]]) -> int:
    return sum(map(len, groups.values()))


def _grouped(groups: Mapping[str, Sequence[str]]) -> list[str]:
    lines = []
    for reason, items in groups.items():
        lines.append(f"  {len(items)} × {_visible(reason)}")
        lines += [f"      {_visible(item)}" for item in items[:EXAMPLES]]
        lines += [f"      … and {len(items) - EXAMPLES} more"] if len(items) > EXAMPLES else []
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _visible(text: str) -> str:
    """Text for a terminal: control characters and bytes that are no text are shown by their numbers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _config(path: Path, preset: str) -> tuple[dict[str, Any], str]:
    """Return the study's config where it uses this preset, else the preset alone; and a remark on which."""
    given = read_config(path) if path.exists() else {}
    uses = given.get("preset") == preset
    remark = "" if uses else f"Classes are those of the preset alone. To run, write `preset: {preset}` into {path}.\n"
    schema = CODE / "schemas/config.schema.yaml"
    return load_config(given if uses else {"preset": preset}, schema, CODE / "presets"), remark


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    known = ", ".join(presets())
    parser.add_argument("preset", metavar="PRESET", help=f"a producer: {known}")
    parser.add_argument("root", metavar="ROOT", help="the folder of its output")
    parser.add_argument("--table", help="the samples table (default: the config's, config/samples.tsv)")
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    for entity in ENTITIES:
        parser.add_argument(f"--{entity}", action="append", default=[], help=f"only this {entity}; may be repeated")
    given = parser.parse_args(arguments)
    only = [f"{entity}={value}" for entity in ENTITIES for value in getattr(given, entity)]
    try:
        config, remark = _config(given.config, given.preset)
        table = given.table or config["samples"]
        print(report(given.preset, given.root, table, conversion_settings(config), only, given.dry_run))
        print(remark, end="")
    except ConfigError as error:
        sys.exit(str(error))


def from_workflow(discovery: Mapping[str, Any]) -> tuple[str, int]:
    """Run with the config's settings; return what to say, and the exit code."""
    names = {"preset": "preset", "root": "discover.root"}
    missing = [name for key, name in names.items() if discovery[key] is None]
    if missing:
        return f"`snakemake discover` needs {' and '.join(missing)} in the config", 1
    try:
        return report(**discovery), 0
    except ConfigError as error:
        return str(error), 1


if "snakemake" in globals():
    text, code = from_workflow(snakemake.params.discovery)
    Path(snakemake.log[0]).write_text(text + "\n", encoding="utf-8")
    print(text)
    sys.exit(code)
elif __name__ == "__main__":
    main()
