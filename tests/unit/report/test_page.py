"""The report escapes, stays offline, runs no script but its own, and shows a section for what was measured."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd

from shapebias.report.bias import wide
from shapebias.report.conflict_browser import Browser, Thumbnail
from shapebias.report.html_tables import LARGEST_CSV, csv_of, fraction, interval
from shapebias.report.page import render
from shapebias.report.study import Image
from shapebias.tables.reading import FILE_COLUMNS

PEOPLE = pd.DataFrame({"category": ["cat"], "conflict_images": [100], "shape_hits": [96], "texture_hits": [4]})
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
BAD = "</script><script>alert(1)</script><b>\"'&"


def biases(*rows: tuple) -> dict[str, pd.DataFrame]:
    """model, regime, shape hits, texture hits → the tables of shape bias."""
    table = pd.DataFrame(rows, columns=["model", "regime", "shape_hits", "texture_hits"])
    table["benchmark"], table["conflict_images"], table["seed"] = "conflict", 100, 0
    table["observer"] = [f"{model}_{regime}_seed0" if regime else model for model, regime, *_ in rows]
    table["shape_bias"] = table["shape_hits"] / (table["shape_hits"] + table["texture_hits"])
    table["ci_low"], table["ci_high"] = table["shape_bias"] - 0.1, table["shape_bias"] + 0.1
    pooled = table.assign(kind="run", seeds=1, interval="images")
    return {
        "shape_bias": table[FILE_COLUMNS["shape_bias"]],
        "shape_bias_pooled": pooled[FILE_COLUMNS["shape_bias_pooled"]],
        "shape_bias_by_category": table.assign(category="cat")[FILE_COLUMNS["shape_bias_by_category"]],
    }


def page(tables: dict[str, pd.DataFrame], **changes) -> str:
    config = {"stylized": {"conflict": {}}, "benchmarks": {"conflict": {"images": "conflict", "kind": "cue_conflict"}}}
    given: dict[str, Any] = {"title": "T", "figures": {}, "config": config, "people": PEOPLE} | changes
    return render(tables=tables, **given)


class Elements(HTMLParser):
    """What a browser makes of a page: its elements, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.found if "id" in attributes]


def test_text_from_inputs_is_escaped_wherever_it_stands():
    tables = biases((BAD, "in", 3, 1)) | {
        "rejected": pd.DataFrame([["in", "train", BAD, BAD]], columns=FILE_COLUMNS["rejected"])
    }
    record = {"model": BAD, "regime": "in", "seed": 0, "commit": BAD, "versions": {BAD: BAD}, "seconds": {BAD: 1.0}}
    thumbnail = Thumbnail(BAD, "cat", "dog", "data:image/webp;base64,", [0])
    html = page(
        tables,
        title=BAD,
        config={"title": BAD},
        contact_sheets={BAD: b"webp"},
        records=[record],
        browsers=[Browser(BAD, [BAD], [thumbnail], 1)],
    )
    elements = Elements(html)
    assert len(elements.scripts) == 3 and not any(tag == "b" for tag, _ in elements.found)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 8
    assert BAD in json.loads(elements.scripts[0])["browsers"]


def test_only_the_scripts_of_the_page_may_run_and_nothing_may_be_loaded():
    html = page(biases(("vit", "in", 3, 1)))
    elements = Elements(html)
    (policy,) = [told["content"] for tag, told in elements.found if tag == "meta" and "http-equiv" in told]
    data, *scripts = elements.scripts
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy == (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src "
        + " ".join(f"'sha256-{found}'" for found in hashes)
    )
    assert json.loads(data)["charts"]
    kept = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe|object|embed|base|form [^>]*action)\b|@import|url\(|\son\w+=", kept)


def test_pictures_travel_inside_and_say_what_they_show():
    html = page(biases(("vit", "in", 3, 1)), figures={"shape_bias_by_category.conflict": SVG, "accuracy": SVG})
    images = [told for tag, told in Elements(html).found if tag == "img"]
    assert len(images) == 1  # no accuracy was measured: a figure of it is not shown
    assert (images[0]["src"] or "").startswith("data:image/svg+xml;base64,")
    assert images[0]["alt"] == "Shape bias by category on conflict. The numbers are in the table below it."


def test_each_sheet_says_what_it_shows():
    sheets = {"in": b"webp", "conflict": b"webp", "rejected": b"webp"}
    told = re.findall(r"<figcaption>(.*?)</figcaption>", page(biases(("vit", "in", 3, 1)), contact_sheets=sheets))
    assert "in: a sample, spread evenly over the classes." in told
    assert "conflict: a sample, spread evenly over the classes; each beside its content and its style." in told
    assert sum("were set aside" in caption for caption in told) == 1


def test_home_made_conflicts_carry_a_warning():
    tables = biases(("vit", "in", 3, 1))
    assert "Not comparable with published numbers" in page(tables)
    published = {"benchmarks": {"conflict": {"kind": "cue_conflict", "folder": "x"}}}
    assert "Not comparable with published numbers" not in page(tables, config=published)


def test_a_section_without_data_is_left_out_and_the_page_says_how_to_get_it():
    html = page(biases(("vit", "in", 3, 1)))
    ids = Elements(html).ids()
    assert "bias" in ids and not {"inside", "reliance", "melanoma", "likeness", "browse"} & set(ids)
    assert "Reliance without conflict: a benchmark of kind suppressed." in html
    assert "No bias was measured" in page({})


def test_every_link_of_the_contents_leads_somewhere_and_no_id_is_there_twice():
    elements = Elements(page(biases(("vit", "in", 3, 1)), browsers=[Browser("conflict", [], [], 0)]))
    links = {
        (told["href"] or "")[1:] for tag, told in elements.found if tag == "a" and (told["href"] or "").startswith("#")
    }
    assert links <= set(elements.ids())
    assert len(set(elements.ids())) == len(elements.ids())


def test_tables_can_be_taken_away_with_all_their_digits():
    html = page(biases(("vit", "in", 1, 2)))
    (link,) = [
        told for tag, told in Elements(html).found if tag == "a" and told.get("download") == "shape_bias.conflict.csv"
    ]
    data = base64.b64decode((link["href"] or "").partition(",")[2])
    assert pd.read_csv(io.BytesIO(data))["shape_bias"].tolist() == [1 / 3]
    assert ">0.333<" in html


def test_of_a_long_table_the_page_says_how_much_it_shows():
    accuracy = pd.DataFrame([("b", f"net{i}", f"net{i}", "category", 1 / 16) for i in range(401)])
    accuracy.columns = ["benchmark", "observer", "model", "unit", "chance"]
    accuracy = accuracy.assign(images=80, correct=40, accuracy=0.5, ci_low=0.4, ci_high=0.6)
    html = page({"accuracy": accuracy.reindex(columns=FILE_COLUMNS["accuracy"])})
    assert "The first 400 of 401 rows." in html
    assert "rows.</p>" not in page({"accuracy": accuracy.head(400).reindex(columns=FILE_COLUMNS["accuracy"])})


def test_negative_numbers_have_one_kind_of_minus():
    assert (fraction(-0.25), interval(-0.5, 0.1)) == ("−0.250", "−0.500 to 0.100")
    assert wide(
        pd.DataFrame({"category": ["cat"], "who": ["a"], "shape_bias": [0.5], "ci_low": [0.4], "ci_high": [0.6]}),
        "category",
    ).rows == [["cat", "0.500 (0.400 to 0.600)"]]


def test_what_training_did_is_told_in_the_section_that_asks_for_it():
    tables = biases(("vit", "in", 10, 90), ("vit", "sin", 60, 40), ("vit", "frozen", 20, 80))
    pairs = [
        ("vit_in_seed0", f"vit_{regime}_seed0", 100, 0.1, bias, 0.1 - bias)
        for regime, bias in (("sin", 0.6), ("frozen", 0.2))
    ]
    table = pd.DataFrame(pairs, columns=FILE_COLUMNS["shape_bias_differences"][1:7]).assign(
        benchmark="conflict", reason=""
    )
    table["ci_low"], table["ci_high"] = table["difference"] - 0.05, table["difference"] + 0.05
    html = page(tables | {"shape_bias_differences": table[FILE_COLUMNS["shape_bias_differences"]]})
    sections = dict(re.findall(r'<section id="(\w+)"(.*?)</section>', html, flags=re.DOTALL))
    assert "Does training on stylized images change the bias?" in sections["bias"]
    assert "Training on stylized images: towards shape in 1 of 1 network" in sections["bias"]
    assert "The regime “frozen”: towards shape in 1" in sections["architectures"]
    assert "Training on stylized images:" not in sections["architectures"]


def test_kappa_of_every_benchmark_has_its_table_also_where_no_figure_was_drawn():
    rows = pd.DataFrame(
        [(name, "all", 1, "a", "b", 80, 0.5, 0.5, 0.6, 0.5, 0.2, 0.1, 0.3, "") for name in ("one", "two")]
    )
    rows.columns = FILE_COLUMNS["error_consistency"]
    html = page({"error_consistency": rows})
    assert "error_consistency.one.csv" in html and "error_consistency.two.csv" in html
    assert html.count("κ lies above 0 in 1 of 1 pair (n = 80)") == 2


def test_err_on_conflict_images_is_defined():
    tables = biases(("vit", "in", 3, 1), ("net", "in", 3, 1))
    rows = pd.DataFrame([("conflict", "all", 1, "a", "b", 80, 0.5, 0.5, 0.6, 0.5, 0.2, 0.1, 0.3, "")])
    rows.columns = FILE_COLUMNS["error_consistency"]
    html = page(tables | {"error_consistency": rows}, figures={"error_consistency.conflict": SVG})
    caption = next(text for text in re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL) if "κ is 0" in text)
    assert (
        "On conflict images, to err is to answer anything but the category of the shape" in caption
        and "also those whose two cues agree" in caption
    )


def test_networks_with_nothing_to_lose_are_not_in_the_chart_of_reliance():
    rows = [
        {"observer": name, "model": name, "regime": "in", "strength": strength, "accuracy": accuracy}
        | {"relative": accuracy / start, "relative_low": 0.1, "relative_high": 1.2}
        for name, start, end in (("able", 0.9, 0.3), ("guessing", 0.06, 0.08))
        for strength, accuracy in ((1.0, start), (4.0, end))
    ]
    shared = {"benchmark": "r", "seed": 0, "cue": "shape", "images": 80, "reason": ""}
    table = pd.DataFrame([row | shared for row in rows]).reindex(columns=FILE_COLUMNS["reliance"])
    html = page({"reliance": table})
    chart = json.loads(Elements(html).scripts[0])["charts"]["reliance.r.shape"]
    assert set(chart["rows"]["model"]) == {"able"}
    assert chart["spec"]["layer"][0]["encoding"]["x"]["title"] == "patches a side"
    assert "guessing in 0.06" in html and ">1.333<" in html  # the table keeps what it was


def test_conditions_of_an_unknown_kind_keep_an_order():
    for given, wanted in ((["10", "9", "-2"], ["-2", "9", "10"]), (["weak", "strong"], ["weak", "strong"])):
        rows = pd.DataFrame({"condition": given, "benchmark": "own", "observer": "a", "model": "a", "regime": "in"})
        rows = rows.assign(seed=0, images=80, accuracy=0.5, ci_low=0.4, ci_high=0.6, chance=0.06, reason="")
        html = page({"accuracy_by_condition": rows.reindex(columns=FILE_COLUMNS["accuracy_by_condition"])})
        chart = json.loads(Elements(html).scripts[0])["charts"]["accuracy_by_condition"]["rows"]
        places = dict(zip(chart["condition"], chart["place"], strict=True))
        assert sorted(places, key=places.__getitem__) == wanted


def test_a_picture_is_not_drawn_much_larger_than_it_is():
    svg = b'<?xml version="1.0"?>\n<svg width="72pt" height="10pt" viewBox="0 0 72 10"/>'
    assert Image(svg, "svg+xml").widest == 125  # 72 pt are 96 pixels
    assert Image(SVG, "svg+xml").widest is None
    html = page(biases(("vit", "in", 3, 1)), figures={"shape_bias.conflict": svg})
    assert "--widest: 125px" in html


def test_a_large_table_is_named_and_not_carried():
    large = pd.DataFrame({"x": range(LARGEST_CSV // 4)})
    csv = csv_of("confusion.conflict", large)
    assert (csv.uri, csv.file, csv.rows) == (None, "confusion.csv", len(large))
    assert csv_of("small", large.head()).uri
