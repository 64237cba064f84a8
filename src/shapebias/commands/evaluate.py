"""Show benchmarks to a network and write the network's decision on every image.

One call measures one network on one or more benchmarks: the i-th --benchmark takes the i-th --images and the i-th
--out. An image that appears in several benchmarks is decoded once. With --reuse, a measurement is copied from that
folder if the same network, images, settings and code have made it before. The network is loaded only if a measurement
is missing. With --shared, networks with the same input share prepared images, and read-outs of equal features.
"""

import argparse
import logging
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from shapebias.cli import Parser, json_object, non_negative_int, positive_int, proportion
from shapebias.downloads import checksum
from shapebias.errors import UserError
from shapebias.evaluation import cue_suppression
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import (
    PROTOCOLS_SUFFIX,
    READ_OUT_KEY,
    read_label_predictions,
    read_observers,
    read_predictions,
    read_raw_predictions,
    write_decisions,
    write_predictions,
)
from shapebias.evaluation.fingerprints import fingerprint_measurement
from shapebias.evaluation.fitted_read_out import fit_read_out, open_photographs
from shapebias.evaluation.inputs import CAPACITY, ImageCache
from shapebias.evaluation.label_answers import CATEGORY_LABELS, PUBLISHED
from shapebias.evaluation.observer import load_observer, measure
from shapebias.evaluation.protocols import measure_protocols
from shapebias.evaluation.shared_files import SharedFolder
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.files import atomic_write, check_folder
from shapebias.images.image_folder import read_categories
from shapebias.images.pictures import Picture
from shapebias.metrics.configural_shape import describe_configural_shape
from shapebias.metrics.frequency_bias import describe_frequency_bias
from shapebias.metrics.laion_c import describe_laion_c
from shapebias.metrics.linear_read_out import StageReader, is_conflict
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.protocol_range import describe_range, read_protocol_answers, tabulate_protocols
from shapebias.metrics.refined_bias import describe_refined_bias
from shapebias.metrics.shape_bias import accuracy_row, bias_rows, count_cues, describe_bias
from shapebias.networks.device import device_name, keep_freed_memory, resolve_device
from shapebias.networks.heads import READ_OUTS
from shapebias.networks.weights import weights_path
from shapebias.provenance import provenance
from shapebias.seals import CHECKSUM_LIST, check_against_list, write_checksum_list
from shapebias.tables.columns import PEOPLE

log = logging.getLogger(__name__)

# Measure with labels of its own → the function that says its result in words.
DESCRIPTIONS = {
    "configural_shape": describe_configural_shape,
    "refined_bias": describe_refined_bias,
    "laion_c": describe_laion_c,
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    network = parser.add_argument_group("network")
    network.add_argument(
        "--timm",
        required=True,
        metavar="NAME",
        help="the network's name in timm, torchvision/NAME or hf-hub:OWNER/NAME",
    )
    network.add_argument(
        "--weights", metavar="FILE", help="weights file (default: timm downloads the published weights)"
    )
    network.add_argument("--kwargs", type=json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument(
        "--classes", type=Path, help="CSV class,category with the outputs in order (default: ILSVRC's 1,000 classes)"
    )
    network.add_argument(
        "--head",
        choices=READ_OUTS,
        help="instead of the network's classifier: read its features with a head that is fitted on --fit-on",
    )
    network.add_argument(
        "--fit-on",
        type=Path,
        metavar="FOLDER",
        help="photographs <category>/image for --head; none may be an image of a benchmark",
    )
    network.add_argument(
        "--observer", help="the network's name in the results (default: the name of --out, without .parquet)"
    )
    images = parser.add_argument_group("benchmarks (repeat the options in the same order)")
    images.add_argument(
        "--images",
        type=Path,
        nargs="+",
        action="append",
        required=True,
        metavar="PATH",
        help="folders, shards, or archives (.zip, .tar, .tar.gz) in the layout of model-vs-human",
    )
    images.add_argument(
        "--benchmark",
        choices=list(KINDS),
        metavar="KIND",
        action="append",
        required=True,
        help=f"kind of benchmark: {', '.join(KINDS)}",
    )
    images.add_argument("--out", type=Path, action="append", required=True, metavar="X.parquet", help="predictions")
    images.add_argument(
        "--decisions",
        type=Path,
        action="append",
        default=[],
        metavar="X.csv",
        help="also write decisions for model-vs-human",
    )
    images.add_argument(
        "--suppress",
        nargs="+",
        action="append",
        default=[],
        metavar="CUE=NUMBERS",
        help="strengths for each benchmark of kind suppressed: patches along a side (shape, rotation), standard "
        "deviations of smoothing in pixels (texture, gaussian) or grey levels (non_local_means), fractions of grey "
        "(colour), 1 (channels); two cues at once as texture_and_shape=1+2,1.5+4, texture_and_colour or "
        "shape_and_colour; also as JSON "
        f"(default: {cue_suppression.format_strengths(cue_suppression.DEFAULT_STRENGTHS)})",
    )
    images.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="X.csv",
        help="for each benchmark with labels of its own: a CSV class,label with classes of the network; or published, "
        "or categories for the 16 categories (default: published)",
    )
    images.add_argument(
        "--read-out",
        action="append",
        default=[],
        metavar="NAME=X.csv",
        help="for each benchmark of kind cue_conflict: also read shape and texture out of every stage with linear "
        "classifiers, and write the table X.csv with NAME as the benchmark; - for no read-out",
    )
    images.add_argument(
        "--protocols",
        action="append",
        default=[],
        metavar=f"X{PROTOCOLS_SUFFIX}",
        help="for each benchmark of kind cue_conflict: also decide under all protocols of the field, and write these "
        "decisions; - for no protocols",
    )
    parser.add_argument(
        "--reuse", type=Path, metavar="FOLDER", help="keep copies of measurements in this folder and reuse them"
    )
    parser.add_argument(
        "--shared",
        type=Path,
        metavar="FOLDER",
        help="keep prepared images and read-outs in this folder, for other networks with the same input",
    )
    parser.add_argument("--batch-size", type=positive_int, default=16, help="images at a time (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        help="CPU threads; the last bits of a result depend on the number (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=non_negative_int, default=2, help="threads that decode ahead (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of rejected images")
    args = parser.parse_args(argv)
    if not len(args.images) == len(args.benchmark) == len(args.out) or len(args.decisions) not in (0, len(args.out)):
        parser.error("give --images, --benchmark, --out (and --decisions) equally often")
    kinds = [KINDS[name].measures for name in args.benchmark]
    if args.decisions and "melanoma" in kinds:
        parser.error("--decisions: model-vs-human knows only categories, and the benchmark melanoma has none")
    if args.suppress and len(args.suppress) != kinds.count("reliance"):
        parser.error("give --suppress once for each benchmark of kind suppressed, or not at all")
    if len(args.labels) not in (0, sum(KINDS[name].rule is not None for name in args.benchmark)):
        parser.error("give --labels once for each benchmark with labels of its own, or not at all")
    if len(args.read_out) not in (0, args.benchmark.count("cue_conflict")):
        parser.error("give --read-out once for each benchmark of kind cue_conflict, or not at all")
    if len(args.protocols) not in (0, args.benchmark.count("cue_conflict")):
        parser.error("give --protocols once for each benchmark of kind cue_conflict, or not at all")
    if wrong := [text for text in args.protocols if text != "-" and not text.endswith(PROTOCOLS_SUFFIX)]:
        parser.error(f"--protocols {wrong[0]!r} does not end in {PROTOCOLS_SUFFIX}, and is not -")
    if wrong := [path for path in args.out if path.suffix != ".parquet" or path.name.endswith(PROTOCOLS_SUFFIX)]:
        parser.error(
            f"--out {wrong[0]}: predictions are a Parquet file; give a name that ends in .parquet, and not in "
            f"{PROTOCOLS_SUFFIX}"
        )
    if (args.head is None) != (args.fit_on is None):
        parser.error("give --head and --fit-on together")
    if args.head and (args.classes or args.read_out or args.protocols):
        parser.error("--head replaces the classifier: leave out --classes, --read-out and --protocols, which need it")
    stems = {path.stem for path in args.out}
    if args.observer is None and len(stems) == 1:
        [args.observer] = stems
    if args.observer == PEOPLE:
        parser.error(f"--observer {PEOPLE}: in the tables this name means all people together; choose another")
    if wrong := [text for text in args.read_out if text != "-" and "=" not in text]:
        parser.error(f"--read-out {wrong[0]!r} is not NAME=X.csv, and not -")
    return args


@dataclass(frozen=True)
class Measurement:
    """One benchmark to show, and the files to write.

    read_out: the benchmark's name in a table, and that table. protocols: the file of decisions under all protocols.
    labels: as in `label_answers.choose_label_map`.
    """

    images: list[Path]
    kind: str
    out: Path
    decisions: Path | None
    suppress: cue_suppression.Strengths | None
    read_out: tuple[str, Path] | None
    protocols: Path | None
    labels: str = PUBLISHED

    @property
    def outputs(self) -> dict[str, Path]:
        """Name of a copy → output."""
        tables = {"decisions.csv": self.decisions, "read_out.csv": self.read_out and self.read_out[1]}
        tables["protocols.parquet"] = self.protocols
        return {name: path for name, path in tables.items() if path} | {"predictions.parquet": self.out}


def measurements(args: argparse.Namespace) -> list[Measurement]:
    """Return the measurements that the command line requests.

    Raises UserError for strengths that are not allowed, and for one output of two measurements.
    """
    strengths = iter([cue_suppression.read_strengths(words) for words in args.suppress])
    tables, labels, protocols = iter(args.read_out), iter(args.labels), iter(args.protocols)
    requested = []
    for position, (paths, kind, out) in enumerate(zip(args.images, args.benchmark, args.out, strict=True)):
        suppress = next(strengths, None) if KINDS[kind].measures == "reliance" else None
        name, _, table = next(tables, "-").partition("=") if kind == "cue_conflict" else ("-", "", "")
        read_out = (name, Path(table)) if table else None
        decisions = args.decisions[position] if args.decisions else None
        protocol_file = next(protocols, "-") if kind == "cue_conflict" else "-"
        target = None if protocol_file == "-" else Path(protocol_file)
        label_map = next(labels, PUBLISHED) if KINDS[kind].rule else PUBLISHED
        requested.append(Measurement(paths, kind, out, decisions, suppress, read_out, target, label_map))
    outputs = [path.absolute() for measurement in requested for path in measurement.outputs.values()]
    if repeated := [path for path in outputs if outputs.count(path) > 1]:
        raise UserError(f"{repeated[0]} is named as the file of two results; give each a file of its own")
    return requested


def fingerprint_of(measurement: Measurement, pictures: Sequence[Picture], args: argparse.Namespace, device: str) -> str:
    """Return the fingerprint of everything that determines a measurement's result."""
    keys = ("timm", "kwargs", "observer", "batch_size", "threads", "max_rejected")
    settings = {key: getattr(args, key) for key in keys} | {"device": device, "kind": measurement.kind}
    settings |= {"suppress": measurement.suppress, "read_out": measurement.read_out and measurement.read_out[0]}
    settings |= {"protocols": measurement.protocols is not None}
    files = [Path(__file__), *filter(None, [args.classes])] + ([weights_path(args.weights)] if args.weights else [])
    settings["labels"] = measurement.labels
    if args.head:
        settings["head"] = [args.head, fingerprint_measurement({}, open_photographs(args.fit_on))]
    files += [] if measurement.labels in (PUBLISHED, CATEGORY_LABELS) else [Path(measurement.labels)]
    return fingerprint_measurement(settings, pictures, files)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file. The target appears only when it is complete."""
    with atomic_write(target) as draft:
        shutil.copyfile(source, draft)


def has_copies(folder: Path, names: Iterable[str]) -> bool:
    """Return whether a folder holds undamaged copies of all outputs; their list is written last."""
    if not all((folder / name).exists() for name in [*names, CHECKSUM_LIST]):
        return False
    try:
        for name in names:
            check_against_list(folder / name)
    except UserError:
        log.warning("%s: damaged copies of a measurement; it is made again", folder)
        return False
    return True


def write_read_out(target: Path, table: pd.DataFrame, record: dict[str, Any]) -> None:
    """Write the accuracy of the read-out from each stage; record: values to put before the columns of each row."""
    for position, (key, value) in enumerate(record.items()):
        table.insert(position, key, "" if value is None else value)
    with atomic_write(target) as draft:
        table.to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")
    log.info("%s: %d stages on %d images", target, table["stage"].nunique(), table["images"].iloc[0])


def describe_result(measurement: Measurement, observer: str) -> str:
    """Return the result of a measurement in words: bias, accuracy or score with its 95 % interval."""
    predictions, _ = read_raw_predictions(measurement.out)
    measures = KINDS[measurement.kind].measures
    if measures == "bias":
        [row] = bias_rows(count_cues(pair_trials(read_observers([measurement.out]))))
        return describe_bias(observer, row)
    if measures == "accuracy":
        answered = predictions[predictions["shape"].notna()]
        row = accuracy_row(answered["decision"] == answered["shape"], chance=math.nan)
        interval = f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
        return f"{observer}: accuracy {row['accuracy']:.3f} {interval} by category, on {row['images']:,} images"
    if measures in DESCRIPTIONS:
        return DESCRIPTIONS[measures](*read_label_predictions(measurement.out))
    if measures == "frequency_bias":
        return describe_frequency_bias(*read_predictions(measurement.out))
    return f"{observer}: {len(predictions):,} predictions in {measurement.out}"


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    device = resolve_device(args.device)
    due = []
    for measurement in measurements(args):
        for path in measurement.outputs.values():
            check_folder(path.parent)
        pictures = open_benchmark(measurement.images, measurement.kind)
        copies = args.reuse / fingerprint_of(measurement, pictures, args, device) if args.reuse else None
        if copies and has_copies(copies, measurement.outputs):
            for name, path in measurement.outputs.items():
                copy_whole(copies / name, path)
            log.info("%s: reused an earlier measurement", measurement.out)
        else:
            due.append((measurement, pictures, copies))
    if not due:
        return
    observer = load_observer(
        args.timm,
        name=args.observer,
        weights=weights_path(args.weights) if args.weights else None,
        kwargs=args.kwargs,
        classes=read_categories(args.classes) if args.classes else None,
        headless=args.head is not None,
    )
    settings = {"batch_size": args.batch_size, "workers": args.workers, "device": device}
    settings["max_rejected"] = args.max_rejected
    if args.head:
        observer = fit_read_out(observer, args.head, args.fit_on, **settings)
    record = observer.facts | {"threads": args.threads, **provenance(device, device_name(device))}
    images = ImageCache(CAPACITY if len(due) > 1 else 0)
    shared = SharedFolder(args.shared) if args.shared else None
    for measurement, pictures, copies in due:
        reader = StageReader(observer) if measurement.read_out else None
        if reader and not any(map(is_conflict, pictures)):
            raise UserError(
                f"{', '.join(map(str, measurement.images))}: no image has a shape and a texture of different "
                "categories; --read-out needs such images"
            )
        predictions, facts = measure(
            observer,
            pictures,
            measurement.kind,
            **settings,
            suppress=measurement.suppress,
            cache=images,
            shared=shared,
            tap=reader.tap if reader else None,
            labels=measurement.labels,
        )
        if measurement.read_out and reader:
            name, table = measurement.read_out
            network = {key: observer.facts[key] for key in ("observer", "model", "regime", "seed")}
            write_read_out(table, reader.read_out(shared), {"benchmark": name} | network)
            facts |= {READ_OUT_KEY: checksum(table)}
        if measurement.protocols:
            decisions, protocol_facts = measure_protocols(observer, pictures, **settings)
            protocol_record = record | {"benchmark": measurement.kind} | protocol_facts
            write_predictions(measurement.protocols, decisions, protocol_record)
            print(describe_range(tabulate_protocols(read_protocol_answers(decisions, protocol_record))))
        if measurement.decisions:
            write_decisions(measurement.decisions, predictions, observer.name)
        write_predictions(measurement.out, predictions, record | facts)
        print(describe_result(measurement, observer.name))
        if copies:
            for name, path in measurement.outputs.items():
                copy_whole(path, copies / name)
            write_checksum_list(copies / CHECKSUM_LIST, [copies / name for name in measurement.outputs])
        log.info("%s: %d images, %d rejected", measurement.out, sum(facts["shown"].values()), len(facts["rejected"]))
