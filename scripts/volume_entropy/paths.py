"""Paths as people write them in the samples table and the config, made ones of this machine.

The one place that says what is read from where.
"""

import os
import re

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SHELL_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
# Snakemake fills these in, in every path of its rules, and has no way to write them as they are.
_WILDCARD = re.compile(r"[{}]|<[a-z][a-z0-9_]*>")


def local_path(text: str, base: str) -> str:
    """Return the normal path that a text means: `~` and `~user` filled in, relative to the folder `base`."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(text)))


def why_not_local(text: str, base: str) -> str | None:
    """Say why a text is no path of this machine, and what to write instead; None where it is one.

    Whether there is a file is another question: what exists is a path, whatever it is called.
    """
    url = _URL.match(text)
    if url and url[1].lower() == "file":
        return f"found {text!r}; write the path without file://, as /{text[7:].lstrip('/')}"
    if url:
        return f"found {text!r}; nothing is read from {url[1].lower()}://. Download it, and give the path of the copy"
    problem = None
    if text.startswith("~") and os.path.expanduser(text) == text:
        problem = f"found {text!r}, but no user {text[1:].partition('/')[0]!r} is known here; write the whole path"
    elif _SHELL_VARIABLE.match(text):
        problem = f"found {text!r}; variables of a shell are not filled in. Write the path out (~ is your home)"
    elif _WINDOWS.match(text):
        problem = f"found {text!r}, a path of Windows; write it as this machine knows it, such as /mnt/c/…"
    # The first folder, as the rest may be a pattern.
    return None if problem is None or os.path.exists(local_path(text.partition("/")[0], base)) else problem


def snakemake_takes(path: str) -> bool:
    """Whether Snakemake leaves a path as it is: it would fill in `{x}`, and from version 9 on `<x>`."""
    return _WILDCARD.search(path) is None
