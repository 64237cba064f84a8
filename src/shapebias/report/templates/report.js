// Lets a reader replace figures by interactive charts, filter and sort these, sort tables, and browse images.
// The page is complete without this script.

const page = JSON.parse(document.getElementById("report-data").textContent);
const darkMode = matchMedia("(prefers-color-scheme: dark)");
const PEOPLE = "people"; // selected as a model; people have no regime
const chosen = { model: null, regime: null }; // sets of selected names; null: all

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const isFiltered = () => chosen.model !== null || chosen.regime !== null;
const isChosen = (model, regime) =>
  (chosen.model === null || chosen.model.has(model)) &&
  (chosen.regime === null || model === PEOPLE || chosen.regime.has(regime));

// Charts

class Chart {
  constructor(name, mount) {
    const { spec, rows, description, pairs, mirrored, value } = page.charts[name];
    this.rows = mirrored ? withMirrorImages(joinColumns(rows)) : joinColumns(rows);
    Object.assign(this, { spec, description, pairs, value, mount, view: null });
    this.controls = all("select[data-chart]").filter((select) => select.dataset.chart === name);
    for (const control of this.controls) control.addEventListener("change", () => this.update());
  }

  // The selected rows, in the selected order.
  visibleRows() {
    let rows = this.rows.filter((row) =>
      this.pairs
        ? isChosen(row.model_1, row.regime_1) && isChosen(row.model_2, row.regime_2)
        : isChosen(row.model, row.regime),
    );
    for (const { value, dataset } of this.controls) {
      if (dataset.role === "pick") rows = rows.filter((row) => String(row[dataset.column]) === value);
      else rows = rows.map((row) => ({ ...row, order: row[value] }));
    }
    return rows;
  }

  async draw() {
    this.view?.finalize();
    let spec = recolour(this.spec);
    const rows = this.visibleRows();
    if (this.pairs) spec.params.find(({ name }) => name === "end").value = this.colourLimit(rows);
    if (spec.facet) spec = this.arrangePanels(spec, rows);
    else if (narrow()) wrapTitles(spec, LETTERS_ON_A_PHONE);
    spec.data = { name: "rows", values: rows };
    spec.description = this.description;
    const steps = !spec.facet && spec.height.step !== undefined; // the height grows with the rows
    if (steps) Object.assign(spec, { width: NO_WIDTH, autosize: "pad" });
    const { view } = await window.vegaEmbed(this.mount, spec, {
      mode: "vega-lite",
      renderer: this.rows.length > MOST_SVG_ROWS ? "canvas" : "svg",
      actions: false,
      logLevel: 1, // errors only: an empty chart otherwise warns about its extent
      ast: true, // interpret expressions: the page forbids generated code
      config: chartConfig(),
      patch: (vega) => (steps ? fitWidth(vega) : vega),
      tooltip: { theme: darkMode.matches ? "dark" : "light" },
    });
    this.view = view;
    this.showOrHide(rows);
  }

  // Put as many panels side by side as the page has room for. The panels of a row share the labels at the left.
  arrangePanels(spec, rows) {
    const { y } = spec.spec.layer.at(-1).encoding;
    const longest = y.type === "nominal" ? Math.max(...rows.map((row) => String(row[y.field]).length), 0) : 6;
    const room = (this.mount.clientWidth || NO_WIDTH) - Math.min(30 + 7 * longest, narrow() ? 185 : 250);
    const panels = new Set(this.rows.map((row) => row.panel)).size;
    const most = Math.min(panels, Math.max(1, Math.floor(room / (NARROWEST_PANEL + PANEL_GAP))));
    const columns = Math.ceil(panels / Math.ceil(panels / most)); // rows of nearly equal length
    const width = Math.max(120, Math.floor(room / columns - PANEL_GAP));
    return { ...spec, columns, spacing: PANEL_GAP, spec: { ...wrapTitles(spec.spec, width / 7), width } };
  }

  async update() {
    if (this.view === null) return;
    const rows = this.visibleRows();
    this.view.data("rows", rows);
    if (this.pairs) this.view.signal("end", this.colourLimit(rows));
    await this.view.resize().runAsync();
    this.showOrHide(rows);
  }

  // The end of the colour scale: the largest visible value, on both sides of 0.
  colourLimit(rows) {
    const sizes = rows.map((row) => Math.abs(row[this.value] ?? 0)).filter((size) => size > 0);
    return sizes.length ? Math.max(0.2, ...sizes) : 1;
  }

  showOrHide(rows) {
    this.mount.hidden = rows.length === 0;
    this.mount.parentElement.querySelector(".nothing").hidden = rows.length > 0;
  }
}

// The rows of a table that is stored in columns; a column of texts holds each of them once.
function joinColumns(table) {
  const columns = Object.entries(table).map(([name, values]) => [
    name,
    Array.isArray(values) ? values : values.places.map((place) => values.texts[place]),
  ]);
  const length = columns.length ? columns[0][1].length : 0;
  return Array.from({ length }, (_, i) => Object.fromEntries(columns.map(([name, values]) => [name, values[i]])));
}

// Pairs of observers, and each once more with its observers swapped: columns ending in _1 end in _2, and vice versa.
function withMirrorImages(pairs) {
  const swap = (column) => column.replace(/_[12]$/, (end) => (end === "_1" ? "_2" : "_1"));
  const mirror = (pair) => Object.fromEntries(Object.entries(pair).map(([column, value]) => [swap(column), value]));
  const different = pairs.filter((pair) => pair.observer_name_1 !== pair.observer_name_2); // not people with people
  return [...pairs, ...different.map(mirror)];
}

const NARROWEST_PANEL = 200; // pixels
const PANEL_GAP = 22; // pixels
const MOST_SVG_ROWS = 1500; // a chart of more rows would answer a click too slowly as SVG

// Fill the width of the page. The setting of Vega-Lite itself warns when the height of a chart grows with its rows.
const NO_WIDTH = 300; // pixels, for a page without layout
function fitWidth(vega) {
  const width = `isFinite(containerSize()[0]) ? containerSize()[0] : ${NO_WIDTH}`;
  delete vega.width;
  vega.autosize = { type: "fit-x", contains: "padding" };
  vega.signals = [{ name: "width", init: width, on: [{ update: width, events: "window:resize" }] }, ...(vega.signals ?? [])];
  return vega;
}

// Replace dark colours by light ones on a dark background.
function recolour(spec) {
  return JSON.parse(JSON.stringify(spec), (key, value) =>
    darkMode.matches && typeof value === "string" && Object.hasOwn(page.dark, value) ? page.dark[value] : value,
  );
}

// Break axis titles into lines of about this many letters.
const LETTERS_ON_A_PHONE = 36;
function wrapTitles(spec, letters) {
  const lines = (title) =>
    title.split(" ").reduce((wrapped, word) => {
      const last = wrapped.at(-1);
      if (last !== undefined && `${last} ${word}`.length <= letters) wrapped[wrapped.length - 1] = `${last} ${word}`;
      else wrapped.push(word);
      return wrapped;
    }, []);
  for (const part of spec.layer ?? [spec]) {
    for (const axis of [part.encoding?.x, part.encoding?.y]) {
      if (typeof axis?.title === "string") axis.title = lines(axis.title);
    }
  }
  return spec;
}

const narrow = () => innerWidth < 640;

function chartConfig() {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
  const font = getComputedStyle(document.body).fontFamily;
  const isNarrow = narrow();
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: {
      ...{ labelColor: ink, titleColor: soft, gridColor: line, domainColor: line, tickColor: line },
      ...{ labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: isNarrow ? 170 : 260 },
      titleLimit: isNarrow ? 280 : 600,
    },
    legend: {
      ...{ labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12, symbolSize: 80, symbolOpacity: 1 },
      ...{ symbolFillColor: ink, symbolBaseFillColor: ink, symbolBaseStrokeColor: ink, labelLimit: 130 },
      ...{ orient: "top", direction: "horizontal", columns: isNarrow ? 1 : 7, gradientLength: 160, offset: 12 },
      symbolLimit: isNarrow ? 9 : 21, // tooltips name the rest
      layout: { top: { anchor: "start", direction: "vertical", margin: 6 } },
    },
    header: { labelColor: ink, labelFontSize: 12 },
    point: { stroke: style.getPropertyValue("--card").trim(), strokeWidth: 0.6 },
  };
}

// Figures, and the charts that replace them

class Figure {
  constructor(element) {
    this.element = element;
    this.live = element.querySelector(".live");
    this.charts = all("[data-draw]", this.live).map((mount) => new Chart(mount.dataset.draw, mount));
    // Without a picture, the charts are the figure. On a phone, the first figure is a chart, which fits the screen.
    this.explored = element.querySelector(".still.absent") !== null || (narrow() && element.closest(".lead") !== null);
    this.button = element.querySelector("button.explore");
    if (this.button === null) return;
    this.button.hidden = false;
    this.button.addEventListener("click", () => {
      this.explored = !this.isLive();
      refresh();
    });
  }

  isLive() {
    return this.element.classList.contains("is-live");
  }

  show(live) {
    this.live.hidden = !live;
    this.element.classList.toggle("is-live", live);
    if (this.button === null) return;
    this.button.textContent = live ? "Show the figure" : "Explore";
    this.button.setAttribute("aria-pressed", String(live));
  }

  // The distance from the middle of the window: readers wait for near figures.
  distance() {
    const { top, bottom } = this.element.getBoundingClientRect();
    return Math.abs((top + bottom) / 2 - innerHeight / 2);
  }

  async refresh() {
    this.show(true);
    try {
      for (const chart of this.charts) await (this.drawn ? chart.update() : chart.draw());
      this.drawn = true;
      this.stale = false;
    } catch (error) {
      this.show(false); // keep the picture
      this.stale = this.explored = false;
      console.error(error);
    }
  }
}

const figures = all("figure.drawn")
  .filter((element) => element.querySelector(".live") !== null)
  .map((element) => new Figure(element));
let latest = 0; // a later refresh replaces an earlier one that still works

// Draw or update all charts that a reader wants, the nearest first.
async function refresh({ stale = false, redraw = false } = {}) {
  const own = ++latest;
  document.documentElement.dataset.charts = "drawing";
  for (const figure of figures) {
    figure.stale ||= stale || figure.drawn === undefined;
    if (redraw) Object.assign(figure, { drawn: false, stale: true });
    if (!figure.explored && !isFiltered()) figure.show(false);
  }
  const waiting = figures.filter((figure) => (figure.explored || isFiltered()) && (figure.stale || !figure.isLive()));
  for (const figure of waiting.sort((a, b) => a.distance() - b.distance())) {
    await figure.refresh();
    await new Promise((resume) => setTimeout(resume)); // keep the page responsive
    if (own !== latest) return;
  }
  document.documentElement.dataset.charts = "drawn";
}

function exploreAll(button) {
  const explored = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(explored));
  button.textContent = explored ? "Show all figures" : "Explore all figures";
  for (const figure of figures) figure.explored = explored || figure.button === null;
  refresh();
}

// The SVG file is in the page once, as the source of its picture. The PNG file is drawn from it.
for (const link of all("a.svg, a.png")) {
  const picture = link.closest("figure").querySelector("img");
  link.href = picture.src;
  link.hidden = false;
  if (link.className === "svg") continue;
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const save = document.createElement("a");
    save.href = URL.createObjectURL(await drawPng(picture));
    save.download = link.download;
    save.click();
    setTimeout(() => URL.revokeObjectURL(save.href), 10_000);
  });
}

const PNG_DPI = 300;
const CSS_DPI = 96;
// The part of a PNG file that states 300 dpi (11,811 pixels a metre), with its length and checksum.
const PNG_RESOLUTION = [0, 0, 0, 9, 112, 72, 89, 115, 0, 0, 46, 35, 0, 0, 46, 35, 1, 120, 165, 63, 118];
const PNG_HEAD = 33; // bytes: signature and header, before any other part

async function drawPng(picture) {
  const image = new Image();
  image.src = picture.src;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((image.naturalWidth * PNG_DPI) / CSS_DPI);
  canvas.height = Math.round((image.naturalHeight * PNG_DPI) / CSS_DPI);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new Blob([blob.slice(0, PNG_HEAD), new Uint8Array(PNG_RESOLUTION), blob.slice(PNG_HEAD)], { type: "image/png" });
}

// Check boxes of models and regimes

function startChooser() {
  const chooser = document.querySelector(".chooser");
  if (chooser === null) return;
  chooser.hidden = false;
  const fields = all("fieldset[data-axis]", chooser);
  const boxes = (axis) => all(`fieldset[data-axis=${axis}] input`, chooser);
  const read = () => {
    const counts = [];
    for (const { dataset } of fields) {
      const ticked = boxes(dataset.axis).filter((box) => box.checked);
      const total = boxes(dataset.axis).length;
      chosen[dataset.axis] = ticked.length < total ? new Set(ticked.map((box) => box.value)) : null;
      if (ticked.length < total) counts.push(`${ticked.length} of ${total} ${dataset.axis}s`);
    }
    chooser.querySelector("[data-summary]").textContent = counts.join(", ") || "all models and regimes";
  };
  const updateAll = () => {
    read();
    writeAddress(boxes);
    refresh({ stale: true });
    for (const browser of browsers) browser.update();
  };
  chooser.addEventListener("change", updateAll);
  const button = chooser.querySelector(".explore-all");
  button.addEventListener("click", () => exploreAll(button));
  for (const button of all("fieldset button", chooser)) {
    button.addEventListener("click", () => {
      for (const box of boxes(button.dataset.all ?? button.dataset.none)) box.checked = "all" in button.dataset;
      updateAll();
    });
  }
  // Keep link targets clear of the sticky check boxes.
  const setScrollPadding = () => {
    document.documentElement.style.scrollPaddingTop = `${chooser.getBoundingClientRect().height + 12}px`;
  };
  new ResizeObserver(setScrollPadding).observe(chooser);
  readAddress(boxes);
  read();
}

// The selection in the address of the page, so that a link keeps it

function readAddress(boxes) {
  const query = new URLSearchParams(location.search);
  for (const axis of ["model", "regime"]) {
    if (!query.has(axis)) continue;
    const names = query.getAll(axis);
    for (const box of boxes(axis)) box.checked = names.includes(box.value);
  }
}

function writeAddress(boxes) {
  const query = new URLSearchParams();
  for (const axis of ["model", "regime"]) {
    const ticked = boxes(axis).filter((box) => box.checked);
    if (ticked.length < boxes(axis).length) for (const box of ticked) query.append(axis, box.value);
  }
  const search = query.size ? `?${query}` : "";
  history.replaceState(null, "", `${location.pathname}${search}${location.hash}`);
}

// Tables that a click on a heading sorts

function startSorting() {
  for (const table of all("main table")) {
    const body = table.tBodies[0];
    if (body === undefined || body.rows.length < 2) continue;
    all("th", table.tHead).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.replaceChildren(button);
      button.addEventListener("click", () => sortTable(table, heading, column));
    });
  }
}

function sortTable(table, heading, column) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  const text = (row) => row.cells[column].textContent.trim();
  // A number with a minus sign or thousands; anything else sorts as text, behind the numbers.
  const number = (row) => Number.parseFloat(text(row).replace("−", "-").replaceAll(",", ""));
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    const order = Number.isNaN(x) ? text(a).localeCompare(text(b)) : x - y;
    return ascending ? order : -order;
  };
  for (const other of all("th", table.tHead)) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

// Conflict images with answers

class Browser {
  constructor(element) {
    const { observers, answers } = page.browsers[element.dataset.browser];
    const form = element.querySelector("form");
    const filters = Object.fromEntries(all("[data-filter]", form).map((select) => [select.dataset.filter, select]));
    const names = observers.map((observer) => page.observers[observer]?.name ?? observer); // as on the page
    Object.assign(this, { observers, names, answers, filters });
    this.list = element.querySelector(".thumbs");
    this.items = all("li", this.list);
    this.output = form.querySelector("output");
    this.panel = element.querySelector(".answers");
    form.hidden = this.panel.hidden = false;
    element.classList.add("is-live");
    form.addEventListener("change", () => this.update());
    form.addEventListener("submit", (event) => event.preventDefault());
    this.list.setAttribute("role", "listbox");
    this.items.forEach((item, i) => {
      item.setAttribute("role", "option");
      item.tabIndex = -1;
      item.addEventListener("click", () => item.focus());
      item.addEventListener("focus", () => this.select(i));
    });
    this.list.addEventListener("keydown", (event) => this.move(event));
    this.selected = 0;
    this.update();
  }

  // The kind of an answer: shape, texture, else, none, or unseen if the observer did not see the image.
  answerKind(i, observer) {
    const answer = this.answers[i][observer];
    if (answer < 0) return answer === -1 ? "none" : "unseen";
    const category = page.categories[answer];
    const { shape, texture } = this.items[i].dataset;
    return category === shape ? "shape" : category === texture ? "texture" : "else";
  }

  visibleObservers() {
    return this.observers.flatMap((name, k) => {
      const { model, regime } = page.observers[name] ?? { model: name, regime: "" };
      return isChosen(model, regime) ? [k] : [];
    });
  }

  fits(i, observers) {
    const { shape, texture, observer, answer } = this.filters;
    const labels = this.items[i].dataset;
    if (shape.value && labels.shape !== shape.value) return false;
    if (texture.value && labels.texture !== texture.value) return false;
    if (!answer.value) return true;
    const matches = (k) => this.answerKind(i, k) === answer.value;
    if (observer.value.startsWith("o")) return matches(Number(observer.value.slice(1)));
    const seen = observers.filter((k) => this.answerKind(i, k) !== "unseen");
    const count = seen.filter(matches).length;
    if (observer.value === "every") return count > 0 && count === seen.length;
    return observer.value === "most" ? 2 * count > seen.length : count > 0;
  }

  update() {
    const observers = this.visibleObservers();
    this.items.forEach((item, i) => {
      item.hidden = !this.fits(i, observers);
      const counts = { shape: 0, texture: 0, else: 0, none: 0, unseen: 0 };
      for (const k of observers) counts[this.answerKind(i, k)] += 1;
      const summary = `${counts.shape} shape, ${counts.texture} texture, ${counts.else} something else`;
      item.querySelector(".counts").textContent = summary;
      item.setAttribute("aria-label", `${item.querySelector("img").alt}; answers: ${summary}`);
    });
    const remaining = this.items.filter((item) => !item.hidden);
    this.output.textContent = `${remaining.length} of ${this.items.length} images`;
    this.panel.replaceChildren();
    if (remaining.length === 0) return;
    this.select(this.items[this.selected].hidden ? this.items.indexOf(remaining[0]) : this.selected);
  }

  select(i) {
    this.selected = i;
    this.items.forEach((item, k) => {
      item.tabIndex = k === i ? 0 : -1; // Tab stops once; arrows move inside
      item.setAttribute("aria-selected", String(k === i));
    });
    const item = this.items[i];
    const { shape, texture } = item.dataset;
    const picture = item.querySelector("img").cloneNode();
    const groups = { shape: [], texture: [], else: [], none: [], unseen: [] };
    for (const k of this.visibleObservers()) groups[this.answerKind(i, k)].push(k);
    const answer = (k) => `${this.names[k]}: ${page.categories[this.answers[i][k]]}`;
    const lines = [
      [`The shape, ${shape}`, groups.shape.map((k) => this.names[k])],
      [`The texture, ${texture}`, groups.texture.map((k) => this.names[k])],
      ["Something else", groups.else.map(answer)],
      ["No answer", groups.none.map((k) => this.names[k])],
      ["Not seen", groups.unseen.map((k) => this.names[k])],
    ];
    const list = document.createElement("dl");
    for (const [heading, names] of lines) {
      if (names.length === 0) continue;
      list.append(text("dt", `${heading} (${names.length})`), text("dd", names.join(", ")));
    }
    this.panel.replaceChildren(picture, text("p", item.title, "image-name"), list);
  }

  move(event) {
    const remaining = this.items.filter((item) => !item.hidden);
    const here = remaining.indexOf(this.items[this.selected]);
    const row = remaining.filter((item) => item.offsetTop === remaining[0].offsetTop).length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -here, End: remaining.length - 1 - here };
    if (!(event.key in steps) || here < 0) return;
    event.preventDefault();
    remaining[Math.min(Math.max(here + steps[event.key], 0), remaining.length - 1)].focus();
  }
}

function text(tag, content, className = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = className;
  return element;
}

const browsers = all(".browser").map((element) => new Browser(element));
startChooser();
startSorting();
darkMode.addEventListener("change", () => refresh({ redraw: true }));
// Panels have a fixed width, so a page of another width arranges them anew.
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  refresh({ redraw: true });
});
await refresh();
