# What a stage asks a cluster for. Only functions, no rules.
def memory(constant):
    """MiB of a stage, more with each attempt."""
    return known(lambda wildcards, attempt: constant * attempt)


@known
def entropy_memory(wildcards, attempt, threads):
    """Per thread one block, all classes of one member; lesions are found in the whole volume."""
    wanted = CONFIG["lesions"]["classes"]
    lesions = lesion_mib(sources_of(wildcards.sample)[0]) if wanted else 0
    return (600 + 100 * threads + lesions) * attempt


def minutes(per_gib):
    """Minutes that a cluster grants a stage: five for the start, and so many per GiB of sources."""

    def granted(wildcards, attempt):
        sources = conversion_recipe(wildcards.sample)["sources"]
        total = sum(size for _, size, _, _ in sources if size is not None)
        return attempt * (5 + ceil(per_gib * total / 2**30))

    return known(granted)
