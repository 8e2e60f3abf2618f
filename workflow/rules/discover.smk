# A producer's output → rows of the samples table:
#   snakemake --cores 1 discover --config preset=fmriprep discover.root=derivatives/fmriprep
# It has no output, so that it looks again on every call, and nothing asks for it but its name.
rule discover:
    log:
        "logs/discover.log",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        discovery={
            "preset": CONFIG["preset"],
            "table": CONFIG["samples"],
            "settings": CONVERSION,
            **CONFIG["discover"],
        },
    script:
        "../../scripts/discover.py"
