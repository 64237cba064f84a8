"""Recorded decisions in the layouts of four studies give the published numbers of hits."""

import logging

import pytest

from shapebias.errors import UserError
from shapebias.evaluation.decisions import read_decisions, read_observers
from shapebias.metrics.panel import pair_trials

TOOLBOX = "subj,session,trial,rt,object_response,category,condition,imagename"
CHILDREN = "subj,trial,rt,object_response,category,imagename,age,block,difficulty"


def write(path, header, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def count_hits(*paths) -> dict[str, tuple[int, int]]:
    """Return observer → the numbers of its answers that name the shape and the texture of conflict images."""
    panel = pair_trials(read_observers([*paths]))
    hits = zip(panel.shape_hits.sum(axis=0), panel.texture_hits.sum(axis=0), strict=True)
    return {name: (int(shape), int(texture)) for name, (shape, texture) in zip(panel.observers, hits, strict=True)}


def test_images_and_labels_are_enough(tmp_path):
    rows = ["cat1-bird1,cat", "cat1-dog1,dog", "cat2-cat1,cat", "bear1-car1,oven"]
    assert count_hits(write(tmp_path / "vlm_a.csv", "image,pred_label", *rows)) == {"vlm_a": (1, 1)}


def test_a_label_outside_the_categories_is_an_answer_that_names_no_cue(tmp_path, caplog):
    rows = ["cat1-bird1,sofa", "cat1-dog1,None", "bear1-car1,bear"]
    path = write(tmp_path / "vlm.csv", "image,pred_label", *rows)
    assert count_hits(path) == {"vlm": (1, 0)}
    assert len(read_decisions(path)) == 3
    assert "none of the 16 categories: 1 (the first: 'sofa')" in caplog.text


def test_the_columns_tell_the_layout_whatever_their_order(tmp_path):
    rows = ["0.9,cat,cat1-bird1.png,a sentence", "0.8,bird,cat1-bird2.png,another"]
    assert count_hits(write(tmp_path / "v.csv", "pred_conf,pred_label,image,response", *rows)) == {"v": (1, 1)}


def test_persons_of_the_study_of_children_have_their_age_in_their_name(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    rows = [
        "31,1,1.2,cat,cat,1111_cc_hum_1_cat1-bird1.png,10.0,1,1",
        "31,2,1.2,cat,cat,1111_cc_hum_0_cat_40_n03085013_19436.JPEG,10.0,1,0",
    ]
    path = write(tmp_path / "10_12.csv", CHILDREN, *rows)
    assert count_hits(path) == {"subject-31-age10": (1, 0)}
    assert "undistorted photographs that are left out: 1" in caplog.text


def test_undistorted_photographs_count_where_no_shape_conflicts_with_a_texture(tmp_path):
    """The published files of other sets hold them as difficulty 0 among the conditions."""
    row = "31,2,1.2,dog,cat,1111_edg_hum_0_cat_00_n03085013_19436.png,10.0,1,0"
    [trial] = read_decisions(write(tmp_path / "10_12.csv", CHILDREN, row), "edges").to_dict("records")
    assert (trial["observer"], trial["shape"], trial["decision"]) == ("subject-31-age10", "cat", "dog")


def test_rows_that_contradict_the_name_of_their_file_are_reported(tmp_path, caplog):
    row = "ResNeXt101,1,,cat,cat,1111_cc_dnn_1_cat1-bird1.png,,,1"
    assert count_hits(write(tmp_path / "bitm.csv", CHILDREN, row)) == {"ResNeXt101": (1, 0)}
    assert "its rows name the observer 'ResNeXt101'" in caplog.text
    caplog.clear()
    row = "vit_b_16,1,1,NaN,cat,cat,NaN,cat1-bird1.png"
    assert count_hits(write(tmp_path / "cue-conflict_vit-b-16_session-1.csv", TOOLBOX, row)) == {"vit_b_16": (1, 0)}
    assert not caplog.text


def test_labels_of_other_benchmarks_and_unknown_layouts_are_refused(tmp_path):
    with pytest.raises(UserError, match="image,pred_label says no category"):
        read_decisions(write(tmp_path / "v.csv", "image,pred_label", "n01_1,cat"), "colour")
    with pytest.raises(UserError, match=r"column subj, object_response.*expected subj.*or image,pred_label"):
        read_decisions(write(tmp_path / "v.csv", "image,prediction", "cat1-bird1,cat"))
    with pytest.raises(UserError, match="'dog7' has no texture"):
        read_decisions(write(tmp_path / "v.csv", "image,pred_label", "dog7,cat"))


@pytest.mark.parametrize(
    ("file", "hits"),
    [  # Gavrikov et al., ICLR 2025; Alvarez and Konkle 2024
        ("gavrikov2025/vqa/20240214_121600_internvl_chat.csv", (732, 340)),
        ("gavrikov2025/vqa/20240228_002836_openai_vision.csv", (401, 436)),  # 131 images without an answer
        ("alvarez2024/cue-conflict/cue-conflict_resnet50_session-1.csv", (177, 625)),
        ("alvarez2024/cue-conflict/cue-conflict_bagnet33_session-1.csv", (53, 880)),
        ("alvarez2024/cue-conflict/cue-conflict_convnext-large_session-1.csv", (255, 641)),
        ("alvarez2024/cue-conflict/cue-conflict_simclr-resnet50x1_session-1.csv", (266, 415)),
        ("alvarez2024/cue-conflict/cue-conflict_vit-b-16_session-1.csv", (328, 501)),
    ],
)
def test_published_files_give_the_published_hits(shared_data, file, hits):
    assert list(count_hits(shared_data / "published" / file).values()) == [hits]


@pytest.mark.parametrize(
    ("file", "bias"),
    [
        ("gavrikov2025/clip/ViT_L_14_openai_a_photo_of_a_CLS..csv", 0.602),
        ("gavrikov2025/clip/clip_RN50_openai_CLS.csv", 0.208),
        ("gavrikov2025/clip/BAAI_EVA_CLIP_8B_448_None_CLS.csv", 0.566),
        ("huber2023/humans/4_6.csv", 0.876),  # Huber et al. 2023, all children of an age together
        ("huber2023/humans/7_9.csv", 0.909),
        ("huber2023/humans/10_12.csv", 0.935),
        ("huber2023/humans/13_15.csv", 0.932),
    ],
)
def test_published_files_give_the_published_bias(shared_data, file, bias):
    hits = count_hits(shared_data / "published" / file).values()
    shape, texture = (sum(counts) for counts in zip(*hits, strict=True))
    assert round(shape / (shape + texture), 3) == bias


def test_doubled_answers_are_refused_with_their_files(tmp_path):
    rows = ("cat1-dog1.png,cat", "dog1-cat2.png,dog")
    first = write(tmp_path / "a/vlm.csv", "image,pred_label", *rows, "cat1-dog1.png,dog")
    with pytest.raises(UserError, match=r"'vlm' answers image 'cat1-dog1' twice, in \S+/a/vlm.csv; give each trial"):
        read_observers([first])
    write(first, "image,pred_label", *rows)
    second = write(tmp_path / "b/vlm.csv", "image,pred_label", *rows)
    with pytest.raises(UserError, match=r"twice, in \S+/a/vlm.csv and in \S+/b/vlm.csv; give one file of each"):
        read_observers([first, second])


def test_missing_answers_are_named(tmp_path, caplog):
    rows = ("cat1-dog1.png,cat", "dog1-cat2.png,dog", "dog2-cat2.png,")
    files = [write(tmp_path / f"{k}.csv", "image,pred_label", *rows[: 3 - k]) for k in range(3)]
    assert read_observers(files).groupby("observer").size().tolist() == [3, 2, 1]
    assert "2 of 3; '1' lacks 1 of 3 images, for example 'dog2-cat2'" in caplog.text
    caplog.clear()
    read_observers(files[:1])
    assert not caplog.records
