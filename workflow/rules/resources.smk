# What a stage asks a cluster for. Only functions, no rules.
def memory(constant):
    """MiB of a stage, more with each attempt."""
    return lambda wildcards, attempt: constant * attempt


def entropy_memory(wildcards, attempt, threads):
    """Per thread one block, all classes of one member; lesions are found in the whole volume."""
    lesions = memory_of.LESION_BYTES_A_VOXEL if CONFIG["lesions"]["classes"] else 0
    volume = lesions * voxels_of(wildcards.sample) >> 20 if lesions else 0
    return (600 + 100 * threads + volume) * attempt


def voxels_of(sample):
    """By the header of the sample's first source; its job needs it, so that it is read once more."""
    axes = None if PREDICTED else CONVERSION["axes"]
    return memory_of.n_voxels(sources_of(sample)[0], axes)


def prediction_memory(wildcards, attempt):
    """What torch takes, and the members of a volume: some of them are in memory at a time, and their sum."""
    bytes_a_voxel = memory_of.PREDICTION_BYTES_A_VOXEL * len(CONVERSION["classes"])
    return (3000 + (bytes_a_voxel * voxels_of(wildcards.sample) >> 20)) * attempt


def prediction_minutes(wildcards, attempt):
    """Five million voxels of a member a minute, on two cores."""
    members = MODEL.n_members(MODEL.method_of(wildcards.sample))
    return (10 + ceil(members * voxels_of(wildcards.sample) / 5e6)) * attempt


def training_memory(wildcards, attempt):
    """All volumes, and what is kept of the windows of a step until their gradients are known."""
    volumes = [image for pairs in MODEL.examples.values() for image, _ in pairs]
    voxels = sum(memory_of.n_voxels(image) for image in volumes)
    windows = CONFIG["model"]["train"]["batch_size"] * prod(CONFIG["model"]["patch"])
    total = (
        memory_of.EXAMPLE_BYTES_A_VOXEL * voxels
        + memory_of.TRAINING_BYTES_A_VOXEL * windows
    )
    return (1500 + (total >> 20)) * attempt


def training_minutes(wildcards, attempt):
    """Ten million voxels of windows a minute, on two cores."""
    train, volumes = CONFIG["model"]["train"], sum(map(len, MODEL.examples.values()))
    windows = train["epochs"] * train["patches"] * volumes
    return (30 + ceil(windows * prod(CONFIG["model"]["patch"]) / 1e7)) * attempt


def cohort_memory(wildcards, attempt):
    """Of a job that reads a file of every sample: 24 KiB each were measured, of small summaries."""
    return (1000 + len(SAMPLES) // 10) * attempt


def cohort_minutes(wildcards, attempt):
    """Of a job that reads a file of every sample: a thousand a minute."""
    return (10 + len(SAMPLES) // 1000) * attempt


def minutes(per_gib):
    """Minutes that a cluster grants a stage: five for the start, and so many per GiB of sources."""

    def granted(wildcards, attempt):
        sources = conversion_recipe(wildcards.sample)["sources"]
        total = sum(size for _, size, _, _ in sources if size is not None)
        return attempt * (5 + ceil(per_gib * total / 2**30))

    return granted
