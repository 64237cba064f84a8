"""The kinds of benchmarks have the toolbox's conditions, in every spelling of its files."""

import pytest

from shapebias.evaluation.benchmarks import KINDS, MADE_FROM_SETS, PUBLISHED_ONLY

# The 17 benchmarks of model-vs-human (its README). All names but edge, silhouette and cue-conflict are the same here.
TOOLBOX = {
    *("colour", "contrast", "high-pass", "low-pass", "phase-scrambling", "power-equalisation", "false-colour"),
    *("rotation", "eidolonI", "eidolonII", "eidolonIII", "uniform-noise", "sketch", "stylized"),
    *("edges", "silhouettes", "cue_conflict"),
}


def test_all_sets_of_the_toolbox_are_kinds():
    names = {"in_test", "sin_test", "suppressed", "critical_band", "melanoma", "configural_shape", "refined_bias"}
    assert set(KINDS) == TOOLBOX | names | {"frequency_conflict", "laion_c"}
    assert all(name == kind.name for name, kind in KINDS.items())
    assert {"edges", "silhouettes", "cue_conflict"} == TOOLBOX - PUBLISHED_ONLY and not MADE_FROM_SETS & TOOLBOX


def test_each_kind_has_the_measure_of_its_tables():
    assert [name for name, kind in KINDS.items() if kind.measures != "accuracy"] == [
        "cue_conflict",
        "suppressed",
        "critical_band",
        "melanoma",
        "configural_shape",
        "refined_bias",
        "frequency_conflict",
        "laion_c",
    ]
    assert KINDS["suppressed"].measures == "reliance"


def test_each_set_has_the_published_number_of_conditions_and_one_undistorted_condition():
    counts = {name: len(KINDS[name].conditions) for name in KINDS if name in TOOLBOX and KINDS[name].conditions}
    assert len(KINDS["laion_c"].conditions) == 30 and KINDS["laion_c"].undistorted is None
    assert counts == {
        "colour": 2,
        "contrast": 8,
        "high-pass": 8,
        "low-pass": 8,
        "phase-scrambling": 7,
        "power-equalisation": 2,
        "false-colour": 2,
        "rotation": 4,
        "eidolonI": 8,
        "eidolonII": 8,
        "eidolonIII": 8,
        "uniform-noise": 8,
    }
    for name in counts:
        kind = KINDS[name]
        assert kind.undistorted == kind.conditions[0] and kind.condition_label
        assert set(kind.condition_names) <= set(kind.conditions)
    assert KINDS["eidolonII"].conditions[3] == "8-3-10" and KINDS["eidolonII"].condition_names["8-3-10"] == "3"


def test_comparisons_with_people_leave_out_the_conditions_of_the_toolbox():
    counted = {name: [c for c in kind.conditions if c not in kind.omitted] for name, kind in KINDS.items()}
    assert counted["colour"] == ["bw"] and counted["rotation"] == ["90", "180", "270"]
    assert counted["low-pass"] == ["1", "3", "5", "7", "10"]  # people are right in exactly a fifth of the images at 15
    assert counted["contrast"] == ["c50", "c30", "c15", "c10", "c05"]
    assert counted["eidolonIII"] == ["2-0-10", "4-0-10", "8-0-10"]
    assert sum(len(kind.omitted) for name, kind in KINDS.items() if kind.conditions and name in TOOLBOX) == 32  # of 73
    assert KINDS["cue_conflict"].omitted == ()


@pytest.mark.parametrize(
    ("kind", "spelling", "condition"),
    [  # as file names of the published sets write them, and as the toolbox calls them
        ("high-pass", "3", "3.0"),
        ("high-pass", "inf", "inf"),
        ("high-pass", "0.55", "0.55"),
        ("uniform-noise", "0.00", "0.0"),
        ("uniform-noise", "0", "0.0"),
        ("uniform-noise", "0.20", "0.2"),
        ("false-colour", "true", "True"),
        ("low-pass", "0", "0"),
        ("low-pass", "0.0", "0"),
        ("contrast", "c05", "c05"),
        ("eidolonI", "16-10-10", "16-10-10"),
        ("power-equalisation", "pow", "pow"),
        # not a condition of the kind
        ("contrast", "c5", None),
        ("contrast", "5", None),
        ("eidolonI", "16-3-10", None),
        ("rotation", "45", None),
        ("low-pass", "nan", None),
        ("low-pass", "", None),
        # a kind without conditions ignores the text; a kind with conditions from the config keeps the text
        ("sketch", "0", ""),
        ("cue_conflict", "NaN", ""),
        ("suppressed", "shape-4", "shape-4"),
        ("critical_band", "noise0.04freq3", "noise0.04freq3"),
        ("critical_band", "c05", None),
    ],
)
def test_find_condition_accepts_every_spelling_of_the_toolbox(kind, spelling, condition):
    assert KINDS[kind].find_condition(spelling) == condition
