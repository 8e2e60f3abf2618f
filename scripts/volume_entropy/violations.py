"""What a schema finds wrong with a config, in plain words: where, what was found, what was expected."""

import datetime
import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from .nearest import nearest

# JSON has no whole numbers of its own, so that its schema takes 5.0 for one; a count of members is 5.
_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
# How near a key must be to one of another group.
_NEAR = 0.8


def violations(config: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line a violation of the schema, in the order of the keys."""
    yield from _unreadable(config, "")
    for error in sorted(_Validator(schema).iter_errors(config), key=lambda error: list(map(str, error.path))):
        yield from _described(error, schema)


def _unreadable(value: Any, path: str) -> Iterator[str]:
    """Values that YAML has and no computation takes."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _unreadable(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _unreadable(part, f"{path}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: found {value}, expected a finite number"
    elif isinstance(value, str) and "\0" in value:
        yield f"{path}: found {value!r}, expected text without the character NUL"


def _described(error: ValidationError, whole: Mapping[str, Any]) -> Iterator[str]:
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
                yield f"{where}: unknown key{_meant(str(key), known, whole, path)}"
        return
    text = json.dumps(found, default=str, ensure_ascii=False)
    yield f"{path or 'config'}: found {text}, expected {_expectation(error, schema)}{_in_quotes(found, error)}"


def _meant(key: str, known: Sequence[str], whole: Mapping[str, Any], group: str) -> str:
    """Say what a key may have meant: one of its group, or one that belongs elsewhere."""
    places = list(_places(whole))
    full = f"{group}.{key}" if group else key
    if "." in key and full in places:
        head, *others = key.split(".")
        return f"; write it as {head}: {{{': {'.join(others)}: …{'}' * len(others)}"
    elsewhere: dict[str, list[str]] = {}
    for place in places:
        elsewhere.setdefault(place.rpartition(".")[2], []).append(place)
    near = difflib.get_close_matches(key, [*known, *elsewhere], n=1, cutoff=_NEAR)
    if near and near[0] not in known:
        return f"; did you mean {' or '.join(elsewhere[near[0]])}?"
    return nearest(key, known)


def _places(schema: Mapping[str, Any], group: str = "") -> Iterator[str]:
    """Yield the whole name of every key; `model` has its own names for nearly everything."""
    for name, part in schema.get("properties", {}).items():
        place = f"{group}.{name}" if group else name
        yield place
        if place != "model":
            yield from _places(part, place)


def _in_quotes(found: Any, error: ValidationError) -> str:
    """Say that a text which YAML takes for something else needs quotes."""
    wanted: Any = error.validator_value
    if error.validator == "type" and isinstance(found, str) and found.strip().lstrip("-").isdecimal():
        return "; a number has no quotes"
    if error.validator != "type" or "string" not in ([wanted] if isinstance(wanted, str) else wanted):
        return ""
    if isinstance(found, bool):
        return "; a bare yes, no, on, off, true or false is none for YAML: put it in quotes"
    if isinstance(found, int | float | datetime.date):
        return "; put it in quotes"
    if found is None:
        return "; if the word null is meant, put it in quotes"
    return ""


def _expectation(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """What the schema wants at this place."""
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return " or ".join(_type_word(kind) for kind in ([limit] if isinstance(limit, str) else limit))
        case "enum":
            words = ["null" if value is None else str(value) for value in limit]
            return "one of " + ", ".join(words) + nearest(str(error.instance), words)
        case "pattern" if "examples" in schema:
            return f"a text such as {', '.join(schema['examples'])}"
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
