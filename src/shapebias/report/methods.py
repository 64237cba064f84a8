"""A paragraph of methods and references in BibTeX, to paste into a paper, from the config and the tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.metrics.bootstrap import RESAMPLES
from shapebias.report.accuracy import SIGNIFICANCE
from shapebias.report.study import StudyResults
from shapebias.report.wording import format_image_count, join_names, pluralize
from shapebias.tables.summaries import observer_kinds

MAX_MODELS = 20  # named in the paragraph
# Kind of a stylizer → how it works in words, and its reference.
STYLIZER_SOURCES = {
    "ghiasi": ("by the network of Ghiasi et al. 2017", "ghiasi2017"),
    "adain": ("by the network of AdaIN, Huang and Belongie 2017", "huang2017"),
    "gatys": ("by the optimization of Gatys et al. 2016", "gatys2016"),
}
ORIGINS = {"stylized here": "made by style transfer for this study", "published": "the published stimuli"}
SHAPEBIAS_ENTRY = """@software{shapebias,
  title = {shapebias: does this network see shape, or texture?},
  version = {VERSION},
  year = {2026}
}"""
REFERENCES = {
    "geirhos2019": """@inproceedings{geirhos2019,
  title = {ImageNet-trained CNNs are biased towards texture; increasing shape bias improves accuracy and robustness},
  author = {Geirhos, Robert and Rubisch, Patricia and Michaelis, Claudio and Bethge, Matthias and Wichmann, Felix A. and
    Brendel, Wieland},
  booktitle = {International Conference on Learning Representations},
  year = {2019}
}""",
    "geirhos2020": """@inproceedings{geirhos2020,
  title = {Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and humans by measuring error consistency},
  author = {Geirhos, Robert and Meding, Kristof and Wichmann, Felix A.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2020}
}""",
    "gatys2016": """@inproceedings{gatys2016,
  title = {Image style transfer using convolutional neural networks},
  author = {Gatys, Leon A. and Ecker, Alexander S. and Bethge, Matthias},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year = {2016}
}""",
    "ghiasi2017": """@inproceedings{ghiasi2017,
  title = {Exploring the structure of a real-time, arbitrary neural artistic stylization network},
  author = {Ghiasi, Golnaz and Lee, Honglak and Kudlur, Manjunath and Dumoulin, Vincent and Shlens, Jonathon},
  booktitle = {British Machine Vision Conference},
  year = {2017}
}""",
    "huang2017": """@inproceedings{huang2017,
  title = {Arbitrary style transfer in real-time with adaptive instance normalization},
  author = {Huang, Xun and Belongie, Serge},
  booktitle = {IEEE International Conference on Computer Vision},
  year = {2017}
}""",
}


def methods_paragraph(study: StudyResults, records: Sequence[Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """Return the methods of a study as one paragraph. records: `run.json` of each run. versions: package → version."""
    sentences = [*_stimulus_sentences(study), *_training_sentences(study, records)]
    sentences.append(
        "For each network, softmax probabilities were averaged over the classes of each of 16 categories, and the "
        "category with the highest mean was its answer. Shape bias is the number of answers that name the shape, "
        "divided by the number of answers that name the shape or the texture, over images whose cues conflict (Geirhos "
        "et al. 2019)."
    )
    sentences.append(
        "Intervals are 95 % intervals. Those of biases and their differences come from a Bayesian bootstrap over "
        f"images ({RESAMPLES:,} resamples), stratified by the category of the shape and paired by image. Those of "
        "accuracies are Wilson's."
    )
    if study.regimes.treatment:
        sentences.append(
            "A network is said to turn towards shape if three intervals lie above their limits: that of the change in "
            "bias above 0, that of the change in shape answers above 0, and that of the shape answers afterwards above "
            "guessing."
        )
    if len(study.tables["accuracy_differences"]):
        sentences.append(
            "Accuracies of two regimes on the same images were compared by McNemar's exact test with Holm's "
            f"correction; they differ where the corrected p is below {SIGNIFICANCE}."
        )
    names = ("shapebias", "torch", "timm")
    software = [f"{name} {versions[name]}" for name in names if name in versions]
    sentences.append(f"Software: {', '.join(software)}." if software else "")
    return " ".join(filter(None, sentences))


def _stimulus_sentences(study: StudyResults) -> list[str]:
    sentences = []
    for benchmark, rows in study.tables["shape_bias"].groupby("benchmark", sort=False):
        images = format_image_count(rows.loc[rows["observer"] != "people", "conflict_images"])
        origin = ORIGINS.get(study.origin(str(benchmark)))
        sentences.append(
            f"Shape bias was measured on {images} cue-conflict images (“{benchmark}”{f', {origin}' if origin else ''})."
        )
    for name, entry in study.config.get("stylized", {}).items():
        maker, _ = stylizer_source(study, entry["stylizer"])
        sentences.append(
            f"The set “{name}” holds images of “{entry['content']}” in the style of “{entry['styles']}”, made "
            f"{maker} at a strength of {entry['strength']:g} and {study.config['image_size']} pixels."
        )
    return sentences


def stylizer_source(study: StudyResults, stylizer: str) -> tuple[str, str]:
    """Return how a stylizer of the study works, in words, and the key of its reference."""
    entry = study.config.get("stylizers", {}).get(stylizer, {"kind": stylizer})
    return STYLIZER_SOURCES[entry["kind"]]


def _training_sentences(study: StudyResults, records: Sequence[Mapping[str, Any]]) -> list[str]:
    if not records:
        observers = study.tables["shape_bias"]
        count = int((observer_kinds(observers) == "pretrained").sum())
        return [f"No network was trained; {count} observers were measured as they are."] if count else []
    sizes = pd.DataFrame([{"model": r["model"], "timm": r["timm"], "millions": r["parameters"] / 1e6} for r in records])
    models = [
        f"{row['model']} ({row['timm']} of timm, {row['millions']:.2g} million weights)"
        for row in sizes.drop_duplicates("model").to_dict("records")
    ]
    sentences = [f"Networks: {join_names(models, MAX_MODELS)}."]
    if size := study.config.get("input_size"):
        sentences.append(f"Networks saw images of {size} pixels.")
    keys = ("epochs", "optimizer", "lr", "batch_size")
    for regime in dict.fromkeys(record["regime"] for record in records):
        runs = [record for record in records if record["regime"] == regime]
        values = {key: _span([record["recipe"][key] for record in runs]) for key in keys}
        images = _span([sum(record["images"].values()) for record in runs])
        training = f"{study.regimes.describe_training(regime)} ({images} images)"
        if regime in study.regimes.by_name:
            training += f", {study.regimes.describe_start(regime)}"
        epochs = "1 epoch" if values["epochs"] == "1" else f"{values['epochs']} epochs"
        sentences.append(
            f"“{study.regimes.label(regime)}”: {training}, {epochs} with {values['optimizer']}, learning rate "
            f"{values['lr']}, batches of {values['batch_size']}."
        )
    seeds = pluralize(len({record["seed"] for record in records}), "seed")
    devices = join_names(hardware_names(records))
    sentences.append(f"Each network was trained with {seeds} on {devices or 'a CPU'}.")
    return sentences


def _span(values: Sequence[Any]) -> str:
    """Return the value, the values of a few, or the range of many numbers."""
    unique = list(dict.fromkeys(values))
    if len(unique) <= 1 or not all(isinstance(value, int | float) for value in unique):
        return " or ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in unique)
    return f"{min(unique):,} to {max(unique):,}"


def training_dates(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the days of the first and of the last training, in UTC; "" if no network was trained."""
    days = sorted(str(record["started"])[:10] for record in records if record.get("started"))
    return "" if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def hardware_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the processors or GPUs of all runs, or their devices where no name was recorded."""
    return sorted({str(record.get("hardware") or record.get("device", "")) for record in records} - {""})


def training_digests(records: Sequence[Mapping[str, Any]], regimes: Regimes) -> str:
    """Return the hash of the training images of each regime, as recorded with its runs; "" without any."""
    digests: dict[str, dict[str, None]] = {}
    for record in records:
        digest = record.get("identity", {}).get("train_images")
        if digest:
            digests.setdefault(regimes.label(record["regime"]), {})[digest] = None
    return "; ".join(f"{label}: {', '.join(own)}" for label, own in digests.items())


def bibtex(study: StudyResults, versions: Mapping[str, str]) -> str:
    """Return the entries of what the study uses."""
    keys = ["geirhos2019", *(["geirhos2020"] if len(study.tables["error_consistency"]) else [])]
    for entry in study.config.get("stylized", {}).values():
        keys.append(stylizer_source(study, entry["stylizer"])[1])
    tool = SHAPEBIAS_ENTRY.replace("VERSION", versions.get("shapebias", ""))
    return "\n\n".join([tool, *(REFERENCES[key] for key in dict.fromkeys(keys))])
