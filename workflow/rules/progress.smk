# What the main process says while it runs, and at its end: on the terminal, and in logs/progress.log.
# Targets that compute nothing of the cohort end without a word of it.
ASIDE = DISCOVERING or asked_for("orphans")


def summarise(said):
    """Say what there is, also where there was nothing to be done."""
    if workflow.dryrun or ASIDE:
        return
    if VOLUMES:
        ending.finish(RESULTS, SAMPLES, said)
    if IMAGES:
        ending.finish_images(RESULTS, said)


if workflow.is_main_process:
    PROGRESS = progress.Progress(logger, Path("logs/progress.log"), summarise)
    logger.addHandler(PROGRESS)


onsuccess:
    summarise(PROGRESS)


onerror:
    if VOLUMES and not ASIDE:
        recipes = {sample: entropy_recipe(sample) for sample in SAMPLES}
        ending.salvage(
            RESULTS, SAMPLES, recipes, CONFIG["group"], FIGURE_FORMAT, PROGRESS
        )
