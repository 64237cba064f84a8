# Downloads that need no registration. They run on the submitting machine, because compute nodes have no internet. A
# local path in the config, instead of a URL or `download:…`, needs no download.

from shapebias.config.queries import pretrained_name
from shapebias.evaluation.published import DOWNLOADABLE, SOURCES

# Geirhos et al. 2019, at a fixed commit. The stimuli are CC BY 4.0; no licence is stated for the decisions.
TEXTURE_VS_SHAPE = SOURCES["geirhos2019"].url


def local_path(path):
    """Return the local path of a file or folder in the config; `download:…` lies in results/downloads."""
    return os.path.join("results/downloads", path.removeprefix("download:")) if path.startswith("download:") else path


def input_path(path):
    """Return the input of a job that reads a path of the config; for a download, the downloaded folder."""
    name = path.removeprefix("download:").partition("/")[0]
    return os.path.join("results/downloads", name) if path.startswith("download:") else existing_path(path)


def network_weights(entry):
    """Return the weights of a model or an observer: a local file, a downloaded file, or package:…"""
    weights = entry.get("weights")
    if weights is None:
        return f"results/downloads/pretrained/{pretrained_name(entry)}.safetensors"
    return f"results/downloads/networks/{file_of(weights)}" if is_url(weights) else weights


def weights_input(weights):
    """Return weights as a job's input; those of a package come with its environment."""
    if weights.startswith("package:"):
        return []
    return weights if weights.startswith("results/") else existing_path(weights)


def downloaded_weights(stylizer, part):
    """Return the path of a part of a stylizer's weights (STYLIZER_PARTS) once it is downloaded or copied."""
    ending = "safetensors" if config["stylizers"][stylizer][part].endswith(".safetensors") else "pth"
    return f"results/downloads/weights/{stylizer}/{part}.{ending}"


def weights_path(wildcards):
    """Return the local file of a stylizer's weights, or no input for a URL."""
    path = config["stylizers"][wildcards.stylizer][wildcards.part]
    return [] if "://" in path else existing_path(path)


def weights_source(wildcards):
    """Return flags for the source of a stylizer's weights and their checksum."""
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"source": entry[wildcards.part], "sha256": entry.get(f"{wildcards.part}_sha256")})


def checksums_of_source(source):
    """Return the list of a published source's files with their checksums."""
    return os.path.join(workflow.basedir, f"workflow/resources/published/{source}.sha256")


def folders_of_source(source):
    """Return the folders of a published source to download, as FOLDER=TARGET."""
    return [f"{folder}={target}" for folder, target in SOURCES[source].folders.items()]


# Source → folder of published observers, for the atlas.
PUBLISHED_OBSERVERS = {
    name: f"results/downloads/published/{path.removeprefix('download:')}" if path.startswith("download:") else path
    for name, path in config["published"].items()
}
# Name → network with published weights in timm or torchvision. Separate rules download them: training jobs have no
# internet, and each would download them again.
PRETRAINED_MODELS = (
    config["models"].values() if any(entry["init"] == "pretrained" for entry in config["regimes"].values()) else []
)
PRETRAINED = {
    pretrained_name(entry): entry
    for entry in [*PRETRAINED_MODELS, *config["observers"].values()]
    if "timm" in entry and "weights" not in entry
}

PUBLISHED_FILES = sorted(
    {
        input_path(entry[key])
        for section, key in (("benchmarks", "folder"), ("observers", "decisions"))
        for entry in config[section].values()
        if entry.get(key, "").startswith("download:")
    }
)
STYLIZER_FILES = [
    downloaded_weights(name, part)
    for name, entry in config["stylizers"].items()
    for part in STYLIZER_PARTS
    if is_url(entry.get(part, ""))
]


rule downloads:
    """Download all files of this study. Run this on a machine with internet if compute nodes have none."""
    input:
        PUBLISHED_FILES,
        [folder for folder in PUBLISHED_OBSERVERS.values() if folder.startswith("results/downloads/")],
        expand("results/downloads/networks/{file}", file=NETWORK_FILES),
        expand("results/downloads/pretrained/{network}.safetensors", network=PRETRAINED),
        STYLIZER_FILES,
    localrule: True


rule download_stimuli:
    """Download the published stimuli: 1,280 cue conflicts, 160 silhouettes, 160 edge drawings."""
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
    """Download the answers of ten people and four networks to the cue conflicts."""
    input:
        checksums=checksums_of_source("geirhos2019"),
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
        folders=folders_of_source("geirhos2019"),
    shell:
        'python "$SCRIPTS"/download.py --source {params.source:q} --checksums {input.checksums:q}'
        " --take {params.folders:q} --out {output:q} > {log:q} 2>&1"


rule download_published:
    """Download the answers of published observers to the cue conflicts, for the atlas."""
    input:
        checksums=lambda wildcards: checksums_of_source(wildcards.source),
    output:
        directory("results/downloads/published/{source}"),
    log:
        "logs/download_published/{source}.log",
    wildcard_constraints:
        source=one_of(DOWNLOADABLE),
    localrule: True
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        source=lambda wildcards: SOURCES[wildcards.source].url,
        folders=lambda wildcards: folders_of_source(wildcards.source),
    shell:
        'python "$SCRIPTS"/download.py --source {params.source:q} --checksums {input.checksums:q}'
        " --take {params.folders:q} --out {output:q} > {log:q} 2>&1"


rule download_network:
    """Download the weights of a network: the initial weights of a model, or those of an observer."""
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
    """Download or copy the weights of a stylizer, or of its encoder or decoder, from a URL or a path."""
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
    """Download the published weights of a network through timm or torchvision."""
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
        network=lambda wildcards: flags({key: PRETRAINED[wildcards.network].get(key) for key in ("timm", "kwargs")}),
    shell:
        'python "$SCRIPTS"/download_pretrained.py {params.network:q} --out {output:q} > {log:q} 2>&1'
