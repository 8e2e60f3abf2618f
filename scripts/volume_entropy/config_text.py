"""The config as people write it: YAML whose traps are named in words, instead of being read as something else."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError
from .texts import read_text

CONFIG_FILE = "config/config.yaml"
_BEGIN = (
    "To begin, make the folder of a study with two files in it: config/config.yaml, in which\n"
    "  probabilities: {classes: [background, csf, gm, wm]}\n"
    "says what your files hold, and config/samples.tsv with the columns sample and probabilities, separated by tabs; "
    "then run snakemake with --directory and that folder. config/README.md of the workflow explains every key."
)
_CONFIG_NAME = re.compile(r"(configs?|configuration|conf)\.(ya?ml|json|txt)(\.txt)?", re.IGNORECASE)


def check_config_files(study: Path, given: Sequence[str | os.PathLike[str]]) -> None:
    """Read every config file of a run, so that what is wrong with it is told in words.

    Parameters
    ----------
    study
        The folder of the study, in which `CONFIG_FILE` is looked for.
    given
        The files named on the command line, which take its place if it is not there.

    Raises
    ------
    ConfigError
        There is no config, or it cannot be read; see `read_config`.
    """
    default = study / CONFIG_FILE
    if default.exists():
        read_config(default)
    elif not given:
        raise ConfigError(
            f"There is no config: {os.path.abspath(default)} does not exist. {_other_name(study) or _BEGIN}"
        )
    for path in given:
        # A pipe gives its text once, and Snakemake has had it.
        if os.path.isfile(path):
            read_config(path)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a config file, YAML or JSON.

    Raises
    ------
    ConfigError
        With file, line and what is wrong: no UTF-8, no YAML, no keys, a key twice, a number or a word that YAML reads
        as another one than it was written as.
    """
    name = f"The config {os.fspath(path)}"
    try:
        text = read_text(path, "The config")
    except FileNotFoundError:
        raise ConfigError(f"{name} does not exist.") from None
    content = parse(text, name)
    if content is None:
        raise ConfigError(f"{name} has no keys. Write those that differ from the defaults, or {{}} if none does.")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the text {content!r}"
        raise ConfigError(f"{name}: found {kind} at the top, expected keys and their values, such as `preset: fast`.")
    return content


def parse(text: str, name: str) -> Any:
    """Read YAML or JSON, and refuse what would be read as something else than it was written as.

    Parameters
    ----------
    text
        The YAML.
    name
        What it is, to begin a sentence with.

    Raises
    ------
    ConfigError
        With every line at fault.
    """
    try:
        # Snakemake reads JSON first, as it allows tabs.
        json.loads(text)
        text = text.replace("\t", " ")
    except (ValueError, RecursionError):
        pass
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
        problems = list(_misread(node, ())) if node is not None else []
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}{_yaml_error(error, text)}") from None
    except (ValueError, RecursionError) as error:
        # A date that is none, such as 2024-13-01, or a hundred brackets.
        raise ConfigError(f"{name}: this is no YAML: {error}. Is there a text that needs quotes?") from None
    if problems:
        raise ConfigError(f"{name} cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return content


def with_types(config: Mapping[str, Any], entries: Sequence[str] | None) -> dict[str, Any]:
    """Put the keys of the command line on a config once more, with the types that they have in YAML.

    Snakemake reads `--config 'probabilities={members: 5}'` with every value below the first level as text.

    Parameters
    ----------
    config
        What Snakemake merged.
    entries
        Its `--config`, as it was written: `key=value` each.

    Raises
    ------
    ConfigError
        As of `parse`.
    """
    typed: dict[str, Any] = dict(config)
    for entry in entries or ():
        key, _, value = entry.partition("=")
        try:
            read = _with_none(yaml.safe_load(value))
        except (yaml.YAMLError, ValueError):
            continue
        parse(value, f"--config {entry}")
        typed[key] = _laid_over(typed.get(key), read)
    return typed


def nested(entry: str) -> str:
    """Write `entropy.unit=nat` as Snakemake's `--config` takes it, `entropy={unit: nat}`; others stay as they are."""
    key, equals, value = entry.partition("=")
    first, *others = key.split(".")
    if not equals or not others or not all(re.fullmatch(r"[A-Za-z_][\w-]*", part) for part in (first, *others)):
        return entry
    try:
        content = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        content = value
    text = value
    # Inside braces a comma or a brace of a text would be YAML's; 01 stays 01, for whoever reads it to refuse.
    if not _reads_as(f"{{key: {text}}}", {"key": content}):
        text = json.dumps(content, default=str)
    for part in reversed(others):
        text = f"{{{part}: {text}}}"
    return f"{first}={text}"


def _reads_as(text: str, content: Any) -> bool:
    try:
        return bool(yaml.safe_load(text) == content)
    except (yaml.YAMLError, ValueError):
        return False


def _laid_over(base: Any, over: Any) -> Any:
    if not isinstance(over, dict) or not isinstance(base, Mapping):
        return over
    return {**base, **{key: _laid_over(base.get(key), value) for key, value in over.items()}}


def _with_none(value: Any) -> Any:
    """Python's `None`, which Snakemake's own help writes, is YAML's null."""
    if isinstance(value, dict):
        return {key: _with_none(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_none(part) for part in value]
    return None if value == "None" else value


def _yaml_error(error: yaml.YAMLError, text: str) -> str:
    """Say where YAML ends to be YAML, and what is usually the matter."""
    marks = [getattr(error, f"{kind}_mark", None) for kind in ("problem", "context")]
    if marks[0] is not None and marks[0].line >= len(text.splitlines()):
        # It is missed only at the end; where it began is what helps.
        marks.reverse()
    mark = next(filter(None, marks), None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return f": this is no YAML: {problem}."
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    where = f", line {mark.line + 1}"
    if "\t" in line[: mark.column + 1]:
        return f"{where}: found a tab, expected blanks: YAML takes no tab at the beginning of a line or before a value."
    if "single document" in str(error):
        return f"{where}: found a second document after `---`; expected one."
    hint = ""
    if "mapping values are not allowed" in problem:
        hint = " A text with a colon needs quotes, and keys of one group begin in the same column."
    elif "expected <block end>" in problem or "could not find expected ':'" in problem:
        hint = " Keys of one group begin in the same column, and each is followed by a colon and a blank."
    return f"{where}: this is no YAML: {problem}. Found `{line.strip()}`.{hint}"


def _misread(node: yaml.Node, path: tuple[str, ...]) -> Iterator[str]:
    """Say what stands twice, and which scalars are read as something else than they were written as."""
    where = ".".join(path) or "the top"
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if not isinstance(key, yaml.ScalarNode) or key.tag not in (
                "tag:yaml.org,2002:str",
                "tag:yaml.org,2002:merge",
            ):
                yield f'line {line}: below {where}, the key {name} is no text for YAML; put it in quotes: "{name}"'
            elif name in seen and name != "<<":
                yield f"line {line}: {'.'.join((*path, name))} stands twice, first on line {seen[name]}; keep one"
            seen.setdefault(name, line)
            yield from _misread(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _misread(value, path)
    elif isinstance(node, yaml.ScalarNode):
        content = yaml.SafeLoader("").construct_object(node)
        if _is_odd(node.value, content):
            yield (
                f"line {node.start_mark.line + 1}: {where}: YAML reads {node.value} as the number {content}; write "
                f'"{node.value}" in quotes where the text is meant, else {content}'
            )


def _is_odd(text: str, content: Any) -> bool:
    """Whether a number is written as nobody writes one: 01, 010 (which is 8), 1_000 or 1:30 (which is 90)."""
    if isinstance(content, bool) or not isinstance(content, int | float):
        return False
    if isinstance(content, float):
        return ":" in text or "_" in text
    return str(content) != text.strip().removeprefix("+")


def _other_name(study: Path) -> str | None:
    """Say which file may be the config under another name, or in another place."""
    for folder in (study / "config", study):
        for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
            path = os.path.normpath(folder / name)
            if _CONFIG_NAME.fullmatch(name) is None or not os.path.isfile(path):
                continue
            shown = os.path.relpath(path, study)
            if shown == "config.yaml" and study.absolute().name == "config":
                return f"There is {shown}: give --directory the folder that holds config/, not config/ itself."
            return f"There is {shown}: rename it to {CONFIG_FILE}, or say --configfile {os.path.abspath(path)}."
    return None
