"""The regimes of a study by the images that they were trained on, so that no claim depends on a regime's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PHOTOGRAPHS, STYLIZED = "photographs", "stylized"


@dataclass(frozen=True)
class Regime:
    """One way to train.

    images: the kinds of training images, PHOTOGRAPHS, STYLIZED or both. start: `scratch`, `pretrained`, or the regime
    whose weights it starts from. head_only: whether only the classification head learns. label: for display.
    """

    name: str
    images: frozenset[str]
    start: str
    head_only: bool
    label: str


@dataclass(frozen=True)
class Regimes:
    """All regimes of a study that classify photographs, by name. noun: what the unstylized images are."""

    by_name: Mapping[str, Regime] = field(default_factory=dict)
    noun: str = PHOTOGRAPHS

    def label(self, name: str) -> str:
        """Return the label of a regime, or its name if the config does not describe it."""
        return self.by_name[name].label if name in self.by_name else name

    def baseline(self, name: str) -> str | None:
        """Return the regime to compare with: trained on photographs alone, with all weights.

        It is the one that this regime started from, directly or through other regimes, or else the first of the study.
        None for a regime that is such a regime itself, or that the config does not describe.
        """
        if name not in self.by_name or self._is_plain(name):
            return None
        ancestor = self.by_name[name].start
        while ancestor in self.by_name:
            if self._is_plain(ancestor):
                return ancestor
            ancestor = self.by_name[ancestor].start
        return next(filter(self._is_plain, self.by_name), None)

    @property
    def treatment(self) -> str | None:
        """The regime whose effect is the question of the study: trained on stylized images, if possible on these alone.

        None if no regime has stylized images and a baseline.
        """
        candidates = [r for r in self.by_name.values() if STYLIZED in r.images and self.baseline(r.name)]
        candidates.sort(key=lambda regime: (regime.head_only, PHOTOGRAPHS in regime.images))
        return candidates[0].name if candidates else None

    def describe_training(self, name: str) -> str:
        """Return a phrase such as `training on stylized photographs`."""
        regime = self.by_name.get(name)
        if regime is None:
            return f"the regime “{name}”"
        images = {
            frozenset({PHOTOGRAPHS}): self.noun,
            frozenset({STYLIZED}): f"stylized {self.noun}",
        }.get(regime.images, f"{self.noun} and stylized {self.noun}")
        return f"training {'the head alone ' if regime.head_only else ''}on {images}"

    def describe_start(self, name: str) -> str:
        """Return a phrase such as `from random weights`."""
        start = self.by_name[name].start
        phrases = {"scratch": "from random weights", "pretrained": "from published weights"}
        return phrases.get(start, f"from the network “{self.label(start)}”")

    def glossary(self) -> list[tuple[str, str]]:
        """Return label and explanation of each regime of a study that trains."""
        return [
            (label, f"{self.describe_training(name)}, {self.describe_start(name)} (“{name}” in the tables)")
            for name, label in ((regime.name, regime.label) for regime in self.by_name.values())
        ]

    def _is_plain(self, name: str) -> bool:
        regime = self.by_name[name]
        return regime.images == {PHOTOGRAPHS} and not regime.head_only


def describe_regimes(config: Mapping[str, Any]) -> Regimes:
    """Return the regimes of a complete config; none if it describes no training, as for a folder of predictions.

    Regimes that learn to recognize melanoma are left out.
    """
    sources, stylized = config.get("sources", {}), config.get("stylized", {})
    entries = {}
    for name, entry in config.get("regimes", {}).items():
        contents = {stylized.get(images, {}).get("content", images) for images in entry["train_on"]}
        if not any(sources.get(content, {}).get("kind") == "isic2017" for content in contents):
            entries[name] = entry
    used = {
        stylized.get(images, {}).get("content", images) for entry in entries.values() for images in entry["train_on"]
    }
    noun = "drawings" if used and all(sources[name]["kind"] == "synthetic" for name in used) else PHOTOGRAPHS
    by_name: dict[str, Regime] = {}
    for name, entry in entries.items():
        images = frozenset(STYLIZED if images in stylized else PHOTOGRAPHS for images in entry["train_on"])
        head_only = entry.get("trainable") == "head"
        label = {frozenset({PHOTOGRAPHS}): noun, frozenset({STYLIZED}): "stylized"}.get(images, "both")
        label += ", head only" if head_only else ""
        if label in {regime.label for regime in by_name.values()}:
            label = f"{label} ({name})"
        by_name[name] = Regime(name, images, entry.get("init", "scratch"), head_only, label)
    return Regimes(by_name, noun)
