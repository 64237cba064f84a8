"""What scripts/plan.py counts is what Snakemake would run, rule by rule."""

import csv
from collections import Counter

import pytest
import yaml
from helpers import ROOT, run_script, succeeded

STUDIES = ["config.yaml", *(f"experiments/{path.name}" for path in sorted((ROOT / "experiments").glob("*.yaml")))]


def counted(place, study):
    """rule → jobs, as plan.py writes them; it runs where the study's data are."""
    succeeded(run_script("plan", "--configfile", ROOT / study, "--out", "plan.csv", folder=place.folder))
    with (place.folder / "plan.csv").open() as file:
        return Counter({row["rule"]: int(row["jobs"]) for row in csv.DictReader(file)})


@pytest.mark.parametrize("study", STUDIES)
def test_the_plan_counts_the_jobs_of_a_dry_run(workspace, shared_data, study):
    place, config = workspace(), yaml.safe_load((ROOT / study).read_text())
    place.put_data(config, shared_data)
    jobs = place.plan(config)
    del jobs["total"]
    assert counted(place, study) == jobs
