"""What of Snakemake's command line is read before any rule: made to work, or refused in words.

The profiles load this, as there is no other place: a dotted key after `--config`, and a config file that is no YAML,
end Snakemake before it looks at the Snakefile. Without a profile of ours (`--workflow-profile none`) its own words
remain.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from ..config_text import nested, read_config
from ..errors import ConfigError
from .scale import wrap

Reader = Callable[[Any], Any]


def ease() -> None:
    """Wrap what reads `--config` and `--configfile`, in the process of Snakemake that calls this."""
    wrap("snakemake.cli", "parse_config", with_dotted_keys)
    wrap("snakemake.settings.types", "load_configfile", in_our_words)


def with_dotted_keys(parse_config: Reader) -> Reader:
    """Wrap Snakemake's `parse_config`: `entropy.unit=nat` is `entropy={unit: nat}`.

    The entries are changed where they stand, since each job's process is given them once more.
    """

    @wraps(parse_config)
    def parse(entries: Any) -> Any:
        if entries:
            entries[:] = [nested(entry) for entry in entries]
        try:
            return parse_config(entries)
        except ValueError:
            shown = " ".join(map(repr, entries))
            raise WorkflowError(
                f"--config takes KEY=VALUE, found {shown}. A key is one of config.yaml, those of a group with a dot: "
                "--config entropy.unit=nat group=site"
            ) from None

    return parse


def in_our_words(load_configfile: Reader) -> Reader:
    """Wrap Snakemake's `load_configfile`, which says neither line nor reason."""

    @wraps(load_configfile)
    def load(path: Any) -> Any:
        if os.path.isfile(path) or not os.path.exists(path):
            try:
                read_config(path)
            except ConfigError as error:
                raise WorkflowError(str(error)) from None
        return load_configfile(path)

    return load
