"""The whole protocol of suppression through the scripts: from photographs to both tables and the report."""

import json

import pandas as pd
from helpers import TINY_RESNET, picture, run_script, succeeded, tiny_resnet
from safetensors.torch import save_file

from shapebias.evaluation.cue_suppression import PAIRS, SUPPRESSIONS

STRENGTHS = {
    **{"shape": [2], "texture": [1], "colour": [1], "rotation": [2, 4], "gaussian": [0.33, 1]},
    **{"non_local_means": [5], "channels": [1], "texture_and_shape": [[1, 2], [1, 4]]},
    **{"texture_and_colour": [[1, 1]], "shape_and_colour": [[2, 1]]},
}


def test_all_suppressions_reach_the_tables_and_the_report(tmp_path):
    save_file(tiny_resnet(2).state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "classes.csv").write_text("class,category\ntabby,cat\npug,dog\n")
    for number in range(6):
        file = tmp_path / "photographs" / ("cat" if number % 2 else "dog") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(number, (40, 40)).save(file)
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--classes", tmp_path / "classes.csv"]
    images = ["--images", tmp_path / "photographs", "--benchmark", "suppressed", "--suppress", json.dumps(STRENGTHS)]
    out = ["--out", tmp_path / "predictions" / "photographs" / "net.parquet", "--device", "cpu"]
    succeeded(run_script("evaluate", *network, "--weights", tmp_path / "net.safetensors", *images, *out))

    succeeded(run_script("tables", "--predictions", tmp_path / "predictions", "--out", tmp_path / "tables"))
    single, pairs = (pd.read_csv(tmp_path / "tables" / f"{name}.csv") for name in ("reliance", "reliance_pairs"))
    assert list(dict.fromkeys(single["cue"])) == list(SUPPRESSIONS) and list(dict.fromkeys(pairs["cues"])) == list(
        PAIRS
    )
    assert single.loc[single["cue"] == "gaussian", "strength"].tolist() == [0, 0.33, 1]
    assert pairs[["strength_1", "strength_2"]].to_numpy().tolist() == [[1, 2], [1, 4], [1, 1], [2, 1]]
    assert set(pairs["images"]) == set(single["images"]) == {6}
    untouched = single["accuracy"].iloc[0]
    known = pairs[pairs["reason"].isna()]
    assert (known["relative"] == known["accuracy"] / untouched).all()

    succeeded(run_script("report", "--predictions", tmp_path / "predictions", "--out", tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    assert "texture by smoothing surfaces or by blurring or by non-local means" in text
    assert "Accuracy without two cues at once" in text and "patches shuffled 4 × 4" in text
