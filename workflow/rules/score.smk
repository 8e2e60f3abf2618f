# Samples that have a reference: their counts and figure, then the tables and the figure of the cohort.
rule render_scores:
    input:
        measures=f"{WORK}/{{sample}}/measures.zarr",
        summary=ancient(summary_of("{sample}")),
    output:
        scores=scores_of("{sample}"),
        figure=f"{RESULTS}/{{sample}}/{{sample}}_scores.{FIGURE_FORMAT}",
    log:
        "logs/render_scores/{sample}.log",
    benchmark:
        "benchmarks/render_scores/{sample}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory(500),
        runtime=minutes(per_gib=1),
    params:
        recipe=entropy_params,
        format=FIGURE_FORMAT,
    script:
        "../../scripts/render_scores.py"


rule aggregate_scores:
    input:
        scores=scores_of_samples,
        # ancient: the scores are made from them.
        summaries=[ancient(summary_of(sample)) for sample in REFERENCED],
    output:
        tables=in_report(score_tables("csv"), "Tables"),
        dictionaries=score_tables("json"),
        figure=in_report(cohort_scores(), "Figures"),
    log:
        "logs/aggregate_scores.log",
    benchmark:
        "benchmarks/aggregate_scores.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=cohort_memory,
        runtime=cohort_minutes,
    params:
        format=FIGURE_FORMAT,
        revision=settings_of.REVISION,
        order=order_digest(REFERENCED),
    script:
        "../../scripts/aggregate_scores.py"
