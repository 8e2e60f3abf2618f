# Measures → one figure a sample, image, segmentation and entropy side by side, and its thumbnail for the report page.
rule render_qc:
    input:
        measures=f"{WORK}/{{sample}}/measures.zarr",
        summary=ancient(summary_of("{sample}")),
    output:
        figure=f"{RESULTS}/{{sample}}/{{sample}}_qc.{FIGURE_FORMAT}",
        thumbnail=thumbnail_of("{sample}"),
    log:
        "logs/render_qc/{sample}.log",
    benchmark:
        "benchmarks/render_qc/{sample}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        # Of 512³ voxels with members and an image 400 MiB, of all slices 1050.
        mem_mb=memory(1400 if CONFIG["figures"]["slices"] == "all" else 700),
        runtime=minutes(per_gib=5),
    params:
        recipe=figure_params,
    script:
        "../../scripts/render_qc.py"
