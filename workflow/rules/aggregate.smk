# Summaries → the tables of the cohort, and their figure.
rule aggregate:
    input:
        summaries=summaries,
        # ancient: a touched table is no news; its metadata columns are in the params.
        samples=ancient(CONFIG["samples"]),
    output:
        tables=in_report(tables(), "Tables"),
        dictionaries=dictionaries(tables()),
        description=f"{RESULTS}/dataset_description.json",
        figure=in_report(f"{RESULTS}/cohort.svg", "Figures"),
    log:
        "logs/aggregate.log",
    benchmark:
        "benchmarks/aggregate.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=cohort_memory,
        runtime=cohort_minutes,
    params:
        cohort=cohort(),
    script:
        "../../scripts/aggregate.py"
