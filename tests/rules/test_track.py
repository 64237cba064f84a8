"""Upload of tables and figures to Weights & Biases, through the script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import picture, refused, run_process, run_script, succeeded
from wandb_server import KEY, wandb_server


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """Return a folder with a table with a missing number, a figure and a config."""
    monkeypatch.setattr("helpers.ENV", {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "error"})
    (tmp_path / "shape_bias.csv").write_text("observer,shape_bias\nresnet,0.25\nvit,\n")
    picture().save(tmp_path / "shape_bias.conflict.png")
    (tmp_path / "config.json").write_text(json.dumps({"seeds": [0]}))
    return tmp_path


def track(study: Path, *more: object, run=run_script):
    files = ["--tables", study / "shape_bias.csv", "--figures", study / "shape_bias.conflict.png"]
    where = ["--config", study / "config.json", "--wandb-dir", study, "--out", study / "receipt.json"]
    return run("track", "--title", "The demo", *files, *where, *more)


def receipt(study: Path) -> dict:
    return json.loads((study / "receipt.json").read_text())


def test_tables_and_figures_arrive_with_wandb_sync(study):
    succeeded(track(study, run=run_process))
    record = receipt(study)
    assert (record["mode"], record["warning"]) == ("offline", None)
    assert (record["tables"], record["figures"]) == (["shape_bias"], ["shape_bias.conflict"])
    assert Path(record["folder"]).parent == study / "wandb"
    with wandb_server() as server:
        environment = os.environ | {"HOME": str(study), "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
        wandb = Path(sys.executable).with_name("wandb")
        done = subprocess.run([wandb, "sync", "wandb"], cwd=study, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        run = server.runs[record["run"]]
    assert (run.about["jobType"], run.about["groupName"], run.config) == ("report", "The demo", {"seeds": [0]})
    (row,) = run.history
    table = json.loads(run.files[row["tables/shape_bias"]["path"]], parse_constant=str)
    assert table == {"columns": ["observer", "shape_bias"], "data": [["resnet", 0.25], ["vit", "NaN"]]}
    figure = run.files[row["figures/shape_bias.conflict"]["path"]]
    assert figure == (study / "shape_bias.conflict.png").read_bytes()


def test_a_failure_of_wandb_is_recorded_and_does_not_fail_the_job(study):
    (study / "wandb").write_text("a file in the way")
    done = succeeded(track(study, run=run_process))
    assert done.stderr.count("W&B:") == 1 and "Traceback" not in done.stderr
    record = receipt(study)
    assert (record["tables"], record["figures"], record["folder"]) == ([], [], None)
    assert "Not a directory" in record["warning"]


def test_mode_disabled_records_nothing_except_its_mode(study):
    succeeded(track(study, "--wandb-mode", "disabled"))
    assert receipt(study)["mode"] == "disabled"
    assert receipt(study)["tables"] == []
    assert not (study / "wandb").exists()


def test_a_missing_table_is_named(study):
    (study / "shape_bias.csv").unlink()
    refused(track(study), "shape_bias.csv", "scripts/tables.py")
