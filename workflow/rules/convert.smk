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
        mem_mb=memory(700),
        runtime=minutes(per_gib=10),
    params:
        recipe=conversion_params,
    script:
        "../../scripts/convert.py"


include: "compute_entropy.smk"
