// The side panel: what is looked for, what was found, and what to do where nothing was.

import { address, picture } from "./api.js";
import { coordinates, distances, measureOf, percent } from "./chips.js";
import { ASKED, MOST_CLASSES, differences } from "./marks.js";
import { COUNTS, changeYears, request } from "./question.js";

const MOST_TOKENS = 24;

export const find = (id) => document.getElementById(id);

/** An element: `make("p", { className: "quiet" }, "text", child)`; keys with a dash or `role` are attributes. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "data") Object.assign(element.dataset, value);
    else if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A chip's picture, in the shape of the chip on the map, or a sign that there is none now; of the same source as the one beside it. */
export function photo(year, id, latitude, { beside, ...more } = {}) {
  const image = make("img", { src: picture(year, id, beside), alt: `Chip ${id} in ${year}`, decoding: "async", ...more });
  const frame = make("span", { className: "photo loading" }, image);
  frame.style.aspectRatio = Math.cos((latitude * Math.PI) / 180);
  image.addEventListener("load", () => frame.classList.remove("loading"));
  image.addEventListener("error", () => {
    frame.classList.replace("loading", "missing");
    frame.replaceChildren(icon("picture"), make("span", {}, "No picture"));
    frame.title = "Neither the WMS nor the tile has one now. The search does not need it.";
  });
  return frame;
}

/** What does not change while the page is open. */
export function drawFrame(info) {
  find("warning").hidden = !info.warnings.length;
  find("warning").textContent = info.warnings.map(sentence).join(" ");
  find("years").replaceChildren(...info.years.map(({ year }) => make("button", { type: "button", data: { year } }, String(year))));
  find("years").hidden = info.years.length < 2;
  find("modes").hidden = info.years.every(({ chips }) => !chips);
  find("modes").querySelector("[data-mode=change]").hidden = !info.change_note;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** The switches, as the question stands. */
export function drawControls(info, question, grid) {
  const { chips, attribution, cost } = info.years.find((each) => each.year === question.year);
  find("about").textContent = `${info.recipe} · ${chips.toLocaleString("en")} chips in ${question.year}`;
  find("cost").replaceChildren(...cost.map((line) => make("li", {}, line)));
  for (const button of find("modes").children) button.setAttribute("aria-pressed", button.dataset.mode === question.mode);
  for (const button of find("years").children) button.setAttribute("aria-pressed", Number(button.dataset.year) === question.year);
  const change = question.mode === "change"; // which compares both years, whichever is shown
  find("years-of").hidden = !change;
  find("years").setAttribute("aria-label", change ? "Year of the map’s pictures" : "Year");
  const counts = [...new Set([...COUNTS, question.k])].sort((a, b) => a - b);
  find("count").replaceChildren(...counts.map((count) => make("option", { value: count, selected: count === question.k }, String(count))));
  find("here").checked = Boolean(question.bbox);
  const base = info.basemap ? ` · Base map: ${info.basemap_attribution ?? new URL(info.basemap.replaceAll(/[{}]/g, "")).hostname}` : "";
  find("attribution").textContent = `${attribution}${base} · Natural Earth · GeoNames (CC BY 4.0) · MapLibre`;
  const [, parameters] = request(question, info, grid);
  for (const link of find("download").querySelectorAll("a")) link.href = address("download", { format: link.dataset.format, ...parameters });
}

/** The chip that is asked for. */
export function drawQuestion(question, grid) {
  const [id] = question.like;
  if (question.mode !== "similar" || !id) return find("question").replaceChildren();
  const middle = grid.middle(id);
  const facts = make(
    "div",
    { className: "facts" },
    make("h2", { className: "numbers" }, id),
    make("p", { className: "numbers" }, coordinates(middle)),
    make("p", { id: "embedded", className: "quiet numbers" }, "\u00a0"),
    make(
      "p",
      { className: "row" },
      make("button", { type: "button", data: { goto: id } }, icon("target"), make("span", { className: "word" }, "Show")),
      make("button", { type: "button", id: "clear" }, icon("close"), make("span", { className: "word" }, "Clear")),
    ),
  );
  return find("question").replaceChildren(make("div", { className: "chip" }, photo(question.year, id, middle[1]), facts), make("ul", { id: "tokens", "aria-label": "Examples" }));
}

/** The years that the chip asked for is embedded in, once the server has said them. */
export function drawYears({ years }) {
  find("embedded").textContent = `Embedded in ${years.join(" and ")}`;
}

/** The likes and unlikes as tokens, each with a button that takes it away. */
export function drawTokens(marks, year) {
  const token = (id, kind) =>
    make(
      "li",
      { className: `token ${kind} numbers` },
      make("img", { src: picture(year, id), alt: "", width: 22, height: 22 }),
      make("span", { className: "sign", "aria-hidden": "true" }, kind === "like" ? "+" : "−"),
      make("span", { className: "unseen" }, kind),
      id,
      make("button", { type: "button", title: `Take ${id} away`, data: { remove: id }, "aria-label": `Take ${id} away` }, icon("close")),
    );
  const marked = ASKED.flatMap((kind) => marks.of(kind).map((id) => [id, kind]));
  const more = marked.length - MOST_TOKENS;
  const tokens = marked.length > 1 ? marked.slice(0, MOST_TOKENS).map(([id, kind]) => token(id, kind)) : [];
  find("tokens")?.replaceChildren(...tokens, ...(more > 0 ? [make("li", { className: "quiet numbers" }, `and ${more.toLocaleString("en")} more`)] : []));
  for (const image of find("tokens")?.querySelectorAll("img") ?? []) image.addEventListener("error", () => image.remove());
}

/** Grey cards in the place of those to come. */
export function drawLoading(question) {
  const hits = find("hits");
  find("message").replaceChildren();
  find("tools").hidden = false;
  find("found").textContent = "Searching …";
  hits.className = question.mode;
  hits.setAttribute("aria-busy", "true");
  const count = Math.min(question.k, 12);
  hits.replaceChildren(...Array.from({ length: count }, () => make("li", { className: "hit skeleton", "aria-hidden": "true" }, make("span", { className: "photo loading" }))));
}

/** What was found. */
export function drawHits(question, info, features) {
  const hits = find("hits");
  const shown = distances(features);
  const most = Math.max(...features.map(measureOf), 1e-9);
  hits.removeAttribute("aria-busy");
  hits.className = question.mode;
  hits.replaceChildren(...features.map((feature, index) => card(question, info, feature, shown[index], most)));
  find("tools").hidden = false;
  find("found").textContent = question.mode === "change" ? `${features.length} most changed` : `${features.length} most similar`;
  const isScore = features[0].properties.score !== undefined;
  find("legend").textContent = question.mode === "change" ? "change: long is more" : isScore ? "score: long is better" : "distance: short is similar";
  find("note").hidden = question.mode !== "change";
  find("note").textContent = question.mode === "change" ? sentence(info.change_note) : "";
}

function card(question, info, feature, distance, most) {
  const { id, properties } = feature;
  const change = question.mode === "change";
  const measure = change ? "changed by" : properties.score === undefined ? "distance" : "score";
  const { percentile } = properties;
  const usual = percentile === undefined ? "" : change ? `more than ${percent(percentile)} of all chips` : `nearer than ${percent(100 - percentile)} of random pairs`;
  const side = (year, index, years) =>
    make("span", { className: "side" }, photo(year, id, properties.latitude, { loading: "lazy", beside: years[1 - index] }), make("span", { className: "year numbers" }, String(year)));
  const photos = change
    ? changeYears(info).map(side)
    : [photo(question.year, id, properties.latitude, { loading: "lazy" })];
  const place = coordinates([properties.longitude, properties.latitude]);
  const face = make(
    "button",
    { className: "face", type: "button", data: { goto: id }, title: "Show on the map (Enter: search from here)" },
    ...photos.flatMap((each) => [each, " "]), // words apart, for what reads them
    make("span", { className: "rank numbers" }, String(properties.rank)),
  );
  const shown = change ? `${changeYears(info).join(" ")} ` : ""; // a name begins with what is seen
  face.setAttribute("aria-label", `${shown}${properties.rank}: chip ${id}, ${measure} ${distance}${usual && `, ${usual}`}, ${place}`);
  const beside = percentile === undefined ? null : make("span", { className: "usual" }, change ? usual : `nearer than ${percent(100 - percentile)}`);
  const bar = make("span", { className: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", String(Math.max(0, measureOf(feature)) / most));
  const tool = (kind, label) =>
    make("button", { type: "button", className: kind, title: label, data: { [kind]: id }, "aria-label": `${label}: ${id}` }, icon(kind));
  const tools = change ? [] : [tool("like", "Like (L)"), tool("unlike", "Unlike (U)"), tool("mark", "")];
  return make(
    "li",
    { className: "hit", data: { id } },
    face,
    bar,
    make("div", { className: "facts numbers" }, make("span", { className: "id" }, id), make("span", { className: "distance", title: measure === "score" ? "Cosine to the likes, away from the unlikes" : `1 − cosine${change ? " between the years" : ""}; ${usual}` }, change ? `changed by ${distance}` : distance), beside),
    make("div", { className: "marks" }, ...tools, tool("open", "Search from here (Enter)")),
  );
}

/** Says what is the matter and what to do, with buttons: [label, what it does] each. */
export function drawMessage(title, text, ...actions) {
  find("hits").replaceChildren();
  find("hits").removeAttribute("aria-busy");
  find("tools").hidden = true;
  find("note").hidden = true;
  const buttons = actions.map(([label, act], index) => {
    const button = make("button", { type: "button", className: index ? "" : "main" }, label);
    button.addEventListener("click", act);
    return button;
  });
  find("message").replaceChildren(make("div", { className: "empty" }, make("h2", {}, title), make("p", {}, ...[text].flat()), make("p", { className: "row" }, ...buttons)));
}

/** The marks of what was found; `active` is the class that a click marks. */
export function drawMarks(marks, active) {
  for (const hit of find("hits").children) {
    const { id } = hit.dataset;
    const name = marks.classOf(id);
    const isNamed = marks.named.includes(name);
    hit.classList.toggle("liked", name === "like");
    hit.classList.toggle("unliked", name === "unlike");
    hit.classList.toggle("marked", isNamed);
    hit.style.setProperty("--mark", isNamed ? `var(--map-${marks.colourOf(name)})` : "");
    hit.querySelector(".like")?.setAttribute("aria-pressed", name === "like");
    hit.querySelector(".unlike")?.setAttribute("aria-pressed", name === "unlike");
    const button = hit.querySelector(".mark");
    if (!button) continue;
    button.hidden = ASKED.includes(active);
    button.title = `Mark as ${active} (M)`;
    button.setAttribute("aria-label", `${button.title}: ${id}`);
    button.setAttribute("aria-pressed", name === active);
  }
}

/** What can be done with what is marked; `learnt` are the labels of the map of classes that is shown. */
export function drawPending({ marks, question, learnt, tool, active, canUndo }) {
  const learns = question.mode === "classes";
  const lists = (of) => ASKED.map((name) => [name, of[name]]);
  const pending = learns ? differences(marks.labels, learnt) : differences(lists(marks.question(question)), lists(question));
  const hasClasses = learns || tool !== "search" || marks.named.length > 0;
  const likes = marks.of("like").length;
  find("pending").hidden = !pending && !hasClasses;
  find("classes").hidden = !hasClasses;
  const many = (text) => `${pending} ${pending === 1 ? "mark" : "marks"} not ${text} yet`;
  const chips = `${marks.count.toLocaleString("en")} ${marks.count === 1 ? "chip" : "chips"} marked`;
  const missing = learns ? !marks.canBeLearnt && "Mark two chips or more of two classes" : pending > 0 && !likes && "Mark at least one chip as like";
  find("to-do").textContent = missing || (pending ? many(learns ? "learnt from" : "searched with") : chips);
  find("undo").disabled = !canUndo && !pending;
  find("again").hidden = learns || !pending;
  find("again").disabled = !likes;
  find("classify").hidden = !learns && !marks.named.length;
  find("classify").disabled = !marks.canBeLearnt || (learns && !pending);
  drawClasses(marks, active);
}

/** The classes to mark as. */
function drawClasses(marks, active) {
  const list = find("class-list");
  const hadFocus = list.contains(document.activeElement);
  const swatch = (name) => {
    const square = make("i", { className: "swatch", "aria-hidden": "true" });
    square.style.background = `var(--map-${marks.colourOf(name)})`;
    return square;
  };
  const entry = (name) =>
    make(
      "span",
      { className: "class" },
      make("label", {}, make("input", { type: "radio", name: "class", value: name, checked: name === active }), swatch(name), make("span", { className: "name" }, name), " ", make("span", { className: "quiet numbers" }, String(marks.of(name).length))),
      marks.named.includes(name) ? make("button", { type: "button", data: { drop: name }, title: `Remove ${name}`, "aria-label": `Remove ${name}` }, icon("close")) : null,
    );
  list.replaceChildren(...marks.names.map(entry));
  if (hadFocus) list.querySelector(":checked")?.focus();
  const isFull = marks.names.length >= MOST_CLASSES;
  for (const control of find("add-class").elements) control.disabled = isFull;
}

function accuracyOf(classes, lines) {
  const labelled = classes.reduce((sum, each) => sum + each.labelled, 0);
  return sentence([`learnt from ${labelled.toLocaleString("en")} chips`, ...lines].join("; ").replaceAll(":; ", ": "));
}

/** The map of classes: how far it can be believed, its legend, and its files. */
export function drawClassMap({ classes, accuracy, notes }, marks, hrefOf) {
  const cell = (text) => make("td", { className: "numbers" }, text);
  const row = ({ name, labelled, chips, km2, probability }) => {
    const square = make("i", { className: "swatch", "aria-hidden": "true" });
    square.style.background = `var(--map-${marks.colourOf(name)})`;
    const head = make("th", { scope: "row" }, square, name);
    return make("tr", {}, head, cell(labelled.toLocaleString("en")), cell(chips.toLocaleString("en")), cell(Math.round(km2).toLocaleString("en")), cell(probability === null ? "" : `${Math.round(100 * probability)} %`));
  };
  const heads = ["Class", "Learnt from", "Chips", "km²", "Sure"].map((text) => make("th", { scope: "col" }, text));
  heads.at(-1).title = "Mean probability of the class that is said";
  const files = [["GeoTIFF", "tif"], ["GeoParquet", "parquet"], ["CSV", "csv"]].map(([name, form]) => make("a", { href: hrefOf(form), download: "" }, name));
  find("class-map").replaceChildren(
    make("h2", {}, `A map of ${classes.length} classes`),
    make("p", {}, accuracyOf(classes, accuracy)),
    make("div", { className: "table" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...classes.map(row)))),
    ...notes.map((line) => make("p", { className: "quiet" }, sentence(line))),
    make("p", { className: "row" }, make("span", { className: "quiet" }, "Download it"), ...files),
  );
}
