# Summaries → the tables of the cohort.
rule aggregate:
    input:
        summaries=summaries,
        # ancient: a touched table is no news; its metadata columns are in the params.
        samples=ancient(CONFIG["samples"]),
    output:
        tables=tables(),
        dictionaries=[table.replace(".csv", ".json") for table in tables()],
    params:
        cohort=cohort(),
    log:
        "logs/aggregate.log",
    benchmark:
        "benchmarks/aggregate.tsv"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/aggregate.py"

