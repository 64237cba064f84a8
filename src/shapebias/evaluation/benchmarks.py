"""The kinds of benchmarks: what each kind measures, and the conditions in which its images are shown.

Names, conditions and axes of the parametric sets are those of the model-vs-human toolbox
(github.com/bethgelab/model-vs-human). Its stimuli and its human decisions can therefore be used unchanged. Sources:

- cue_conflict, silhouettes, edges, stylized: Geirhos et al., ICLR 2019 (arXiv 1811.12231).
- colour to uniform-noise, the sets with conditions: Geirhos et al., NeurIPS 2018 (arXiv 1808.08750).
- sketch: Wang et al., NeurIPS 2019 (arXiv 1905.13549), in the 16 categories of Geirhos et al., NeurIPS 2021
  (arXiv 2106.07411). Geirhos et al. 2021 also collected all these sets into the toolbox.
- suppressed: Burgert et al. 2025 (arXiv 2509.20234).
- critical_band: Subramanian et al. 2023 (arXiv 2309.13190).
- melanoma: part 3 of ISIC 2017 (arXiv 1710.05006).
- configural_shape: Doshi et al., NeurIPS 2025 (arXiv 2507.00493).
- refined_bias: Kim et al. 2026 (arXiv 2603.10834).
- frequency_conflict: Gavrikov et al., ICLR 2025 (arXiv 2403.09193).
- laion_c: Li et al., ICML 2025 (arXiv 2506.16950).
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shapebias.evaluation import band_noise

Measure = Literal[
    "bias",
    "accuracy",
    "melanoma",
    "reliance",
    "critical_band",
    "configural_shape",
    "refined_bias",
    "frequency_bias",
    "laion_c",
]
# How the logits of a label's classes become the score of the label; see `label_maps`.
Rule = Literal["mean", "max", "first_rank"]
ALL_LABELS = "all"  # in tables, all labels together


@dataclass(frozen=True)
class BenchmarkKind:
    """A kind of benchmark.

    measures: the quantity that its tables report.
    conditions: the conditions of its images, in the order of a plot's axis. Empty if the kind has none, if the config
    chooses them (suppressed), or if the input's size decides on them (critical_band).
    condition_label: the label of that axis.
    condition_names: condition → its tick label, where the two differ.
    undistorted: the condition that leaves the photographs unchanged, if the kind has one.
    rule, label_map: how answers are chosen among labels of the kind's own, and the published labels (a name for
    `label_maps.published_label_map`). Without a rule, answers are chosen among the 16 categories.
    crop: the share of an image's side that networks see, if the published evaluation fixes it. All images are then
    scaled bilinearly, those of the network's size too.
    """

    name: str
    measures: Measure
    conditions: tuple[str, ...] = ()
    condition_label: str = ""
    condition_names: dict[str, str] = field(default_factory=dict)
    undistorted: str | None = None
    rule: Rule | None = None
    label_map: str = ""
    crop: float | None = None

    @property
    def allowed_conditions(self) -> str:
        """The conditions in words, for messages."""
        if self.measures == "critical_band":
            return "noise<standard deviation>freq<band>, such as noise0.04freq3"
        return ", ".join(self.conditions)

    @property
    def takes_decisions(self) -> bool:
        """Whether decisions between categories are enough to measure something."""
        return self.measures in ("bias", "accuracy", "critical_band")

    @property
    def omitted(self) -> tuple[str, ...]:
        """The conditions that count in no comparison of networks with people: undistorted, or hardly recognizable."""
        undistorted = (self.undistorted,) if self.undistorted else ()
        return undistorted + UNRECOGNIZABLE.get(self.name, ())

    def find_condition(self, text: str) -> str | None:
        """Return the condition that a file writes as `text`: "" if the kind has no conditions, None if it is unknown.

        The toolbox's files write 3 for 3.0, 0.00 for 0.0 and true for True. So numbers are compared as numbers, and
        words regardless of case.
        """
        if self.measures == "reliance":
            return text
        if self.measures == "critical_band":
            return text if band_noise.CONDITION.fullmatch(text) else None
        if not self.conditions:
            return ""
        value = condition_value(text)
        return next((condition for condition in self.conditions if condition_value(condition) == value), None)


# Kind → the conditions in which people recognize about a fifth of the images or fewer, so that likeness to them says
# little. The lists are those of the toolbox (modelvshuman/plotting/plot.py, commit 0b45bd8).
UNRECOGNIZABLE: Mapping[str, tuple[str, ...]] = {
    "contrast": ("c03", "c01"),
    "high-pass": ("0.55", "0.45", "0.4"),
    "low-pass": ("15", "40"),
    "phase-scrambling": ("150", "180"),
    "eidolonI": ("64-10-10", "128-10-10"),
    "eidolonII": ("32-3-10", "64-3-10", "128-3-10"),
    "eidolonIII": ("16-0-10", "32-0-10", "64-0-10", "128-0-10"),
    "uniform-noise": ("0.6", "0.9"),
}


# The distortions of LAION-C, as its folders name them, in the order of its evaluation. Each has severities 1 to 5.
LAION_C_DISTORTIONS = (
    "glitched",
    "mosaic",
    "stickers",
    "vertical_lines",
    "geometric_shapes",
    "luminance_checkerboard",
)
LAION_C_SEVERITIES = (1, 2, 3, 4, 5)


def condition_value(condition: str) -> float | str:
    """Return a condition's number, or its word in lower case."""
    with contextlib.suppress(ValueError):
        return float(condition)
    return condition.strip().lower()


def eidolon_kind(name: str, coherence: int) -> BenchmarkKind:
    """Return the kind of a set of eidolons (Koenderink et al. 2017).

    Its conditions are written reach-coherence-grain, with the coherence in tenths.
    """
    reaches = [2**power for power in range(8)]
    names = {f"{reach}-{coherence}-10": str(power) for power, reach in enumerate(reaches)}
    return BenchmarkKind(name, "accuracy", tuple(names), "log₂ of the reach", names, f"1-{coherence}-10")


KINDS = {
    kind.name: kind
    for kind in (
        BenchmarkKind("cue_conflict", "bias"),
        BenchmarkKind("in_test", "accuracy"),
        BenchmarkKind("sin_test", "accuracy"),
        BenchmarkKind("silhouettes", "accuracy"),
        BenchmarkKind("edges", "accuracy"),
        BenchmarkKind("sketch", "accuracy"),
        BenchmarkKind("stylized", "accuracy"),
        BenchmarkKind("colour", "accuracy", ("cr", "bw"), "Colour", {"cr": "colour", "bw": "greyscale"}, "cr"),
        BenchmarkKind(
            "contrast",
            "accuracy",
            ("c100", "c50", "c30", "c15", "c10", "c05", "c03", "c01"),
            "Contrast (%)",
            {
                "c100": "100",
                "c50": "50",
                "c30": "30",
                "c15": "15",
                "c10": "10",
                "c05": "5",
                "c03": "3",
                "c01": "1",
            },
            "c100",
        ),
        BenchmarkKind(
            "high-pass",
            "accuracy",
            ("inf", "3.0", "1.5", "1.0", "0.7", "0.55", "0.45", "0.4"),
            "Standard deviation of the high-pass filter (pixels)",
            {"inf": "∞"},
            "inf",
        ),
        BenchmarkKind(
            "low-pass",
            "accuracy",
            ("0", "1", "3", "5", "7", "10", "15", "40"),
            "Standard deviation of the low-pass filter (pixels)",
            {},
            "0",
        ),
        BenchmarkKind(
            "phase-scrambling",
            "accuracy",
            ("0", "30", "60", "90", "120", "150", "180"),
            "Width of the phase noise (°)",
            {},
            "0",
        ),
        BenchmarkKind(
            "power-equalisation", "accuracy", ("0", "pow"), "Power spectrum", {"0": "original", "pow": "equal"}, "0"
        ),
        BenchmarkKind(
            "false-colour", "accuracy", ("True", "False"), "Colour", {"True": "true", "False": "opponent"}, "True"
        ),
        BenchmarkKind("rotation", "accuracy", ("0", "90", "180", "270"), "Rotation (°)", {}, "0"),
        eidolon_kind("eidolonI", 10),
        eidolon_kind("eidolonII", 3),
        eidolon_kind("eidolonIII", 0),
        BenchmarkKind(
            "uniform-noise",
            "accuracy",
            ("0.0", "0.03", "0.05", "0.1", "0.2", "0.35", "0.6", "0.9"),
            "Width of the uniform noise",
            {},
            "0.0",
        ),
        BenchmarkKind("suppressed", "reliance", undistorted="none"),
        BenchmarkKind("critical_band", "critical_band"),
        BenchmarkKind("melanoma", "melanoma"),
        BenchmarkKind("configural_shape", "configural_shape", rule="max", label_map="anagram_labels", crop=1.0),
        BenchmarkKind("refined_bias", "refined_bias", rule="first_rank", label_map="refined_bias_labels", crop=0.875),
        BenchmarkKind("frequency_conflict", "frequency_bias"),
        BenchmarkKind(
            "laion_c",
            "laion_c",
            tuple(f"{name}-{severity}" for name in LAION_C_DISTORTIONS for severity in LAION_C_SEVERITIES),
            "Distortion and severity",
            rule="mean",
            label_map="laion_c_labels",
            crop=1.0,
        ),
    )
}  # fmt: skip

# These kinds are made from the sets of a config. Their labels are classes, and a class needs no category.
MADE_FROM_SETS = frozenset({"in_test", "sin_test", "suppressed", "critical_band", "melanoma"})
# These kinds exist only as published sets. This library does not make them.
PUBLISHED_ONLY = frozenset(
    {"sketch", "stylized", "refined_bias", "frequency_conflict"}
    | {name for name, kind in KINDS.items() if kind.conditions}
)
