"""A scheduler that stops a node signals its ranks alone: training in two processes then stops, and resumes."""

import shutil
import signal

import psutil
import pytest
from campaign import Study, different_files

RUN = "resnet/sin/seed0"
FILES = ("model.safetensors", "history.csv", "run.json")


@pytest.mark.parametrize("rank", [0, 1])
def test_sigterm_to_one_rank_stops_all_and_the_same_command_resumes(undisturbed, tmp_path, rank):
    study, log = Study(tmp_path / "study"), tmp_path / f"study/logs/train/{RUN}.log"
    shutil.copytree(undisturbed.folder, study.folder, symlinks=True)
    shutil.rmtree(study.folder / f"results/runs/{RUN}")
    log.unlink()
    study.start(*(f"results/runs/{RUN}/{file}" for file in FILES))  # the report does not ask for the run again
    try:
        study.wait_for("epoch 1  steps", log)
        [target] = [process for process in study.scripts(["train"])["train"] if rank_of(process) == str(rank)]
        target.send_signal(signal.SIGTERM)
        status, output = study.end()
        assert status == 1 and "the same command resumes" in log.read_text(), output
        done = study.run(*(f"results/runs/{RUN}/{file}" for file in FILES))
        assert done.returncode == 0, done.stdout
        assert "resumes from step" in log.read_text()
        assert not different_files(study, undisturbed.results())
    finally:
        study.kill_all()


def rank_of(process: psutil.Process) -> str | None:
    return process.environ().get("RANK")
