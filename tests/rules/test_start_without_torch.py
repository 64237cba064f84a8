"""Scripts that run no network of torch start without it: its import takes longer than their work.

Each script does a tiny piece of work, or prints its help where the work is another process's. All run in one process.
"""

import json
import subprocess
import sys

from helpers import ENV, ROOT, SCRIPTS, bad_images, conflict_folder, image_folder

CODE = """
import importlib, json, sys
for name, *words in json.load(sys.stdin):
    command = importlib.import_module(f"shapebias.commands.{name}")
    try:
        command.main(words)
    except SystemExit as stop:  # of --help
        assert not stop.code, (name, stop)
    if loaded := {"torch", "torchvision", "timm"} & set(sys.modules):
        sys.exit(f"{name} has imported {', '.join(loaded)}")
"""
WITH_TORCH = {"evaluate", "train", "reproduce", "download_pretrained", "train_stylizer"}


def test_scripts_without_networks_import_no_torch(tmp_path):
    photographs, stimuli = image_folder(tmp_path / "photographs", {"cat": 2, "dog": 2}), conflict_folder(tmp_path / "x")
    (photographs / "cat" / "bad.jpg").write_bytes(bad_images()["text.jpg"])
    listing, shard, rejected = tmp_path / "in.parquet", tmp_path / "in" / "test" / "0.tar", tmp_path / "rejected.csv"
    decisions, edges = (tmp_path / name / name / "net.csv" for name in ("cue-conflict", "edge"))
    for path, images in ((decisions, ["cat1-dog2", "dog1-cat2"]), (edges, ["cat1", "dog2"])):
        rows = [f"net,1,{trial},nan,cat,{image[:3]},0,{image}.png" for trial, image in enumerate(images)]
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(["subj,session,trial,rt,object_response,category,condition,imagename", *rows, ""]))
    files = ["--kind", "imagefolder", "--folder", photographs]
    sheet = ["--out", tmp_path / "manifest.csv", "--rejected", rejected, "--sheet", tmp_path / "sheet.png"]
    style = ["--styles", stimuli, "--style-size", 32]
    commands = [
        ["scan", *files, "--per-class", "test=2", "--shards", "test=1", "--out", listing],
        ["pack", *files, "--listing", listing, "--split", "test", "--shard", 0, "--size", 24, "--out", shard],
        ["catalogue", "--folder", shard.parents[1], "--shards", "test=1", "--sample", shard, "--title", "in", *sheet],
        ["rejected_sheet", "--sets", f"in={rejected}={photographs}", "--out", tmp_path / "sheets"],
        ["checksums", shard, "--out", shard.with_name("sha256")],
        ["encode_styles", *style, "--out", tmp_path / "styles"],
        ["stylize", "--content", shard, *style, "--size", 32, "--out", tmp_path / "sin.tar"],
        ["shape_bias", decisions, "--out", tmp_path / "bias.csv"],
        ["report", "--predictions", edges.parents[1], "--out", tmp_path / "report.html"],
        ["tables", "--predictions", decisions.parents[1], "--out", tmp_path / "tables"],
        ["power", "bias", "--bias", 0.3, "--coverage", 0.6],
        ["download", "--source", decisions, "--out", tmp_path / "copy.csv"],
        *([name, "--help"] for name in ("figures", "plan", "submit", "track")),
    ]
    assert {name for name, *_ in commands} | WITH_TORCH == {path.stem for path in SCRIPTS.glob("*.py")}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps([list(map(str, words)) for words in commands]),
        env=ENV,
        cwd=ROOT / "src",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
