# What predict.smk, images.smk and networks.smk take and make: paths, input functions, and recipes. Only functions, no
# rules.
# Endings of a table, its dictionary, and the figure of it.
SHOWN_TABLE = ("csv", "json", "png")

if IMAGES:
    from volume_entropy.classification import recipes as image_recipes

    METHODS = (
        [image_recipes.TABLE] if IMAGES["table"] is not None else IMAGES["methods"]
    )


def network_file(network):
    return f"{RESULTS}/models/{network}.pt"


def model_results():
    """What a run makes of networks besides the samples' own results."""
    stems = ["methods", *(["models/posterior_kl"] if MODEL.sweep else [])]
    made = [f"{RESULTS}/{stem}.{suffix}" for stem in stems for suffix in SHOWN_TABLE]
    made += [
        f"{RESULTS}/models/{network}_losses.{suffix}"
        for network in MODEL.networks
        for suffix in SHOWN_TABLE
    ]
    return made + [
        f"{RESULTS}/models/{network}_posterior.{suffix}"
        for network in MODEL.networks
        for suffix in ("csv", "json")
    ]


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
    results = [*image_tables(), *dictionaries(image_tables())]
    results.append(f"{RESULTS}/image_scores.png")
    results += [passes_folder()] if "passes" in parts() else []
    results += [
        f"{RESULTS}/{name}.{suffix}"
        for name in ("image_classes", "labelling")
        if name in parts()
        for suffix in SHOWN_TABLE
    ]
    networks = image_networks() if IMAGES["folder"] is not None else []
    return results + [
        f"{RESULTS}/networks/{network}_losses.{suffix}"
        for network in networks
        for suffix in SHOWN_TABLE
    ]


def image_networks():
    """The networks that are trained on images."""
    return list(
        dict.fromkeys(
            network
            for method in METHODS
            for network in image_recipes.networks_of(IMAGES, method)
        )
    )


def image_intermediates():
    """What lies in the folder of what is kept of images, between their rules."""
    curves = range(IMAGES["labelling"]["seeds"])
    return [
        "images.npz",
        "rejected.json",
        *(f"{method}.npz" for method in METHODS),
        *(f"labelling-{seed}.json" for seed in curves),
    ]


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
        files += [path for path in image_results() if path != passes_folder()]
    return files
