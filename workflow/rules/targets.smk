# Where results lie, and what a run makes. Only functions, no rules.
def tables():
    parts = ["regions"] if any(sample.atlas for sample in SAMPLES.values()) else []
    parts += ["lesions"] if CONFIG["lesions"]["classes"] else []
    return [
        f"{RESULTS}/{name}.csv"
        for name in ("subjects", "classes", *parts, "review_queue", "rejected")
    ]


def report_page():
    return f"{RESULTS}/report.html"


def score_tables(suffix):
    return [f"{RESULTS}/{name}.{suffix}" for name in ("scores", "scores_cohort")]


def cohort_scores():
    return f"{RESULTS}/scores_cohort.{FIGURE_FORMAT}"


def in_report(files, category):
    """Mark files of the cohort for `snakemake --report`; captions are workflow/report/<name>[_figure].rst."""
    if not isinstance(files, str):
        return [in_report(path, category) for path in files]
    name = Path(files).stem
    caption = name if category == "Tables" else f"{name}_figure"
    return report(
        files,
        caption=f"../report/{caption}.rst",
        category=category,
        labels={category.lower().removesuffix("s"): name.replace("_", " ")},
    )


def probability_store(sample):
    return f"{WORK}/{sample}/probabilities.zarr"


def summary_of(sample):
    return f"{RESULTS}/{sample}/{sample}_summary.json"


def scores_of(sample):
    return f"{RESULTS}/{sample}/{sample}_scores.json"


def thumbnail_of(sample):
    return f"{RESULTS}/{sample}/{sample}_thumb.png"


def everything(wildcards):
    """What a run makes. Maps come with the summary, and thumbnails with the figure, so they are asked for only where
    somebody deleted them: the fewer inputs, the sooner Snakemake is done with its plan.
    """
    end_dead_run()
    of_images = image_results() if IMAGES else []
    if not VOLUMES:
        return [*of_images, report_page()]
    of_images += model_results() if PREDICTED else []
    lost = [
        f"{RESULTS}/{sample}/maps"
        for sample in SAMPLES
        if not os.path.isdir(f"{RESULTS}/{sample}/maps")
        and os.path.exists(summary_of(sample))
    ]
    figures = [f"{RESULTS}/{sample}/{sample}_qc.{FIGURE_FORMAT}" for sample in SAMPLES]
    thumbnails = [thumbnail_of(sample) for sample in SAMPLES]
    lost += [
        thumbnail
        for thumbnail, figure in zip(thumbnails, figures)
        if not os.path.exists(thumbnail) and os.path.exists(figure)
    ]
    scores = score_tables("csv") if REFERENCED else []
    scores += [
        f"{RESULTS}/{sample}/{sample}_scores.{FIGURE_FORMAT}" for sample in REFERENCED
    ]
    return [*tables(), *scores, report_page(), *figures, *lost, *of_images]


def rejected_tables():
    """The tables that say what could not be used."""
    return [
        f"{RESULTS}/{name}.csv"
        for name, there in (("rejected", VOLUMES), ("images_rejected", IMAGES))
        if there
    ]
