"""Published observers through the rules: from folders to the page, and as downloads in a plan."""

from helpers import ROOT

from shapebias.tables.reading import read_table


def test_published_observers_reach_the_page_without_any_network(shared_data, workspace):
    published = shared_data / "published"
    config = {
        "title": "Published observers",
        "data_root": str(shared_data),
        "benchmarks": {"stimuli": {"kind": "cue_conflict", "folder": "stimuli/cue-conflict"}},
        "published": {"geirhos2019": "observers", "alvarez2024": str(published / "alvarez2024")},
    }
    place = workspace()
    done = place.snakemake(config=config)
    assert done.returncode == 0, done.stdout
    atlas = read_table(place.folder / "results" / "tables", "atlas")
    assert len(atlas) == 14 + 10 + 1  # and all people together
    page = (place.folder / "results" / "report.html").read_text()
    assert "Among published observers" in page and "none stated" in page
    assert "No network of this study answered the published cue conflicts" in page
    assert (place.folder / "results" / "figures" / "atlas.svg").exists()


def test_listed_sources_are_downloaded_before_the_tables(workspace):
    config = {
        "benchmarks": {"stimuli": {"kind": "cue_conflict", "folder": "download:stimuli/cue-conflict"}},
        "published": ["huber2023", "gavrikov2025"],
    }
    jobs = workspace().plan(config)
    assert jobs["download_published"] == 2 and jobs["tables"] == 1
    assert workspace().plan(config, "downloads")["download_published"] == 2


def test_a_source_that_is_unknown_or_cannot_be_downloaded_is_refused(workspace):
    config = {"benchmarks": {"stimuli": {"kind": "cue_conflict", "folder": str(ROOT)}}}
    for source, message in (
        ("gavrikov", "published: 'gavrikov' is no source; did you mean 'gavrikov2025'?"),
        ("geirhos2021", "published.geirhos2021: geirhos2021 cannot be downloaded"),
    ):
        done = workspace().snakemake("-n", config=config | {"published": [source]})
        assert done.returncode == 1 and message in done.stdout, done.stdout
