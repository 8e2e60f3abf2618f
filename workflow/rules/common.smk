# What every stage shares: the checked config, the samples, and what makes a job stale. Only functions and constants,
# no rules. The main process checks everything before any job; a job reads the table, and stats only its own sources.
import logging
import os
import sys
import time
from functools import cache
from math import ceil, prod
from pathlib import Path

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from volume_entropy import __version__ as VERSION
from volume_entropy import config as settings_of
from volume_entropy.declared_axes import notice_of_older_keys
from volume_entropy.runs import cluster, ending, preflight, progress, scale
from volume_entropy.classification.shown import pass_files
from volume_entropy.errors import ConfigError
from volume_entropy import memory as memory_of
from volume_entropy.model_recipes import Model
from volume_entropy.parts import parts_gone
from volume_entropy.report.page import files_of_page
from volume_entropy.paths import snakemake_takes
from volume_entropy.samples import (
    check_samples,
    metadata_digest,
    order_digest,
    read_samples,
    recipe,
    source_paths,
    used_settings,
)

scale.ease()


def asked_for(target):
    """Whether a target stands on the command line: Snakemake looks at it only after it has read the rules. A job's
    process is given `target:`.
    """
    return not {target, f"{target}:"}.isdisjoint(sys.argv)


# `snakemake discover` makes the samples table, so it runs where there is none.
DISCOVERING = asked_for("discover")

try:
    CONFIG = settings_of.load_config(
        config_text.with_types(config, workflow.config_settings.config_args),
        CODE / "workflow/schemas/config.schema.yaml",
        CODE / "workflow/presets",
    )
    if workflow.is_main_process and (
        notice := notice_of_older_keys(CONFIG["probabilities"])
    ):
        preflight.logger.warning(notice)
    CONVERSION = settings_of.conversion_settings(CONFIG)
    ENTROPY = settings_of.entropy_settings(CONFIG)
    # Networks make the members; streamed, there is no store of probabilities and no rule compute_entropy.
    PREDICTED = bool(CONFIG["model"]["methods"])
    STREAM = PREDICTED and CONFIG["model"]["stream"]
    # A study of images alone has no table of volumes; where the config names one, it must be there.
    IMAGES = settings_of.image_settings(CONFIG)
    VOLUMES = not IMAGES or "samples" in config or os.path.exists(CONFIG["samples"])
    if IMAGES and workflow.is_main_process and not DISCOVERING:
        from volume_entropy.classification.recipes import check_images

        check_images(IMAGES)
    if VOLUMES and workflow.is_main_process and not DISCOVERING:
        check_samples(
            Path(CONFIG["samples"]),
            CODE / "workflow/schemas/samples.schema.yaml",
            CONVERSION,
            CONFIG["group"],
            predicted=PREDICTED,
        )
    MODEL = Model(
        CONFIG["model"],
        (
            {}
            if DISCOVERING or not VOLUMES
            else read_samples(Path(CONFIG["samples"]), predicted=PREDICTED)
        ),
        CONVERSION,
    )
    if PREDICTED and workflow.is_main_process and not DISCOVERING:
        MODEL.check()
    NETWORKS = [
        key
        for key, used in (
            ("model.methods", PREDICTED),
            ("images.folder", IMAGES and IMAGES["folder"] is not None),
        )
        if used
    ]
    # With conda, jobs have an environment of their own.
    OWN_ENVIRONMENT = "conda" in map(
        str, workflow.deployment_settings.deployment_method
    )
    if NETWORKS and workflow.is_main_process and not (DISCOVERING or OWN_ENVIRONMENT):
        preflight.check_extra(NETWORKS)
    SAMPLES = MODEL.cohort
except ConfigError as error:
    raise WorkflowError(str(error)) from None

REFERENCED = [name for name, sample in SAMPLES.items() if sample.reference is not None]
RESULTS, WORK = CONFIG["results"], CONFIG["work"]
FIGURE_FORMAT = CONFIG["figures"]["format"]
# Scripts take these from the config, since none changes a number: params would make every sample stale.
for key in ("storage", "results", "dask", "model"):
    config[key] = CONFIG[key]


# Not a list of all ids: at 10 000 samples the regular expression costs more than the jobs.
wildcard_constraints:
    sample=r"[A-Za-z0-9_-]+",


@cache
def sources_of(sample):
    """Every source path of a sample, whether it exists or not."""
    return source_paths(SAMPLES[sample], CONVERSION)


def model_settings(sample):
    """What a sample's numbers depend on if a network makes its members."""
    return {"model": MODEL.settings_of(sample)} if PREDICTED else {}


@cache
def entropy_recipe(sample):
    settings = {**ENTROPY, **model_settings(sample)}
    made = recipe(SAMPLES[sample], sources_of(sample), settings, settings_of.REVISION)
    return preflight.as_recorded(made, summary_of(sample), probability_store(sample))


@cache
def conversion_recipe(sample):
    """The part of `entropy_recipe` that the probability store depends on."""
    whole = entropy_recipe(sample)
    used = used_settings(SAMPLES[sample], {**CONVERSION, **model_settings(sample)})
    return {**whole, "settings": {key: whole["settings"][key] for key in used}}


def conversion_params(wildcards):
    return conversion_recipe(wildcards.sample)


def entropy_params(wildcards):
    return entropy_recipe(wildcards.sample)


def figure_params(wildcards):
    return {**entropy_recipe(wildcards.sample), "figures": CONFIG["figures"]}


def existing_sources(wildcards):
    """Sources that can be read; a missing one is no DAG input, its sample is rejected and the others run.

    The fingerprint in the params tells a change in either direction, so their times do not count (ancient). One with a
    time in the future is left out: Snakemake refuses an output that is older than any input; of a folder, whose record
    has a hash in its place, it looks at the folder's own. So is one with `{x}` or `<x>` in it, which Snakemake would
    fill in and has no way to escape.
    """
    wanted = conversion_recipe(wildcards.sample)
    if workflow.is_main_process and preflight.store_is_stale(
        probability_store(wildcards.sample), wanted
    ):
        workflow.dag.forcefiles.add(probability_store(wildcards.sample))
    now = time.time_ns()
    return [
        ancient(path)
        for path, _, mtime, readable in wanted["sources"]
        if readable
        and snakemake_takes(path)
        and (mtime if isinstance(mtime, int) else os.stat(path).st_mtime_ns) <= now
    ]


def cohort():
    """What the tables depend on besides the summaries, small enough for Snakemake's record."""
    return {
        "metadata": metadata_digest(SAMPLES),
        "group": CONFIG["group"],
        "revision": settings_of.REVISION,
    }
