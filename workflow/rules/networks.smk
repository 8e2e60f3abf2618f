# A folder of images → networks → members. These rules need the extra `envs/predict.txt`; nothing else imports torch.
rule collect_images:
    output:
        images=f"{WORK}/images/images.npz",
        rejected=f"{WORK}/images/rejected.json",
        counts=f"{RESULTS}/image_classes.csv",
        dictionary=f"{RESULTS}/image_classes.json",
        figure=f"{RESULTS}/image_classes.png",
    log:
        "logs/collect_images.log",
    benchmark:
        "benchmarks/collect_images.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        recipe=lambda wildcards: image_recipes.collection(IMAGES),
    script:
        "../../scripts/collect_images.py"


rule train_classifier:
    input:
        images=f"{WORK}/images/images.npz",
    output:
        network=f"{RESULTS}/networks/{{network}}.pt",
        curves=f"{RESULTS}/networks/{{network}}_losses.csv",
        dictionary=f"{RESULTS}/networks/{{network}}_losses.json",
        figure=f"{RESULTS}/networks/{{network}}_losses.png",
    log:
        "logs/train_classifier/{network}.log",
    benchmark:
        "benchmarks/train_classifier/{network}.tsv"
    wildcard_constraints:
        network=r"(cross_entropy|squared_error|bayesian)-\d+",
    conda:
        "../../envs/predict.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        recipe=lambda wildcards: image_recipes.network(IMAGES, wildcards.network),
    script:
        "../../scripts/train_classifier.py"


rule predict_images:
    input:
        images=f"{WORK}/images/images.npz",
        networks=lambda wildcards: [
            f"{RESULTS}/networks/{network}.pt"
            for network in image_recipes.networks_of(IMAGES, wildcards.method)
        ],
    output:
        table=f"{WORK}/images/{{method}}.npz",
    log:
        "logs/predict_images/{method}.log",
    benchmark:
        "benchmarks/predict_images/{method}.tsv"
    wildcard_constraints:
        method="|".join(METHODS),
    conda:
        "../../envs/predict.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        recipe=lambda wildcards: image_recipe(wildcards.method),
    script:
        "../../scripts/predict_images.py"


rule label_images:
    input:
        images=f"{WORK}/images/images.npz",
    output:
        curve=f"{WORK}/images/labelling-{{seed}}.json",
    log:
        "logs/label_images/{seed}.log",
    benchmark:
        "benchmarks/label_images/{seed}.tsv"
    wildcard_constraints:
        seed=r"\d+",
    conda:
        "../../envs/predict.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        recipe=lambda wildcards: image_recipes.labelling(IMAGES, int(wildcards.seed)),
    script:
        "../../scripts/label_images.py"


rule draw_labelling:
    input:
        curves=[
            f"{WORK}/images/labelling-{seed}.json"
            for seed in range(IMAGES["labelling"]["seeds"])
        ],
    output:
        table=f"{RESULTS}/labelling.csv",
        dictionary=f"{RESULTS}/labelling.json",
        figure=f"{RESULTS}/labelling.png",
    log:
        "logs/draw_labelling.log",
    benchmark:
        "benchmarks/draw_labelling.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        recipe=lambda wildcards: [
            image_recipes.labelling(IMAGES, seed)
            for seed in range(IMAGES["labelling"]["seeds"])
        ],
    script:
        "../../scripts/draw_labelling.py"
