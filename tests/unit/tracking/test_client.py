"""Weights & Biases: the mode and the API key. Tests of the recorded data are in rules/test_wandb_runs.py."""

import random
import threading

import pytest

from shapebias.tracking.client import Tracker, TrackingSettings, effective_mode, new_run_id, read_env_file, shorten_tags


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("WANDB_API_KEY=abc", {"WANDB_API_KEY": "abc"}),
        ('export WANDB_API_KEY="a b#c"  # mine', {"WANDB_API_KEY": "a b#c"}),
        ("  WANDB_ENTITY = 'lab'", {"WANDB_ENTITY": "lab"}),
        ("WANDB_BASE_URL=http://host:8080 # ours", {"WANDB_BASE_URL": "http://host:8080"}),
        ("WANDB_ENTITY=", {"WANDB_ENTITY": ""}),
        ("# WANDB_API_KEY=abc", {}),
        ("AWS_SECRET=abc", {}),
        ("WANDB_API_KEY", {}),
    ],
)
def test_only_wandb_variables_of_a_dotenv_file_are_read(tmp_path, line, expected):
    (tmp_path / ".env").write_text(f"\n{line}\n")
    assert read_env_file(tmp_path / ".env") == expected
    assert read_env_file(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("configured", "requested", "used"),
    [
        ("offline", None, "offline"),
        ("online", "offline", "offline"),
        ("online", "disabled", "disabled"),
        ("offline", "online", "offline"),
        ("disabled", "online", "disabled"),
        ("online", "dryrun", "offline"),
        ("online", "DryRun", "offline"),
        ("online", "run", "online"),
        ("offline", "run", "offline"),
        ("online", "OFFLINE", "offline"),
        ("online", " Disabled ", "disabled"),
        ("online", "shared", "offline"),
        ("online", "anything", "offline"),
        ("disabled", "anything", "disabled"),
        ("online", "", "online"),
    ],
)
def test_wandb_mode_reduces_the_configured_mode_but_never_raises_it(configured, requested, used):
    assert effective_mode(configured, requested) == used


@pytest.mark.parametrize(
    ("word", "used"),
    [
        ("true", "disabled"),
        ("1", "disabled"),
        ("YES", "disabled"),
        ("false", "online"),
        ("0", "online"),
        ("", "online"),
    ],
)
def test_wandb_disabled_keeps_runs_from_being_recorded(word, used):
    assert effective_mode("online", None, word) == used
    assert effective_mode("online", "run", word) == used


def test_an_unknown_wandb_mode_is_reported_and_uploads_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "of-line")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_DISABLED", raising=False)
    started = []
    monkeypatch.setattr(Tracker, "_send_messages", lambda self, environment: started.append(self.mode))
    tracker = Tracker(TrackingSettings("online"), run_id="a", name="a", group="a", job_type="train", tags=[], config={})
    tracker.finish({})
    assert started == ["offline"]
    assert "WANDB_MODE=of-line is none of offline, online, disabled, dryrun, run" in caplog.text


def test_run_ids_differ_and_leave_seeded_streams_unchanged():
    random.seed(0)
    state = random.getstate()
    assert new_run_id() != new_run_id()
    assert random.getstate() == state


def test_disabled_starts_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = threading.active_count()
    tracker = Tracker(
        TrackingSettings("disabled"), run_id="a", name="a", group="a", job_type="train", tags=[], config={}
    )
    tracker.log({"loss": 1.0}, step=1)
    assert threading.active_count() == threads
    tracker.finish({})
    assert list(tmp_path.iterdir()) == []


def test_tags_are_cut_to_the_length_that_wandb_takes_and_stay_distinct():
    assert shorten_tags(["r" * 65, "seed0", "r" * 66, ""]) == ["r" * 64, "seed0"]
