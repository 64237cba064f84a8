"""The jobs that train networks, measure them and report, and what each leaves; see planning."""

from collections.abc import Iterator
from dataclasses import dataclass

from shapebias.config.dataset_sizes import images_shown, training_images
from shapebias.config.queries import Config, melanoma_regimes
from shapebias.planning.costs import ANSWER, Known
from shapebias.planning.images import split_bytes, wanted_downloads, weights_job
from shapebias.planning.jobs import Jobs, Key
from shapebias.planning.network_costs import (
    checkpoint_bytes,
    epochs_of,
    evaluation_seconds,
    is_read_out,
    model_bytes,
    ranks_of,
    recipe_in,
    showing_cost,
    training_cost,
    training_seconds,
)

WANDB = (17, 1.4e6)  # files and bytes of a run that is recorded offline
REPORT = 8e6
FIGURE = 3e5
TABLE = 1e5


def training_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    """The runs; where one starts from another, that comes first."""
    files, size = (0, 0.0) if config["wandb"]["mode"] == "disabled" else WANDB
    for model, entry in config["models"].items():
        for regime in by_start(config):
            recipe, ranks = recipe_in(config, model, regime), ranks_of(config, model, regime)
            sets, init = config["regimes"][regime]["train_on"], config["regimes"][regime]["init"]
            after: list[Key] = [("checksums", name, split) for name in sets for split in ("train", "val")]
            if init in config["regimes"]:
                after.append(("train", model, init))
            elif init == "pretrained" and (fetched := weights_job(entry)):
                after.append(fetched)
            seen = epochs_of(config, model, regime) * training_images(config, regime, "train", known.found)
            yield Jobs(
                ("train", model, regime),
                len(config["seeds"]),
                training_seconds(config, model, regime, known),
                seen * len(config["seeds"]),
                cpus=ranks * (recipe["threads"] + recipe["workers"]),
                gpus=config["gpus"] * ranks,
                files=3 + files,
                written=model_bytes(entry, config["input_size"], known) + size,
                scratch=2 * checkpoint_bytes(config, model, regime, known),
                staged=staged_bytes(config, regime, known) if config["stage_shards"] else 0.0,
                nodes=recipe.get("nodes", 1),
                after=tuple(after),
                basis=training_cost(config, model, regime, known).basis,
            )


def by_start(config: Config) -> list[str]:
    """The regimes, each after the one that it starts from."""
    ordered: list[str] = []
    while len(ordered) < len(config["regimes"]):
        ready = [
            name
            for name, regime in config["regimes"].items()
            if name not in ordered and (regime["init"] not in config["regimes"] or regime["init"] in ordered)
        ]
        ordered += ready
    return ordered


def staged_bytes(config: Config, regime: str, known: Known) -> float:
    """Bytes of the shards that a run trains on and is validated with."""
    return sum(
        split_bytes(config, name, split, known)
        for name in config["regimes"][regime]["train_on"]
        for split in ("train", "val")
    )


def benchmark_inputs(config: Config, name: str) -> tuple[Key, ...]:
    """The jobs that make or fetch a benchmark's images."""
    entry = config["benchmarks"][name]
    if "images" in entry:
        return (("checksums", entry["images"], "test"),)
    return (("download_stimuli",),) if entry["folder"].startswith("download:") else ()


@dataclass(frozen=True)
class Shown:
    """Networks that are shown benchmarks: the runs of a model in a regime, or one of the observers."""

    name: str  # of the model, or of the observer
    regime: str
    count: int
    after: tuple[Key, ...]

    @property
    def trained(self) -> bool:
        return bool(self.regime)


def shown_networks(config: Config) -> Iterator[Shown]:
    for model in config["models"]:
        for regime in config["regimes"]:
            yield Shown(model, regime, len(config["seeds"]), (("train", model, regime),))
    for name, entry in config["observers"].items():
        if "timm" in entry:
            fetched = weights_job(entry)
            yield Shown(name, "", 1, (fetched,) if fetched else ())


def measuring_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    told_melanomas = melanoma_regimes(config)
    evaluation = config["evaluation"]
    resources = {"cpus": evaluation["threads"] + evaluation["workers"], "gpus": config["gpus"]}
    for shown in shown_networks(config):
        melanoma = shown.regime in told_melanomas
        names = [name for name, e in config["benchmarks"].items() if (e["kind"] == "melanoma") == melanoma]
        answers = sum(images_shown(config, name, known.found) for name in names)
        basis = showing_cost(config, shown.name, trained=shown.trained, known=known).basis
        inputs = tuple(dict.fromkeys(key for name in names for key in benchmark_inputs(config, name)))
        yield Jobs(
            ("evaluate_melanoma" if melanoma else "evaluate", shown.name, shown.regime),
            shown.count,
            evaluation_seconds(config, shown.name, trained=shown.trained, melanoma=melanoma, known=known),
            answers * shown.count,
            files=len(names) * (1 if melanoma else 2) + sum(is_read_out(config, name) for name in names),
            written=answers * ANSWER,
            after=(*shown.after, *inputs),
            basis=basis,
            **resources,
        )


def report_jobs(config: Config) -> Iterator[Jobs]:
    kinds = [entry["kind"] for entry in config["benchmarks"].values()]
    conflicts, lesions = kinds.count("cue_conflict"), kinds.count("melanoma")
    read_out = sum(entry["read_out"] for entry in config["benchmarks"].values())
    observers = sum(shown.count for shown in shown_networks(config))
    measured: list[Key] = [
        key
        for shown in shown_networks(config)
        for key in (("evaluate", shown.name, shown.regime), ("evaluate_melanoma", shown.name, shown.regime))
    ]
    measured += [("catalogue", name) for name in (*config["sources"], *config["styles"], *config["stylized"])]
    if "decisions" in wanted_downloads(config):
        measured.append(("download_decisions",))
    tables = 20 + conflicts + (1 if lesions else 0)
    figures = 2 * (5 + 8 * conflicts + read_out + 2 * lesions)
    yield Jobs(("tables",), 1, 1 + 0.3 * observers, files=tables, written=tables * TABLE, after=tuple(measured))
    yield Jobs(("figures",), 1, 5 + 0.4 * observers, files=figures, written=figures * FIGURE, after=(("tables",),))
    yield Jobs(("settings",), 1, 0.1, written=5e3)
    yield Jobs(("report",), 1, 5 + 0.1 * observers, written=REPORT, after=(("figures",), ("rejected_sheet",)))
    last: tuple[Key, ...] = (("report",), ("settings",))
    if config["wandb"]["mode"] != "disabled":
        yield Jobs(("track",), 1, 3.0, written=1e4, after=(("figures",),))
        last += (("track",),)
    yield Jobs(("all",), 1, 0.0, files=0, after=last)
