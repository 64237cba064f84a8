# Models × regimes × seeds.

RUN = "results/runs/{model}/{regime}/seed{seed}"


def training_shards(wildcards):
    sets = config["regimes"][wildcards.regime]["train_on"]
    return [shard for name in sets for split in ("train", "val") for shard in shards(name, split)]


def initial_weights(wildcards):
    """The weights of the regime that this one starts from, if it starts from one."""
    init = config["regimes"][wildcards.regime]["init"]
    if init not in config["regimes"]:
        return []
    return f"{RUN}/model.safetensors".format(model=wildcards.model, regime=init, seed=wildcards.seed)


def set_shards(wildcards, split):
    return [f"{name}={shard_range(name, split)}" for name in config["regimes"][wildcards.regime]["train_on"]]


def network_flags(wildcards):
    model, regime = config["models"][wildcards.model], config["regimes"][wildcards.regime]
    start = {} if regime["init"] in config["regimes"] else {"init": regime["init"]}
    return flags(
        {"timm": model["timm"], "kwargs": model["kwargs"], "image_size": config["input_size"]}
        | start
        | {"trainable": regime["trainable"]}
        | recipe_of(config, wildcards.model, wildcards.regime)
    )


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
        "python {SCRIPTS}/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}"
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --out {params.folder:q} > {log:q} 2>&1"
