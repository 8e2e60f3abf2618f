# Voxel-wise uncertainty of segmentation models over a cohort of volumes: the front door. See README.md.
from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/config.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/preflight.smk"
include: "workflow/rules/progress.smk"
include: "workflow/rules/members.smk"
include: "workflow/rules/render_qc.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/discover.smk"
include: "workflow/rules/orphans.smk"
# Networks make the probabilities, or files hold them.
include: "workflow/rules/predict.smk" if PREDICTED else "workflow/rules/convert.smk"


if IMAGES:

    include: "workflow/rules/images.smk"


rule all:
    input:
        everything,
    localrule: True


if JUDGED:

    # It has no output, so that it judges again on every run; a file that is included could not make it the default.
    rule judge_rejected:
        default_target: True
        input:
            everything,
        log:
            "logs/judge_rejected.log",
        retries: 0
        localrule: True
        conda:
            "envs/environment.yaml"
        params:
            tables=USED_AND_REJECTED,
            strict=CONFIG["on_rejected"] == "fail",
        script:
            "scripts/judge_rejected.py"
