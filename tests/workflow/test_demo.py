"""The demo of `make demo` shows the effect of stylized training."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from helpers import ROOT

NETWORKS = ("resnet", "convnext", "vit", "coatnet")
REGIMES = ("in", "sin", "combined", "frozen")

pytestmark = pytest.mark.skipif(not os.environ.get("CI"), reason="eleven minutes; set CI=true to run the real demo")


@pytest.fixture(scope="module")
def demo_folder(workspace, demo_config):
    place = workspace()
    done = place.snakemake(config=demo_config())
    assert done.returncode == 0, done.stdout
    return place.folder


@pytest.fixture(scope="module")
def tables(demo_folder):
    folder = demo_folder / "results/tables"
    return {name: pd.read_csv(folder / f"{name}.csv") for name in ("shape_bias", "accuracy", "runs")}


@pytest.mark.parametrize("network", NETWORKS)
def test_training_on_stylized_images_moves_each_network_towards_shape(tables, network):
    bias = tables["shape_bias"].set_index(["model", "regime"]).loc[network]
    assert bias.loc["in", "shape_bias"] < 0.5, "photographs make a texture-biased network"
    assert bias.loc["in", "ci_high"] < bias.loc["sin", "ci_low"], "and stylized ones move it beyond the intervals"


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("regime", REGIMES)
def test_accuracy_on_photographs_is_well_above_chance(tables, network, regime):
    accuracy = tables["accuracy"]
    row = accuracy[
        (accuracy["benchmark"] == "in_test")
        & (accuracy["unit"] == "category")
        & (accuracy["model"] == network)
        & (accuracy["regime"] == regime)
    ].iloc[0]
    assert row["chance"] == 1 / 16
    assert row["ci_low"] > 2 * row["chance"]


def test_the_published_number_of_conflict_images_is_shown(tables):
    assert (tables["shape_bias"]["conflict_images"] == 1280).all()


def test_the_planned_time_is_within_a_factor_of_two(demo_folder):
    command = [sys.executable, ROOT / "scripts/plan.py", "--configfile", ROOT / "config.yaml"]
    plan = subprocess.run(
        [*command, "--compare", demo_folder / "logs/benchmarks"], text=True, capture_output=True, check=True
    ).stdout
    total = plan.splitlines()[-1].split()
    assert total[0] == "total"
    assert 0.5 < float(total[-1]) < 2, plan
