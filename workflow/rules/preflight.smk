# What the main process finds on the disk before any job, and the input functions that have it made again.
STALE = set()
if workflow.is_main_process:
    cluster.guard(ExecutorPluginRegistry())
    try:
        STALE = preflight.check(
            {summary_of(sample): entropy_recipe(sample) for sample in SAMPLES},
            (f"{RESULTS}/subjects.csv", f"{RESULTS}/rejected.csv"),
            (score_tables("csv")[0], REFERENCED) if REFERENCED else None,
        )
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    page_is_whole = not preflight.lacks_files(
        page_assets(), files_of_page(with_samples=VOLUMES)
    )
    if parts_gone(RESULTS, parts()) or not page_is_whole:
        STALE.add(report_page())
    if "passes" in parts() and os.path.exists(f"{RESULTS}/images.csv"):
        shown = pass_files(f"{RESULTS}/images.csv", IMAGES["show"])
        if preflight.lacks_files(passes_folder(), shown):
            STALE.add(passes_folder())


@cache
def end_dead_run():
    """End the cluster's jobs of a run that was killed, if there are any, before it is planned what to run.

    By an input function, as below: only then is it known that this is no dry run, nor one that runs nothing, such as
    `--report`: that has no settings of an execution.
    """
    execution = workflow.execution_settings
    if (
        workflow.is_main_process
        and execution is not None
        and execution.lock
        and not workflow.dryrun
    ):
        cluster.end_dead_run(logger)


def force_if_stale(path):
    """Have Snakemake make a file again that is not what its own record says, or of which it has no record.

    To be called by an input function: only then does the DAG exist, and it asks for what is forced after all inputs.
    """
    end_dead_run()
    if path in STALE:
        workflow.dag.forcefiles.add(path)


def store_of(wildcards):
    force_if_stale(summary_of(wildcards.sample))
    return probability_store(wildcards.sample)


def summaries(wildcards):
    force_if_stale(tables()[0])
    return [summary_of(sample) for sample in SAMPLES]


def scores_of_samples(wildcards):
    force_if_stale(score_tables("csv")[0])
    return [scores_of(sample) for sample in REFERENCED]


def tables_for_page(wildcards):
    force_if_stale(report_page())
    return tables() if VOLUMES else []


def measured_images(wildcards):
    force_if_stale(passes_folder())
    return f"{RESULTS}/images.csv"
