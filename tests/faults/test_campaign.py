"""Faults hit a running study; afterwards the same command reaches the results of an undisturbed run, byte for byte."""

import os
import random
from collections import Counter

import pytest
from campaign import FAULTS, KILL, STAGES, Study, disturb

LONG = int(os.environ.get("COUNT") or 0)  # number of studies, from `make faults`


@pytest.mark.parametrize("number", range(LONG or 1))
def test_a_study_survives_faults_at_its_stages(disk, undisturbed, seed, number, capsys):
    """In the small test each kind of fault hits once. In the long one each stage is hit, and half of the hits kill."""
    draw, study = random.Random(f"{seed}/{number}"), Study(disk)
    study.make_photographs()
    faults = [*FAULTS, *[KILL] * (len(STAGES) - len(FAULTS) if LONG else 0)]
    try:
        survived = disturb(study, faults, undisturbed.results(), draw)
    finally:
        study.kill_all()
    assert survived == Counter(faults)
    with capsys.disabled():
        print(*(f"\n{name}: {count} tried, {count} survived" for name, count in survived.items()), sep="")
