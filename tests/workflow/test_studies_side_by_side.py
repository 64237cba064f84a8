"""Several studies: each needs a folder of its own."""

from pathlib import Path

SETTINGS = "results/config.json"  # the quickest target


def test_a_second_study_does_not_overwrite_the_results_of_the_first(workspace, demo_config, tmp_path):
    place, config = workspace(), demo_config()
    assert place.snakemake(SETTINGS, config=config).returncode == 0
    before = (place.folder / SETTINGS).read_bytes()
    place.study = "second.yaml"
    refused = place.snakemake(SETTINGS, config=config | {"title": "Second"})
    assert refused.returncode == 1 and "Traceback" not in refused.stdout
    assert "results/ holds the study of config.yaml, and second.yaml would overwrite it" in refused.stdout
    assert (place.folder / SETTINGS).read_bytes() == before
    planned = place.snakemake(SETTINGS, "-n", config=config | {"title": "Second"})
    assert planned.returncode == 0 and "second.yaml would overwrite it" in planned.stdout
    done = place.snakemake(SETTINGS, "--directory", str(tmp_path / "second"), config=config | {"title": "Second"})
    assert done.returncode == 0, done.stdout
    assert "Second" in (tmp_path / "second" / SETTINGS).read_text()


def test_an_edited_study_and_a_moved_folder_are_the_same_study(workspace, demo_config):
    place, config = workspace(), demo_config()
    assert place.snakemake(SETTINGS, config=config).returncode == 0
    place.folder = Path(place.folder).rename(place.folder.with_name("moved folder"))
    done = place.snakemake(SETTINGS, config=config | {"title": "Edited"})
    assert done.returncode == 0, done.stdout
    assert "Edited" in (place.folder / SETTINGS).read_text()
