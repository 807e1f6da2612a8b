// The page: from the address to the question, to the answer, and back.

import { Problem, address, ask } from "./api.js";
import { Covered, Grid, coordinates } from "./chips.js";
import { holdFocus, listenToKeys, releaseFocus } from "./keys.js";
import { fromLabels, toLabels } from "./labels.js";
import { ChipMap } from "./map.js";
import { ASKED, LONGEST_NAME, MOST_CLASSES } from "./marks.js";
import { drawClassMap, drawControls, drawFrame, drawHits, drawLoading, drawMarks, drawMessage, drawPending, drawQuestion, drawTokens, drawYears, find, make } from "./panel.js";
import { Names, nameOf } from "./names.js";
import { parsePlace } from "./places.js";
import { classRequest, read, readView, request, write } from "./question.js";
import { Whole } from "./whole.js";

const page = {
  info: null,
  grid: null,
  map: null,
  question: null,
  marks: null, // what is marked now, and before each change of it
  past: [],
  active: "like", // the class that a click marks
  tool: "search", // what a click on the map does
  learnt: [], // the labels of the map of classes that is shown
  hits: [],
  coverage: new Map(),
  asking: null,
  whole: null,
  names: null,
};

const MOST_SUGGESTIONS = 8;
const MOST_IN_BOX = 50_000; // chips of the grid that a drawn box is looked through for
const NEWS_EVERY = 120_000; // milliseconds
const TOOLS = ["search", "mark", "box"];

/** Starts with what can be searched. */
async function start() {
  find("message").replaceChildren();
  try {
    page.info = await ask("info");
  } catch (error) {
    drawMessage("The server does not answer", error.message, ["Try again", start]);
    return;
  }
  page.grid = new Grid(page.info);
  drawFrame(page.info);
  page.whole = new Whole(() => page);
  listen();
  const asked = new URLSearchParams(location.search).get("year");
  open();
  startMap();
  nameMap();
  keep();
  await run();
  if (asked && Number(asked) !== page.question.year) tell(`There is nothing of ${asked} here: this is ${page.question.year}.`);
}

/** Takes the question and the marks that the address holds. */
function open() {
  page.question = read(location.search, page.info, page.grid);
  page.marks = page.question.marks;
  page.past = [];
  if (!page.marks.names.includes(page.active)) page.active = ASKED[0];
}

function startMap() {
  const { info, grid } = page;
  try {
    page.map = new ChipMap(find("map"), { info, grid, view: readView(location.search), colours: colours(), pick, mark: markAt, markBox, hover, moved });
    page.map.ready.then(() => (find("map").dataset.ready = "yes"));
  } catch {
    find("no-map").hidden = false;
    find("map-tools").hidden = true;
    find("here").nextElementSibling.textContent = "In this view only (needs the map)";
  }
}

/** The page works without names, and before they are there. */
async function nameMap() {
  page.names = await Names.load().catch(() => null);
  await page.map?.ready;
  if (page.names) page.map?.name(page.names);
}

/** Looks for columns that were published since, where the server can tell. */
async function lookForNews() {
  const { columns } = await ask("news").catch(() => ({ columns: 0 }));
  find("news").hidden = !columns;
  find("news").firstElementChild.textContent = `${columns} ${columns === 1 ? "column is" : "columns are"} newly published.`;
}

async function loadNews({ target }) {
  target.disabled = true;
  try {
    await ask("load");
    page.info = await ask("info");
    find("news").hidden = true;
    page.coverage.clear();
    page.whole.opening = null;
    if (page.map) page.map.year = null;
    drawFrame(page.info);
    await run();
  } catch (error) {
    tell(error.message);
  } finally {
    target.disabled = false;
  }
}

/** Asks another question, with what is marked, or was opened: a new entry of the history. */
function go(changes, opened) {
  const { question, grid, map } = page;
  const marks = opened ?? page.marks;
  const asks = marks.of("like").length ? marks.question(question) : {};
  if (!opened && !("like" in changes)) history.replaceState(null, "", write(question, marks.asked(question), grid, map?.view())); // the marks are searched with now
  page.question = { ...question, ...asks, ...changes };
  if (opened || ("like" in changes && isPending(question))) page.past.push(page.marks);
  page.marks = "like" in changes ? marks.asked(page.question) : marks;
  history.pushState(null, "", write(page.question, page.marks, grid, map?.view()));
  find("scroll").scrollTop = 0;
  return run();
}

/** Keeps the address at what is seen, marks that were not searched with among it: back leads to them again. */
const keep = () => history.replaceState(null, "", write(page.question, page.marks, page.grid, page.map?.view()));

/** Whether likes and unlikes were not searched with yet. */
function isPending(question = page.question) {
  const next = page.marks.question(question);
  return ASKED.some((name) => next[name].join() !== question[name].join());
}

/** Asks what the address says. */
async function run() {
  const { info, grid, question } = page;
  page.asking?.abort();
  const { signal } = (page.asking = new AbortController());
  page.hits = [];
  page.learnt = [];
  if (question.mode !== page.mode) use(question.mode === "classes" ? "mark" : "search");
  if (question.mode === "classes" && ASKED.includes(page.active)) page.active = page.marks.named[0] ?? ASKED[0];
  page.mode = question.mode;
  page.whole.ask(false);
  find("note").hidden = true;
  find("told").hidden = true;
  find("search-view").hidden = true;
  find("fit").hidden = true;
  find("class-map").replaceChildren();
  find("here").disabled = !page.map && !question.bbox; // a box that came with the address can be taken away
  holdFocus();
  drawControls(info, question, grid);
  drawQuestion(question, grid);
  drawMarked();
  const covered = cover();
  if (!info.years.find((each) => each.year === question.year).chips) return nothing();
  if (question.mode === "classes") return classify(signal);
  if (question.mode === "similar" && !question.like.length) return invite(covered);
  drawLoading(question);
  const [path, parameters] = request(question, info, grid);
  try {
    const [answer, chip] = await Promise.all([
      ask(path, parameters, signal),
      question.mode === "similar" ? ask("chip", { year: question.year, chip: question.like[0] }, signal) : null,
    ]);
    if (chip) drawYears(chip);
    answered(answer.features);
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    const other = error.status === 404 ? info.years.map((each) => each.year).find((year) => year !== question.year) : undefined;
    const hasAnswer = other && (await ask(path, { ...parameters, year: other }, signal).then(() => true, () => false));
    if (!signal.aborted) failed(error, hasAnswer ? other : null);
  }
  return undefined;
}

function answered(features) {
  const { info, question } = page;
  page.hits = features;
  if (features.length) drawHits(question, info, features);
  else if (question.bbox) drawMessage("Nothing found here", "No other chip is embedded in this view.", ["Search everywhere", () => go({ bbox: null })]);
  else drawMessage("Nothing found", question.mode === "change" ? "No chip is embedded in both years." : "No other chip is embedded in this year.");
  drawMarked();
  showOnMap();
  if (page.map && features.length) page.whole.ask(true);
  releaseFocus();
  find("fit").hidden = !features.length || !page.map;
  say(features.length ? `${features.length} chips found; the first is ${features[0].id}.` : "Nothing found.");
}

/** Learns the classes that are marked, and shows the class of every chip. */
async function classify(signal) {
  const { grid, marks, question } = page;
  const parameters = classRequest(question, marks, grid);
  showOnMap();
  if (!marks.canBeLearnt) {
    const what =
      "Name two classes or more below, such as orchard and vineyard, and mark some chips of each: choose one, then click chips on the map, or draw a box around many. From them a map is learnt that gives every chip a class, and it is tested on other ground.";
    return drawMessage("Mark what is to be told apart", what, ["Open marks …", chooseMarks]);
  }
  drawMessage("Learning …", "Learning from the marks, testing on other ground, and saying the class of every chip.");
  try {
    const found = await page.whole.classes(parameters, rgbOf, signal);
    if (signal.aborted) return undefined;
    page.learnt = marks.labels;
    find("message").replaceChildren();
    drawClassMap(found, marks, (form) => address("classify/download", { format: form, ...parameters }));
    drawMarked();
    say(`A map of ${found.classes.length} classes. ${found.accuracy.join(" ")}`);
  } catch (error) {
    if (error.name !== "AbortError") failed(error, null);
  }
  return undefined;
}

/** [red, green, blue] of a class. */
const rgbOf = (name) => colours()[page.marks.colourOf(name)].match(/\d+/g).slice(0, 3).map(Number);

/** What the API says against the question, and the chip that it proposes; `other` is a year that has an answer. */
function failed(error, other) {
  showOnMap();
  if (!(error instanceof Problem)) throw error;
  const nearest = /the nearest embedded chip is (c\d{4}r\d{4})/.exec(error.message)?.[1];
  const text = error.message[0].toUpperCase() + error.message.slice(1);
  const actions = [];
  if (nearest) actions.push([`Go to ${nearest}`, () => travel(nearest)]);
  else if (error.status === 0 || error.status >= 500) actions.push(["Try again", () => run()]);
  if (other) actions.push([`Look in ${other}`, () => go({ year: other })]);
  if (error.status === 422 && page.question.mode !== "classes") actions.push(["Start anew", () => go({ like: [], unlike: [], bbox: null })]);
  drawMessage(error.status === 0 ? "The server does not answer" : "That can’t be answered", text, ...actions);
  say(text);
}

function nothing() {
  showOnMap();
  drawMessage("Nothing is embedded yet", [
    `There is no chip of ${page.question.year} here. Embed some columns, which are offered here once they are published: `,
    make("code", {}, "make demo"),
    " makes a small sample, ",
    make("code", {}, "workflows/submit.py"),
    " does the real ones.",
  ]);
}

async function invite(covered) {
  const { question } = page;
  showOnMap();
  const what =
    "Of each square of ground, a chip, a model made an embedding: numbers that stand for what its satellite picture shows. The chips whose numbers are nearest to those of the place are shown here, as its likes elsewhere. Or type a town, a place in degrees, or a chip id above.";
  drawMessage("Click a place on the map", what, [
    "Take any chip",
    async () => {
      const id = (await covered)?.any();
      if (id) travel(id);
    },
  ], ["Open marks …", chooseMarks]);
  if ((await page.whole.colours()) && question === page.question) tell("Colours, where no pictures are: chips of like colour have like embeddings (their first three principal components).");
}

/** Shows what is embedded in the year; resolves to its chips. */
async function cover() {
  const { question, map, coverage } = page;
  const { year } = question;
  try {
    if (!coverage.has(year)) {
      const answer = await ask("coverage", { year });
      coverage.set(year, { answer, covered: new Covered(answer) });
    }
  } catch {
    return null; // the question itself meets the same trouble, and says so
  }
  if (map) {
    await map.ready;
    const { answer, covered } = coverage.get(year);
    if (page.question.year === year && map.year !== year) map.cover(answer, covered, year);
  }
  return coverage.get(year).covered;
}

async function showOnMap() {
  const { question, hits, map } = page;
  if (!map) return;
  await map.ready;
  if (question !== page.question || hits !== page.hits) return;
  const { like, unlike } = question.mode === "similar" ? question : { like: [], unlike: [] };
  map.show({ like, unlike, hits, bbox: question.mode === "classes" ? null : question.bbox });
}

/** Searches from a chip: at once, without what was marked before. */
async function pickChip(id) {
  const leaves = isPending();
  await go({ mode: "similar", like: [id], unlike: [] });
  if (leaves) tell("Your marks are kept: go back to return to them.");
}

async function pick(lon, lat) {
  const id = page.grid.at(lon, lat);
  if (id) return pickChip(id);
  const { west, south, east, north } = page.grid.bounds;
  return tell(`That place is off the grid, which goes from ${coordinates([west, south], 0)} to ${coordinates([east, north], 0)}.`);
}

function travel(id) {
  page.map?.goTo(id);
  return pickChip(id);
}

/** What was typed: a chip, or a place. */
function openPlace(text) {
  const trimmed = text.trim();
  const input = find("place");
  input.setCustomValidity("");
  if (/^c\d{4}r\d{4}$/i.test(trimmed)) return travel(trimmed.toLowerCase());
  const given = parsePlace(trimmed, page.grid.bounds); // undefined off the grid
  const place = given ?? page.names?.find(trimmed);
  if (place && page.grid.at(...place)) return travel(page.grid.at(...place));
  const { west, south, east, north } = page.grid.bounds;
  input.setCustomValidity(
    given === undefined || place
      ? `Off the grid: longitude ${west} to ${east}, latitude ${south} to ${north}`
      : "Type a chip id, such as c1155r0287, a place in degrees, such as 37.7, -75.6, or a town, such as Norfolk, VA",
  );
  return input.reportValidity();
}

function hover(lon, lat, id) {
  const readout = find("readout");
  readout.hidden = lon === undefined;
  if (lon === undefined) return;
  const hit = id && page.hits.find((each) => each.id === id);
  const what = hit ? `${id}, number ${hit.properties.rank} · ` : id ? `${id} · ` : "";
  readout.textContent = what + coordinates([lon, lat], 3);
}

function moved() {
  keep();
  find("search-view").hidden = !page.question.bbox || page.map.bbox() === page.question.bbox;
}

/** Marks a chip, or takes its mark away. */
function mark(id, name) {
  const { marks } = page;
  const had = marks.classOf(id) === name;
  if (!had && !hasRoom([id])) return;
  change(had ? marks.remove(id) : marks.put(name, [id]), had ? `${id} is no longer marked.` : `${id} is marked as ${name}.`);
}

function markAt(lon, lat) {
  const id = page.grid.at(lon, lat);
  if (id && isCovered(id)) mark(id, page.active);
  else tell("No chip is embedded there: mark one of those that are coloured.");
}

/** Marks the chips whose middles are in a box that was drawn. */
function markBox(bounds) {
  const found = page.grid.inside(bounds, MOST_IN_BOX)?.filter(isCovered);
  const most = page.info.limits.examples;
  if (!found) return tell(`That box is too large: at most ${most.toLocaleString("en")} chips can be marked.`);
  if (!found.length) return tell("No chip in that box is embedded.");
  if (!hasRoom(found)) return undefined;
  const many = found.length === 1 ? "1 chip is" : `${found.length} chips are`;
  return change(page.marks.put(page.active, found), `${many} marked as ${page.active}.`);
}

const isCovered = (id) => page.coverage.get(page.question.year)?.covered.has(id) ?? false;

/** Whether so many chips can be marked too; says so where they can't. */
function hasRoom(chips) {
  const most = page.info.limits.examples;
  const count = page.marks.count + chips.filter((id) => !page.marks.classOf(id)).length;
  if (count > most) tell(`These would be ${count.toLocaleString("en")} marked chips: ${most.toLocaleString("en")} are the most.`);
  return count <= most;
}

/** Takes other marks; undo leads back. */
function change(marks, said) {
  page.past.push(page.marks);
  page.marks = marks;
  find("told").hidden = true;
  drawMarked();
  keep();
  say(said);
}

function drawMarked() {
  const { active, learnt, map, marks, past, question, tool } = page;
  drawTokens(marks, question.year);
  drawMarks(marks, active);
  drawPending({ marks, question, learnt, tool, active, canUndo: past.length > 0 });
  const colour = map && colours();
  map?.ready.then(() => marks === page.marks && map.mark(marks.names.flatMap((name) => marks.of(name).map((id) => [id, colour[marks.colourOf(name)]]))));
}

function forget(id) {
  if (page.marks.of("like").length + page.marks.of("unlike").length === 1) return go({ like: [], unlike: [] });
  return mark(id, page.marks.classOf(id));
}

/** Asks with what is marked. */
function again() {
  if (page.question.mode === "classes") return page.marks.canBeLearnt ? go({}) : undefined;
  return page.marks.of("like").length ? go({ mode: "similar" }) : undefined;
}

function undo() {
  if (!page.past.length && !isPending()) return;
  page.marks = page.past.pop() ?? page.marks.asked(page.question);
  if (!page.marks.names.includes(page.active)) page.active = ASKED[0];
  drawMarked();
  keep();
  say(`Undone: ${page.marks.count} chips are marked.`);
}

/** Makes a class, which is marked from now on. */
function addClass(event) {
  event.preventDefault();
  const input = find("class-name");
  const name = input.value.trim().slice(0, LONGEST_NAME);
  if (!name || page.marks.names.length >= MOST_CLASSES) return;
  input.value = "";
  page.active = name;
  if (page.tool === "search") use("mark");
  if (page.marks.names.includes(name)) drawMarked();
  else change(page.marks.put(name, []), `Clicks mark ${name} now.`);
}

function choose(name) {
  page.active = name;
  drawMarked();
}

function dropClass(name) {
  if (page.active === name) page.active = ASKED[0];
  change(page.marks.drop(name), `${name} is removed.`);
}

/** What a click on the map does. */
function use(tool) {
  page.tool = tool;
  page.map?.use(tool);
  for (const button of find("map-tools").children) button.setAttribute("aria-pressed", button.dataset.tool === tool);
}

function saveMarks() {
  if (!page.marks.labels.length) return tell("Nothing is marked yet: mark chips, then save them.");
  const blob = new Blob([JSON.stringify(toLabels(page.marks.labels, page.grid))], { type: "application/geo+json" });
  const link = make("a", { href: URL.createObjectURL(blob), download: "marks.geojson" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const chooseMarks = () => find("marks-file").click();

async function openMarks({ target }) {
  const [file] = target.files;
  try {
    const marks = fromLabels(await file.text(), page.grid, page.info.limits.examples);
    const [like, unlike] = ASKED.map((name) => marks.of(name));
    page.active = marks.named[0] ?? ASKED[0];
    if (marks.named.length) await go({ mode: "classes" }, like.length ? marks : marks.asked(page.question));
    else if (like.length) await go({ mode: "similar", like, unlike }, marks);
    else tell("That file has unlikes alone: mark a chip as like, or name classes.");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    tell(error.message);
  } finally {
    target.value = ""; // the same file can be chosen again
  }
}

/** Says something in passing, until the next question. */
function tell(text) {
  find("told").textContent = text;
  find("told").hidden = false;
  say(text);
}

function say(text) {
  find("status").textContent = text;
}

function colours() {
  const probe = document.body.appendChild(make("i"));
  probe.style.forcedColorAdjust = "none"; // a map of one colour would say nothing
  const classes = Array.from({ length: MOST_CLASSES - ASKED.length }, (_, index) => `class-${index}`);
  const names = ["paper", "graticule", "grid", "coverage", "edge", "ink", "shore", "hit", "query", ...ASKED, ...classes];
  const found = names.map((name) => {
    probe.style.color = `var(--map-${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(found);
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  } catch {
    // Not kept then.
  }
  colourMap();
}

const colourMap = () =>
  page.map?.ready.then(() => {
    page.map.colour(colours());
    page.whole.colour();
  });

function listen() {
  find("find").addEventListener("submit", (event) => {
    event.preventDefault();
    openPlace(find("place").value);
  });
  find("place").addEventListener("input", ({ target }) => {
    target.setCustomValidity("");
    const named = page.names?.matches(target.value, MOST_SUGGESTIONS) ?? [];
    find("suggestions").replaceChildren(...named.map((place) => make("option", { value: nameOf(place) })));
  });
  find("theme").addEventListener("click", switchTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colourMap);
  find("show-help").addEventListener("click", () => find("help").showModal());
  find("modes").addEventListener("click", ({ target }) => target.dataset.mode && go({ mode: target.dataset.mode }));
  find("years").addEventListener("click", ({ target }) => target.dataset.year && go({ year: Number(target.dataset.year) }));
  find("count").addEventListener("change", ({ target }) => go({ k: Number(target.value) }));
  find("here").addEventListener("change", ({ target }) => go({ bbox: target.checked ? (page.map?.bbox() ?? null) : null }));
  window.addEventListener("focus", lookForNews);
  setInterval(() => document.visibilityState === "visible" && lookForNews(), NEWS_EVERY);
  find("news").lastElementChild.addEventListener("click", loadNews);
  find("fade").hidden = !page.info.basemap;
  find("fade").lastElementChild.addEventListener("input", ({ target }) => page.map?.fade(Number(target.value)));
  find("search-view").addEventListener("click", () => go({ bbox: page.map.bbox() }));
  find("fit").addEventListener("click", () => page.map.fit());
  find("again").addEventListener("click", again);
  find("classify").addEventListener("click", () => go({ mode: "classes" }));
  find("add-class").addEventListener("submit", addClass);
  find("class-list").addEventListener("change", ({ target }) => choose(target.value));
  find("map-tools").addEventListener("click", ({ target }) => {
    const { tool } = target.closest("button")?.dataset ?? {};
    if (tool) use(tool);
    drawMarked();
  });
  find("marks-file").addEventListener("change", openMarks);
  find("undo").addEventListener("click", undo);
  find("panel").addEventListener("click", ({ target }) => {
    const { goto, like, unlike, mark: named, open: from, remove, drop, marks } = target.closest("button")?.dataset ?? {};
    if (goto) page.map?.goTo(goto);
    else if (like) mark(like, "like");
    else if (unlike) mark(unlike, "unlike");
    else if (named) mark(named, page.active);
    else if (from) travel(from);
    else if (remove) forget(remove);
    else if (drop) dropClass(drop);
    else if (marks === "save") saveMarks();
    else if (marks === "open") chooseMarks();
    else if (target.closest("#clear")) go({ like: [], unlike: [] });
  });
  for (const type of ["focusin", "pointerover"]) {
    find("hits").addEventListener(type, ({ target }) => page.map?.activate(target.closest(".hit")?.dataset.id ?? null));
  }
  find("hits").addEventListener("pointerleave", () => page.map?.activate(null));
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("#download summary")) find("download").open = false;
  });
  window.addEventListener("popstate", () => {
    open();
    const view = readView(location.search);
    if (view) page.map?.jump(view);
    run();
  });
  listenToKeys({
    again,
    open: travel,
    nextYear: () => {
      const years = page.info.years.map((each) => each.year);
      if (years.length > 1) go({ year: years[(years.indexOf(page.question.year) + 1) % years.length] });
    },
    nextMode: () => {
      const modes = ["similar", ...(page.info.change_note ? ["change"] : []), "classes"];
      go({ mode: modes[(modes.indexOf(page.question.mode) + 1) % modes.length] });
    },
    nextTool: () => {
      use(TOOLS[(TOOLS.indexOf(page.tool) + 1) % TOOLS.length]);
      drawMarked();
    },
    undo,
  });
}

start();
