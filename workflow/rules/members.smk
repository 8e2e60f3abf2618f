# What predict.smk, images.smk and networks.smk take and make: paths, input functions, and recipes. Only functions, no
# rules.
if IMAGES:
    from volume_entropy.classification import recipes as image_recipes

    METHODS = (
        [image_recipes.TABLE] if IMAGES["table"] is not None else IMAGES["methods"]
    )


def network_file(network):
    return f"{RESULTS}/models/{network}.pt"


def model_results():
    """What a run makes of networks besides the samples' own results."""
    sweep = [f"{RESULTS}/models/posterior_kl.csv"] if MODEL.sweep else []
    return [f"{RESULTS}/methods.csv", *sweep]


def networks_of(wildcards):
    """The checkpoints that predict a sample: trained here, or given; those that are given are in the params."""
    trained = MODEL.networks_of(MODEL.method_of(wildcards.sample))
    given = [ancient(path) for path in MODEL.settings["checkpoints"]]
    return [network_file(network) for network in trained] or given


def predicted_sources(wildcards):
    if STREAM:
        force_if_stale(summary_of(wildcards.sample))
    return existing_sources(wildcards)


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
        results.append(os.path.join(RESULTS, "passes"))
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


def sections_of_networks():
    """Tables and figures of networks, and of images, that the page shows."""
    files = []
    if VOLUMES and PREDICTED:
        files += [f"{RESULTS}/methods.{suffix}" for suffix in ("csv", "json", "png")]
        files += [f"{RESULTS}/models/posterior_kl.png"] if MODEL.sweep else []
    if IMAGES:
        files += [path for path in image_results() if not path.endswith("passes")]
        files += [table.replace(".csv", ".json") for table in image_tables()]
    return files
