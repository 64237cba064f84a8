"""What the jobs of each rule work on, how long they take, and what they leave: from the config and the costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shapebias.config.checks import ALL
from shapebias.config.dataset_sizes import images_in, images_in_set, images_shown, shard_counts, training_images
from shapebias.config.queries import Config, file_of, networks, pretrained_name
from shapebias.planning.costs import (
    ANSWER,
    START,
    Basis,
    Known,
    decoder_cost,
    encode_cost,
    image_bytes,
    pack_cost,
    stylize_cost,
    stylizer_start,
)
from shapebias.planning.network_costs import (
    checkpoint_bytes,
    epochs_of,
    evaluation_seconds,
    model_bytes,
    observer_entry,
    showing_cost,
    training_cost,
    training_seconds,
)

VECTOR = {"ghiasi": 530, "adain": 4300}  # bytes of a style vector with its label
ROW = 130  # bytes of an image in a listing and a manifest
CHECKSUM_RATE = 300e6  # bytes a second that are read and digested
SHEET = 2e6  # bytes of a contact sheet
# The published stimuli and decisions: files, and bytes (of the stimuli from 560 of them).
STIMULI = (1600, 80e6)
DECISIONS = (14, 2e6)
ENCODER, DECODER = 80e6, 14e6  # bytes of AdaIN's published weights
WANDB = (17, 1.4e6)  # files and bytes of a run that is recorded offline
REPORT, FIGURE, TABLE = 8e6, 3e5, 1e5  # bytes of a file


@dataclass(frozen=True)
class Work:
    """Of one job: seconds without the scheduler's, images it works on at most, bytes that it writes.

    files: that it leaves beside Snakemake's outputs. scratch: bytes of checkpoints while it runs. staged: bytes that it
    copies to each of its nodes. basis: what `seconds` rests on.
    """

    seconds: float
    images: float = 0
    written: float = 1e3
    files: int = 0
    scratch: float = 0.0
    staged: float = 0.0
    basis: Basis | None = None


@dataclass(frozen=True)
class Study:
    """A checked config, what is known better than assumed, and the observer → (model, regime) of its runs."""

    config: Config
    known: Known
    runs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


Wildcards = Mapping[str, str]


def work_of(study: Study, rule: str, wildcards: Wildcards, outputs: int) -> Work:
    """The work of one job; outputs: the number of its files."""
    return WORK[rule](study, wildcards, outputs)


# Downloads


def download_network(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    for owner, entry in networks(study.config):
        if file_of(entry.get("weights", "")) == wildcards["file"]:
            return weights_work(study, owner, START["plain"])
    return Work(START["plain"])


def download_pretrained(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    """Weights that timm or torchvision fetch."""
    for owner, entry in networks(study.config):
        if "timm" in entry and "weights" not in entry and pretrained_name(entry) == wildcards["network"]:
            return weights_work(study, owner, START["torch"])
    return Work(START["torch"])


def weights_work(study: Study, owner: str, start: float) -> Work:
    section, _, name = owner.partition(".")
    entry, size = observer_entry(study.config, name, trained=section == "models")
    return Work(start, written=model_bytes(entry, size, study.known))


def download_weights(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    return Work(START["plain"], written=ENCODER if wildcards["part"] == "encoder" else DECODER)


# Images


def scan(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    images = images_in_set(study.config, wildcards["set"], study.known.found)
    return Work(START["plain"] + images * 5e-5, images, written=images * ROW)


def images_per_shard(study: Study, name: str, split: str) -> float:
    return images_in(study.config, name, split, study.known.found) / shard_counts(study.config, name)[split]


def pack(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    name = wildcards["set"]
    images, cost = images_per_shard(study, name, wildcards["split"]), pack_cost(study.config, name, study.known)
    seconds = START["plain"] + images * cost.seconds
    return Work(seconds, images, images * image_bytes(study.config, name), basis=cost.basis)


def encode_styles(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    name, stylizer = wildcards["set"], wildcards["stylizer"]
    images = images_per_shard(study, name, wildcards["split"])
    cost = encode_cost(study.config, stylizer, name, study.known)
    written = images * VECTOR["ghiasi" if stylizer == "ghiasi" else "adain"]
    return Work(stylizer_start(stylizer) + images * cost.seconds, images, written, basis=cost.basis)


def stylize(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    name = wildcards["set"]
    images, cost = images_per_shard(study, name, wildcards["split"]), stylize_cost(study.config, name, study.known)
    seconds = stylizer_start(study.config["stylized"][name]["stylizer"]) + images * cost.seconds
    return Work(seconds, images, images * image_bytes(study.config, name), basis=cost.basis)


def checksums(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    """Of images all bytes are read; style vectors are small."""
    if wildcards["kept"] != "images":
        return Work(START["plain"])
    return Work(START["plain"] + split_bytes(study, wildcards["set"], wildcards["split"]) / CHECKSUM_RATE)


def split_bytes(study: Study, name: str, split: str) -> float:
    """Bytes of all shards of a set's split."""
    return images_in(study.config, name, split, study.known.found) * image_bytes(study.config, name)


def catalogue(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    images = images_in_set(study.config, wildcards["set"], study.known.found)
    return Work(START["plain"] + 1 + images * 1e-4, images, images * ROW + SHEET)


def train_stylizer(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    config, name = study.config, wildcards["stylizer"]
    recipe, cost = config["stylizers"][name]["training"], decoder_cost(config, name)
    sets = [
        (recipe["content"], "train"),
        (recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train"),
    ]
    return Work(
        START["torch"] + cost.seconds,
        recipe["steps"] * recipe["batch_size"],
        ENCODER + DECODER,
        scratch=2 * 3 * DECODER,
        staged=sum(split_bytes(study, *images) for images in sets) if config["stage_shards"] else 0.0,
        basis=cost.basis,
    )


# Training and measuring


def train(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    config, model, regime = study.config, wildcards["model"], wildcards["regime"]
    files, written = (0, 0.0) if config["wandb"]["mode"] == "disabled" else WANDB
    sets = [(name, split) for name in config["regimes"][regime]["train_on"] for split in ("train", "val")]
    return Work(
        training_seconds(config, model, regime, study.known),
        epochs_of(config, model, regime) * training_images(config, regime, "train", study.known.found),
        model_bytes(config["models"][model], config["input_size"], study.known) + written,
        files,
        scratch=2 * checkpoint_bytes(config, model, regime, study.known),
        staged=sum(split_bytes(study, *images) for images in sets) if config["stage_shards"] else 0.0,
        basis=training_cost(config, model, regime, study.known).basis,
    )


def evaluate(study: Study, wildcards: Wildcards, outputs: int, melanoma: bool = False) -> Work:
    config, observer = study.config, wildcards["observer"]
    trained = observer in study.runs
    name = study.runs[observer][0] if trained else observer
    benchmarks = [key for key, entry in config["benchmarks"].items() if (entry["kind"] == "melanoma") == melanoma]
    answers = sum(images_shown(config, key, study.known.found) for key in benchmarks)
    return Work(
        evaluation_seconds(config, name, trained=trained, melanoma=melanoma, known=study.known),
        answers,
        answers * ANSWER,
        basis=showing_cost(config, name, trained=trained, known=study.known).basis,
    )


def evaluate_melanoma(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    return evaluate(study, wildcards, outputs, melanoma=True)


# Report


def number_of_observers(study: Study) -> int:
    return len(study.runs) + sum("timm" in entry for entry in study.config["observers"].values())


def tables(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    return Work(1 + 0.3 * number_of_observers(study), written=outputs * TABLE)


def figures(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    return Work(5 + 0.4 * number_of_observers(study), written=outputs * FIGURE)


def report(study: Study, wildcards: Wildcards, outputs: int) -> Work:
    return Work(5 + 0.1 * number_of_observers(study), written=REPORT)


def always(work: Work) -> Callable[[Study, Wildcards, int], Work]:
    """Of a rule whose jobs are all alike."""
    return lambda study, wildcards, outputs: work


WORK: dict[str, Callable[[Study, Wildcards, int], Work]] = {
    "download_stimuli": always(Work(START["plain"], written=STIMULI[1], files=STIMULI[0] - 1)),
    "download_decisions": always(Work(START["plain"], written=DECISIONS[1], files=DECISIONS[0] - 1)),
    "download_network": download_network,
    "download_pretrained": download_pretrained,
    "download_weights": download_weights,
    "scan": scan,
    "pack": pack,
    "train_stylizer": train_stylizer,
    "encode_styles": encode_styles,
    "stylize": stylize,
    "checksums": checksums,
    "catalogue": catalogue,
    "rejected_sheet": always(Work(START["plain"], written=1e4)),
    "train": train,
    "evaluate": evaluate,
    "evaluate_melanoma": evaluate_melanoma,
    "tables": tables,
    "figures": figures,
    "settings": always(Work(0.1, written=5e3)),
    "report": report,
    "track": always(Work(3.0, written=1e4)),
    "all": always(Work(0.0, written=0.0)),
}
