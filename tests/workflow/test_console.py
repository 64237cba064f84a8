"""The terminal output: a dry run on one page, one line for each started job, and all details of a failed job."""

import re
from collections import Counter

import pytest
import yaml
from workspaces import job_counts

JOB = re.compile(r"^ *(?:local)?rule (\w+):$", re.MULTILINE)


@pytest.fixture
def paper(repository):
    """The config of the paper's study."""
    return yaml.safe_load((repository / "experiments/paper.yaml").read_text())


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_a_dry_run_prints_one_page_of_jobs_per_rule_and_reasons(workspace, paper, paper_page, profile):
    page = paper_page if profile == "local" else workspace().snakemake("-n", config=paper, profile=profile).stdout
    assert len(page.splitlines()) < 70 and max(map(len, page.splitlines())) < 500
    counts = [(name, int(count)) for name, count in re.findall(r"^(\w+) +(\d+)$", page, re.MULTILINE)]
    assert len(counts) == len(dict(counts))  # one table
    assert counts[-1] == ("total", sum(count for _, count in counts[:-1]))
    assert "Reasons:\n    (each job: add -p)\n    input files updated by another job:" in page
    assert not JOB.search(page)


def test_a_dry_run_with_p_prints_every_job_with_its_command(workspace, paper, paper_page):
    output = workspace().snakemake("-n", "-p", config=paper).stdout
    assert Counter(JOB.findall(output)) == job_counts(paper_page) - Counter(total=10**6)
    assert "train.py --train 'in=results/images/in/train/{0..103}.tar'" in output.replace('"$SCRIPTS"/', "")


def test_a_run_prints_one_line_for_a_started_job_and_all_details_of_a_failed_job(workspace, demo_config):
    place, config = workspace(), demo_config()
    for number in range(3):
        (place.folder / "photographs/cat").mkdir(parents=True, exist_ok=True)
        (place.folder / f"photographs/cat/{number}.jpg").write_text("This is no photograph.")
    config["sources"]["bad"] = {"kind": "imagefolder", "folder": "photographs", "per_class": {"test": 2}}
    done = place.snakemake("results/images/bad/manifest.csv", config=config)
    assert done.returncode == 1
    start = r"^Job \d+: rule {}\n    reason: Missing output files: \S+{}\n\["
    assert re.search(start.format("scan, set=bad", "listing.parquet"), done.stdout, re.MULTILINE)
    assert "Job 1: rule pack, set=bad, split=test, shard=0\n" in done.stdout
    assert "1 of 3 steps (33%) done" in done.stdout
    failed = done.stdout.partition("Error in rule pack:")[2]
    assert "    log: logs/pack/bad/test/0.log" in failed
    assert "error: class 'cat': 2 images wanted, 2 of them broken" in failed  # the job's own message
    log = next((place.folder / ".snakemake/log").iterdir()).read_text()
    assert JOB.findall(log)[:2] == ["scan", "pack"]


def test_an_error_of_a_dry_run_names_no_unrelated_line(workspace, demo_config):
    done = workspace().snakemake("nothing", config=demo_config())
    assert done.returncode == 1
    assert "MissingRuleException:\nNo rule to produce nothing" in done.stdout
