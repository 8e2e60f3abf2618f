"""The config: checked against its schema, completed with presets and defaults, and cut into what each stage uses."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from .errors import ConfigError
from .labels import resolved_labels
from .measures import MEASURES
from .nearest import nearest

Config = dict[str, Any]

# Raised by one when a change of the code changes the numbers of a stage: every sample is then stale.
REVISION = 2


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
    problems = list(_problems(given, schema))
    if problems:
        raise ConfigError(_message("The config cannot be used", problems))
    config = _with_defaults({}, schema)
    if given.get("preset") is not None:
        preset = read_preset(given["preset"], presets)
        _merge(config, preset["config"])
        _merge(config, {"probabilities": {"refuse": preset.get("refuse", [])}})
    _merge(config, given)
    problems = list(_problems(config, schema)) + list(_contradictions(config))
    if problems:
        raise ConfigError(_message("The config cannot be used", problems))
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


def _contradictions(config: Config) -> Iterator[str]:
    """Problems that a schema cannot say."""
    yield from _contradictions_of_model(config)
    images = config["images"]
    if images["table"] is not None and images["folder"] is not None:
        yield "images: both `table` and `folder` are given; a table is what a folder is turned into, so give one"
    yield from _contradictions_of_labels(config)
    probabilities = config["probabilities"]
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
    for number, rule in enumerate(probabilities["refuse"]):
        try:
            re.compile(rule["pattern"])
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
    if not model["checkpoints"] and probabilities["kind"] == "regions":
        yield "model.checkpoints: networks are trained by cross-entropy, so not for kind `regions`; give checkpoints"
    single = [method for method in model["methods"] if method != "ensemble"]
    if len(model["checkpoints"]) > 1 and single:
        yield f"model.checkpoints: {single[0]} takes one, found {len(model['checkpoints'])}; several are an ensemble"


def _problems(config: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """One line a violation of the schema, in the order of the keys."""
    for error in sorted(Draft202012Validator(schema).iter_errors(config), key=lambda error: list(map(str, error.path))):
        yield from _describe(error)


def _describe(error: ValidationError) -> Iterator[str]:
    """A violation in plain words: path, what was found, what was expected."""
    path = ".".join(str(part) for part in error.absolute_path)
    # The library types these as anything or unset; a violation of our schema has them all.
    schema: Any = error.schema
    found: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        for key in found:
            if key not in known:
                where = f"{path}.{key}" if path else str(key)
                yield f"{where}: unknown key{nearest(str(key), known)}"
        return
    text = json.dumps(found, default=str, ensure_ascii=False)
    yield f"{path or 'config'}: found {text}, expected {_expectation(error, schema)}"


def _expectation(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """What the schema wants at this place."""
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return " or ".join(_type_word(kind) for kind in ([limit] if isinstance(limit, str) else limit))
        case "enum":
            return "one of " + ", ".join(map(str, limit)) + nearest(str(error.instance), list(map(str, limit)))
        case "anyOf":
            return str(schema.get("description", "another value"))
    plain = {
        "minimum": f"at least {limit}",
        "maximum": f"at most {limit}",
        "exclusiveMinimum": f"more than {limit}",
        "minItems": f"a list of at least {limit}",
        "maxItems": f"a list of at most {limit}",
        "minLength": "a text that is not empty",
        "uniqueItems": "a list in which nothing stands twice",
    }
    return plain.get(str(error.validator), error.message)


def _type_word(kind: str) -> str:
    words = {"null": "null", "array": "a list", "object": "a group of keys", "boolean": "true or false"}
    return words.get(kind, f"a {kind}" if kind != "integer" else "a whole number")


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
