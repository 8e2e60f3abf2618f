# Images that are classified as a whole → tables and figures. Included where `images` is configured; the networks that
# make the members are in networks.smk.
rule measure_images:
    input:
        tables=member_tables(),
        unread=[f"{WORK}/images/rejected.json"] if IMAGES["folder"] else [],
    output:
        tables=in_report(image_tables(), "Tables"),
        dictionaries=dictionaries(image_tables()),
        figure=in_report(f"{RESULTS}/image_scores.png", "Figures"),
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
        measured=measured_images,
    output:
        folder=directory(passes_folder()),
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
