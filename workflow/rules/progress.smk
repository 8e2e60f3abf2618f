# What the main process says while it runs, and at its end: on the terminal, and in logs/progress.log.
# Targets that compute nothing of the cohort end without a word of it.
ASIDE = DISCOVERING or asked_for("orphans")


def summarise(said):
    """Say what there is, also where there was nothing to be done; give why the run must not end well, if so."""
    if workflow.dryrun or ASIDE:
        return None
    verdicts = []
    if VOLUMES:
        verdicts.append(ending.finish(RESULTS, SAMPLES, said))
    if IMAGES:
        verdicts.append(ending.finish_images(RESULTS, said))
    ending.name_page(RESULTS, said)
    return " ".join(verdict for verdict in verdicts if verdict is not None)


# Whether a rule judges what the run left. In a run that has other jobs, `onsuccess` sees what came of them; where there
# may be nothing to be done it is not called, and what is on the disk now is what there will be. In a job's own process
# the rule must be known.
JUDGED = (
    CONFIG["on_rejected"] == "fail"
    or not workflow.is_main_process
    or (VOLUMES and ending.none_usable(RESULTS, SAMPLES))
    or (IMAGES and ending.no_image_usable(RESULTS))
)

if workflow.is_main_process:
    PROGRESS = progress.Progress(logger, Path("logs/progress.log"), summarise)
    logger.addHandler(PROGRESS)


onsuccess:
    verdict = summarise(PROGRESS)
    if verdict:
        # Not an exception of Snakemake's: it would name the line here as the last one.
        PROGRESS.say(verdict, logging.ERROR)
        sys.exit(1)


onerror:
    if PROGRESS.judged_badly:
        summarise(PROGRESS)
        PROGRESS.say(
            Path("logs/judge_rejected.log").read_text(encoding="utf-8").strip(),
            logging.ERROR,
        )
    elif VOLUMES and not ASIDE:
        recipes = {sample: entropy_recipe(sample) for sample in SAMPLES}
        ending.salvage(
            RESULTS, SAMPLES, recipes, CONFIG["group"], FIGURE_FORMAT, PROGRESS
        )
