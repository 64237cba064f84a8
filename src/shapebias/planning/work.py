"""The work of each rule's jobs: their images, their time and the files that they write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shapebias.config.dataset_sizes import images_in, images_in_set, images_shown, shard_counts, training_images
from shapebias.config.queries import ALL, Config, file_of, networks, pretrained_name
from shapebias.config.stylizer_kinds import stylizer_kind
from shapebias.planning.costs import (
    ANSWER,
    START,
    Basis,
    Measurements,
    decoder_cost,
    encode_cost,
    image_bytes,
    pack_cost,
    stylize_cost,
    stylizer_start,
)
from shapebias.planning.network_costs import (
    checkpoint_bytes,
    evaluation_cost,
    evaluation_seconds,
    max_epochs,
    model_bytes,
    observer_entry,
    training_cost,
    training_seconds,
)

ROW = 130  # bytes of an image's row in a listing or a manifest
CHECKSUM_RATE = 300e6  # bytes a second that a job reads and digests
SHEET = 2e6  # bytes of a contact sheet
# The published stimuli and decisions: number of files, and bytes (those of the stimuli follow from 560 of them).
STIMULI = (1600, 80e6)
DECISIONS = (14, 2e6)
# Bytes of AdaIN's published weights, and of torchvision's VGG-19.
STYLIZER_WEIGHTS = {"encoder": 80e6, "decoder": 14e6, "weights": 575e6}
WANDB = (17, 1.4e6)  # files and bytes of a run that is recorded offline
REPORT, FIGURE, TABLE = 8e6, 3e5, 1e5  # bytes of a file


@dataclass(frozen=True)
class Work:
    """The work of one job.

    seconds: without the scheduler's time. images: upper limit. written: bytes. files: number of the files that the job
    leaves beside Snakemake's outputs. scratch: bytes of checkpoints while it runs. staged: bytes that it copies to each
    of its nodes. basis: of `seconds`.
    """

    seconds: float
    images: float = 0
    written: float = 1e3
    files: int = 0
    scratch: float = 0.0
    staged: float = 0.0
    basis: Basis | None = None


@dataclass(frozen=True)
class PlanInputs:
    """A checked config, the measurements for its plan, and its runs as observer → (model, regime)."""

    config: Config
    measurements: Measurements
    runs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


Wildcards = Mapping[str, str]


def work_of(inputs: PlanInputs, rule: str, wildcards: Wildcards, outputs: int) -> Work:
    """Return the work of one job; outputs: the number of its output files."""
    return WORK_OF_RULE[rule](inputs, wildcards, outputs)


# Downloads


def download_network_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    for owner, entry in networks(inputs.config):
        if file_of(entry.get("weights", "")) == wildcards["file"]:
            return weights_work(inputs, owner, START["plain"])
    return Work(START["plain"])


def download_pretrained_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    """Return the work of a download through timm or torchvision."""
    for owner, entry in networks(inputs.config):
        if "timm" in entry and "weights" not in entry and pretrained_name(entry) == wildcards["network"]:
            return weights_work(inputs, owner, START["torch"])
    return Work(START["torch"])


def weights_work(inputs: PlanInputs, owner: str, start: float) -> Work:
    """Return the work of downloading a network's weights; owner: such as models.resnet."""
    section, _, name = owner.partition(".")
    entry, size = observer_entry(inputs.config, name, trained=section == "models")
    return Work(start, written=model_bytes(entry, size, inputs.measurements))


def download_weights_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    return Work(START["plain"], written=STYLIZER_WEIGHTS[wildcards["part"]])


# Images


def scan_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    images = images_in_set(inputs.config, wildcards["set"], inputs.measurements.folder_sizes)
    return Work(START["plain"] + images * 5e-5, images, written=images * ROW)


def images_per_shard(inputs: PlanInputs, name: str, split: str) -> float:
    """Return the mean number of images in a shard."""
    return (
        images_in(inputs.config, name, split, inputs.measurements.folder_sizes)
        / shard_counts(inputs.config, name)[split]
    )


def pack_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    name = wildcards["set"]
    images, cost = (
        images_per_shard(inputs, name, wildcards["split"]),
        pack_cost(inputs.config, name, inputs.measurements),
    )
    seconds = START["plain"] + images * cost.seconds
    return Work(seconds, images, images * image_bytes(inputs.config, name), basis=cost.basis)


def encode_styles_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    name, stylizer = wildcards["set"], wildcards["stylizer"]
    images = images_per_shard(inputs, name, wildcards["split"])
    cost = encode_cost(inputs.config, stylizer, name, inputs.measurements)
    written = images * stylizer_kind(inputs.config, stylizer).style_bytes
    return Work(stylizer_start(inputs.config, stylizer) + images * cost.seconds, images, written, basis=cost.basis)


def stylize_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    name = wildcards["set"]
    images, cost = (
        images_per_shard(inputs, name, wildcards["split"]),
        stylize_cost(inputs.config, name, inputs.measurements),
    )
    seconds = stylizer_start(inputs.config, inputs.config["stylized"][name]["stylizer"]) + images * cost.seconds
    return Work(seconds, images, images * image_bytes(inputs.config, name), basis=cost.basis)


def checksums_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    """Return the work of reading all bytes of a split's images; style vectors are too small to count."""
    if wildcards["folder"] != "images":
        return Work(START["plain"])
    return Work(START["plain"] + split_bytes(inputs, wildcards["set"], wildcards["split"]) / CHECKSUM_RATE)


def split_bytes(inputs: PlanInputs, name: str, split: str) -> float:
    """Return the bytes of all shards of a set's split."""
    return images_in(inputs.config, name, split, inputs.measurements.folder_sizes) * image_bytes(inputs.config, name)


def catalogue_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    images = images_in_set(inputs.config, wildcards["set"], inputs.measurements.folder_sizes)
    return Work(START["plain"] + 1 + images * 1e-4, images, images * ROW + SHEET)


def train_stylizer_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    config, name = inputs.config, wildcards["stylizer"]
    recipe, cost = config["stylizers"][name]["training"], decoder_cost(config, name)
    splits = [
        (recipe["content"], "train"),
        (recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train"),
    ]
    return Work(
        START["torch"] + cost.seconds,
        recipe["steps"] * recipe["batch_size"],
        STYLIZER_WEIGHTS["encoder"] + STYLIZER_WEIGHTS["decoder"],
        scratch=2 * 3 * STYLIZER_WEIGHTS["decoder"],
        staged=sum(split_bytes(inputs, *split) for split in splits) if config["stage_shards"] else 0.0,
        basis=cost.basis,
    )


# Training and measuring


def train_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    config, model, regime = inputs.config, wildcards["model"], wildcards["regime"]
    files, written = (0, 0.0) if config["wandb"]["mode"] == "disabled" else WANDB
    splits = [(name, split) for name in config["regimes"][regime]["train_on"] for split in ("train", "val")]
    return Work(
        training_seconds(config, model, regime, inputs.measurements),
        max_epochs(config, model, regime) * training_images(config, regime, "train", inputs.measurements.folder_sizes),
        model_bytes(config["models"][model], config["input_size"], inputs.measurements) + written,
        files,
        scratch=2 * checkpoint_bytes(config, model, regime, inputs.measurements),
        staged=sum(split_bytes(inputs, *split) for split in splits) if config["stage_shards"] else 0.0,
        basis=training_cost(config, model, regime, inputs.measurements).basis,
    )


def evaluate_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int, melanoma: bool = False) -> Work:
    config, observer = inputs.config, wildcards["observer"]
    trained = observer in inputs.runs
    name = inputs.runs[observer][0] if trained else observer
    benchmarks = [key for key, entry in config["benchmarks"].items() if (entry["kind"] == "melanoma") == melanoma]
    answers = sum(images_shown(config, key, inputs.measurements.folder_sizes) for key in benchmarks)
    return Work(
        evaluation_seconds(config, name, trained=trained, melanoma=melanoma, measurements=inputs.measurements),
        answers,
        answers * ANSWER,
        basis=evaluation_cost(config, name, trained=trained, measurements=inputs.measurements).basis,
    )


def evaluate_melanoma_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    return evaluate_work(inputs, wildcards, outputs, melanoma=True)


# Report


def observer_count(inputs: PlanInputs) -> int:
    """Return the number of networks: trained runs and pretrained observers."""
    return len(inputs.runs) + sum("timm" in entry for entry in inputs.config["observers"].values())


def tables_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    return Work(1 + 0.3 * observer_count(inputs), written=outputs * TABLE)


def figures_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    return Work(5 + 0.4 * observer_count(inputs), written=outputs * FIGURE)


def report_work(inputs: PlanInputs, wildcards: Wildcards, outputs: int) -> Work:
    return Work(5 + 0.1 * observer_count(inputs), written=REPORT)


def constant_work(work: Work) -> Callable[[PlanInputs, Wildcards, int], Work]:
    """Return a function for a rule whose jobs all have the same work."""
    return lambda inputs, wildcards, outputs: work


WORK_OF_RULE: dict[str, Callable[[PlanInputs, Wildcards, int], Work]] = {
    "download_stimuli": constant_work(Work(START["plain"], written=STIMULI[1], files=STIMULI[0] - 1)),
    "download_decisions": constant_work(Work(START["plain"], written=DECISIONS[1], files=DECISIONS[0] - 1)),
    "download_network": download_network_work,
    "download_pretrained": download_pretrained_work,
    "download_weights": download_weights_work,
    "scan": scan_work,
    "pack": pack_work,
    "train_stylizer": train_stylizer_work,
    "encode_styles": encode_styles_work,
    "stylize": stylize_work,
    "checksums": checksums_work,
    "catalogue": catalogue_work,
    "rejected_sheet": constant_work(Work(START["plain"], written=1e4)),
    "train": train_work,
    "evaluate": evaluate_work,
    "evaluate_melanoma": evaluate_melanoma_work,
    "tables": tables_work,
    "figures": figures_work,
    "settings": constant_work(Work(0.1, written=5e3)),
    "report": report_work,
    "track": constant_work(Work(3.0, written=1e4)),
    "all": constant_work(Work(0.0, written=0.0)),
}
