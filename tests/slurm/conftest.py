"""A cluster, once for all tests of this folder."""

import os
import shutil

import pytest
from cluster import Cluster, why_not
from workspaces import Workspace


class OnCluster(Workspace):
    """A folder in which Snakemake runs as on a login node."""

    forks_dry_runs = False  # a fork would be outside of the cluster's namespaces

    def __init__(self, folder, cluster):
        super().__init__(folder)
        self.cluster = cluster

    def command(self, arguments, config, profile):
        return self.cluster.command(*super().command(arguments, config, profile), cwd=self.folder)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The cluster; jobs and tests see the same folders, but for its `unseen`, which nodes do not."""
    if reason := why_not():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("cluster")
    started = Cluster(folder)
    yield started
    started.stop()
    shutil.rmtree(folder / "accounting")


@pytest.fixture(scope="session")
def on_cluster(cluster, tmp_path_factory):
    """A function that returns a new, empty workspace on the cluster."""
    return lambda: OnCluster(tmp_path_factory.mktemp("study"), cluster)
