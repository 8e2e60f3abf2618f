# Tables → the page that people open. It links figures by name, so that it is not made again for new figures.
rule report:
    input:
        tables=tables_for_page,
        dictionaries=dictionaries(tables()) if VOLUMES else [],
        networks=sections_of_networks(),
        scores=(
            [*score_tables("csv"), *score_tables("json"), cohort_scores()]
            if REFERENCED
            else []
        ),
    output:
        page=report_page(),
        assets=directory(page_assets()),
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/report.tsv"
    # A second's work: not worth a place in a cluster's queue.
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        # A study of images alone has a page without samples.
        shown=(
            {
                "settings": ENTROPY,
                "group": CONFIG["group"],
                "figure_format": FIGURE_FORMAT,
            }
            if VOLUMES
            else None
        ),
        version=VERSION,
        # What is left of others is removed.
        parts=parts(),
    script:
        "../../scripts/report.py"
