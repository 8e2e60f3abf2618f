# Where results lie, and what a run makes. Only functions, no rules.
def tables():
    more = [name for name in ("regions", "lesions") if name in parts()]
    return [
        f"{RESULTS}/{name}.csv"
        for name in ("subjects", "classes", *more, "review_queue", "rejected")
    ]


def cohort_files():
    """What comes with the tables."""
    return [f"{RESULTS}/dataset_description.json", f"{RESULTS}/cohort.svg"]


def report_page():
    return f"{RESULTS}/report.html"


def page_assets():
    """The folder of what the page loads."""
    return report_page().removesuffix(".html")


def passes_folder():
    return f"{RESULTS}/passes"


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


def dictionaries(tables):
    return [table.replace(".csv", ".json") for table in tables]


def parts():
    """The parts of the results that this study has; see `volume_entropy.parts`."""
    there = {
        "volumes": VOLUMES,
        "regions": any(sample.atlas for sample in SAMPLES.values()),
        "lesions": VOLUMES and CONFIG["lesions"]["classes"],
        "scores": REFERENCED,
        "methods": VOLUMES and PREDICTED,
        "posteriors": VOLUMES and PREDICTED and MODEL.sweep,
        "images": IMAGES,
        "passes": IMAGES and IMAGES["show"],
        "image_classes": IMAGES and IMAGES["folder"] is not None,
        "labelling": IMAGES
        and IMAGES["folder"] is not None
        and IMAGES["labelling"]["seeds"],
    }
    return [part for part, is_there in there.items() if is_there]


def made_before_figures(sample):
    """What a sample has by the time when it has a figure."""
    scores = [scores_of(sample)] if SAMPLES[sample].reference is not None else []
    return [summary_of(sample), thumbnail_of(sample), *scores]


def everything(wildcards):
    """What a run makes. What comes with another file of the same job is asked for, too, or it would not come back when
    somebody deleted it; of samples only where it is gone: the fewer inputs, the sooner Snakemake is done with its plan.
    Maps that are gone are seen by the preflight, with the summary.
    """
    end_dead_run()
    wanted = [report_page(), page_assets()]
    wanted += image_results() if IMAGES else []
    if not VOLUMES:
        return wanted
    wanted += model_results() if PREDICTED else []
    figures = [f"{RESULTS}/{sample}/{sample}_qc.{FIGURE_FORMAT}" for sample in SAMPLES]
    wanted += figures
    wanted += [
        path
        for sample, figure in zip(SAMPLES, figures)
        if os.path.exists(figure)
        for path in made_before_figures(sample)
        if not os.path.exists(path)
    ]
    wanted += [*tables(), *dictionaries(tables()), *cohort_files()]
    if REFERENCED:
        wanted += [*score_tables("csv"), *score_tables("json"), cohort_scores()]
        wanted += [
            f"{RESULTS}/{sample}/{sample}_scores.{FIGURE_FORMAT}"
            for sample in REFERENCED
        ]
    return wanted


# The tables that say what could be used, and what not.
USED_AND_REJECTED = {
    what: [f"{RESULTS}/{name}.csv" for name in names]
    for what, names, there in (
        ("sample", ("subjects", "rejected"), VOLUMES),
        ("image", ("images", "images_rejected"), IMAGES),
    )
    if there
}


def made():
    """What decides which files a run makes, for whoever looks for others."""
    of_folder = IMAGES and IMAGES["folder"] is not None
    return {
        "parts": parts(),
        "figure_format": FIGURE_FORMAT,
        "referenced": REFERENCED,
        "settings": {key: ENTROPY[key] for key in ("measures", "kind", "maps")},
        "keep_probabilities": CONFIG["storage"]["keep_probabilities"],
        "networks": {
            "models": MODEL.networks if VOLUMES and PREDICTED else [],
            "networks": image_networks() if of_folder else [],
        },
        "image_files": image_intermediates() if of_folder else [],
    }
