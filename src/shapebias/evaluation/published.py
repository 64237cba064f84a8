"""Published observers of the 1,280 published cue-conflict stimuli: their sources, groups and licences.

Each source is a folder of decisions in one of the layouts of `dialects`. A source's groups follow from the folders and
the names of its files and observers, as its authors chose them. None of these data belong to this project: they are
downloaded at a fixed commit, or given as a folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PERSON, NETWORK = "person", "network"
Rules = tuple[tuple[str, str], ...]  # pattern → group; the first pattern that is found in the text counts

# How a network was trained, from its usual name.
TRAINING: Rules = (
    (r"train_\d+_epochs|(^|[_-])sin([_-]|$)", "networks, Stylized-ImageNet"),
    (r"pgd|robust|[_-]l2[_-]?eps", "networks, adversarial images"),
    (r"simclr|moco|dino|byol|pirl|infomin|insdis", "networks, self-supervised"),
    (r"swsl|swag|bitm|bit-m|noisy|in21k|in12k|clip|oidv2", "networks, more than ImageNet"),
    (r"", "networks, ImageNet"),
)


@dataclass(frozen=True)
class PublishedSource:
    """Observers that a paper published.

    citation: the paper. repository, commit: where its decisions are. licence: of these decisions, as far as stated.
    folders: folder below the repository → folder of a download. Empty if checksums of the files are not known, so that
    nothing is downloaded.
    people: patterns of `<folder>/<observer>` → group of people; an observer that fits none of them is a network.
    networks: patterns of `<folder>/<observer>` → group of networks.
    """

    citation: str
    repository: str
    commit: str
    licence: str
    folders: Mapping[str, str]
    people: Rules = ()
    networks: Rules = TRAINING

    @property
    def url(self) -> str:
        """The address below which the files lie, at the fixed commit."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}"


ADULTS = "people, adults"
NOT_STATED = "none stated"
SOURCES: Mapping[str, PublishedSource] = {
    "geirhos2019": PublishedSource(
        citation="Geirhos et al. 2019 (arXiv 1811.12231)",
        repository="rgeirhos/texture-vs-shape",
        commit="ccd0c01d42c0a8a834e90ec141e7f24fa915dc23",
        licence=NOT_STATED,
        folders={
            "raw-data/style-transfer-512-nomask-experiment": ".",
            "raw-data/style-transfer-512-nomask-experiment-trained-CNNs": ".",
        },
        people=(
            (r"content-guessing.*/subject", "people, told to answer by shape"),
            (r"texture-guessing.*/subject", "people, told to answer by texture"),
            (r"/subject", "people, neutral instruction"),
        ),
    ),
    "geirhos2021": PublishedSource(
        citation="Geirhos et al. 2021 (arXiv 2106.07411)",
        repository="bethgelab/model-vs-human",
        commit="93ee6766db71bc99de23a16cf5216acff181b470",
        licence="MIT for the code; none stated for the data",
        folders={},
        people=((r"/subject", "people, neutral instruction"),),
    ),
    "huber2023": PublishedSource(
        citation="Huber, Geirhos and Wichmann 2023 (Journal of Vision 23:4)",
        repository="wichmann-lab/robustness-development",
        commit="2e32b6b63c0e8a313510e4d72ae2031b462c3d82",
        licence=NOT_STATED,
        folders={"data/cue_conflict/humans": "humans", "data/cue_conflict/models": "models"},
        people=(
            (r"-age[456]$", "people, 4 to 6 years"),
            (r"-age[789]$", "people, 7 to 9 years"),
            (r"-age1[012]$", "people, 10 to 12 years"),
            (r"-age1[345]$", "people, 13 to 15 years"),
            (r"humans/|-age\d+$", ADULTS),
        ),
    ),
    "alvarez2024": PublishedSource(
        citation="Alvarez and Konkle 2024 (harvard-visionlab/model-vs-human-dmc)",
        repository="harvard-visionlab/model-vs-human-dmc",
        commit="1d076b68299e5ef6d8f7275a7b6ed1cc3cdf8507",
        licence="see the repository",
        folders={"outputs/raw-data/cue-conflict": "."},
    ),
    "gavrikov2025": PublishedSource(
        citation="Gavrikov et al. 2025 (arXiv 2403.09193)",
        repository="paulgavrikov/vlm_shapebias",
        commit="1a3419c0456ae91f8fe5342b867bf2cae83dbb42",
        licence="CC BY-SA 4.0",
        folders={
            "raw-data/inet_classifier": "classifiers",
            "raw-data/clip": "clip",
            "raw-data/vlm/vqa": "vqa",
            "raw-data/vlm/captioning": "captioning",
        },
        networks=(
            (r"(^|/)vqa/", "vision language models, question"),
            (r"(^|/)captioning/", "vision language models, caption"),
            (r"(^|/)clip/", "CLIP, zero-shot"),
            *TRAINING,
        ),
    ),
}

DOWNLOADABLE = [name for name, source in SOURCES.items() if source.folders]


def find_group(source: str, text: str) -> tuple[str, str]:
    """Return the kind (person or network) and the group of an observer; text: `<folder>/<observer>`."""
    entry = SOURCES.get(source)
    people = entry.people if entry else ((r"/subject", f"people, {source}"),)
    for pattern, group in people:
        if re.search(pattern, text):
            return PERSON, group
    networks = entry.networks if entry else ((r"", f"networks, {source}"),)
    return NETWORK, next(group for pattern, group in networks if re.search(pattern, text.lower()))


def readable_name(name: str) -> str:
    """Return a name without the time stamp of vision language models (20240205_210246_llava)."""
    return re.sub(r"^[0-9x]{8}_[0-9y]{6}_", "", name)
