"""The kinds of benchmarks: what each measures, and in which conditions its images are shown.

Names, conditions and axes of the parametric sets are those that the model-vs-human toolbox publishes
(github.com/bethgelab/model-vs-human), so that its stimuli and its human decisions fit as they are. Sources:

- cue_conflict, silhouettes, edges, stylized: Geirhos et al., ICLR 2019 (arXiv 1811.12231).
- colour to uniform-noise, all that have conditions: Geirhos et al., NeurIPS 2018 (arXiv 1808.08750).
- sketch: Wang et al., NeurIPS 2019 (arXiv 1905.13549), in 16 categories as Geirhos et al., NeurIPS 2021
  (arXiv 2106.07411) show it, who also collected all of them into the toolbox.
- suppressed: Burgert et al. 2025 (arXiv 2509.20234).
- melanoma: part 3 of ISIC 2017 (arXiv 1710.05006).
"""

import contextlib
from dataclasses import dataclass, field
from typing import Literal

Measure = Literal["bias", "accuracy", "melanoma", "reliance"]


@dataclass(frozen=True)
class Kind:
    """What a benchmark is.

    measures: what its tables say. conditions: those its images are shown in, in the order of a plot's axis; empty
    where there are none, or where the config chooses them (suppressed). condition_label: of that axis.
    condition_names: condition → what stands at its tick, where that differs. undistorted: the condition that leaves
    the photographs as they are, if there is one.
    """

    name: str
    measures: Measure
    conditions: tuple[str, ...] = ()
    condition_label: str = ""
    condition_names: dict[str, str] = field(default_factory=dict)
    undistorted: str | None = None

    def condition(self, text: str) -> str | None:
        """The condition that a file means by `text`; "" if the kind has none, None if it is none of its own.

        The toolbox's files write 3 for 3.0, 0.00 for 0.0 and true for True: numbers and words count, not letters.
        """
        if self.measures == "reliance":
            return text
        if not self.conditions:
            return ""
        return next((known for known in self.conditions if meaning(known) == meaning(text)), None)


def meaning(condition: str) -> float | str:
    """A condition's number, or its word without regard to case."""
    with contextlib.suppress(ValueError):
        return float(condition)
    return condition.strip().lower()


def eidolon(name: str, coherence: int) -> Kind:
    """A set of eidolons (Koenderink et al. 2017): conditions are reach-coherence-grain, coherence in tenths."""
    reaches = [2**power for power in range(8)]
    names = {f"{reach}-{coherence}-10": str(power) for power, reach in enumerate(reaches)}
    return Kind(name, "accuracy", tuple(names), "log₂ of the reach", names, f"1-{coherence}-10")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("cue_conflict", "bias"),
        Kind("in_test", "accuracy"),
        Kind("sin_test", "accuracy"),
        Kind("silhouettes", "accuracy"),
        Kind("edges", "accuracy"),
        Kind("sketch", "accuracy"),
        Kind("stylized", "accuracy"),
        Kind("colour", "accuracy", ("cr", "bw"), "Colour", {"cr": "colour", "bw": "greyscale"}, "cr"),
        Kind(
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
        Kind(
            "high-pass",
            "accuracy",
            ("inf", "3.0", "1.5", "1.0", "0.7", "0.55", "0.45", "0.4"),
            "Standard deviation of the high-pass filter (pixels)",
            {"inf": "∞"},
            "inf",
        ),
        Kind(
            "low-pass",
            "accuracy",
            ("0", "1", "3", "5", "7", "10", "15", "40"),
            "Standard deviation of the low-pass filter (pixels)",
            {},
            "0",
        ),
        Kind(
            "phase-scrambling",
            "accuracy",
            ("0", "30", "60", "90", "120", "150", "180"),
            "Width of the phase noise (°)",
            {},
            "0",
        ),
        Kind("power-equalisation", "accuracy", ("0", "pow"), "Power spectrum", {"0": "original", "pow": "equal"}, "0"),
        Kind(
            "false-colour", "accuracy", ("True", "False"), "Colour", {"True": "true", "False": "opponent"}, "True"
        ),
        Kind("rotation", "accuracy", ("0", "90", "180", "270"), "Rotation (°)", {}, "0"),
        eidolon("eidolonI", 10),
        eidolon("eidolonII", 3),
        eidolon("eidolonIII", 0),
        Kind(
            "uniform-noise",
            "accuracy",
            ("0.0", "0.03", "0.05", "0.1", "0.2", "0.35", "0.6", "0.9"),
            "Width of the uniform noise",
            {},
            "0.0",
        ),
        Kind("suppressed", "reliance", undistorted="none"),
        Kind("melanoma", "melanoma"),
    )
}  # fmt: skip

# Made from the sets of a config: their labels are classes, which need no category.
OWN = frozenset({"in_test", "sin_test", "suppressed", "melanoma"})
# Only ever published: nothing here makes them.
PUBLISHED = frozenset({"sketch", "stylized"} | {name for name, kind in KINDS.items() if kind.conditions})
