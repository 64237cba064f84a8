"""One cluster for all tests of this folder."""

import os
import shutil

import pytest
from cluster import Cluster, missing_requirement
from workspaces import Workspace


class ClusterWorkspace(Workspace):
    """A folder in which Snakemake runs as on a login node."""

    forks = False  # a fork would be outside of the cluster's namespaces

    def __init__(self, folder, cluster):
        super().__init__(folder)
        self.cluster = cluster

    def command(self, arguments, config, profile):
        return self.cluster.command(*super().command(arguments, config, profile), cwd=self.folder)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Start the cluster. Its jobs see the folders of the tests, except `unseen` in its own folder."""
    if reason := missing_requirement():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()
    shutil.rmtree(folder / "accounting")


@pytest.fixture(scope="session")
def cluster_workspace(cluster, tmp_path_factory):
    """Return a function that returns a new, empty workspace on the cluster."""
    return lambda: ClusterWorkspace(tmp_path_factory.mktemp("study"), cluster)
