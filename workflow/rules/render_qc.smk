# Measures → one figure a sample: image, segmentation and entropy side by side.
rule render_qc:
    input:
        measures=f"{WORK}/{{sample}}/measures.zarr",
        summary=ancient(summary_of("{sample}")),
    output:
        figure=f"{RESULTS}/{{sample}}/{{sample}}_qc.{FIGURE_FORMAT}",
    log:
        "logs/render_qc/{sample}.log",
    benchmark:
        "benchmarks/render_qc/{sample}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 700 * attempt,
        runtime=lambda wildcards, attempt: minutes(wildcards.sample, attempt, per_gib=5),
    params:
        recipe=lambda wildcards: {
            **entropy_recipe(wildcards.sample),
            "figures": CONFIG["figures"],
        },
        image=lambda wildcards: SAMPLES[wildcards.sample].image,
    script:
        "../../scripts/render_qc.py"
