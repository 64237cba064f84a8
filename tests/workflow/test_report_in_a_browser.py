"""The report in a browser: with and without JavaScript, by mouse and by keyboard, and printed.

The scripts make the page from answers of simulated networks and people to drawn images with the names of conflict
stimuli. The tests save screenshots in $SHAPEBIAS_SCREENSHOTS.
"""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from helpers import run_script, succeeded
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

from shapebias.categories import CATEGORIES
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import CSV_COLUMNS, PROBABILITIES, write_predictions
from shapebias.metrics.shape_bias import wilson_interval
from shapebias.report.encoding import contrast_ratio
from shapebias.seals import CHECKSUM_LIST
from shapebias.seeding import generator

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 900}
# (model, regime) → fraction of answers that are the shape, and the texture.
NETWORKS = {
    ("resnet", "in"): (0.1, 0.6),
    ("resnet", "sin"): (0.4, 0.2),
    ("vit", "in"): (0.2, 0.5),
    ("vit", "sin"): (0.5, 0.2),
}
REACHED = "() => document.activeElement.closest('[data-reached]')?.dataset.reached ?? ''"


# A study


def conflicts(each: int) -> pd.DataFrame:
    """Return `each` conflict images per shape category, with names like the published ones."""
    rows = []
    for place, shape in enumerate(CATEGORIES):
        for i in range(each):
            texture = CATEGORIES[(place + 1 + i % 15) % 16]
            rows.append((f"{shape}{i + 1}-{texture}{i // 15 + 1}", shape, texture))
    return pd.DataFrame(rows, columns=["image", "shape", "texture"])


def simulate_decisions(name: str, images: pd.DataFrame, shape: float, texture: float) -> np.ndarray:
    """Return answers with these fractions of shapes and textures; the others are random categories."""
    rng = generator(0, "decided", name)
    numbers, other_answers = rng.random(len(images)), rng.choice(CATEGORIES, len(images))
    answers = np.where(
        numbers < shape, images["shape"], np.where(numbers < shape + texture, images["texture"], other_answers)
    )
    return answers.astype(object)


def predictions(name: str, images: pd.DataFrame, decisions: np.ndarray) -> pd.DataFrame:
    """Return predictions in the form of scripts/evaluate.py, with probability 0.7 for each answer."""
    table = images.assign(observer=name, content=images["image"] + ".png", style=None, decision=decisions)
    table = table.assign(condition="", session=1, imagename=None, predicted_class=decisions)
    for column in ("class", "shape_class", "texture_class"):
        table[column] = None
    chosen = decisions[:, None] == np.array(CATEGORIES, dtype=object)
    table[PROBABILITIES] = np.where(chosen, 0.7, 0.02)
    for cue in ("shape", "texture"):
        table[f"{cue}_rank"] = pd.array([1 if own else 5 for own in decisions == table[cue]], dtype="Int64")
    return table


def record(name: str, kind: str, model: str, regime: str | None) -> dict:
    seed = None if regime is None else 0
    facts = {"observer": name, "model": model, "regime": regime, "seed": seed, "benchmark": kind}
    return facts | {"answers": list(CATEGORIES), "class_names": list(CATEGORIES), "rejected": [], "conditions": []}


def write_people(folder: Path, images: pd.DataFrame, persons: int) -> None:
    """Write decisions of people in the toolbox's format."""
    folder.mkdir(parents=True, exist_ok=True)
    for person in range(1, persons + 1):
        name = f"subject-{person:02d}"
        answers = simulate_decisions(name, images, 0.85, 0.03)
        rows = []
        for trial, (image, shape, answer) in enumerate(zip(images["image"], images["shape"], answers, strict=True), 1):
            stimulus = f"{trial:04d}_s5n_s{person:02d}_0_{shape}_00_{image}.png"
            rows.append((name, 1, trial, 0.9, answer, shape, 0, stimulus))
        pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(folder / f"{name}.csv", index=False)


def write_images(folder: Path, images: pd.DataFrame, side: int) -> None:
    """Write images: a square in the texture's colour with a bar in the shape's colour."""
    for image, shape, texture in zip(images["image"], images["shape"], images["texture"], strict=True):
        pixels = generator(0, "pixels", image).integers(0, 60, (side, side, 3))
        pixels += 12 * CATEGORIES.index(texture)
        pixels[:, side // 3 : side // 2] = 15 * CATEGORIES.index(shape)
        (folder / shape).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / shape / f"{image}.png")


def write_answers(folder: Path) -> None:
    """Write answers of all NETWORKS, of a network that was not trained here, and of three people."""
    images = conflicts(20)
    write_people(folder / "conflict", images, 3)
    for (model, regime), (shape, texture) in {**NETWORKS, ("tf_net", None): (0.2, 0.6)}.items():
        name = f"{model}_{regime}_seed0" if regime else model
        table = predictions(name, images, simulate_decisions(name, images, shape, texture))
        write_predictions(folder / "conflict" / f"{name}.parquet", table, record(name, "cue_conflict", model, regime))
        photographs = images.assign(image=[f"photo{i}" for i in range(len(images))], texture=images["shape"])
        table = predictions(
            name, photographs, simulate_decisions(f"{name} IN", photographs, 0.9 if regime == "in" else 0.6, 0)
        )
        write_predictions(folder / "in_test" / f"{name}.parquet", table, record(name, "in_test", model, regime))
        parts = []
        for condition, right in (
            ("none", 0.9),
            ("shape-2", 0.7),
            ("shape-4", 0.5),
            ("texture-1", 0.8),
            ("colour-1", 0.85),
        ):
            part = predictions(name, photographs, simulate_decisions(f"{name} {condition}", photographs, right, 0))
            parts.append(part.assign(condition=condition))
        write_predictions(
            folder / "reliance" / f"{name}.parquet", pd.concat(parts), record(name, "suppressed", model, regime)
        )


def write_read_out(path: Path) -> None:
    """Write read-outs of NETWORKS in the form of scripts/evaluate.py."""
    rows = []
    for model, regime in NETWORKS:
        for stage in range(4):
            for cue, accuracy in (("shape", 0.2 + 0.15 * stage), ("texture", 0.6 - 0.1 * stage)):
                identity = (
                    "conflict",
                    f"{model}_{regime}_seed0",
                    model,
                    regime,
                    0,
                    f"stage {stage}",
                    stage / 3,
                    64,
                    cue,
                )
                rows.append((*identity, 320, accuracy, accuracy - 0.05, accuracy + 0.05, 1 / 16, ""))
    columns = ["benchmark", "observer", "model", "regime", "seed", "stage", "depth", "features", "cue"]
    columns += ["images", "accuracy", "ci_low", "ci_high", "chance", "reason"]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Return the report of a small study, made by the workflow's scripts."""
    place = tmp_path_factory.mktemp("study")
    write_answers(place / "predictions")
    write_images(place / "images", conflicts(20), 64)
    write_read_out(place / "read_out.csv")
    config = {
        "image_size": 224,
        "stylized": {"conflict": {"content": "in", "styles": "in", "stylizer": "ghiasi", "strength": 1}},
        "benchmarks": {
            "conflict": {"kind": "cue_conflict", "images": "conflict", "read_out": True},
            "in_test": {"kind": "in_test"},
            "reliance": {"kind": "suppressed"},
        },
    }
    (place / "config.json").write_text(json.dumps(config))
    study = ["--predictions", place / "predictions", "--runs", place, "--read-out", place / "read_out.csv"]
    succeeded(run_script("tables", *study, "--out", place / "tables"))
    inputs = ["--tables", place / "tables", "--runs", place]
    images = f"conflict={place / 'images'}"
    succeeded(run_script("figures", *inputs, "--sample-images", images, "--dpi", 40, "--out", place / "figures"))
    flags = [*inputs, "--figures", place / "figures", "--config", place / "config.json", "--conflict-images", images]
    succeeded(run_script("report", "--title", "A small study", *flags, "--out", place / "report.html"))
    return place / "report.html"


# A browser


@pytest.fixture(scope="module")
def chrome(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium[0], args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_report(chrome: Browser) -> Iterator[Callable[..., Page]]:
    """Yield a function that opens a page. After the test, check that pages made no request and printed no error."""
    complaints, requests, contexts = [], [], []

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "assert", "warning"):
            complaints.append(message.text)

    def open_page(
        file: Path, *, query: str = "", viewport: ViewportSize = DESK, script: bool = True, **options
    ) -> Page:
        context = chrome.new_context(viewport=viewport, java_script_enabled=script, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri() + query)
        if script:
            page.wait_for_selector("html[data-charts=drawn]", timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert sum(url.startswith("file:") for url in requests) == len(contexts)  # the page itself


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory) -> Path:
    """Return the folder for screenshots, which CI may choose in order to keep them."""
    folder = Path(os.environ.get("SHAPEBIAS_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def marks(page: Page, chart: str) -> list[str]:
    """Return the labels of a chart's points, which screen readers and the pointer's box show."""
    return page.eval_on_selector_all(
        f"[data-draw='{chart}'] [aria-roledescription=point]",
        "found => found.map(one => one.getAttribute('aria-label'))",
    )


def rows_of(page: Page, chart: str) -> list[str]:
    """Return the labels of a chart's rows from top to bottom."""
    labels = page.locator(f"[data-draw='{chart}'] .role-axis-label text").evaluate_all(
        "found => found.map(one => [one.getBoundingClientRect().top, one.textContent])"
    )
    return [text for _, text in sorted(labels) if not re.fullmatch(r"[−\d.]*", text)]


def display_name(observer: str) -> str:
    """Return the name of an observer on the page: `resnet sin` for `resnet_sin_seed0`."""
    return observer.removesuffix("_seed0").replace("_", " ") if observer.endswith("_seed0") else observer


def wait_for_charts(page: Page) -> None:
    """Wait until charts show the chosen data."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)))")
    page.wait_for_selector("html[data-charts=drawn]", timeout=60_000)


def explore(page: Page) -> Page:
    """Replace all figures by charts."""
    page.locator(".chooser summary").click()
    page.get_by_role("button", name="Explore all figures").click()
    wait_for_charts(page)
    page.locator(".chooser summary").click()
    return page


def open_details(page: Page, is_open: bool) -> None:
    """Open or close everything that is folded."""
    page.evaluate("(open) => document.querySelectorAll('details').forEach((part) => (part.open = open))", is_open)


def complaints_of_axe(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page for people with disabilities."""
    violations = Axe().run(page).response["violations"]
    return [f"{violation['id']}: {node['html'][:120]}" for violation in violations for node in violation["nodes"]]


# With JavaScript


def test_figures_are_shown_until_a_click_replaces_one_by_its_chart(open_report, report):
    page = open_report(report)
    assert page.locator("figure.is-live").count() == 0
    lead = page.locator("section.lead figure")
    lead.get_by_role("button", name="Explore").click()
    wait_for_charts(page)
    assert page.locator("figure.is-live").count() == 1 and not lead.locator(".still").is_visible()
    lead.get_by_role("button", name="Show the figure").click()
    wait_for_charts(page)
    assert page.locator("figure.is-live").count() == 0 and lead.locator(".still").is_visible()


def test_charts_replace_all_figures(open_report, report):
    page = explore(open_report(report))
    assert page.locator("figure.is-live .still").count() >= 5
    assert page.locator("figure.is-live .still:visible").count() == 0
    assert len(marks(page, "shape_bias.conflict")) == len(NETWORKS) + 2  # a network not trained here, and people
    mark = next(mark for mark in marks(page, "shape_bias.conflict") if "resnet sin" in mark)
    for part in ("shape bias: 0.", "95 % interval: 0.", "shape hits: ", "texture hits: ", "conflict images: 320"):
        assert part in mark
    assert page.locator("[data-draw='read_out.conflict.shape'] svg").is_visible()
    assert page.locator("[data-draw='reliance.reliance.texture'] svg").is_visible()
    page.locator(".chooser summary").click()
    page.get_by_role("button", name="Show all figures").click()
    assert page.locator("figure.is-live").count() == 0


def test_figures_are_downloaded_for_a_paper(open_report, report):
    page = open_report(report)
    tools = page.locator("section.lead .tools")
    with page.expect_download() as png:
        tools.get_by_role("link", name="PNG").click()
    with page.expect_download() as svg:
        tools.get_by_role("link", name="SVG").click()
    assert png.value.suggested_filename == "shape_bias.conflict.png"
    image = Image.open(io.BytesIO(png.value.path().read_bytes()))
    drawn = svg.value.path().read_text()
    points = float((re.search(r'width="([\d.]+)pt"', drawn) or ["", "0"])[1])
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert image.width == pytest.approx(points / 72 * 300, abs=5)
    assert drawn.rstrip().endswith("</svg>")


def test_check_boxes_filter_all_charts(open_report, report):
    page = open_report(report)
    page.locator(".chooser summary").click()
    page.get_by_label("vit", exact=True).uncheck()
    page.get_by_label("sin", exact=True).uncheck()
    wait_for_charts(page)
    assert page.locator("figure.is-live").count() >= 5  # a choice turns figures into charts
    assert rows_of(page, "shape_bias.conflict") == ["resnet in", "tf_net", "people"]
    for chart in ("shape_bias_by_category.conflict", "cue_accuracy.conflict", "accuracy", "read_out.conflict.shape"):
        text = " ".join(marks(page, chart))
        assert "resnet in" in text and "vit" not in text and "resnet sin" not in text, chart
    assert "3 of 4 models, 2 of 3 regimes" in (page.locator(".chooser summary").text_content() or "")
    page.locator("[data-none=model]").click()
    wait_for_charts(page)
    assert page.get_by_text("No data for the selected models").first.is_visible()
    page.locator("[data-all=model]").click()
    page.locator("[data-all=regime]").click()
    wait_for_charts(page)
    assert page.locator("figure.is-live").count() == 0


def test_rows_can_be_sorted_and_categories_can_be_those_of_shape_or_answer(open_report, report):
    page = explore(open_report(report))
    sort = page.locator("select[data-chart='shape_bias.conflict']")
    assert rows_of(page, "shape_bias.conflict")[:2] == ["resnet in", "resnet sin"]
    sort.select_option(label="by shape bias")
    wait_for_charts(page)
    table = pd.read_csv(report.parent / "tables" / "shape_bias_pooled.csv")
    expected = (table["model"] + " " + table["regime"].fillna("")).str.strip()
    expected = list(expected[table["shape_bias"].sort_values(ascending=False).index])
    assert rows_of(page, "shape_bias.conflict") == expected
    chart = "shape_bias_by_category.conflict"
    page.locator(f"select[data-chart='{chart}'][data-role=sort]").select_option(label="by name")
    wait_for_charts(page)
    assert rows_of(page, chart) == list(CATEGORIES)
    before = marks(page, chart)
    page.locator(f"select[data-chart='{chart}'][data-role=pick]").select_option(label="of the answer")
    wait_for_charts(page)
    assert rows_of(page, chart) == list(CATEGORIES) and marks(page, chart) != before


def test_the_target_of_a_link_is_not_hidden_by_the_chooser(open_report, report):
    page = open_report(report, viewport=PHONE)
    page.locator(".chooser summary").click()
    page.locator(".contents a", has_text="accurate").click()
    page.wait_for_function("() => Math.abs(document.querySelector('#cost').getBoundingClientRect().top) < innerHeight")
    page.wait_for_timeout(1200)  # smooth scrolling
    below = page.locator(".chooser").bounding_box() or {}
    title = page.locator("#cost-title").bounding_box() or {}
    assert title["y"] >= below["y"] + below["height"]


def test_the_colour_range_of_a_matrix_fits_the_chosen_benchmark(open_report, report):
    page = explore(open_report(report))
    table = pd.read_csv(report.parent / "tables" / "error_consistency.csv").query("condition == 'all'")
    legend = "[data-draw=error_consistency] .role-legend-label text"
    matrices = {}
    for benchmark in ("conflict", "in_test"):
        page.locator("select[data-chart=error_consistency]").select_option(benchmark)
        wait_for_charts(page)
        ends = page.eval_on_selector_all(legend, "found => found.map(one => Number(one.textContent.replace('−', '-')))")
        widest = table.loc[table["benchmark"] == benchmark, "kappa"].abs().max()
        assert max(map(abs, ends)) <= max(0.2, widest) + 0.051
        matrices[benchmark] = (
            widest,
            page.locator("[data-draw=error_consistency] .role-mark text:not(:empty)").count(),
        )
    assert matrices["conflict"][0] != matrices["in_test"][0] and matrices["conflict"][1] > 0  # numbers in the squares


def test_the_pointer_shows_numbers(open_report, report):
    page = explore(open_report(report))
    page.locator("[data-draw='shape_bias.conflict'] [aria-roledescription=point]").first.hover(force=True)
    box = page.locator("#vg-tooltip-element.visible")
    box.wait_for(timeout=5000)
    assert "95 % interval" in (box.text_content() or "")


def test_tab_reaches_every_control_and_shows_its_focus(open_report, report):
    page = open_report(report)
    page.locator(".chooser summary").click()
    for details in page.locator("details.numbers summary").all():
        details.click()
    reachable = "main a[href], main select, main input, main button, main summary, main .scroll"
    controls = page.eval_on_selector_all(
        reachable,
        "found => found.filter(one => one.checkVisibility()).map((one, i) => (one.dataset.reached = `${i}`))",
    )
    assert len(controls) > 30
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.locator("#main").focus()
    reached, unseen = set(), []
    for _ in range(len(controls) + 20):
        page.keyboard.press("Tab")
        here = page.evaluate(REACHED)
        if here:
            reached.add(here)
            style = (
                "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
            )
            if page.evaluate(style) != ["solid", "3px"]:
                unseen.append(page.evaluate("() => document.activeElement.outerHTML.slice(0, 80)"))
    assert set(controls) - reached == set() and unseen == []


def test_conflict_images_are_browsed_by_keyboard_and_filtered(open_report, report):
    page = open_report(report)
    options = page.locator(".thumbs [role=option]:visible")
    assert options.count() == 240
    page.locator(".thumbs [role=option][tabindex='0']").focus()
    page.keyboard.press("End")
    assert options.nth(239).get_attribute("aria-selected") == "true"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    second = options.nth(1)
    assert second.get_attribute("aria-selected") == "true"
    shape, texture = second.get_attribute("data-shape"), second.get_attribute("data-texture")
    answers = pd.read_csv(report.parent / "tables" / "answers.conflict.csv").set_index("image")
    row = answers.loc[second.get_attribute("title")]
    text = page.locator(".answers").inner_text()
    named = [name for name in answers.columns[2:] if row[name] == shape]
    assert (row["shape"], row["texture"]) == (shape, texture)
    assert f"The shape, {shape} ({len(named)})" in text
    assert all(display_name(name) in text for name in answers.columns[2:]) and "_seed0" not in text
    page.locator("[data-filter=shape]").select_option("cat")
    page.locator("[data-filter=observer]").select_option(label=display_name("resnet_sin_seed0"))
    page.locator("[data-filter=answer]").select_option("texture")
    titles = [option.get_attribute("title") for option in options.all()]
    assert titles and all(
        (answers.loc[image, ["shape", "resnet_sin_seed0"]] == ["cat", answers.loc[image, "texture"]]).all()
        for image in titles
    )
    assert page.locator(".browser output").inner_text() == f"{len(titles)} of 240 images"
    for image in page.locator(".thumbs img").all()[:3]:
        assert re.fullmatch(r"Shape: \w+, texture: \w+", image.get_attribute("alt") or "")


# Style


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["phone", "desk"])
def test_the_page_fits_its_width_in_light_and_dark(open_report, report, screenshots, width, scheme):
    page = open_report(report, viewport=PHONE if width == "phone" else DESK, color_scheme=scheme)
    for state in ("figures", "charts"):
        if state == "charts":
            explore(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        picture = screenshots / f"report-{width}-{scheme}-{state}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 100_000
        open_details(page, state == "charts")
        assert complaints_of_axe(page) == []
        open_details(page, False)
    # Text has enough contrast with its background; guidelines require 4.5.
    colours = page.evaluate(
        """() => ["body", ".headline", "figcaption", ".contents a", ".notes", "summary", ".warning", ".counts"].map(
            (name) => [name, getComputedStyle(document.querySelector(name)).color,
                       getComputedStyle(document.querySelector(name)).backgroundColor])"""
    )
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    for name, ink, own in colours:
        behind = paper if own == "rgba(0, 0, 0, 0)" else own
        assert contrast_ratio(rgb(ink), rgb(behind)) >= 4.5, name
    labels = page.locator("[data-draw='shape_bias.conflict'] .role-axis-label text").first.get_attribute("fill") or ""
    assert contrast_ratio(labels, rgb(paper)) >= 4.5


@pytest.mark.parametrize("width", [660, 768, 1000])
def test_large_numbers_stay_inside_their_column(open_report, report, width):
    page = open_report(report, viewport={"width": width, "height": 900})
    # The head of a study with training: four numbers, each before and after.
    page.evaluate(
        """() => {
            const list = document.querySelector("dl.numbers");
            while (list.children.length < 4) list.append(list.children[0].cloneNode(true));
            for (const number of list.querySelectorAll("dd:not(.note)")) number.textContent = "96\u00a0% → 69\u00a0%";
        }"""
    )
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    overflowing = "found => found.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    assert page.eval_on_selector_all("dl.numbers dd", overflowing) == []


def test_names_of_models_above_charts_can_be_read_on_a_dark_page(open_report, report):
    page = explore(open_report(report, color_scheme="dark"))
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    headers = page.locator("[data-draw='cue_accuracy.conflict'] .role-column-header text, .role-title text").all()
    inks = [header.get_attribute("fill") or "" for header in headers]
    assert inks and all(contrast_ratio(ink, rgb(paper)) >= 4.5 for ink in inks)


def test_a_narrow_figure_is_not_enlarged_on_a_phone(open_report, report):
    page = open_report(report, viewport=PHONE)
    page.evaluate(
        "() => document.querySelectorAll('.card').forEach((c) => c.style.setProperty('--max-width', '300px'))"
    )
    widths = page.eval_on_selector_all(
        ".card.wide img, .card.medium img", "found => found.map((one) => one.getBoundingClientRect().width)"
    )
    assert widths and max(widths) <= 300


def rgb(css: str) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", css)[:3])


def test_charts_follow_a_change_of_the_colour_scheme(open_report, report):
    page = explore(open_report(report, color_scheme="light"))
    text = page.locator("[data-draw='shape_bias.conflict'] .role-axis-label text").first
    light = text.get_attribute("fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.charts === 'drawn'")
    wait_for_charts(page)
    assert text.get_attribute("fill") != light


# Without JavaScript, and on paper


def test_a_click_on_a_heading_sorts_a_table_by_number(open_report, report):
    page = open_report(report)
    page.evaluate("() => document.querySelectorAll('details').forEach((part) => part.open = true)")
    table = page.locator("table", has=page.locator("th", has_text="shape hits")).first
    headings = [text.strip() for text in table.locator("th").all_inner_texts()]
    column = headings.index("shape hits")

    def hits() -> list[int]:
        return [
            int(row.locator("td").nth(column).inner_text().replace(",", "")) for row in table.locator("tbody tr").all()
        ]

    assert hits() != sorted(hits())
    table.locator("th button").nth(column).click()
    assert hits() == sorted(hits()) and table.locator("th").nth(column).get_attribute("aria-sort") == "ascending"
    table.locator("th button").nth(column).click()
    assert hits() == sorted(hits(), reverse=True)


def test_the_selection_stays_in_the_address(open_report, report):
    page = open_report(report)
    page.locator(".chooser summary").click()
    page.locator("fieldset[data-axis=regime] input").first.uncheck()
    summary = page.locator(".chooser summary").text_content()
    query = page.evaluate("() => location.search")
    assert "regime=" in query
    assert open_report(report, query=query).locator(".chooser summary").text_content() == summary


def test_without_javascript_there_are_pictures_and_tables(open_report, report, screenshots):
    page = open_report(report, script=False)
    pictures = page.locator("figure.drawn .still img:visible")
    assert pictures.count() >= 8 and page.locator(".live:visible, .chooser:visible, form:visible").count() == 0
    for picture in pictures.all():
        assert (picture.bounding_box() or {})["width"] > 200 and picture.get_attribute("alt")
    assert page.locator("details.numbers table").count() >= 8
    assert page.locator(".thumbs li:visible img").count() == 240
    page.screenshot(path=screenshots / "report-desk-without-javascript.png", full_page=True)


def test_the_printed_page_has_a_summary_first_and_under_twelve_pages(open_report, report, screenshots):
    page = explore(open_report(report, color_scheme="dark"))
    page.locator("details.numbers summary").first.click()
    page.emulate_media(media="print", color_scheme="light")
    assert page.locator("figure.drawn .still img:visible").count() >= 8
    assert page.locator(".live:visible, .chooser:visible, form:visible, nav:visible, .tools:visible").count() == 0
    assert page.locator("table:visible").count() == 1  # what a reader has opened is printed
    assert page.locator(".thumbs li:visible").count() == 32
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 680, "height": 960})  # A4 without its margins
    lost = "found => found.filter((one) => one.scrollWidth > one.parentElement.clientWidth + 1).length"
    assert page.eval_on_selector_all("table", lost) == 0
    pdf = page.pdf(path=screenshots / "report.pdf", format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) < 12
    page.screenshot(path=screenshots / "report-print.png", full_page=True)


# Other inputs


def test_published_decisions_are_enough_for_a_report(open_report, shared_data, tmp_path, screenshots):
    folder = shutil.copytree(shared_data / "observers", tmp_path / "cue-conflict")
    images = f"cue-conflict={shared_data / 'stimuli' / 'cue-conflict'}"
    succeeded(
        run_script("report", "--predictions", folder, "--conflict-images", images, "--out", tmp_path / "report.html")
    )
    tables = {path.name for path in (tmp_path / "report-tables").iterdir()}
    assert {"shape_bias_pooled.csv", "answers.cue-conflict.csv", "error_consistency.csv"} <= tables
    page = open_report(tmp_path / "report.html")
    told = page.locator("#run").inner_text()
    assert "report-tables" in told and "answers.cue-conflict.csv" in told
    assert "all 4 observers decide by texture more often than by shape" in page.locator(".headline").inner_text()
    findings = page.locator("#bias").inner_text()
    for text in (
        "alexnet 0.43",
        "googlenet 0.31",
        "resnet50 0.22",
        "vgg 0.17",
        "People on the same images: 0.96",
    ):
        assert text in findings
    assert "229 of 1,200 conflict images" in page.locator("#browse").inner_text()
    page.screenshot(path=screenshots / "published-desk-light.png", full_page=True)


LONG_MODELS = [f"vit_base_patch{i}_clip_224.openai_ft_in12k_in1k" for i in range(15)]
SHARES = {"in": (0.15, 0.6), "sin": (0.5, 0.15), "combined": (0.4, 0.25), "frozen": (0.2, 0.5)}


def write_accuracies(folder: Path) -> None:
    """Add the accuracies of all observers on 16 benchmarks to the tables, for each of 4 to 8 conditions."""
    rows = []
    observers = [(model, regime, f"{model}_{regime}_seed0") for model in LONG_MODELS for regime in SHARES]
    kinds = [kind for kind in KINDS.values() if kind.name not in ("cue_conflict", "suppressed", "melanoma", "sin_test")]
    for kind in kinds[:16]:
        for place, (model, regime, observer) in enumerate(observers):
            for step, condition in enumerate(kind.conditions or ("",)):
                right = max(150 - 15 * step - place, 5)
                low, high = wilson_interval(right, 160)
                rows.append((kind.name, condition, observer, model, regime, 0, 160, right, right / 160, low, high))
    columns = ["benchmark", "condition", "observer", "model", "regime", "seed", "images", "correct", "accuracy"]
    table = pd.DataFrame(rows, columns=[*columns, "ci_low", "ci_high"]).assign(chance=1 / 16, unit="category")
    for name, added in (
        ("accuracy", table.drop_duplicates(["benchmark", "observer"])),
        ("accuracy_by_condition", table),
    ):
        measured = pd.read_csv(folder / f"{name}.csv")
        pd.concat([measured, added[[c for c in measured if c in added]]]).to_csv(folder / f"{name}.csv", index=False)


def test_a_page_with_sixty_observers_and_seventeen_benchmarks_opens(open_report, tmp_path, screenshots):
    images = conflicts(200)
    for i, model in enumerate(LONG_MODELS):
        for regime, (shape, texture) in SHARES.items():
            name = f"{model}_{regime}_seed0"
            table = predictions(name, images, simulate_decisions(name, images, shape + i / 100, texture - i / 100))
            path = tmp_path / "predictions" / "conflict" / f"{name}.parquet"
            write_predictions(path, table, record(name, "cue_conflict", model, regime))
    write_images(tmp_path / "images", images.groupby("shape").head(20), 224)
    (tmp_path / "config.json").write_text("{}")
    study = ["--predictions", tmp_path / "predictions", "--runs", tmp_path]
    succeeded(run_script("tables", *study, "--out", tmp_path / "tables"))
    write_accuracies(tmp_path / "tables")
    (tmp_path / "tables" / CHECKSUM_LIST).unlink()  # of the tables before
    inputs = ["--tables", tmp_path / "tables", "--runs", tmp_path]
    succeeded(run_script("figures", *inputs, "--out", tmp_path / "figures"))
    flags = [*inputs, "--figures", tmp_path / "figures", "--config", tmp_path / "config.json"]
    browser = ["--conflict-images", f"conflict={tmp_path / 'images'}"]
    succeeded(run_script("report", *flags, *browser, "--out", tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size < 6_000_000
    page = open_report(tmp_path / "report.html")
    page.screenshot(path=screenshots / "sixty-observers.png", full_page=True)
    explore(page)
    assert len(marks(page, "shape_bias.conflict")) == 60
    assert "of 60 observers" in page.locator(".headline").inner_text()
    assert "of 60 networks range from" in page.locator("#bias").inner_text()
    assert "240 of 3,200 conflict images" in page.locator("#browse").inner_text()
    for width in (PHONE, DESK):
        page = explore(open_report(tmp_path / "report.html", viewport=width))
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        for legend in page.locator(".role-legend").all():
            assert (legend.bounding_box() or {})["height"] < 200
        page.locator("fieldset[data-axis=model] input").first.evaluate("(box) => box.click()")
        wait_for_charts(page)
        assert len(marks(page, "shape_bias.conflict")) == 56


def test_names_may_contain_any_character(open_report, tmp_path):
    images = conflicts(2)
    for name in ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a'b\"c\\d${e}{{f}}"):
        safe = f"net{len(name)}"
        table = predictions(name, images, simulate_decisions(name, images, 0.4, 0.4))
        write_predictions(tmp_path / "conflict" / f"{safe}.parquet", table, record(name, "cue_conflict", name, None))
    title = "</title></script><script>alert(1)</script>"
    succeeded(run_script("report", "--title", title, "--predictions", tmp_path, "--out", tmp_path / "report.html"))
    page = explore(open_report(tmp_path / "report.html"))
    assert page.title() == title and page.locator("h1").inner_text() == title
    assert len(marks(page, "shape_bias.conflict")) == 3
    assert page.locator("img[src=x]").count() == 0
