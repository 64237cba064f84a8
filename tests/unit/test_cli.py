"""Options and messages that all commands share."""

from shapebias import cli


def test_progress_in_a_file_is_one_line_every_half_minute(monkeypatch, caplog):
    clock = iter([0.0, 10.0, 31.0, 31.0, 50.0, 62.0, 62.0])  # the start, then each item; twice if a line is printed
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        assert list(cli.progress(range(4), total=1200, unit="image", label="edges")) == [0, 1, 2, 3]
    assert caplog.messages == ["edges: 2 of 1,200 images", "edges: 4 of 1,200 images"]
