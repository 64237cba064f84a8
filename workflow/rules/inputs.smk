# Functions of wildcards for training, measuring and the report: what a job takes as its input and params.

import hashlib
from glob import glob

# Training


def training_images(wildcards):
    sets = config["regimes"][wildcards.regime]["train_on"]
    return [checksums_of(name, split) for name in sets for split in ("train", "val")]


def pretrained_name(entry):
    """What a network's published weights are called; those that are fitted to kwargs bear a digest of these."""
    if not entry.get("kwargs"):
        return entry["timm"]
    digest = hashlib.sha256(json.dumps(entry["kwargs"], sort_keys=True).encode()).hexdigest()
    return f"{entry['timm']}-{digest[:8]}"


def own_weights(entry):
    """Where a model's or an observer's weights are: a file, one that is fetched, or package:…"""
    weights = entry.get("weights")
    if weights is None:
        return f"results/downloads/pretrained/{pretrained_name(entry)}.safetensors"
    return f"results/downloads/networks/{file_of(weights)}" if is_url(weights) else weights


def weights_input(weights):
    """Weights as a job's input: a package's come with its environment."""
    if weights.startswith("package:"):
        return []
    return weights if weights.startswith("results/downloads/") else existing_path(weights)


def initial_weights(wildcards):
    """The file of weights that training starts from, if there is one: of another regime, or the model's own."""
    init = config["regimes"][wildcards.regime]["init"]
    if init not in config["regimes"]:
        return weights_input(own_weights(config["models"][wildcards.model])) if init == "pretrained" else []
    return f"{RUN}/model.safetensors".format(model=wildcards.model, regime=init, seed=wildcards.seed)


def set_shards(wildcards, split):
    return [f"{name}={shard_range(name, split)}" for name in config["regimes"][wildcards.regime]["train_on"]]


def network_flags(wildcards):
    model, regime = config["models"][wildcards.model], config["regimes"][wildcards.regime]
    init = own_weights(model) if regime["init"] == "pretrained" else regime["init"]
    start = {} if initial_weights(wildcards) else {"init": init}
    return flags(
        {"timm": model["timm"], "kwargs": model["kwargs"], "image_size": config["input_size"]}
        | start
        | {"trainable": regime["trainable"]}
        | {key: value for key, value in train_recipe(wildcards).items() if key not in EXECUTION}
    )


def train_recipe(wildcards):
    return recipe_of(config, wildcards.model, wildcards.regime)


def ranks_of(wildcards):
    """Processes that share each batch."""
    return train_recipe(wildcards).get("ranks", 0) or 1


def nodes_of(wildcards):
    """Nodes of a cluster that share the ranks evenly; without a cluster all ranks are on this machine."""
    return train_recipe(wildcards).get("nodes", 1)


def cpus_of(wildcards):
    """Processors of a rank."""
    recipe = train_recipe(wildcards)
    return recipe.get("threads", 1) + recipe.get("workers", 0)


# Measuring


def observer_weights(wildcards):
    if wildcards.observer in RUNS:
        model, regime, seed = RUNS[wildcards.observer]
        return f"results/runs/{model}/{regime}/seed{seed}/model.safetensors"
    return weights_input(own_weights(config["observers"][wildcards.observer]))


def benchmark_images(names):
    entries = [config["benchmarks"][name] for name in names]
    own = [checksums_of(entry["images"], "test") for entry in entries if "images" in entry]
    return own + sorted({folder for entry in entries if "folder" in entry and (folder := needed(entry["folder"]))})


def network_flags_of(wildcards):
    """What the network is; a run's weights file says the rest itself."""
    if wildcards.observer in RUNS:
        model = config["models"][RUNS[wildcards.observer][0]]
        return flags({"timm": model["timm"], "weights": observer_weights(wildcards)})
    entry = config["observers"][wildcards.observer]
    chosen = {key: entry[key] for key in ("timm", "kwargs", "classes") if key in entry}
    return flags(chosen | {"weights": own_weights(entry)})


def benchmark_flags(wildcards, names):
    """Several benchmarks in one job: the network is loaded once."""
    words = []
    for name in names:
        entry = config["benchmarks"][name]
        target = f"results/predictions/{name}/{wildcards.observer}"
        words += ["--images", where_images_are(name), "--benchmark", entry["kind"], "--out", f"{target}.parquet"]
        words += flags({"suppress": entry.get("suppress")})
        if name not in MELANOMA:  # the toolbox's CSV knows categories alone
            words += ["--decisions", f"{target}.csv"]
        if READ_OUT and entry["kind"] == "cue_conflict":
            table = f"{name}=results/read_out/{name}/{wildcards.observer}.csv"
            words += ["--read-out", table if name in READ_OUT else "-"]
    return words


def where_images_are(name):
    entry = config["benchmarks"][name]
    return shard_range(entry["images"], "test") if "images" in entry else local(entry["folder"])


def images_of_conflicts(option):
    """`--option NAME=PATH` for every benchmark of cue conflict, whose images figures and report show some of."""
    return [word for name in CONFLICTS for word in (option, f"{name}={where_images_are(name)}")]


def melanoma_flags():
    """Who sees the benchmarks of melanoma, and the first of their regimes that starts from ImageNet weights alone."""
    if not MELANOMA:
        return []
    baselines = [name for name in melanoma_regimes(config) if config["regimes"][name]["init"] == "pretrained"]
    chosen = {"melanoma_benchmarks": MELANOMA, "melanoma_observers": MELANOMA_RUNS}
    return flags(chosen | {"melanoma_baseline": next(iter(baselines), None)})


def decision_flags():
    """Recorded decisions, each with its own pools."""
    words = []
    for entry in DECISIONS.values():
        words += ["--decisions", f"{entry['benchmark']}={local(entry['decisions'])}"]
        words += [f"{name}={pattern}" for name, pattern in entry.get("pool", {}).items()]
    return words


# Report


def code(*patterns):
    """Source files as inputs: editing how a figure looks redraws it, without --force."""
    return sorted(path for pattern in patterns for path in glob(os.path.join(workflow.basedir, pattern)))
