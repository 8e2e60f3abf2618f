# Results that a run no longer makes → a list of them, for whoever wants to remove them: folders of samples that were
# removed from the samples table, and what belongs to another config. snakemake --directory my-study --cores 1 orphans.
# Like discover it has no output, and looks again on every call.
rule orphans:
    input:
        # ancient, as everywhere: the table itself is read, whatever its time.
        samples=ancient(CONFIG["samples"]) if VOLUMES else [],
    log:
        "logs/orphans.log",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        roots=[RESULTS, WORK],
        made=lambda wildcards: made(),
    script:
        "../../scripts/orphans.py"
