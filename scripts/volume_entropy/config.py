"""The config: checked against its schema, completed with presets and defaults, and cut into what each stage uses."""

import copy
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .declared_axes import contradictions_of_axes
from .errors import ConfigError
from .labels import resolved_labels
from .measures import MEASURES
from .nearest import nearest
from .paths import snakemake_takes, why_not_local
from .violations import violations

Config = dict[str, Any]

# Raised by one when a change of the code changes the numbers of a stage: every sample is then stale.
REVISION = 2
# Paths of this machine; `~` is filled in. Those of rules are also files that Snakemake knows by name.
PATHS_OF_RULES = ("samples", "results", "work", "images.table", "model.checkpoints")
PATH_KEYS = (*PATHS_OF_RULES, "discover.root", "images.folder")


def load_config(given: Mapping[str, Any], schema_path: Path, presets: Path) -> Config:
    """Check `given` and complete it: schema default < preset < config file < command line.

    Parameters
    ----------
    given
        What Snakemake merged from the config file and the command line.
    schema_path
        The JSON schema (YAML) that holds the types and the defaults.
    presets
        The folder with one `<producer>.yaml` a preset; its key `config` has the form of a config file, and its
        `refuse` becomes `probabilities.refuse`.

    Raises
    ------
    ConfigError
        One message with every problem: the key's path, what was found, what was expected, the nearest known key.
    """
    schema = read_schema(schema_path)
    problems = list(violations(given, schema))
    if problems:
        raise ConfigError(_message("The config cannot be used", problems))
    config = _with_defaults({}, schema)
    if given.get("preset") is not None:
        preset = read_preset(given["preset"], presets)
        _merge(config, preset["config"])
        _merge(config, {"probabilities": {"refuse": preset.get("refuse", [])}})
    _merge(config, given)
    problems = [*violations(config, schema), *_path_problems(config), *_contradictions(config)]
    if problems:
        raise ConfigError(_message("The config cannot be used", problems))
    for group, key, _ in _paths(config):
        group[key] = os.path.expanduser(group[key])
    return config


def read_schema(path: Path) -> dict[str, Any]:
    """The schema of a config: what the YAML file says, and the names of the measures there are."""
    schema: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    schema["properties"]["entropy"]["properties"]["measures"]["items"] = {"enum": list(MEASURES)}
    return schema


def read_preset(name: str, presets: Path) -> dict[str, Any]:
    """The content of `<presets>/<name>.yaml`; an unknown name is a `ConfigError` that lists the known ones."""
    known = sorted(path.stem for path in presets.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            _message("The config cannot be used", [f"preset: {name!r} is not known{nearest(name, known)}"])
        )
    content: dict[str, Any] = yaml.safe_load((presets / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def conversion_settings(config: Config) -> dict[str, Any]:
    """The settings that the probability store's content depends on. Chunk shape is not one: it changes no number."""
    settings: dict[str, Any] = copy.deepcopy(config["probabilities"])
    members = settings["members"]
    if isinstance(members, int):
        members = list(range(members))
    settings["members"] = None if members is None else [str(token) for token in members]
    tokens = settings["tokens"]
    if tokens is None:
        tokens = settings["classes"]
    settings["tokens"] = [str(token) for token in tokens]
    if settings["background"] == "complement":
        settings["classes"] = ["background", *settings["classes"]]
    settings["dtype"] = config["storage"]["dtype"]
    reference = config["reference"]
    labels = resolved_labels(reference, settings["classes"], settings["kind"])
    settings["reference"] = {"labels": labels, "ignore_labels": list(reference["ignore_labels"])}
    return settings


def entropy_settings(config: Config) -> dict[str, Any]:
    """The settings that a sample's numbers and maps depend on, those of the conversion included."""
    settings = {**conversion_settings(config), **copy.deepcopy(config["entropy"]), "maps": config["storage"]["maps"]}
    if config["lesions"]["classes"]:
        settings["lesions"] = copy.deepcopy(config["lesions"])
    return settings


def image_settings(config: Config) -> dict[str, Any] | None:
    """The settings of images that are classified, with the unit and the tolerance; None where there are none."""
    images: dict[str, Any] = copy.deepcopy(config["images"])
    if images["table"] is None and images["folder"] is None:
        return None
    return {**images, "unit": config["entropy"]["unit"], "sum_tolerance": config["probabilities"]["sum_tolerance"]}


def _paths(config: Config) -> Iterator[tuple[Any, Any, str]]:
    """Yield every path that the config has: the group or list it stands in, its key there, and the name of the key."""
    for name in PATH_KEYS:
        *groups, key = name.split(".")
        group: Any = config
        for part in groups:
            group = group[part]
        if isinstance(group[key], list):
            yield from ((group[key], number, name) for number in range(len(group[key])))
        elif group[key] is not None:
            yield group, key, name


def _path_problems(config: Config) -> Iterator[str]:
    for group, key, name in _paths(config):
        path = group[key]
        problem = why_not_local(path, os.curdir)
        if problem is not None:
            yield f"{name}: {problem}"
        elif name in PATHS_OF_RULES and not snakemake_takes(path):
            yield f"{name}: found {path!r}, expected a path without braces or <…>, which Snakemake would fill in"


def _contradictions(config: Config) -> Iterator[str]:
    """Problems that a schema cannot say."""
    yield from _contradictions_of_model(config)
    images = config["images"]
    if images["table"] is not None and images["folder"] is not None:
        yield "images: both `table` and `folder` are given; a table is what a folder is turned into, so give one"
    yield from _contradictions_of_labels(config)
    probabilities = config["probabilities"]
    for key in ("scale", "sum_tolerance", "max_invalid_fraction", "mask_threshold"):
        if probabilities[key] is not None and not math.isfinite(probabilities[key]):
            yield f"probabilities.{key}: found {probabilities[key]}, expected a number that is finite"
    classes, tokens = probabilities["classes"], probabilities["tokens"]
    if tokens is not None and len(tokens) != len(classes):
        yield f"probabilities.tokens: found {len(tokens)} tokens for {len(classes)} classes; expected one a class"
    if tokens is not None and len({str(token) for token in tokens}) != len(tokens):
        yield "probabilities.tokens: a token stands twice; two classes would be read from one file"
    if probabilities["background"] == "complement":
        if "background" in classes:
            yield (
                "probabilities.classes: found `background`, but `background: complement` adds that class itself; "
                "list only the classes that have a file or channel"
            )
        if probabilities["kind"] == "regions":
            yield "probabilities.background: regions have no background class; expected `given`"
        if probabilities["sum_tolerance"] is None:
            yield (
                "probabilities.sum_tolerance: null divides by sums on any scale, but `background: complement` takes "
                "1 - Σp, which means something on a scale of 1 alone; give a number (the default is 0.01), and where "
                "1 is another number in the files (100, 255, 65535), give that as `probabilities.scale`"
            )
    yield from contradictions_of_axes(probabilities)
    for number, rule in enumerate(probabilities["refuse"]):
        try:
            re.compile(rule.get("pattern", ""))
        except re.error as error:
            yield f"probabilities.refuse.{number}.pattern: found {rule['pattern']!r}, no regular expression: {error}"
    if probabilities["sidecar"] == "labelmap" and tokens is not None:
        yield "probabilities.sidecar: a LabelMap orders the classes of one file, but `tokens` says one file a class"
    members = probabilities["members"]
    if isinstance(members, list) and len({str(token) for token in members}) != len(members):
        yield "probabilities.members: a token stands twice"
    if probabilities["kind"] == "regions":
        for measure in config["entropy"]["measures"]:
            if "regions" not in MEASURES[measure].kinds:
                yield f"entropy.measures: {measure} is not defined for kind `regions`"


def _contradictions_of_labels(config: Config) -> Iterator[str]:
    """Labels of a reference, and lesions, that do not belong to the classes."""
    classes, regions = config["probabilities"]["classes"], config["probabilities"]["kind"] == "regions"
    if config["probabilities"]["background"] == "complement":
        classes = ["background", *classes]
    for name in config["lesions"]["classes"]:
        if name not in classes:
            yield f"lesions.classes: {name!r} is no class{nearest(name, classes)}"
    given, ignored = config["reference"]["labels"], config["reference"]["ignore_labels"]
    if isinstance(given, dict):
        for name in given:
            if name not in classes:
                yield f"reference.labels.{name}: no class{nearest(str(name), classes)}"
        missing = [name for name in classes if name not in given]
        if missing:
            yield f"reference.labels: {', '.join(missing)} missing; expected every class, [] for one without labels"
        if missing or len(given) > len(classes):
            return
    elif given is not None and len(given) != len(classes):
        yield f"reference.labels: found {len(given)} entries, expected one a class: {', '.join(classes)}"
        return
    labels = resolved_labels(config["reference"], classes, config["probabilities"]["kind"]) or []
    owners: dict[int, str] = {}
    for name, values in zip(classes, labels, strict=True) if labels else ():
        for value in values:
            if value in ignored and given is not None:
                yield f"reference.ignore_labels: {value} is a label of {name}, too"
            elif not regions and owners.setdefault(value, name) != name:
                yield f"reference.labels: {value} belongs to {owners[value]} and to {name}; expected one class"


def _contradictions_of_model(config: Config) -> Iterator[str]:
    model, probabilities = config["model"], config["probabilities"]
    if not model["methods"]:
        return
    if config["preset"] is not None:
        yield "preset: it describes probability files, but `model` makes the probabilities; give one of the two"
    if probabilities["members"] is not None:
        yield "probabilities.members: the methods of `model` say how many members there are; expected null"
    if probabilities["background"] == "complement":
        yield "probabilities.background: networks give every class; expected `given`"
    if probabilities["scale"] is not None:
        yield "probabilities.scale: it divides what files hold, but networks give probabilities; expected null"
    if not model["checkpoints"] and probabilities["kind"] == "regions":
        yield "model.checkpoints: networks are trained by cross-entropy, so not for kind `regions`; give checkpoints"
    single = [method for method in model["methods"] if method != "ensemble"]
    if len(model["checkpoints"]) > 1 and single:
        yield f"model.checkpoints: {single[0]} takes one, found {len(model['checkpoints'])}; several are an ensemble"


def _message(title: str, problems: list[str]) -> str:
    return f"{title}:\n" + "\n".join(f"  {problem}" for problem in problems)


def _with_defaults(config: Config, schema: Mapping[str, Any]) -> Config:
    """Defaults of the schema at every level."""
    for key, part in schema["properties"].items():
        config.setdefault(key, copy.deepcopy(part["default"]))
        if part.get("type") == "object":
            _with_defaults(config[key], part)
    return config


def _merge(base: Config, over: Mapping[str, Any]) -> None:
    """Put `over` on top of `base`, group by group; lists are replaced whole."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
