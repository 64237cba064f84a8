"""The atlas: published observers and the study's networks in one table, with ranks and paired differences."""

from pathlib import Path

import pandas as pd
import pytest
from helpers import trials

from shapebias.errors import UserError
from shapebias.evaluation.published import DOWNLOADABLE, SOURCES, find_group
from shapebias.evaluation.published_answers import read_published
from shapebias.figures.atlas import atlas_overview
from shapebias.tables.atlas import OWN, POOLED, tabulate_atlas

TOOLBOX = "subj,session,trial,rt,object_response,category,condition,imagename"
IMAGES = [f"cat{k}-dog{k}" for k in range(1, 9)]


def decisions(path: Path, observer: str, answers: str) -> None:
    """Write decisions on IMAGES; answers: s (shape), t (texture), o (another category) or - (none) for each."""
    words = {"s": "cat", "t": "dog", "o": "oven", "-": "na"}
    rows = [
        f"{observer},1,{k},1,{words[answer]},cat,0,{k:04d}_x_{image}.png"
        for k, (image, answer) in enumerate(zip(IMAGES, answers, strict=True))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([TOOLBOX, *rows]) + "\n")


@pytest.fixture
def folders(tmp_path) -> dict[str, Path]:
    geirhos, gavrikov = tmp_path / "geirhos2019", tmp_path / "gavrikov2025"
    decisions(geirhos / "x_subject-01_session_1.csv", "subject-01", "sssssss-")
    decisions(geirhos / "x_subject-02_session_1.csv", "subject-02", "sssssst-")
    decisions(geirhos / "x_resnet50_session-1.csv", "resnet50", "sttttooo")
    labels = "\n".join(
        f"{image},{label}" for image, label in zip(IMAGES, ["cat"] * 4 + ["dog"] * 3 + ["sofa"], strict=True)
    )
    (gavrikov / "vqa").mkdir(parents=True)
    (gavrikov / "vqa" / "20240205_201419_llava.csv").write_text("image,pred_label\n" + labels + "\n")
    return {"geirhos2019": geirhos, "gavrikov2025": gavrikov}


def test_every_observer_has_its_group_hits_rank_and_licence(folders):
    atlas = tabulate_atlas(folders)["atlas"]
    rows = atlas.set_index("observer")
    assert list(rows.index) == [
        *("geirhos2019/subject-01", "people, neutral instruction", "geirhos2019/subject-02"),
        *("gavrikov2025/vqa/llava", "geirhos2019/resnet50"),
    ]
    llava = rows.loc["gavrikov2025/vqa/llava"]
    assert (llava["group"], llava["name"], llava["kind"]) == ("vision language models, question", "llava", "network")
    assert (llava["shape_hits"], llava["texture_hits"], llava["other_answers"], llava["no_category"]) == (4, 3, 0, 1)
    assert (llava["licence"], llava["rank"]) == ("CC BY-SA 4.0", 3)
    assert tuple(rows.loc["geirhos2019/resnet50", ["other_answers", "rank"]]) == (3, 4)
    pooled = rows.loc["people, neutral instruction"]
    assert (pooled["kind"], pooled["members"], pooled["shape_hits"], pooled["texture_hits"]) == (POOLED, 2, 13, 1)
    assert pd.isna(pooled["rank"]) and pooled["no_category"] == 2
    single = rows[rows["kind"] != POOLED]
    assert ((single["rank_low"] <= single["rank"]) & (single["rank"] <= single["rank_high"])).all()


def test_networks_of_the_study_are_compared_with_every_observer_and_group(folders):
    own = trials(*[("cat", "dog", "dog")] * 8, observer="vit_sin_seed0").assign(image=IMAGES)
    identity = {"observer": "vit_sin_seed0", "model": "vit", "regime": "sin", "seed": 0}
    tables = tabulate_atlas(folders, [own], [identity])
    first = tables["atlas"].iloc[0]
    assert (first["group"], first["model"], first["regime"], first["rank"]) == (OWN, "vit", "sin", 5)
    pairs = tables["atlas_differences"].set_index("observer_2")
    assert set(pairs.index) == set(tables["atlas"]["observer"]) - {"vit_sin_seed0"}
    person = pairs.loc["geirhos2019/subject-01"]
    assert (person["conflict_images"], person["shape_bias_1"], person["shape_bias_2"]) == (8, 0, 1)
    assert person["p"] < 0.01 and person["p"] <= person["p_adjusted"] and person["ci_high"] < 0
    assert pairs.loc["geirhos2019/resnet50", "p"] > 0.05 > pairs.loc["geirhos2019/resnet50", "ci_low"]


@pytest.mark.parametrize("name", ["people, neutral instruction", "geirhos2019/subject-01"])
def test_a_network_with_the_name_of_a_group_or_of_a_published_observer_is_refused(folders, name):
    own = trials(*[("cat", "dog", "dog")] * 8, observer=name).assign(image=IMAGES)
    identity = {"observer": name, "model": name, "regime": None, "seed": None}
    with pytest.raises(UserError, match=f"the network '{name}' has the name of a published observer, or of a group"):
        tabulate_atlas(folders, [own], [identity])


def test_a_trial_that_a_published_file_holds_twice_is_named_with_the_file(folders):
    file = folders["gavrikov2025"] / "vqa" / "20240205_201419_llava.csv"
    file.write_text(file.read_text() + f"{IMAGES[0]},dog\n")
    with pytest.raises(UserError, match=rf"answers image '{IMAGES[0]}' twice, in .*llava\.csv"):
        read_published(folders)


def test_the_figure_names_the_networks_of_the_study_and_counts_the_groups(folders):
    own = trials(*[("cat", "dog", "dog")] * 8, observer="vit_sin_seed0").assign(image=IMAGES)
    identity = {"observer": "vit_sin_seed0", "model": "vit", "regime": "sin", "seed": 0}
    (axes,) = atlas_overview(tabulate_atlas(folders, [own], [identity])["atlas"]).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == [f"{OWN} (1)", "people, neutral instruction (2)"]
    assert [text.get_text() for text in axes.texts] == ["vit sin"]


def test_an_observer_with_the_answers_of_another_source_counts_once(folders, tmp_path, caplog):
    decisions(tmp_path / "geirhos2021" / "cue-conflict_subject-01_session_1.csv", "subject-01", "sssssss-")
    facts = read_published(folders | {"geirhos2021": tmp_path / "geirhos2021"})[1]
    assert len(facts) == 4
    assert "geirhos2021/subject-01: the same answers as geirhos2019/subject-01; counted once" in caplog.text


def test_folders_without_decisions_and_two_files_of_one_observer_are_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"huber2023: no CSV file in .*empty or below"):
        read_published({"huber2023": tmp_path / "empty"})
    with pytest.raises(UserError, match="is no folder"):
        read_published({"huber2023": tmp_path / "missing"})
    decisions(folders["geirhos2019"] / "x_subject-01_session_2.csv", "subject-01", "ttttssss")
    with pytest.raises(UserError, match="a second file of the observer 'subject-01'"):
        read_published(folders)


@pytest.mark.parametrize(
    ("source", "text", "group"),
    [
        ("geirhos2019", "nomask-content-guessing-experiment/subject-03", "people, told to answer by shape"),
        ("geirhos2019", "networks/resnet50_train_60_epochs", "networks, Stylized-ImageNet"),
        ("geirhos2019", "networks/resnet50", "networks, ImageNet"),
        ("huber2023", "humans/subject-33-age6", "people, 4 to 6 years"),
        ("huber2023", "humans/subject-130-age10", "people, 10 to 12 years"),
        ("huber2023", "humans/subject-9-age36", "people, adults"),
        ("huber2023", "models/BiTM_resnetv2_152x2", "networks, more than ImageNet"),
        ("alvarez2024", "cue-conflict/alexnet2023_baseline_pgd", "networks, adversarial images"),
        ("gavrikov2025", "classifiers/vit_large_patch14_clip_224.openai_ft_in1k", "networks, more than ImageNet"),
        ("gavrikov2025", "clip/clip_RN50_openai_CLS", "CLIP, zero-shot"),
        ("mine", "subject-1", "networks, mine"),
        ("mine", "lab/subject-1", "people, mine"),
    ],
)  # fmt: skip
def test_groups_follow_from_folders_and_names(source, text, group):
    assert find_group(source, text)[1] == group


def test_all_published_observers_have_the_published_numbers(shared_data):
    """Geirhos et al. 2019, Gavrikov et al. 2025, Alvarez and Konkle 2024; children by age: Huber et al. 2023."""
    published = shared_data / "published"
    folders = {"geirhos2019": shared_data / "observers"} | {name: published / name for name in DOWNLOADABLE[1:]}
    rows = tabulate_atlas(folders)["atlas"].set_index("observer")
    assert (rows["kind"] != POOLED).sum() == 136
    for name, shape, texture in (
        ("gavrikov2025/vqa/internvl_chat", 732, 340),
        ("gavrikov2025/vqa/openai_vision", 401, 436),
        ("alvarez2024/cue-conflict/vit_b_16", 328, 501),
        ("people, neutral instruction", 9236, 398),
    ):
        assert tuple(rows.loc[name, ["shape_hits", "texture_hits"]]) == (shape, texture), name
    ages = {"4 to 6": 0.876, "7 to 9": 0.909, "10 to 12": 0.935, "13 to 15": 0.932}
    assert {age: round(rows.loc[f"people, {age} years", "shape_bias"], 3) for age in ages} == ages


def test_the_lists_of_checksums_are_those_of_the_published_files(shared_data):
    from shapebias.downloads import checksum, read_checksum_list

    resources = Path(__file__).parents[3] / "workflow" / "resources" / "published"
    assert sorted(path.stem for path in resources.glob("*.sha256")) == sorted(DOWNLOADABLE)
    for source in ("huber2023", "gavrikov2025", "alvarez2024"):
        folder = shared_data / "published" / source / ("cue-conflict" if source == "alvarez2024" else "")
        files = read_checksum_list(resources / f"{source}.sha256", SOURCES[source].folders)
        assert {checksum(folder / file.target) for file in files} == {file.sha256 for file in files}
        assert len(files) == len(list(folder.rglob("*.csv")))
