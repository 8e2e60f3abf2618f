# Summaries → the tables of the cohort.
rule aggregate:
    input:
        summaries=summaries,
        # ancient: a touched table is no news; its metadata columns are in the params.
        samples=ancient(CONFIG["samples"]),
    output:
        tables=tables(),
        dictionaries=[table.replace(".csv", ".json") for table in tables()],
    log:
        "logs/aggregate.log",
    benchmark:
        "benchmarks/aggregate.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        cohort=cohort(),
    script:
        "../../scripts/aggregate.py"
