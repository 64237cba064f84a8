# Models × regimes × seeds.

RUN = "results/runs/{model}/{regime}/seed{seed}"


rule train:
    """Train one model in one regime with one seed."""
    input:
        shards=training_shards,
        init=initial_weights,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.csv",
        run=f"{RUN}/run.json",
    log:
        "logs/train/{model}/{regime}/seed{seed}.log",
    benchmark:
        "logs/benchmarks/train/{model}/{regime}/seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: recipe_of(config, wildcards.model, wildcards.regime).get("threads", 1)
    resources:
        mem_mb=8000,
        runtime=1440,
        gpu=config["gpus"],
    params:
        train=lambda wildcards: set_shards(wildcards, "train"),
        val=lambda wildcards: set_shards(wildcards, "val"),
        init=lambda wildcards, input: ["--init", str(input.init)] if input.init else [],
        flags=network_flags,
        folder=lambda wildcards, output: os.path.dirname(output.model),
    shell:
        'python "$SCRIPTS"/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}'
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --out {params.folder:q} > {log:q} 2>&1"
