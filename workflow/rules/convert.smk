# Probability files → one chunked, checksummed Zarr store a sample; or the reason why the sample cannot be used.
rule convert:
    input:
        existing_sources,
    output:
        store=(
            directory(probability_store("{sample}"))
            if CONFIG["storage"]["keep_probabilities"]
            else temp(directory(probability_store("{sample}")))
        ),
    log:
        "logs/convert/{sample}.log",
    benchmark:
        "benchmarks/convert/{sample}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 700 * attempt,
        runtime=lambda wildcards, attempt: minutes(
            wildcards.sample, attempt, per_gib=10
        ),
    params:
        recipe=lambda wildcards: conversion_recipe(wildcards.sample),
    script:
        "../../scripts/convert.py"
