"""The page escapes its inputs, stays offline, runs only its own scripts, and has a section for each measurement."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.report.answers import benchmarks_with_matrix
from shapebias.report.bias import pivot_by_observer
from shapebias.report.conflict_browser import ConflictBrowser, Thumbnail
from shapebias.report.files import check_conflict_images, encode_webp
from shapebias.report.html_tables import MAX_CSV_BYTES, csv_download, format_fraction, format_interval
from shapebias.report.page import render_page
from shapebias.report.study import EmbeddedImage, FigureFiles, format_span
from shapebias.tables.reading import FILE_COLUMNS

PEOPLE = pd.DataFrame({"category": ["cat"], "conflict_images": [100], "shape_hits": [96], "texture_hits": [4]})
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
FIGURE = FigureFiles(SVG)
BAD = "</script><script>alert(1)</script><b>\"'&"


def biases(*rows: tuple) -> dict[str, pd.DataFrame]:
    """Return the tables of shape bias for rows of (model, regime, shape hits, texture hits)."""
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


CONFIG: dict[str, Any] = {
    "sources": {"photos": {"kind": "imagefolder"}},
    "stylized": {"painted": {"content": "photos", "styles": "art", "stylizer": "ghiasi", "strength": 1}},
    "image_size": 224,
    "input_size": 96,
    "benchmarks": {"conflict": {"images": "conflict", "kind": "cue_conflict"}},
    "regimes": {
        "in": {"train_on": ["photos"]},
        "sin": {"train_on": ["painted"], "init": "in"},
        "frozen": {"train_on": ["painted"], "init": "in", "trainable": "head"},
    },
}


def page(tables: dict[str, pd.DataFrame], **changes) -> str:
    arguments: dict[str, Any] = {"title": "T", "figures": {}, "config": CONFIG, "people": PEOPLE} | changes
    return render_page(tables=tables, **arguments)


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts, as a browser parses them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


def test_text_from_inputs_is_escaped_everywhere():
    tables = biases((BAD, "in", 3, 1)) | {
        "rejected": pd.DataFrame([["in", "train", BAD, BAD]], columns=FILE_COLUMNS["rejected"])
    }
    recipe = {"epochs": 1, "optimizer": BAD, "lr": 0.1, "batch_size": 8}
    record = {
        "timm": BAD,
        "parameters": 10**6,
        "images": {BAD: 8},
        "recipe": recipe,
        "device": BAD,
        "started": "2026-11-30T1",
    }
    record |= {"model": BAD, "regime": "in", "seed": 0, "commit": BAD, "versions": {BAD: BAD}, "seconds": {BAD: 1.0}}
    thumbnail = Thumbnail(BAD, "cat", "dog", "data:image/webp;base64,", [0])
    html = page(
        tables,
        title=BAD,
        config={"title": BAD},
        contact_sheets={BAD: b"webp"},
        records=[record],
        browsers=[ConflictBrowser(BAD, [BAD], [thumbnail], 1)],
    )
    elements = Elements(html)
    assert len(elements.scripts) == 3 and not any(tag == "b" for tag, _ in elements.elements)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 8
    assert BAD in json.loads(elements.scripts[0])["browsers"]


def test_the_page_allows_only_its_own_scripts_and_loads_nothing():
    html = page(biases(("vit", "in", 3, 1)))
    elements = Elements(html)
    (policy,) = [
        attributes["content"] for tag, attributes in elements.elements if tag == "meta" and "http-equiv" in attributes
    ]
    data, *scripts = elements.scripts
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy == (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src "
        + " ".join(f"'sha256-{digest}'" for digest in hashes)
    )
    assert json.loads(data)["charts"]
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe|object|embed|base|form [^>]*action)\b|@import|url\(|\son\w+=", markup)


def test_pictures_are_embedded_and_have_alternative_texts():
    html = page(biases(("vit", "in", 3, 1)), figures={"shape_bias_by_category.conflict": FIGURE, "accuracy": FIGURE})
    images = [attributes for tag, attributes in Elements(html).elements if tag == "img"]
    assert len(images) == 1  # without a measured accuracy, its figure is not shown
    assert (images[0]["src"] or "").startswith("data:image/svg+xml,<svg xmlns=%22http:")
    assert images[0]["alt"] == "Shape bias by category on conflict. The numbers are in the table below it."


def test_each_contact_sheet_has_a_caption():
    sheets = {"in": b"webp", "painted": b"webp", "rejected": b"webp"}
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page(biases(("vit", "in", 3, 1)), contact_sheets=sheets))
    assert "in: a sample, spread evenly over the classes." in captions
    assert (
        "painted: a sample, spread evenly over the classes. Each image stands beside its content image and its style "
        "image." in captions
    )
    assert sum("Rejected images" in caption for caption in captions) == 1


def test_the_origin_of_conflict_images_is_stated():
    tables = biases(("vit", "in", 3, 1))
    for origin, warning in (
        ("stylized here", "Not comparable with published numbers"),
        ("", "their origin is not recorded"),
        ("published", None),
    ):
        row = {"benchmark": "conflict", "kind": "cue_conflict", "origin": origin, "readable": "both"}
        html = page(tables | {"benchmarks": pd.DataFrame([row]).reindex(columns=FILE_COLUMNS["benchmarks"])})
        assert (warning is None or warning in html) and ('class="warning"' in html) == (warning is not None)


def test_the_methods_name_images_stylizer_networks_recipe_and_versions():
    record: dict[str, Any] = {"model": "vit", "regime": "sin", "seed": 0, "timm": "vit_tiny", "parameters": 500_000}
    record |= {
        "device": "cpu",
        "images": {"painted": 2560},
        "started": "2026-11-30T05:00:00",
        "versions": {"torch": "2.15.0"},
    }
    record |= {"recipe": {"epochs": 7, "optimizer": "adamw", "lr": 0.001, "batch_size": 32}}
    html = page(biases(("vit", "in", 3, 1), ("vit", "sin", 3, 1)), records=[record])
    for text in (
        "Shape bias was measured on 100 cue-conflict images",
        "in the style of “art”, made by the network of Ghiasi et al. 2017 at a strength of 1 and 224 pixels",
        "vit (vit_tiny of timm, 0.5 million weights)",
        "“stylized”: training on stylized photographs (2,560 images), from the network “photographs”, 7 epochs with "
        "adamw, "
        "learning rate 0.001,",
        "Networks saw images of 96 pixels",
        "that of the shape answers afterwards above guessing",
        "10,000 resamples",
        "torch 2.15.0",
        "<dt>trained</dt><dd>2026-11-30</dd>",
        "@inproceedings{ghiasi2017,",
    ):
        assert text in html, text
    assert "huang2017" not in html


def test_the_methods_name_the_kind_of_a_stylizer_that_has_a_name_of_its_own():
    stylized = {"painted": CONFIG["stylized"]["painted"] | {"stylizer": "own"}}
    changes = {"stylizers": {"own": {"kind": "gatys"}}, "stylized": stylized}
    html = page(biases(("vit", "in", 3, 1)), config=CONFIG | changes)
    assert "made by the optimization of Gatys et al. 2016 at a strength of 1" in html
    assert "@inproceedings{gatys2016," in html and "ghiasi2017" not in html


def test_the_methods_count_one_epoch_in_the_singular():
    record: dict[str, Any] = {"model": "vit", "regime": "sin", "seed": 0, "timm": "vit_tiny", "parameters": 500_000}
    record |= {"device": "cpu", "images": {"painted": 2560}, "versions": {}}
    record |= {"recipe": {"epochs": 1, "optimizer": "adamw", "lr": 0.001, "batch_size": 32}}
    assert ", 1 epoch with adamw," in page(biases(("vit", "in", 3, 1), ("vit", "sin", 3, 1)), records=[record])


def test_the_methods_give_the_range_of_numbers_that_differ_and_the_test_of_accuracies():
    record: dict[str, Any] = {"model": "vit", "regime": "sin", "seed": 0, "timm": "vit_tiny", "parameters": 500_000}
    record |= {"device": "cpu", "images": {"painted": 2560}, "versions": {}}
    recipe = {"epochs": 7, "optimizer": "adamw", "lr": 0.001, "batch_size": 32}
    records = [record | {"recipe": recipe}, record | {"seed": 1, "recipe": recipe | {"epochs": 9, "optimizer": "sgd"}}]
    tests = pd.DataFrame([{"benchmark": "in_test", "observer_1": "a", "observer_2": "b"}])
    tables = biases(("vit", "in", 3, 1), ("vit", "sin", 3, 1))
    tables["accuracy_differences"] = tests.reindex(columns=FILE_COLUMNS["accuracy_differences"])
    html = page(tables, records=records)
    assert ", 7 to 9 epochs with adamw or sgd, learning rate 0.001, batches of 32." in html
    assert "were compared by McNemar&#39;s exact test with Holm&#39;s correction" in html


def test_every_section_has_a_link_to_itself():
    elements = Elements(page(biases(("vit", "in", 3, 1)))).elements
    sections = [attributes["id"] for tag, attributes in elements if tag == "section" and attributes.get("id")]
    anchors = [attributes["href"] for tag, attributes in elements if tag == "a" and attributes.get("class") == "anchor"]
    assert sections and {f"#{name}" for name in sections} <= set(anchors)


def test_figures_of_training_can_be_downloaded():
    record: dict[str, Any] = {"model": "vit", "regime": "sin", "seed": 0, "timm": "vit_tiny", "parameters": 500_000}
    record |= {"device": "cpu", "images": {"painted": 2560}, "versions": {}, "seconds": {}, "commit": "c"}
    record |= {"recipe": {"epochs": 1, "optimizer": "adamw", "lr": 0.001, "batch_size": 32}}
    html = page(
        biases(("vit", "sin", 3, 1)), records=[record], figures={"training_curves": FigureFiles(SVG, pdf=b"%PDF")}
    )
    names = {attributes.get("download") for tag, attributes in Elements(html).elements if tag == "a"}
    assert {"training_curves.svg", "training_curves.png", "training_curves.pdf"} <= names


def test_a_number_and_its_percent_sign_stay_on_one_line():
    html = page(biases(("vit", "in", 3, 1)), figures={"shape_bias.conflict": FIGURE})
    caption = next(text for text in re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL) if "dashed" in text)
    assert "95\N{NO-BREAK SPACE}%" in caption and "95 %" not in caption


def test_the_chart_of_changes_names_the_baseline_as_the_page_does():
    tables = biases(("vit", "in", 10, 90), ("vit", "sin", 60, 40))
    row: dict[str, Any] = {
        "benchmark": "conflict",
        "observer_1": "vit_in_seed0",
        "observer_2": "vit_sin_seed0",
        "reason": "",
    }
    row |= {"difference": -0.5, "ci_low": -0.6, "ci_high": -0.4, "conflict_images": 100}
    pairs = pd.DataFrame([row]).reindex(columns=FILE_COLUMNS["shape_bias_differences"])
    charts = json.loads(Elements(page(tables | {"shape_bias_differences": pairs})).scripts[0])["charts"]
    assert "(from “photographs”)" in json.dumps(charts["shape_bias_differences.conflict"]["spec"], ensure_ascii=False)


def test_a_section_without_data_is_left_out_and_the_page_suggests_how_to_measure_it():
    html = page(biases(("vit", "in", 3, 1)))
    ids = Elements(html).ids()
    assert "bias" in ids and not {"inside", "reliance", "melanoma", "likeness", "browse"} & set(ids)
    assert "Reliance without conflict: a benchmark of kind suppressed." in html
    assert "No bias was measured" in page({})


def test_every_link_of_the_contents_has_a_target_and_ids_are_unique():
    elements = Elements(page(biases(("vit", "in", 3, 1)), browsers=[ConflictBrowser("conflict", [], [], 0)]))
    links = {
        (attributes["href"] or "")[1:]
        for tag, attributes in elements.elements
        if tag == "a" and (attributes["href"] or "").startswith("#")
    }
    assert links <= set(elements.ids())
    assert len(set(elements.ids())) == len(elements.ids())


def test_csv_downloads_have_all_digits():
    html = page(biases(("vit", "in", 1, 2)))
    (link,) = [
        attributes
        for tag, attributes in Elements(html).elements
        if tag == "a" and attributes.get("download") == "shape_bias.conflict.csv"
    ]
    data = base64.b64decode((link["href"] or "").partition(",")[2])
    assert pd.read_csv(io.BytesIO(data))["shape_bias"].tolist() == [1 / 3]
    assert ">0.333<" in html


def test_only_a_study_of_stylized_training_asks_for_its_cost():
    tables = biases(("vit", "in", 10, 90), ("vit", "sin", 60, 40))
    row = {"benchmark": "in_test", "unit": "category", "model": "vit", "images": 80, "correct": 40, "accuracy": 0.5}
    rows = [row | {"observer": f"vit_{regime}_seed0", "regime": regime, "seed": 0} for regime in ("in", "sin")]
    accuracy = pd.DataFrame(rows).assign(ci_low=0.4, ci_high=0.6, chance=1 / 16)
    tables |= {"accuracy": accuracy.reindex(columns=FILE_COLUMNS["accuracy"])}
    study, predictions = page(tables), page(tables, config={})
    assert "At what cost in accuracy?" in study and "In every architecture, and every category?" in study
    assert "How accurate are they?" in predictions and "In every category?" in predictions


def test_a_long_table_states_how_many_rows_it_shows():
    accuracy = pd.DataFrame([("b", f"net{i}", f"net{i}", "category", 1 / 16) for i in range(151)])
    accuracy.columns = ["benchmark", "observer", "model", "unit", "chance"]
    accuracy = accuracy.assign(images=80, correct=40, accuracy=0.5, ci_low=0.4, ci_high=0.6)
    html = page({"accuracy": accuracy.reindex(columns=FILE_COLUMNS["accuracy"])})
    assert "The first 150 of 151 rows." in html
    assert "rows.</p>" not in page({"accuracy": accuracy.head(150).reindex(columns=FILE_COLUMNS["accuracy"])})


def test_negative_numbers_have_a_minus_sign():
    assert (format_fraction(-0.25), format_interval(-0.5, 0.1)) == ("−0.250", "−0.500 to 0.100")
    assert pivot_by_observer(
        pd.DataFrame(
            {"category": ["cat"], "observer_name": ["a"], "shape_bias": [0.5], "ci_low": [0.4], "ci_high": [0.6]}
        ),
        "category",
    ).rows == [["cat", "0.500 (0.400 to 0.600)"]]


def test_each_section_reports_the_regimes_of_its_question():
    tables = biases(("vit", "in", 10, 90), ("vit", "sin", 60, 40), ("vit", "frozen", 20, 80))
    shares = tables["shape_bias"].assign(chance=1 / 16, coverage=1.0, corrected_bias=tables["shape_bias"]["shape_bias"])
    for cue in ("shape", "texture"):
        shares[f"{cue}_accuracy"] = shares[f"{cue}_hits"] / 100
        shares[f"{cue}_low"], shares[f"{cue}_high"] = shares[f"{cue}_accuracy"] - 0.02, shares[f"{cue}_accuracy"] + 0.02
    rows = []
    for regime, gain in (("sin", 0.5), ("frozen", 0.1)):
        row: dict[str, Any] = {
            "benchmark": "conflict",
            "model_1": "vit",
            "regime_1": "in",
            "model_2": "vit",
            "regime_2": regime,
            "seeds": 1,
        }
        row |= {"difference": -gain, "ci_low": -gain - 0.05, "ci_high": -gain + 0.05}
        for cue, sign in (("shape", 1), ("texture", -1)):
            row |= {f"{cue}_difference{end}": -sign * gain for end in ("", "_low", "_high")}
        rows.append(row)
    pooled = pd.DataFrame(rows).reindex(columns=FILE_COLUMNS["shape_bias_differences_pooled"])
    cue_accuracy = shares.reindex(columns=FILE_COLUMNS["cue_accuracy"])
    html = page(tables | {"shape_bias_differences_pooled": pooled, "cue_accuracy": cue_accuracy})
    sections = dict(re.findall(r'<section id="(\w+)"(.*?)</section>', html, flags=re.DOTALL))
    assert "Does training on stylized images change the bias?" in sections["bias"]
    assert "After training on stylized photographs (compared with photographs), the network turns" in sections["bias"]
    assert "After training the head alone on stylized photographs" in sections["architectures"]
    assert "After training on stylized photographs (" not in sections["architectures"]


def test_networks_without_results_are_named():
    study = {"models": {"vit": {}}, "regimes": {"in": {}, "sin": {}}, "seeds": [0]}
    observers = {"people": {"decisions": "x.csv"}, "lite": {"timm": "lite0"}, "b0": {"timm": "b0"}}
    config = study | {"observers": observers, "sources": {}, "stylized": {}, "benchmarks": {}}
    tables = biases(("vit", "in", 3, 1), ("b0", None, 3, 1))
    html = page(tables, config=config | {"regimes": {}})
    assert "leaves out 1 of 2 networks, whose results did not exist when it was written: lite." in html
    config["observers"] = {"b0": observers["b0"]}
    assert "This report is incomplete" not in page(tables, config=config | {"regimes": {}})


def likeness(*rows: tuple[str, float, float]) -> dict[str, pd.DataFrame]:
    """Return the tables of likeness to people for rows of (network, κ with people, mean rank)."""
    pair = {"benchmark": "noise", "condition": "all", "conditions": 1, "images": 80, "reason": "", "caution": ""}
    pairs = [
        {"observer_1": name, "observer_2": "people", "kappa": kappa, "ci_low": kappa - 0.1, "ci_high": kappa + 0.1}
        for name, kappa, _ in rows
    ]
    ranks = [{"benchmark": "all", "observer": name, "model": name, "mean_rank": rank} for name, _, rank in rows]
    ranks.append({"benchmark": "noise", "observer": "people", "model": "people"})
    return {
        "error_consistency": pd.DataFrame([pair | row for row in pairs]).reindex(
            columns=FILE_COLUMNS["error_consistency"]
        ),
        "human_likeness": pd.DataFrame(ranks).reindex(columns=FILE_COLUMNS["human_likeness"]),
    }


def test_networks_are_ranked_by_their_likeness_to_people():
    tables = likeness(("a", 0.4, 1.0), ("b", 0.2, 2.0))
    rows = [("noise", condition) for condition in ("0.0", "0.03", "0.9")] + [("edges", "")]
    conditions = pd.DataFrame(rows, columns=["benchmark", "condition"]).assign(observer="a", model="a", regime="in")
    conditions = conditions.assign(images=80, accuracy=0.5, ci_low=0.4, ci_high=0.6, chance=1 / 16, reason="")
    tables["accuracy_by_condition"] = conditions.reindex(columns=FILE_COLUMNS["accuracy_by_condition"])
    kinds = pd.DataFrame({"benchmark": ["noise", "edges"], "kind": ["uniform-noise", "edges"]})
    tables["benchmarks"] = kinds.reindex(columns=FILE_COLUMNS["benchmarks"])
    html = page(tables, figures={"human_likeness": FIGURE})
    assert "Over 1 benchmark with answers from people, 2 observers are ranked: a photographs (1.0) is most" in html
    assert "are left out, as in the model-vs-human toolbox: noise 0.0, 0.9." in html
    assert "Likeness to people: people" not in html  # the page suggests nothing that was measured


def test_pairs_of_more_observers_than_a_matrix_holds_are_a_table_alone(monkeypatch):
    monkeypatch.setattr("shapebias.report.answers.MAX_MATRIX_OBSERVERS", 60)
    html = page(likeness(*[(f"net{i:02d}", 0.2, 1.0) for i in range(60)]))
    assert "The page has no matrix of these 60 pairs" in html
    assert "a page holds at most 100,000 pairs in all, of 60 observers" in html
    assert "error_consistency" not in json.loads(Elements(html).scripts[0])["charts"]
    assert "are left out, as in the" not in html  # no benchmark has conditions


def test_every_benchmark_has_its_table_of_kappa_even_without_a_figure():
    rows = pd.DataFrame(
        [
            (name, "all", 1, "a", "b", 80, 0.5, 0.5, 0.6, 0.5, 0.2, 0.1, 0.3, "", -1, 1, 0.2, 0.2, 0.01, "")
            for name in ("one", "two")
        ]
    )
    rows.columns = FILE_COLUMNS["error_consistency"]
    html = page({"error_consistency": rows})
    assert "error_consistency.one.csv" in html and "error_consistency.two.csv" in html
    assert html.count("κ is above 0 for 1 of 1 pair (n = 80)") == 2


def test_the_matrix_of_52_networks_and_10_people_holds_all_17_sets():
    names = [*(f"net{i:02d}" for i in range(52)), *(f"subject-{i:02d}" for i in range(10)), "people"]
    pairs = pd.DataFrame(combinations(names, 2), columns=["observer_1", "observer_2"])
    sets = [f"set{i:02d}" for i in range(17)]
    table = pd.concat([pairs.assign(benchmark=name) for name in sets])
    assert len(table) == 17 * 63 * 62 / 2 and benchmarks_with_matrix(table) == sets


def test_a_benchmark_whose_pairs_do_not_fit_on_the_page_says_so(monkeypatch):
    monkeypatch.setattr("shapebias.report.answers.MAX_PAIRS", 1)
    rows = pd.DataFrame(
        [
            (name, "all", 1, "a", "b", 80, 0.5, 0.5, 0.6, 0.5, 0.2, 0.1, 0.3, "", -1, 1, 0.2, 0.2, 0.01, "")
            for name in ("one", "two")
        ]
    )
    rows.columns = FILE_COLUMNS["error_consistency"]
    html = page({"error_consistency": rows})
    assert html.count("The page has no matrix of these 1 pairs") == 1
    chart = json.loads(Elements(html).scripts[0])["charts"]["error_consistency"]
    assert chart["rows"]["benchmark"]["texts"] == ["one"]


def test_the_caption_defines_errors_on_conflict_images():
    tables = biases(("vit", "in", 3, 1), ("net", "in", 3, 1))
    rows = pd.DataFrame(
        [("conflict", "all", 1, "a", "b", 80, 0.5, 0.5, 0.6, 0.5, 0.2, 0.1, 0.3, "", -1, 1, 0.2, 0.2, 0.01, "")]
    )
    rows.columns = FILE_COLUMNS["error_consistency"]
    html = page(tables | {"error_consistency": rows}, figures={"error_consistency.conflict": FIGURE})
    caption = next(text for text in re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL) if "κ is 0" in text)
    assert (
        "On conflict images, every answer except the category of the shape is an error" in caption
        and "including those where shape and texture agree" in caption
    )


def test_the_chart_of_the_read_out_has_a_curve_per_cue():
    rows = [
        {"stage": stage, "depth": depth, "cue": cue, "accuracy": accuracy}
        for stage, depth, shape, texture in (("pixels", 0.0, 0.2, 0.3), ("last", 1.0, 0.4, 0.8))
        for cue, accuracy in (("shape", shape), ("texture", texture))
    ]
    shared = {"benchmark": "b", "observer": "vit", "model": "vit", "regime": "in", "seed": 0, "images": 80}
    table = pd.DataFrame([row | shared for row in rows]).assign(features=8, chance=1 / 16)
    table = table.assign(ci_low=table["accuracy"] - 0.1, ci_high=table["accuracy"] + 0.1)
    html = page({"read_out": table.reindex(columns=FILE_COLUMNS["read_out"])}, figures={"read_out.b": FIGURE})
    charts = json.loads(Elements(html).scripts[0])["charts"]
    assert charts["read_out.b.texture"]["rows"]["accuracy"] == [0.3, 0.8]
    assert "the last stage after training on photographs gives the texture more accurately in 1 of 1 network" in html
    assert "read_out.b.csv" in html


def test_a_matrix_shows_the_differences_between_observers_that_were_not_trained_here(monkeypatch):
    tables = biases(("a", None, 60, 40), ("b", None, 20, 80))
    pair: dict[str, Any] = {"benchmark": "conflict", "observer_1": "a", "observer_2": "b", "conflict_images": 100}
    pair |= {"difference": 0.4, "ci_low": 0.3, "ci_high": 0.5}
    tables["shape_bias_differences"] = pd.DataFrame([pair]).reindex(columns=FILE_COLUMNS["shape_bias_differences"])
    chart = json.loads(Elements(page(tables)).scripts[0])["charts"]["shape_bias_differences_of_others.conflict"]
    assert chart["rows"]["difference"] == [0.4, -0.4]
    assert chart["rows"]["interval_text"]["texts"] == ["0.300 to 0.500", "−0.500 to −0.300"]
    monkeypatch.setattr("shapebias.report.bias.MAX_MATRIX_OBSERVERS", 1)
    html = page(tables)
    assert "no matrix of the differences between these 2 observers, because it shows at most 1. The CSV file" in html
    assert "shape_bias_differences_of_others.conflict" not in json.loads(Elements(html).scripts[0])["charts"]


def test_categories_without_a_bias_have_no_section():
    tables = biases(("vit", "in", 3, 1))
    undefined = tables["shape_bias_by_category"].assign(shape_hits=0, texture_hits=0, shape_bias=float("nan"))
    html = page(tables | {"shape_bias_by_category": undefined})
    assert {"bias", "architectures"} & set(Elements(html).ids()) == {"bias"}


def test_the_chart_of_reliance_shows_the_accuracy_of_all_networks():
    rows = [
        {"observer": name, "model": name, "regime": "in", "strength": strength, "accuracy": accuracy}
        for name, start, end in (("able", 0.9, 0.3), ("guessing", 0.06, 0.08))
        for strength, accuracy in ((1.0, start), (4.0, end))
    ]
    shared = {"benchmark": "r", "seed": 0, "cue": "shape", "images": 80, "chance": 1 / 16, "reason": ""}
    table = pd.DataFrame([row | shared for row in rows]).reindex(columns=FILE_COLUMNS["reliance"])
    html = page({"reliance": table})
    chart = json.loads(Elements(html).scripts[0])["charts"]["reliance.r.shape"]
    assert set(chart["rows"]["model"]["texts"]) == {"able", "guessing"}
    assert chart["spec"]["spec"]["layer"][0]["encoding"]["y"]["title"] == "accuracy"
    assert "patches shuffled 4 × 4 0.08 to 0.30" in html
    assert "mean" in json.dumps(chart["spec"]["spec"]["layer"][0]["encoding"]["y"])  # a line at chance
    assert set(chart["rows"]["chance"]) == {0.0625}


def test_conditions_of_an_unknown_kind_keep_an_order():
    for conditions, expected in ((["10", "9", "-2"], ["-2", "9", "10"]), (["weak", "strong"], ["weak", "strong"])):
        rows = pd.DataFrame(
            {"condition": conditions, "benchmark": "own", "observer": "a", "model": "a", "regime": "in"}
        )
        rows = rows.assign(seed=0, images=80, accuracy=0.5, ci_low=0.4, ci_high=0.6, chance=0.06, reason="")
        html = page({"accuracy_by_condition": rows.reindex(columns=FILE_COLUMNS["accuracy_by_condition"])})
        chart = json.loads(Elements(html).scripts[0])["charts"]["accuracy_by_condition"]["rows"]
        places = dict(zip(chart["condition"]["texts"], chart["place"], strict=True))
        assert sorted(places, key=places.__getitem__) == expected


def test_a_picture_is_not_enlarged_much():
    svg = b'<?xml version="1.0"?>\n<svg width="72pt" height="10pt" viewBox="0 0 72 10"/>'
    assert EmbeddedImage(svg, "svg+xml").max_width == 144  # 72 pt are 96 pixels
    assert EmbeddedImage(SVG, "svg+xml").max_width is None
    html = page(biases(("vit", "in", 3, 1)), figures={"shape_bias.conflict": FigureFiles(svg)})
    assert "--max-width: 144px" in html


def test_a_span_of_numbers_is_written_as_one_number_if_they_agree():
    nothing = float("nan")
    assert [format_span(pd.Series(numbers)) for numbers in ([80, 1280], [80, nothing, 80], [nothing])] == [
        "80 to 1,280",
        "80",
        "0",
    ]


@pytest.mark.parametrize(("measured", "named"), [(["conflict", "other"], "there are conflict, other"), ([], "none")])
def test_conflict_images_of_a_benchmark_that_was_not_measured_are_refused(measured, named):
    table = pd.DataFrame({"benchmark": measured})
    check_conflict_images({name: [] for name in measured}, table)
    with pytest.raises(UserError, match=f"conflict images of 'edges': no such benchmark; .*{named}"):
        check_conflict_images({"edges": []}, table)


def test_a_contact_sheet_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "sheet.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"sheet.png: not a readable image .*; make it again"):
        encode_webp(tmp_path / "sheet.png")


def test_a_large_table_is_named_but_not_embedded():
    large = pd.DataFrame({"x": range(MAX_CSV_BYTES // 4)})
    csv = csv_download("confusion.conflict", large)
    assert (csv.uri, csv.file, csv.rows) == (None, "confusion.csv", len(large))
    assert csv_download("small", large.head()).uri
