// Draws the charts of the report in place of its pictures, and lets the reader choose, sort and browse.
// The page is complete without it.

const page = JSON.parse(document.getElementById("report-data").textContent);
const darkMode = matchMedia("(prefers-color-scheme: dark)");
const PEOPLE = "people"; // chosen as a model; they have no regime
const chosen = { model: null, regime: null }; // sets of names; null: there is no choice

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const isChosen = (model, regime) =>
  (chosen.model === null || chosen.model.has(model)) &&
  (chosen.regime === null || model === PEOPLE || chosen.regime.has(regime));

// Charts

class Chart {
  constructor(name, mount) {
    const { spec, rows, description, pairs, value } = page.charts[name];
    const columns = Object.keys(rows);
    this.rows = (rows[columns[0]] ?? []).map((_, i) => Object.fromEntries(columns.map((key) => [key, rows[key][i]])));
    Object.assign(this, { spec, description, pairs, value, mount, view: null });
    this.controls = all("select[data-chart]").filter((select) => select.dataset.chart === name);
    for (const control of this.controls) control.addEventListener("change", () => this.update());
  }

  // What the reader wants to see, in the order wanted.
  shown() {
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
    const spec = wrapped(recoloured(this.spec));
    const rows = this.shown();
    if (this.pairs) spec.params.find(({ name }) => name === "end").value = this.end(rows);
    spec.data = { name: "rows", values: rows };
    spec.description = this.description;
    const steps = spec.height.step !== undefined; // as high as there are rows
    if (steps) Object.assign(spec, { width: NO_WIDTH, autosize: "pad" });
    const { view } = await window.vegaEmbed(this.mount, spec, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      logLevel: 1, // errors: that a chart without rows has no extent is none
      ast: true, // expressions are interpreted: the page allows no code but its own
      config: look(),
      patch: (vega) => (steps ? fitted(vega) : vega),
      tooltip: { theme: darkMode.matches ? "dark" : "light" },
    });
    this.view = view;
    this.tell(rows);
  }

  async update() {
    if (this.view === null) return;
    const rows = this.shown();
    this.view.data("rows", rows);
    if (this.pairs) this.view.signal("end", this.end(rows));
    await this.view.resize().runAsync();
    this.tell(rows);
  }

  // How far colours reach to either side of 0: as far as what is shown.
  end(rows) {
    const sizes = rows.map((row) => Math.abs(row[this.value] ?? 0)).filter((size) => size > 0);
    return sizes.length ? Math.max(0.2, ...sizes) : 1;
  }

  tell(rows) {
    this.mount.hidden = rows.length === 0;
    this.mount.parentElement.querySelector(".nothing").hidden = rows.length > 0;
  }
}

// As wide as the page allows. Vega-Lite says so itself, but warns of every chart that is as high as it has rows.
const NO_WIDTH = 300; // pixels, of a page that has no layout
function fitted(vega) {
  const width = `isFinite(containerSize()[0]) ? containerSize()[0] : ${NO_WIDTH}`;
  delete vega.width;
  vega.autosize = { type: "fit-x", contains: "padding" };
  vega.signals = [{ name: "width", init: width, on: [{ update: width, events: "window:resize" }] }, ...(vega.signals ?? [])];
  return vega;
}

// Light colours in place of dark ones on dark paper.
function recoloured(spec) {
  return JSON.parse(JSON.stringify(spec), (key, value) =>
    darkMode.matches && typeof value === "string" && Object.hasOwn(page.dark, value) ? page.dark[value] : value,
  );
}

// On a phone, titles of axes in lines of about so many letters.
function wrapped(spec, letters = 36) {
  if (!narrow()) return spec;
  const lines = (title) =>
    title.split(" ").reduce((found, word) => {
      const last = found.at(-1);
      if (last !== undefined && `${last} ${word}`.length <= letters) found[found.length - 1] = `${last} ${word}`;
      else found.push(word);
      return found;
    }, []);
  for (const part of spec.layer ?? [spec]) {
    for (const axis of [part.encoding?.x, part.encoding?.y]) {
      if (typeof axis?.title === "string") axis.title = lines(axis.title);
    }
  }
  return spec;
}

const narrow = () => innerWidth < 640;

function look() {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
  const font = getComputedStyle(document.body).fontFamily;
  const few = narrow();
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: {
      ...{ labelColor: ink, titleColor: soft, gridColor: line, domainColor: line, tickColor: line },
      ...{ labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: few ? 110 : 260 },
      titleLimit: few ? 280 : 600,
    },
    legend: {
      ...{ labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12, symbolSize: 80, symbolOpacity: 1 },
      ...{ symbolFillColor: ink, symbolBaseFillColor: ink, symbolBaseStrokeColor: ink, labelLimit: 130 },
      ...{ orient: "top", direction: "horizontal", columns: few ? 3 : 7, gradientLength: 160, offset: 12 },
      symbolLimit: few ? 9 : 21, // the rest have the same grey, and the box at the pointer names them
      layout: { top: { anchor: "start", direction: "vertical", margin: 6 } },
    },
    point: { stroke: style.getPropertyValue("--card").trim(), strokeWidth: 0.6 },
  };
}

const charts = [];

async function drawFigure(figure) {
  const live = figure.querySelector(".live");
  const mine = all("[data-draw]", live).map((mount) => new Chart(mount.dataset.draw, mount));
  live.hidden = false;
  figure.classList.add("is-live");
  try {
    for (const chart of mine) await chart.draw();
    charts.push(...mine);
  } catch (error) {
    live.hidden = true; // the picture stays
    figure.classList.remove("is-live");
    console.error(error);
  }
}

async function drawAll() {
  for (const figure of all("figure.drawn")) {
    if (figure.querySelector(".live") === null) continue;
    await drawFigure(figure);
    await new Promise((resume) => setTimeout(resume)); // the page answers in between
  }
  document.documentElement.dataset.charts = "drawn";
}

async function redrawAll() {
  document.documentElement.dataset.charts = "drawing";
  for (const chart of charts) await chart.draw();
  document.documentElement.dataset.charts = "drawn";
}

// Which models and regimes

function startChooser() {
  const chooser = document.querySelector(".chooser");
  if (chooser === null) return;
  chooser.hidden = false;
  const fields = all("fieldset[data-axis]", chooser);
  const boxes = (axis) => all(`fieldset[data-axis=${axis}] input`, chooser);
  const read = () => {
    const told = [];
    for (const { dataset } of fields) {
      const ticked = boxes(dataset.axis).filter((box) => box.checked);
      chosen[dataset.axis] = new Set(ticked.map((box) => box.value));
      const total = boxes(dataset.axis).length;
      if (ticked.length < total) told.push(`${ticked.length} of ${total} ${dataset.axis}s`);
    }
    chooser.querySelector("[data-summary]").textContent = told.join(", ") || "all models and regimes";
  };
  const changed = () => {
    read();
    for (const chart of charts) chart.update();
    for (const browser of browsers) browser.update();
  };
  chooser.addEventListener("change", changed);
  for (const button of all("button", chooser)) {
    button.addEventListener("click", () => {
      for (const box of boxes(button.dataset.all ?? button.dataset.none)) box.checked = "all" in button.dataset;
      changed();
    });
  }
  // What a link leads to is not to be hidden behind it.
  const below = () => {
    document.documentElement.style.scrollPaddingTop = `${chooser.getBoundingClientRect().height + 12}px`;
  };
  new ResizeObserver(below).observe(chooser);
  read();
}

// Conflict images and what was answered

class Browser {
  constructor(element) {
    const { observers, answers } = page.browsers[element.dataset.browser];
    const form = element.querySelector("form");
    const filters = Object.fromEntries(all("[data-filter]", form).map((select) => [select.dataset.filter, select]));
    Object.assign(this, { observers, answers, filters });
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

  // What an observer named: shape, texture, else, or none; unseen where the image was not shown.
  named(i, observer) {
    const answer = this.answers[i][observer];
    if (answer < 0) return answer === -1 ? "none" : "unseen";
    const category = page.categories[answer];
    const { shape, texture } = this.items[i].dataset;
    return category === shape ? "shape" : category === texture ? "texture" : "else";
  }

  visible() {
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
    const wanted = (k) => this.named(i, k) === answer.value;
    if (observer.value.startsWith("o")) return wanted(Number(observer.value.slice(1)));
    const seen = observers.filter((k) => this.named(i, k) !== "unseen");
    const count = seen.filter(wanted).length;
    if (observer.value === "every") return count > 0 && count === seen.length;
    return observer.value === "most" ? 2 * count > seen.length : count > 0;
  }

  update() {
    const observers = this.visible();
    this.items.forEach((item, i) => {
      item.hidden = !this.fits(i, observers);
      const counts = { shape: 0, texture: 0, else: 0, none: 0, unseen: 0 };
      for (const k of observers) counts[this.named(i, k)] += 1;
      const told = `${counts.shape} shape, ${counts.texture} texture, ${counts.else} else`;
      item.querySelector(".counts").textContent = told;
      item.setAttribute("aria-label", `${item.querySelector("img").alt}; answers: ${told}`);
    });
    const left = this.items.filter((item) => !item.hidden);
    this.output.textContent = `${left.length} of ${this.items.length} images`;
    this.panel.replaceChildren();
    if (left.length === 0) return;
    this.select(this.items[this.selected].hidden ? this.items.indexOf(left[0]) : this.selected);
  }

  select(i) {
    this.selected = i;
    this.items.forEach((item, k) => {
      item.tabIndex = k === i ? 0 : -1; // one stop for Tab, arrows inside
      item.setAttribute("aria-selected", String(k === i));
    });
    const item = this.items[i];
    const { shape, texture } = item.dataset;
    const picture = item.querySelector("img").cloneNode();
    const groups = { shape: [], texture: [], else: [], none: [], unseen: [] };
    for (const k of this.visible()) groups[this.named(i, k)].push(k);
    const answer = (k) => `${this.observers[k]}: ${page.categories[this.answers[i][k]]}`;
    const lines = [
      [`The shape, ${shape}`, groups.shape.map((k) => this.observers[k])],
      [`The texture, ${texture}`, groups.texture.map((k) => this.observers[k])],
      ["Something else", groups.else.map(answer)],
      ["No answer", groups.none.map((k) => this.observers[k])],
      ["Not shown to", groups.unseen.map((k) => this.observers[k])],
    ];
    const list = document.createElement("dl");
    for (const [heading, names] of lines) {
      if (names.length === 0) continue;
      list.append(text("dt", `${heading} (${names.length})`), text("dd", names.join(", ")));
    }
    this.panel.replaceChildren(picture, text("p", item.title, "image-name"), list);
  }

  move(event) {
    const left = this.items.filter((item) => !item.hidden);
    const here = left.indexOf(this.items[this.selected]);
    const row = left.filter((item) => item.offsetTop === left[0].offsetTop).length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -here, End: left.length - 1 - here };
    if (!(event.key in steps) || here < 0) return;
    event.preventDefault();
    left[Math.min(Math.max(here + steps[event.key], 0), left.length - 1)].focus();
  }
}

function text(tag, content, className = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = className;
  return element;
}

// On paper, tables are open.
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details.numbers:not([open])");
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});

const browsers = all(".browser").map((element) => new Browser(element));
startChooser();
darkMode.addEventListener("change", redrawAll);
await drawAll();
