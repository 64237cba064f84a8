"""The critical band through the scripts, from photographs and recorded answers to the report; published networks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import TINY_RESNET, colour_shard, run_script, succeeded, tiny_resnet
from safetensors.torch import save_file

from shapebias.categories import CATEGORIES
from shapebias.evaluation.band_noise import NOISE_LEVELS, choose_condition, noise_condition
from shapebias.evaluation.decisions import CSV_COLUMNS, read_raw_predictions
from shapebias.metrics.critical_band import fit_channels, read_published_trials
from shapebias.tables.reading import read_table


def record_answers(path: Path, *, bandwidth: float, centre: float) -> Path:
    """Write the answers of an observer that names the category unless noise in its channel is too strong for it."""
    rng, rows = np.random.default_rng(0), []
    for i in range(1050):
        level, band = NOISE_LEVELS[i % 5], i // 5 % 7
        sensitivity = np.exp(-np.log(2) * ((band - centre) / (bandwidth / 2)) ** 2) / 0.03
        category = CATEGORIES[i % 16]
        is_seen = rng.random() < 0.9 / (1 + (level * sensitivity) ** 3)
        answer = category if is_seen else CATEGORIES[rng.integers(16)]
        name = f"{i}_cbm_noise{level:g}_freq{band}_gray_g_{category}.JPEG"
        rows.append(("observer", 1, i + 1, "NaN", answer, category, noise_condition(level, band), name))
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(path, index=False)
    return path


def test_from_photographs_and_answers_to_tables_and_report(tmp_path):
    save_file(tiny_resnet().state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "classes.csv").write_text("class,category\ncat,cat\ndog,dog\n")
    colour_shard(tmp_path / "photographs.tar", 20)
    answers = tmp_path / "answers" / "photographs"
    answers.mkdir(parents=True)
    record_answers(tmp_path / "answers" / "critical_band" / "observer.csv", bandwidth=3, centre=4)
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--classes", tmp_path / "classes.csv"]
    network += ["--weights", tmp_path / "net.safetensors", "--device", "cpu"]
    shown = ["--images", tmp_path / "photographs.tar", "--benchmark", "critical_band"]
    written = ["--out", answers / "net.parquet", "--decisions", answers / "net.csv"]
    succeeded(run_script("evaluate", *network, *shown, *written))
    predictions, record = read_raw_predictions(answers / "net.parquet")
    size = record["preparation"]["size"]
    expected = [noise_condition(*choose_condition(image, size)) for image in predictions["image"]]
    assert predictions["condition"].tolist() == expected and len(predictions) == 40

    succeeded(run_script("tables", "--predictions", tmp_path / "answers", "--out", tmp_path / "tables"))
    table = read_table(tmp_path / "tables", "critical_band").set_index("observer")
    row = table.loc["observer"]
    assert row["bandwidth_low"] < 3 < row["bandwidth_high"] < 5
    assert row["centre_low"] < 1.75 * 2**4 < row["centre_high"]
    assert row["images"] == 1050 and row["chance"] == 1 / 16 and pd.isna(row["reason"])
    refused = table.loc["net"]
    assert pd.isna(refused["bandwidth"]) and refused["reason"] and refused["chance"] == 1 / 2

    succeeded(run_script("report", "--predictions", tmp_path / "answers", "--out", tmp_path / "report.html"))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "report-figures" / "critical_band.critical_band.svg").exists()
    assert 'id="critical-band"' in html and f"{row['bandwidth']:.1f} [{row['bandwidth_low']:.1f}" in html
    assert f"net ({refused['reason']})" in html and "bandwidth 1.0 octave" in html


def test_eleven_of_the_published_networks_are_refused(shared_data):
    folder = shared_data / "critical-band" / "network_data"
    paths = {path.name.split("_accuracies_")[0][len("solomon_") :]: path for path in sorted(folder.glob("solomon_*"))}
    fits = fit_channels(read_published_trials(paths), np.full(len(paths), 1 / 16))
    refused = {name: reason for name, reason in zip(paths, fits.reasons, strict=True) if reason}
    too_wide = {name for name, reason in refused.items() if "bandwidth of 7 octaves" in reason}
    assert too_wide == {
        *("alexnet", "bagnet9", "bagnet17", "bagnet33", "resnet50_clip_hard_labels", "resnet50_l2_eps3"),
        *("resnet50_l2_eps5", "shufflenet_v2_x0_5", "squeezenet1_1"),
    }
    assert set(refused) - too_wide == {"selecsls42", "selecsls84"}  # no better than chance without noise
    values = dict(zip(paths, zip(fits.low[:, 0], fits.values[:, 0], fits.high[:, 0], strict=True), strict=True))
    assert values["resnet50"] == pytest.approx((3.22, 3.90, 4.87), abs=0.01)
    assert values["resnet50_trained_on_SIN"] == pytest.approx((2.86, 3.45, 4.26), abs=0.01)
