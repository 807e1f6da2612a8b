// The side panel: what is looked for, what was found, and what to do where nothing was.

import { address, picture } from "./api.js";
import { coordinates, distances, measureOf, percent } from "./chips.js";
import { COUNTS, changeYears, request } from "./question.js";

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
  find("modes").hidden = !info.change_note;
  find("modes").parentElement.hidden = info.years.length < 2;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** The switches, as the question stands. */
export function drawControls(info, question) {
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
  const [, parameters] = request(question, info);
  for (const link of find("download").querySelectorAll("a")) link.href = address("download", { format: link.dataset.format, ...parameters });
}

/** The chip that is asked for. */
export function drawQuestion(question, grid) {
  const [id] = question.like;
  if (question.mode === "change" || !id) return find("question").replaceChildren();
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

/** The examples as tokens, each with a button that takes it away. */
export function drawTokens({ like, unlike }, year) {
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
  const tokens = like.length + unlike.length > 1 ? [...like.map((id) => token(id, "like")), ...unlike.map((id) => token(id, "unlike"))] : [];
  find("tokens")?.replaceChildren(...tokens);
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
  const bar = make("span", { className: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", String(Math.max(0, measureOf(feature)) / most));
  const tool = (kind, label) =>
    make("button", { type: "button", className: kind, title: label, data: { [kind]: id }, "aria-label": `${label}: ${id}` }, icon(kind));
  const tools = change ? [] : [tool("like", "Like (L)"), tool("unlike", "Unlike (U)")];
  return make(
    "li",
    { className: "hit", data: { id } },
    face,
    bar,
    make("div", { className: "facts numbers" }, make("span", { className: "id" }, id), make("span", { className: "distance", title: measure === "score" ? "Cosine to the likes, away from the unlikes" : `1 − cosine${change ? " between the years" : ""}; ${usual}` }, change ? `changed by ${distance}` : distance)),
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

/** Marks, as they stand beside what was last asked. */
export function drawMarks(draft, question) {
  const kind = (id) => (draft.like.includes(id) ? "like" : draft.unlike.includes(id) ? "unlike" : "");
  for (const hit of find("hits").children) {
    const mark = kind(hit.dataset.id);
    hit.classList.toggle("liked", mark === "like");
    hit.classList.toggle("unliked", mark === "unlike");
    hit.querySelector(".like")?.setAttribute("aria-pressed", mark === "like");
    hit.querySelector(".unlike")?.setAttribute("aria-pressed", mark === "unlike");
  }
  const differs = (name) => draft[name].filter((id) => !question[name].includes(id)).length + question[name].filter((id) => !draft[name].includes(id)).length;
  const changes = differs("like") + differs("unlike");
  find("pending").hidden = !changes;
  find("again").disabled = !draft.like.length;
  find("pending").firstElementChild.textContent = draft.like.length
    ? `${changes} ${changes === 1 ? "mark" : "marks"} not searched with yet`
    : "Mark at least one chip as like";
}
