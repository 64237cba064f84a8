# What may be fetched freely, on the machine that submits: compute nodes have no internet. A path in the config
# instead of a URL or `download:…` needs none of these.

from shapebias.config.queries import pretrained_name

# Geirhos et al. 2019 (CC BY 4.0), at a commit: what it names does not change.
TEXTURE_VS_SHAPE = (
    "https://raw.githubusercontent.com/rgeirhos/texture-vs-shape/ccd0c01d42c0a8a834e90ec141e7f24fa915dc23"
)


def local(path):
    """Where a file or folder of the config is; `download:…` names one that is fetched."""
    return os.path.join("results/downloads", path.removeprefix("download:")) if path.startswith("download:") else path


def needed(path):
    """The input of a job that reads it; of a download, the folder that is fetched as a whole."""
    name = path.removeprefix("download:").partition("/")[0]
    return os.path.join("results/downloads", name) if path.startswith("download:") else existing_path(path)


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


def fetched(stylizer, part):
    """Where an encoder's or a decoder's weights are fetched to, from its URL or path."""
    ending = "safetensors" if config["stylizers"][stylizer][part].endswith(".safetensors") else "pth"
    return f"results/downloads/weights/{stylizer}/{part}.{ending}"


def weights_path(wildcards):
    """The file of a stylizer's weights, where it is one of this machine."""
    path = config["stylizers"][wildcards.stylizer][wildcards.part]
    return [] if "://" in path else existing_path(path)


def weights_source(wildcards):
    """Where a stylizer's weights come from, and their checksum."""
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"source": entry[wildcards.part], "sha256": entry.get(f"{wildcards.part}_sha256")})


# Published weights that timm or torchvision know where to find: name → network. A job that fetched them itself would need
# the internet, and fetch them again in each run.
STARTING = config["models"].values() if any(e["init"] == "pretrained" for e in config["regimes"].values()) else []
PRETRAINED = {
    pretrained_name(entry): entry
    for entry in [*STARTING, *config["observers"].values()]
    if "timm" in entry and "weights" not in entry
}

PUBLISHED_FILES = sorted(
    {
        needed(entry[key])
        for section, key in (("benchmarks", "folder"), ("observers", "decisions"))
        for entry in config[section].values()
        if entry.get(key, "").startswith("download:")
    }
)
STYLIZER_FILES = [
    fetched(name, part)
    for name, entry in config["stylizers"].items()
    for part in ("encoder", "decoder")
    if is_url(entry.get(part, ""))
]


rule downloads:
    """All that this study downloads: make it where there is internet, before jobs run where there is none."""
    input:
        PUBLISHED_FILES,
        expand("results/downloads/networks/{file}", file=NETWORK_FILES),
        expand("results/downloads/pretrained/{network}.safetensors", network=PRETRAINED),
        STYLIZER_FILES,
    localrule: True


rule download_stimuli:
    """Fetch the published stimuli: 1,280 cue conflicts, 160 silhouettes, 160 edge drawings."""
    input:
        checksums=os.path.join(workflow.basedir, "workflow/resources/stimuli.sha256"),
    output:
        directory("results/downloads/stimuli"),
    log:
        "logs/download_stimuli.log",
    localrule: True
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    params:
        source=TEXTURE_VS_SHAPE,
        folders=[
            "stimuli/style-transfer-preprocessed-512=cue-conflict",
            "stimuli/filled-silhouettes=silhouettes",
            "stimuli/edges=edges",
        ],
    shell:
        'python "$SCRIPTS"/download.py --source {params.source:q} --checksums {input.checksums:q}'
        " --take {params.folders:q} --out {output:q} > {log:q} 2>&1"


rule download_decisions:
    """Fetch what ten people and four networks answered to the cue conflicts."""
    input:
        checksums=os.path.join(workflow.basedir, "workflow/resources/decisions.sha256"),
    output:
        directory("results/downloads/decisions"),
    log:
        "logs/download_decisions.log",
    localrule: True
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        source=TEXTURE_VS_SHAPE,
        folders=[
            "raw-data/style-transfer-512-nomask-experiment=.",
            "raw-data/style-transfer-512-nomask-experiment-trained-CNNs=.",
        ],
    shell:
        'python "$SCRIPTS"/download.py --source {params.source:q} --checksums {input.checksums:q}'
        " --take {params.folders:q} --out {output:q} > {log:q} 2>&1"


rule download_network:
    """Fetch the weights of a network, which a model starts from or an observer has."""
    output:
        "results/downloads/networks/{file}",
    log:
        "logs/download_network/{file}.log",
    localrule: True
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    params:
        source=lambda wildcards: flags(NETWORK_FILES[wildcards.file]),
    shell:
        'python "$SCRIPTS"/download.py {params.source:q} --out {output:q} > {log:q} 2>&1'


rule download_weights:
    """Fetch the weights of a stylizer's encoder or decoder, from a URL or a path."""
    input:
        local=weights_path,
    output:
        "results/downloads/weights/{stylizer}/{part}.{ending}",
    log:
        "logs/download_weights/{stylizer}/{part}.{ending}.log",
    localrule: True
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        source=weights_source,
    shell:
        'python "$SCRIPTS"/download.py {params.source:q} --out {output:q} > {log:q} 2>&1'


rule download_pretrained:
    """Fetch the published weights of a network through timm or torchvision."""
    output:
        "results/downloads/pretrained/{network}.safetensors",
    log:
        "logs/download_pretrained/{network}.log",
    wildcard_constraints:
        network=one_of(PRETRAINED),
    localrule: True
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        network=lambda wildcards: flags({k: PRETRAINED[wildcards.network].get(k) for k in ("timm", "kwargs")}),
    shell:
        'python "$SCRIPTS"/download_pretrained.py {params.network:q} --out {output:q} > {log:q} 2>&1'
