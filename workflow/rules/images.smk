# Images that are classified as a whole → tables and figures. Included where `images` is configured; the networks that
# make the members are in networks.smk.
from volume_entropy.classification import recipes as image_recipes


@cache
def image_recipe(method):
    """All that the members of a method depend on, the images included."""
    return image_recipes.members(IMAGES, method)


def measured_recipe():
    """All that `images.csv` depends on."""
    methods = {method: image_recipe(method) for method in METHODS}
    return {"methods": methods, **image_recipes.measuring(IMAGES)}


def image_tables():
    return [
        f"{RESULTS}/{name}.csv"
        for name in ("images", "image_scores", "images_rejected")
    ]


def image_results():
    """What a run makes of images."""
    results = [*image_tables(), f"{RESULTS}/image_scores.png"]
    if IMAGES["show"]:
        results.append(f"{RESULTS}/passes")
    if IMAGES["folder"] is not None:
        results += [f"{RESULTS}/image_classes.csv", f"{RESULTS}/image_classes.png"]
        if IMAGES["labelling"]["seeds"]:
            results += [f"{RESULTS}/labelling.csv", f"{RESULTS}/labelling.png"]
    return results


def member_tables():
    """By method, the class probabilities (member, image, class); a ready table is no news when it is touched."""
    if IMAGES["table"] is not None:
        return [ancient(IMAGES["table"])]
    return [f"{WORK}/images/{method}.npz" for method in METHODS]


def collected():
    """What was read of the folder, if there is one."""
    return [f"{WORK}/images/images.npz"] if IMAGES["folder"] is not None else []


METHODS = [image_recipes.TABLE] if IMAGES["table"] is not None else IMAGES["methods"]


rule measure_images:
    input:
        tables=member_tables(),
        unread=[f"{WORK}/images/rejected.json"] if IMAGES["folder"] else [],
    output:
        tables=image_tables(),
        dictionaries=[table.replace(".csv", ".json") for table in image_tables()],
        figure=f"{RESULTS}/image_scores.png",
    log:
        "logs/measure_images.log",
    benchmark:
        "benchmarks/measure_images.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        recipe=lambda wildcards: measured_recipe(),
    script:
        "../../scripts/measure_images.py"


rule show_passes:
    input:
        tables=member_tables(),
        images=collected(),
        measured=f"{RESULTS}/images.csv",
    output:
        folder=directory(f"{RESULTS}/passes"),
    log:
        "logs/show_passes.log",
    benchmark:
        "benchmarks/show_passes.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        recipe=lambda wildcards: {**measured_recipe(), "show": IMAGES["show"]},
    script:
        "../../scripts/show_passes.py"


if IMAGES["folder"] is not None:

    include: "networks.smk"
