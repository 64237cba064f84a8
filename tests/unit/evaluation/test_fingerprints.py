"""A fingerprint changes with the images, their labels, the settings and the code."""

import pytest
from helpers import picture

from shapebias.evaluation import fingerprints
from shapebias.evaluation.fingerprints import LIBRARY_FOLDER, fingerprint_measurement, library_files
from shapebias.images.pictures import ImageFile
from shapebias.images.shards import label


def test_code_of_every_subpackage_counts():
    files = {path.relative_to(LIBRARY_FOLDER).as_posix() for path in library_files()}
    assert files >= {"seeding.py", "images/codec.py", "evaluation/inputs.py", "networks/models.py"}
    assert files >= {"metrics/linear_read_out.py", "resources/ilsvrc_classes.csv"}


@pytest.mark.parametrize("change", ["image", "label", "setting", "code"])
def test_each_part_changes_the_fingerprint(tmp_path, monkeypatch, change):
    picture(0).save(tmp_path / "0.png")

    def fingerprint(shape="cat", size=32):
        return fingerprint_measurement({"size": size}, [ImageFile(tmp_path / "0.png", label("0", shape=shape))])

    before = fingerprint()
    assert fingerprint() == before
    if change == "image":
        picture(1).save(tmp_path / "0.png")
    if change == "code":
        monkeypatch.setattr(fingerprints, "code_and_versions", lambda: {"code": ["edited"]})
    changed = {"label": {"shape": "dog"}, "setting": {"size": 64}}.get(change, {})
    assert fingerprint(**changed) != before
