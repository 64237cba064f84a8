# Functions of wildcards for training, measuring and the report: what a job takes as its input and params.


# Training


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


# Measuring


def observer_weights(wildcards):
    if wildcards.observer in RUNS:
        model, regime, seed = RUNS[wildcards.observer]
        return f"results/runs/{model}/{regime}/seed{seed}/model.safetensors"
    weights = config["observers"][wildcards.observer].get("weights", "package:")
    return [] if weights.startswith("package:") else weights


def benchmark_images(wildcards):
    entries = config["benchmarks"].values()
    own = [shard for entry in entries if "images" in entry for shard in shards(entry["images"], "test")]
    return own + sorted({needed(entry["folder"]) for entry in entries if "folder" in entry})


def network_flags_of(wildcards):
    """What the network is; a run's weights file says the rest itself."""
    if wildcards.observer in RUNS:
        model = config["models"][RUNS[wildcards.observer][0]]
        return flags({"timm": model["timm"], "weights": observer_weights(wildcards)})
    entry = config["observers"][wildcards.observer]
    return flags({key: entry[key] for key in ("timm", "weights", "kwargs", "classes") if key in entry})


def benchmark_flags(wildcards):
    """All benchmarks in one job: the network is loaded once."""
    words = []
    for name, entry in config["benchmarks"].items():
        images = shard_range(entry["images"], "test") if "images" in entry else local(entry["folder"])
        target = f"results/predictions/{name}/{wildcards.observer}"
        words += ["--images", images, "--benchmark", entry["kind"]]
        words += ["--out", f"{target}.parquet", "--decisions", f"{target}.csv"]
    return words


def decision_flags():
    """Recorded decisions, each with its own pools."""
    words = []
    for entry in DECISIONS.values():
        words += ["--decisions", f"{entry['benchmark']}={local(entry['decisions'])}"]
        words += [f"{name}={pattern}" for name, pattern in entry.get("pool", {}).items()]
    return words


# Report


def code(*modules):
    """Source files as inputs: editing how a figure looks redraws it, without --force."""
    return [os.path.join(workflow.basedir, name) for name in modules]
