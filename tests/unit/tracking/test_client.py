"""Weights & Biases: which mode is used, where the key comes from. What arrives there is in rules/test_wandb_runs.py."""

import random
import threading

import pytest

from shapebias.tracking.client import Settings, Tracker, effective_mode, new_run_id, variables


@pytest.mark.parametrize(
    ("line", "found"),
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
def test_a_dotenv_file_is_read_for_wandb_variables_alone(tmp_path, line, found):
    (tmp_path / ".env").write_text(f"\n{line}\n")
    assert variables(tmp_path / ".env") == found
    assert variables(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("configured", "asked", "used"),
    [
        ("offline", None, "offline"),
        ("online", "offline", "offline"),
        ("online", "disabled", "disabled"),
        ("offline", "online", "offline"),
        ("disabled", "online", "disabled"),
        ("online", "anything", "online"),
    ],
)
def test_wandb_mode_turns_the_configured_mode_down_but_never_up(configured, asked, used):
    assert effective_mode(configured, asked) == used


def test_run_ids_differ_and_draw_from_no_seeded_stream():
    random.seed(0)
    state = random.getstate()
    assert new_run_id() != new_run_id()
    assert random.getstate() == state


def test_disabled_starts_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = threading.active_count()
    tracker = Tracker(Settings("disabled"), run_id="a", name="a", group="a", job_type="train", tags=[], config={})
    tracker.log({"loss": 1.0}, step=1)
    assert threading.active_count() == threads
    tracker.finish({})
    assert list(tmp_path.iterdir()) == []
