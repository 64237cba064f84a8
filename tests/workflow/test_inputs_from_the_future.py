"""An input from the future ends the run before its first job, because Snakemake would delete the results."""

import os
import time

from helpers import picture

TABLE = "results/tables/shape_bias.csv"
HEADER = "subj,session,trial,rt,object_response,category,condition,imagename"
TRIAL = "JB,1,1,NaN,cat,cat,0,0000_sb_JB_0_cat_00_cat1-dog1.png"


def test_decisions_from_the_future_are_refused_by_name_before_the_first_job(workspace, tmp_path):
    place = workspace()
    stimuli, decisions = tmp_path / "stimuli" / "cat", tmp_path / "decisions.csv"
    stimuli.mkdir(parents=True)
    picture().save(stimuli / "cat1-dog1.png")
    decisions.write_text(f"{HEADER}\n{TRIAL}\n")
    later = time.time() + 3 * 3600
    os.utime(decisions, (later, later))
    config = {
        "title": "People",
        "image_size": 32,
        "benchmarks": {"conflict": {"kind": "cue_conflict", "folder": str(stimuli.parent)}},
        "observers": {"people": {"decisions": str(decisions), "benchmark": "conflict"}},
        "wandb": {"mode": "disabled"},
    }
    refused = place.snakemake(TABLE, config=config)
    assert refused.returncode == 1 and "Traceback" not in refused.stdout
    assert f"{decisions}: dated " in refused.stdout
    assert "3.0 hours in the future. Snakemake would delete all results made from it" in refused.stdout
    assert f"Give it the time of now: touch {decisions}" in refused.stdout
    assert not (place.folder / "logs" / "tables.log").exists()
