# Results of samples that were removed from the samples table → a list of their folders, for whoever wants to remove
# them: snakemake --directory my-study --cores 1 orphans. Like discover it has no output, and looks again on every call.
rule orphans:
    input:
        # ancient, as everywhere: the table itself is read, whatever its time.
        samples=ancient(CONFIG["samples"]),
    log:
        "logs/orphans.log",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        roots=[RESULTS, WORK],
    script:
        "../../scripts/orphans.py"
