"""Write the table of keys in config/README.md from the config's schema, where each default and meaning stands once.

Call: python scripts/document_config.py [--check]
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- keys: written by scripts/document_config.py -->\n", "<!-- end of keys -->\n"


def rows(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """One line of a Markdown table a key, group by group."""
    for key, part in schema["properties"].items():
        if part.get("type") == "object":
            yield from rows(part, f"{prefix}{key}.")
        else:
            meaning = " ".join(part["description"].split())
            yield f"| `{prefix}{key}` | `{json.dumps(part['default'])}` | {values(part)} | {meaning} |"


def values(part: Mapping[str, Any]) -> str:
    """What a key may be, in a few words."""
    if "anyOf" in part:
        return " or ".join(values(choice) for choice in part["anyOf"])
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join("null" if value is None else f"`{value}`" for value in part["enum"])
    kinds = [part["type"]] if isinstance(part["type"], str) else part["type"]
    words = {"array": "list", "integer": "whole number", "string": "text", "boolean": "`true`, `false`", "null": "null"}
    text = " or ".join(words.get(kind, kind) for kind in kinds)
    if "enum" in part.get("items", {}):
        text += " of " + ", ".join(f"`{value}`" for value in part["items"]["enum"])
    limits = [
        f"{sign} {part[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in part
    ]
    return " ".join([text, ", ".join(limits)]).strip()


def documented(readme: str) -> str:
    """The README with its table of keys as the schema has it."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    head, rest = readme.split(BEGIN)
    table = "| key | default | values | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows(schema)) + "\n"
    return head + BEGIN + table + END + rest.split(END)[1]


def main() -> None:
    """Rewrite the file, or with `--check` say whether it is up to date."""
    path = ROOT / "config/README.md"
    old = path.read_text(encoding="utf-8")
    new = documented(old)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if old == new else f"{path} is not what the schema says; run scripts/document_config.py")
    path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
