# Images → networks → members. Included where `model` has methods. These rules need the extra `envs/predict.txt`: run
# the snakemake of .venv-predict. Nothing else imports torch.
MEASURED = {
    "measures": directory(f"{WORK}/{{sample}}/measures.zarr"),
    "summary": summary_of("{sample}"),
    "maps": directory(f"{RESULTS}/{{sample}}/maps"),
}
STORED = {
    "store": (
        directory(probability_store("{sample}"))
        if CONFIG["storage"]["keep_probabilities"]
        else temp(directory(probability_store("{sample}")))
    )
}


rule predict:
    input:
        sources=predicted_sources,
        networks=networks_of,
    output:
        **(MEASURED if STREAM else STORED),
    log:
        "logs/predict/{sample}.log",
    benchmark:
        "benchmarks/predict/{sample}.tsv"
    conda:
        "../../envs/predict.yaml"
    threads: 2
    resources:
        mem_mb=prediction_memory,
        runtime=prediction_minutes,
    params:
        recipe=entropy_params if STREAM else conversion_params,
    script:
        "../../scripts/predict.py"


if MODEL.trains:

    rule train:
        input:
            # ancient: what they hold is in the params.
            train_images=[ancient(image) for image, _ in MODEL.examples["train"]],
            train_references=[ancient(labels) for _, labels in MODEL.examples["train"]],
            val_images=[ancient(image) for image, _ in MODEL.examples["val"]],
            val_references=[ancient(labels) for _, labels in MODEL.examples["val"]],
        output:
            network=network_file("{network}"),
            curves=f"{RESULTS}/models/{{network}}_losses.csv",
            curves_dictionary=f"{RESULTS}/models/{{network}}_losses.json",
            figure=f"{RESULTS}/models/{{network}}_losses.png",
            posterior=f"{RESULTS}/models/{{network}}_posterior.csv",
            posterior_dictionary=f"{RESULTS}/models/{{network}}_posterior.json",
        log:
            "logs/train/{network}.log",
        benchmark:
            "benchmarks/train/{network}.tsv"
        wildcard_constraints:
            network=r"(point|variational)-\d+(_kl-[0-9.e+-]+)?",
        conda:
            "../../envs/predict.yaml"
        threads: 2
        resources:
            mem_mb=training_memory,
            runtime=training_minutes,
        params:
            recipe=lambda wildcards: MODEL.training_recipe(wildcards.network),
        script:
            "../../scripts/train.py"


if MODEL.sweep:

    rule compare_posteriors:
        input:
            posteriors=[
                f"{RESULTS}/models/{network}_posterior.csv"
                for network in ["variational-0", *MODEL.sweep]
            ],
        output:
            table=f"{RESULTS}/models/posterior_kl.csv",
            dictionary=f"{RESULTS}/models/posterior_kl.json",
            figure=f"{RESULTS}/models/posterior_kl.png",
        log:
            "logs/compare_posteriors.log",
        benchmark:
            "benchmarks/compare_posteriors.tsv"
        localrule: True
        conda:
            "../../envs/predict.yaml"
        params:
            weights=[
                CONFIG["model"]["train"]["kl_weight"],
                *CONFIG["model"]["train"]["kl_sweep"],
            ],
            prior=CONFIG["model"]["train"]["prior_std"],
        script:
            "../../scripts/compare_posteriors.py"


rule compare_methods:
    input:
        summaries=[summary_of(sample) for sample in SAMPLES],
        # ancient: a touched table is no news; its metadata columns are in the params.
        samples=ancient(CONFIG["samples"]),
    output:
        table=f"{RESULTS}/methods.csv",
        dictionary=f"{RESULTS}/methods.json",
        figure=f"{RESULTS}/methods.png",
    log:
        "logs/compare_methods.log",
    benchmark:
        "benchmarks/compare_methods.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        cohort=cohort(),
        column=CONFIG["model"]["compare"],
    script:
        "../../scripts/compare_methods.py"


if not STREAM:

    include: "compute_entropy.smk"
