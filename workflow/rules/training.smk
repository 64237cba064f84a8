# Models × regimes × seeds.

from shapebias.planning.network_costs import training_seconds

RUN = "results/runs/{model}/{regime}/seed{seed}"


def training_images(wildcards):
    sets = config["regimes"][wildcards.regime]["train_on"]
    return [checksums_of(name, split) for name in sets for split in ("train", "val")]


def initial_weights(wildcards):
    """Return the file of initial weights, of another regime or of the model itself; no input if there is none."""
    init = config["regimes"][wildcards.regime]["init"]
    if init not in config["regimes"]:
        return weights_input(network_weights(config["models"][wildcards.model])) if init == "pretrained" else []
    return f"{RUN}/model.safetensors".format(model=wildcards.model, regime=init, seed=wildcards.seed)


def set_shards(wildcards, split):
    return [f"{name}={shard_range(name, split)}" for name in config["regimes"][wildcards.regime]["train_on"]]


def network_flags(wildcards):
    model, regime = config["models"][wildcards.model], config["regimes"][wildcards.regime]
    init = network_weights(model) if regime["init"] == "pretrained" else regime["init"]
    init_flag = {} if initial_weights(wildcards) else {"init": init}
    return flags(
        {"timm": model["timm"], "kwargs": model["kwargs"], "image_size": config["input_size"]}
        | init_flag
        | {"trainable": regime["trainable"]}
        | {key: value for key, value in train_recipe(wildcards).items() if key not in EXECUTION}
    )


def train_recipe(wildcards):
    return recipe_of(config, wildcards.model, wildcards.regime)


def ranks_of(wildcards):
    """Return the number of processes that share each batch."""
    return train_recipe(wildcards).get("ranks", 0) or 1


def nodes_of(wildcards):
    """Return the number of nodes, which share the ranks evenly; without a cluster all ranks run on this machine."""
    return train_recipe(wildcards).get("nodes", 1)


def cpus_of(wildcards):
    """Return the CPU cores of a rank."""
    recipe = train_recipe(wildcards)
    return recipe.get("threads", 1) + recipe.get("workers", 0)


@within_partition("runtime")
def train_minutes(wildcards, attempt):
    """Return the expected time with a margin, up to a day; a day if the model's throughput is not in the config.

    Training stops in time and resumes at the next attempt.
    """
    if ("train", wildcards.model) not in MEASUREMENTS.throughputs:
        return DAY
    return min(DAY, minutes(training_seconds(config, wildcards.model, wildcards.regime, MEASUREMENTS), attempt))


@within_partition("mem_mb")
def train_memory(wildcards, attempt):
    """Return the MB per node: for each rank 4,000 for torch and a network, 600 per worker, and 3 per thousand labels."""
    images = sum(dataset_sizes.training_images(config, wildcards.regime, split) for split in ("train", "val"))
    per_rank = 4000 + 600 * train_recipe(wildcards).get("workers", 0) + round(3 * images / 1000)
    return attempt * per_rank * ranks_of(wildcards) // nodes_of(wildcards)


rule train:
    """Train one model in one regime with one seed."""
    input:
        images=training_images,
        init=initial_weights,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.csv",
        run=f"{RUN}/run.json",
    log:
        "logs/train/{model}/{regime}/seed{seed}.log",
    benchmark:
        "logs/benchmarks/train/{model}/{regime}/seed{seed}.tsv"
    priority: 1  # before evaluations, which fill all cores at the end; trainings that start from others could not
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: ranks_of(wildcards) * cpus_of(wildcards)
    resources:
        mem_mb=train_memory,
        runtime=train_minutes,
        gpus=lambda wildcards: config["gpus"] * ranks_of(wildcards),
        gres=lambda wildcards: gres(config["gpus"] * ranks_of(wildcards) // nodes_of(wildcards)),
        mpi=lambda wildcards: "srun" if ranks_of(wildcards) > 1 else None,
        nodes=nodes_of,
        tasks=lambda wildcards: tasks(ranks_of(wildcards), nodes_of(wildcards)),
        tasks_per_node=lambda wildcards: tasks_per_node(ranks_of(wildcards), nodes_of(wildcards)),
        tasks_per_gpu=0,
        cpus_per_task=cpus_of,
        # These do not change the result. They are no params, because a changed param would repeat the training.
        ranks=ranks_of,
        workers=lambda wildcards: train_recipe(wildcards).get("workers", 0),
    params:
        train=lambda wildcards: set_shards(wildcards, "train"),
        val=lambda wildcards: set_shards(wildcards, "val"),
        init=lambda wildcards, input: ["--init", str(input.init)] if input.init else [],
        flags=network_flags,
        folder=lambda wildcards, output: os.path.dirname(output.model),
        # Not an output: Snakemake deletes outputs before a retry, but the retry resumes from here.
        checkpoints="results/checkpoints/{model}/{regime}/seed{seed}",
        device="cuda" if config["gpus"] else "auto",
    shell:
        "launch {resources.ranks} {resources.nodes} {resources.cpus_per_task}"
        ' "$SCRIPTS"/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}'
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --ranks {resources.ranks} --workers {resources.workers} --cpus {resources.cpus_per_task}"
        " --device {params.device} --checkpoints {params.checkpoints:q} $TRACKING $STAGING"
        " --out {params.folder:q} > {log:q} 2>&1"


CHECKPOINT_MINUTES = 10  # the default of scripts/train.py


def short_trainings():
    """Yield a warning for each time limit that is too short: if all attempts together end before the expected end of the
    longest training, or if one attempt ends before its first checkpoint.
    """
    longest = {}
    for job in workflow.dag.needrun_jobs():
        if job.rule.name == "train" and job.resources.get("runtime"):
            run = (job.wildcards.model, job.wildcards.regime)
            limit = (1 + job.restart_times, job.resources.runtime)
            longest[limit] = max(
                longest.get(limit, (0, run)), (training_seconds(config, *run, MEASUREMENTS) / 3600, run)
            )
    for (attempts, limit), (expected, run) in sorted(longest.items()):
        if 60 * expected > attempts * limit:
            yield (
                f"Training {' '.join(run)} may take {expected:.0f} hours, but {attempts} attempts of {limit} minutes are shorter. "
                "In the profile, raise `retries`, or train's runtime in set-resources. `make plan` prints the assumptions "
                "behind this estimate, and `throughputs` in the config corrects them."
            )
        if limit <= CHECKPOINT_MINUTES:
            yield (
                f"train's runtime of {limit} minutes ends before its first checkpoint, at {CHECKPOINT_MINUTES} minutes or "
                "an epoch. Training writes a checkpoint when its time is up, and is started again only as often as "
                "`retries` allows. Set a longer time in the profile's set-resources, such as `train: runtime=60`."
            )
