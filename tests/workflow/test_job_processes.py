"""Snakemake as it runs inside a cluster job, without a cluster."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from helpers import ROOT

JOB = ["--cores", "1", "--mode", "remote"]  # as in the command of an executor


def test_a_job_that_cannot_read_its_config_has_its_own_exit_status(workspace, demo_config):
    """The status is EX_CONFIG of sysexits.h. The executor then retries no job."""
    place, config = workspace(), demo_config()
    place.forks = False
    config["training"]["epoch"] = 3
    done = place.snakemake("results/config.json", *JOB, config=config, profile=None)
    assert done.returncode == 78
    assert "unknown key 'training.epoch'" in done.stdout and "Traceback" not in done.stdout


def test_a_job_fails_if_its_inputs_do_not_appear(workspace, demo_config):
    """It fails even if an older output exists, which would pass for the new one."""
    place = workspace()
    place.forks = False
    (place.folder / "results").mkdir()
    (place.folder / "results/config.json").write_text("{}")
    waiting = ["--latency-wait", "1", "--wait-for-files", "gone.tar"]
    done = place.snakemake("results/config.json", *JOB, *waiting, config=demo_config(), profile=None)
    assert done.returncode == 1
    assert "gone.tar (missing locally" in done.stdout and "do its nodes see them?" in done.stdout


@pytest.mark.parametrize("mode", [JOB, ["--cores", "1"]], ids=["job", "main"])
def test_sigterm_ends_a_process_that_waits_for_outputs(tmp_path, mode):
    (tmp_path / "Snakefile").write_text(
        f'include: "{ROOT}/workflow/rules/upstream.smk"\n'
        'rule made_elsewhere:\n    output: "never"\n    shell: "touch begun"\n'
    )
    command = [sys.executable, "-m", "snakemake", *mode, "--latency-wait", "3", "never"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as job:
        try:
            while not (tmp_path / "begun").exists():
                assert job.poll() is None
                time.sleep(0.1)
            time.sleep(1)  # now the scheduler holds its lock for three seconds
            job.send_signal(signal.SIGTERM)
            assert job.wait(timeout=30) == 1
        finally:
            job.kill()


def test_a_job_that_starts_just_after_ctrl_c_does_not_run(tmp_path):
    """Ctrl-C reaches the processes that run. The thread of this job starts its process a second later."""
    (tmp_path / "Snakefile").write_text(
        "import snakemake.executors.local as local\nimport time\n"
        f'include: "{ROOT}/workflow/rules/upstream.smk"\n'
        "run = local.run_wrapper\n"
        "def run_late(*arguments):\n    open('begun', 'w').close()\n    time.sleep(1)\n    run(*arguments)\n"
        "local.run_wrapper = run_late\n"
        'rule long:\n    output: "long"\n    shell: "sleep 60"\n'
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "long"]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as main:
        try:
            while not (tmp_path / "begun").exists():
                assert main.poll() is None
                time.sleep(0.01)
            os.killpg(main.pid, signal.SIGINT)
            assert main.wait(timeout=30) == 1
        finally:
            main.kill()


def test_a_study_runs_without_the_slurm_executor_of_snakemake(workspace, demo_config):
    place = workspace()
    arguments = place.command(("results/config.json",), demo_config(), "local")[3:]
    hide = "import sys; sys.modules['snakemake_executor_plugin_slurm'] = None; from snakemake.cli import main; main()"
    skip = (
        "import pkgutil; listed = pkgutil.iter_modules; pkgutil.iter_modules = lambda *a: "
        "[m for m in listed(*a) if m.name != 'snakemake_executor_plugin_slurm']; "
    )
    done = subprocess.run(
        [sys.executable, "-c", skip + hide, *arguments], cwd=place.folder, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((place.folder / "results/config.json").read_text())["title"] == demo_config()["title"]
