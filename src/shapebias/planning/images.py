"""The jobs that fetch, pack and stylize images, and what each leaves; see planning."""

from collections.abc import Iterable, Iterator

from shapebias.config.checks import ALL
from shapebias.config.dataset_sizes import images_in, images_in_set, shard_counts
from shapebias.config.queries import Config, file_of, is_url, networks
from shapebias.planning.costs import (
    START,
    Known,
    decoder_cost,
    encode_cost,
    image_bytes,
    pack_cost,
    stylize_cost,
    stylizer_start,
)
from shapebias.planning.jobs import Jobs, Key
from shapebias.planning.network_costs import model_bytes, observer_entry

VECTOR = {"ghiasi": 530, "adain": 4300}  # bytes of a style vector with its label
ROW = 130  # bytes of an image in a listing and a manifest
CHECKSUM_RATE = 300e6  # bytes a second that are read and digested
SHEET = 2e6
# The published stimuli and decisions: files, and bytes (of the stimuli from 560 of them).
STIMULI = (1600, 80e6)
DECISIONS = (14, 2e6)
ENCODER, DECODER = 80e6, 14e6  # AdaIN's published weights


# Downloads


def stylizers_used(config: Config) -> list[str]:
    """The stylizers of the config's own that stylize a set."""
    used = {entry["stylizer"] for entry in config["stylized"].values()}
    return [name for name in config["stylizers"] if name in used]


def fetched_parts(config: Config, stylizer: str) -> list[str]:
    """Which of a stylizer's networks are fetched."""
    entry = config["stylizers"][stylizer]
    if "training" not in entry:
        return ["encoder", "decoder"]
    return [] if entry["encoder"] == "random" else ["encoder"]


def fetched_weights(config: Config) -> dict[Key, tuple[Config, int | None]]:
    """The jobs that fetch weights of models and observers: key → a network that has them, and its input size."""
    pretrained = any(regime["init"] == "pretrained" for regime in config["regimes"].values())
    found = {}
    for owner, entry in networks(config):
        section, _, name = owner.partition(".")
        key = weights_job(entry) if "timm" in entry else None
        if key and (section == "observers" or pretrained):
            found.setdefault(key, observer_entry(config, name, trained=section == "models"))
    return found


def weights_job(entry: Config) -> Key | None:
    """The job that fetches a network's own weights, if they are fetched: from a URL, or as timm or torchvision do."""
    weights = entry.get("weights")
    if weights is None:
        return ("download_pretrained", f"{entry['timm']} {sorted(entry['kwargs'].items())}")
    return ("download_network", file_of(weights)) if is_url(weights) else None


def wanted_downloads(config: Config) -> set[str]:
    """Which of the published folders are fetched: stimuli, decisions."""
    folders = [entry.get("folder", "") for entry in config["benchmarks"].values()]
    folders += [entry.get("decisions", "") for entry in config["observers"].values()]
    return {name.removeprefix("download:").partition("/")[0] for name in folders if name.startswith("download:")}


def download_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    wanted = wanted_downloads(config)
    for name, (files, size) in (("stimuli", STIMULI), ("decisions", DECISIONS)):
        if name in wanted:
            yield Jobs((f"download_{name}",), 1, START["plain"], files=files, written=size)
    for key, (entry, size) in fetched_weights(config).items():
        start = START["torch" if key[0] == "download_pretrained" else "plain"]
        yield Jobs(key, 1, start, written=model_bytes(entry, size, known))
    for name in stylizers_used(config):
        for part in fetched_parts(config, name):
            size = ENCODER if part == "encoder" else DECODER
            yield Jobs(("download_weights", name, part), 1, START["plain"], written=size)


# Images


def packed_splits(config: Config) -> Iterator[tuple[str, str, int]]:
    """Set, split and number of shards of all that is packed."""
    for name in (*config["sources"], *config["styles"]):
        for split, shards in shard_counts(config, name).items():
            yield name, split, shards


def packing_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    listed = [name for name in (*config["sources"], *config["styles"]) if is_listed_set(config, name)]
    for name in listed:
        images = images_in_set(config, name, known.found)
        yield Jobs(("scan", name), 1, START["plain"] + images * 5e-5, images, written=images * ROW)
    for name, split, shards in packed_splits(config):
        images, cost = images_in(config, name, split, known.found), pack_cost(config, name, known)
        yield Jobs(
            ("pack", name, split),
            shards,
            START["plain"] + images / shards * cost.seconds,
            images,
            files=2,
            written=images / shards * image_bytes(config, name),
            after=(("scan", name),) if name in listed else (),
            basis=cost.basis,
        )


def is_listed_set(config: Config, name: str) -> bool:
    """Whether a set's images are files, which are listed before they are packed."""
    return "folder" in (config["styles"].get(name) or config["sources"][name])


def style_splits(config: Config, name: str) -> dict[str, str]:
    """Split of a stylized set → the split of its styles: a source's of the same name, a set of styles has one."""
    entry = config["stylized"][name]
    return {split: ALL if entry["styles"] in config["styles"] else split for split in entry["splits"]}


def stylizing_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    yield from decoder_jobs(config, known)
    yield from encoding_jobs(config, known)
    for name, entry in config["stylized"].items():
        cost, stylizer = stylize_cost(config, name, known), entry["stylizer"]
        cpus, gpus = stylizer_resources(config, stylizer)
        for split, styles_split in style_splits(config, name).items():
            images, shards = images_in(config, name, split, known.found), shard_counts(config, name)[split]
            yield Jobs(
                ("stylize", name, split),
                shards,
                stylizer_start(stylizer) + images / shards * cost.seconds,
                images,
                cpus,
                gpus,
                files=2,
                written=images / shards * image_bytes(config, name),
                after=(("pack", entry["content"], split), vectors_job(config, stylizer, entry["styles"], styles_split)),
                basis=cost.basis,
            )


def vectors_job(config: Config, stylizer: str, styles: str, split: str) -> Key:
    """The job that stands for the style vectors of a split: one file for itself, a list of checksums for several."""
    rule = "encode_styles" if shard_counts(config, styles)[split] == 1 else "checksums"
    return (rule, stylizer, styles, split)


def decoder_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    for name in stylizers_used(config):
        entry = config["stylizers"][name]
        if "training" not in entry:
            continue
        recipe, cost = entry["training"], decoder_cost(config, name)
        styles = ("pack", recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train")
        packs = (("pack", recipe["content"], "train"), styles)
        after = (*weights_of(config, name), *packs)
        yield Jobs(
            ("train_stylizer", name),
            1,
            START["torch"] + cost.seconds,
            recipe["steps"] * recipe["batch_size"],
            cpus=(entry["threads"] + entry["workers"]) * max(1, recipe["gpus"]),
            gpus=recipe["gpus"],
            files=4,
            written=ENCODER + DECODER,
            scratch=2 * 3 * DECODER,
            staged=sum(split_bytes(config, *pack[1:], known) for pack in packs) if config["stage_shards"] else 0.0,
            after=after,
            basis=cost.basis,
        )


def split_bytes(config: Config, name: str, split: str, known: Known) -> float:
    """Bytes of all shards of a set's split."""
    return images_in(config, name, split, known.found) * image_bytes(config, name)


def weights_of(config: Config, stylizer: str) -> tuple[Key, ...]:
    """What a stylizer's weights come from, but for a decoder of our own."""
    if stylizer == "ghiasi":
        return ()
    return tuple(("download_weights", stylizer, part) for part in fetched_parts(config, stylizer))


def encoding_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    for stylizer, styles, split in style_vectors(config):
        cost, shards = encode_cost(config, stylizer, styles, known), shard_counts(config, styles)[split]
        images = images_in(config, styles, split, known.found)
        cpus, gpus = stylizer_resources(config, stylizer)
        trained = "training" in config["stylizers"].get(stylizer, {})
        weights = (("train_stylizer", stylizer),) if trained else weights_of(config, stylizer)
        yield Jobs(
            ("encode_styles", stylizer, styles, split),
            shards,
            stylizer_start(stylizer) + images / shards * cost.seconds,
            images,
            cpus,
            gpus,
            written=images / shards * VECTOR["ghiasi" if stylizer == "ghiasi" else "adain"],
            after=(("pack", styles, split), *weights),
            basis=cost.basis,
        )


def style_vectors(config: Config) -> list[tuple[str, str, str]]:
    """Stylizer, set of styles and split of all that is encoded, each once."""
    wanted = {
        (entry["stylizer"], entry["styles"], split): None
        for name, entry in config["stylized"].items()
        for split in style_splits(config, name).values()
    }
    return list(wanted)


def checksum_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    """One for each split that others depend on as a whole: style vectors, images for training and benchmarks."""
    for stylizer, styles, split in style_vectors(config):
        if vectors_job(config, stylizer, styles, split)[0] != "checksums":
            continue
        made = (("encode_styles", stylizer, styles, split),)
        yield Jobs(("checksums", stylizer, styles, split), 1, START["plain"], written=1e3, after=made)
    for name, split in read_splits(config):
        size = split_bytes(config, name, split, known)
        seconds, made = START["plain"] + size / CHECKSUM_RATE, images_of(config, name, (split,))
        yield Jobs(("checksums", name, split), 1, seconds, written=1e3, after=made)


def read_splits(config: Config) -> list[tuple[str, str]]:
    """Set and split of all images that networks are trained on, validated with or shown, each once."""
    sets = [name for regime in config["regimes"].values() for name in regime["train_on"]]
    shown = [entry["images"] for entry in config["benchmarks"].values() if "images" in entry]
    return list(dict.fromkeys([(n, s) for n in sets for s in ("train", "val")] + [(n, "test") for n in shown]))


def stylizer_resources(config: Config, stylizer: str) -> tuple[int, int]:
    """CPUs and GPUs of a job that stylizes or encodes."""
    if stylizer == "ghiasi":
        return 1, 0
    entry = config["stylizers"][stylizer]
    return entry["threads"] + entry["workers"], config["gpus"]


def set_jobs(config: Config, known: Known) -> Iterator[Jobs]:
    for name in (*config["sources"], *config["styles"], *config["stylized"]):
        images, made = images_in_set(config, name, known.found), images_of(config, name)
        seconds = START["plain"] + 1 + images * 1e-4
        yield Jobs(("catalogue", name), 1, seconds, images, files=3, written=images * ROW + SHEET, after=made)
    packed = tuple(("catalogue", name) for name in (*config["sources"], *config["styles"]))
    if packed:
        yield Jobs(("rejected_sheet",), 1, START["plain"], written=1e4, after=packed)


def images_of(config: Config, name: str, splits: Iterable[str] = ()) -> tuple[Key, ...]:
    """The jobs that make a set's splits, all by default."""
    rule = "stylize" if name in config["stylized"] else "pack"
    return tuple((rule, name, split) for split in (splits or shard_counts(config, name)))
