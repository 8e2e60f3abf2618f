# Probability store → measures of every voxel, maps, and the summary of the sample.
rule compute_entropy:
    input:
        # Not ancient: Snakemake looks no further than an ancient input that exists, so that a run which makes a half
        # or stale store again would end well with this job's old numbers, or with none.
        store=store_of,
    output:
        measures=directory(f"{WORK}/{{sample}}/measures.zarr"),
        summary=summary_of("{sample}"),
        maps=directory(f"{RESULTS}/{{sample}}/maps"),
    log:
        "logs/compute_entropy/{sample}.log",
    benchmark:
        "benchmarks/compute_entropy/{sample}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 2
    resources:
        mem_mb=entropy_memory,
        runtime=minutes(per_gib=20),
    params:
        recipe=entropy_params,
    script:
        "../../scripts/compute_entropy.py"
