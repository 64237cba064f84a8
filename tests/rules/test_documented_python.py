"""The Python of the README and of the pages runs: it measures a ResNet-50 and writes reports."""

import pytest
import timm
from documents import BLOCKS, person_csv
from helpers import image_folder, picture
from safetensors.torch import save_file


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """Return a folder with the files that the pages use: images, people's decisions, and weights of a ResNet-50."""
    folder = tmp_path_factory.mktemp("documented")
    for k, name in enumerate(["cat/cat1-bird1", "cat/cat2-car1", "bird/bird1-cat2", "dog/dog1-dog2"]):
        path = folder / f"stimuli/cue-conflict/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(k, (224, 224)).save(path)
    image_folder(folder, {"photographs": 2, "paintings": 2})
    image_folder(folder / "labelled", {"cat": 2, "bird": 2}, size=64)
    (folder / "observers").mkdir()
    for person in ("subject-01", "subject-02"):
        person_csv(folder / f"observers/{person}.csv", person)
    save_file(timm.create_model("resnet50").state_dict(), folder / "my.safetensors")
    return folder


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "python"], ids=str)
def test_python_runs(block, stimuli, monkeypatch, capsys):
    monkeypatch.chdir(stimuli)
    exec(compile(block.text, str(block), "exec"), {})
    if "print(" in block.text:
        assert "shape_bias" in capsys.readouterr().out
