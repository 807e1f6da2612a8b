// What is asked, as it stands in the page's address.

import { ASKED, LONGEST_NAME, MOST_CLASSES, Marks } from "./marks.js";

export const COUNTS = [12, 24, 48, 96];

const CHIP = /^c\d{4}r\d{4}$/;
const MOST_IDS = 8; // that an address names; more are packed
const MODES = ["change", "classes"]; // beside similar

/** The question in an address; what is missing or nonsense is taken as not given. */
export function read(search, info, grid) {
  const given = new URLSearchParams(search);
  const years = info.years.map((each) => each.year);
  const unpack = (text) => (CHIP.test(text) ? [text] : text.startsWith("~") ? grid.unpack(text.slice(1)) : []);
  const [like, unlike] = ASKED.map((name) => [...new Set(given.getAll(name).flatMap(unpack))].slice(0, info.limits.examples));
  const number = (name, least, most, otherwise) => {
    const value = Number(given.get(name) || NaN);
    return Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
  };
  const year = number("year", 0, 9999, NaN);
  const box = given.get("bbox");
  const mode = given.get("view");
  return {
    mode: MODES.includes(mode) && (mode !== "change" || years.length > 1) ? mode : "similar",
    year: years.includes(year) ? year : years.at(-1),
    like,
    unlike,
    k: number("k", 1, info.limits.k, COUNTS[0]),
    bbox: /^(-?[\d.]+,){3}-?[\d.]+$/.test(box ?? "") ? box : null,
    marks: readMarks(given.getAll("mark"), { like, unlike }, grid, info.limits.examples),
  };
}

/** What is marked: NAME~PACK of each class; likes and unlikes are those asked with where nothing else is said. */
function readMarks(parts, asked, grid, most) {
  const classes = parts.map((part) => part.match(/^(.+)~([\w-]*)$/su)?.slice(1)).filter(Boolean).map(([name, pack]) => [name.trim().slice(0, LONGEST_NAME), grid.unpack(pack)]);
  let marks = new Marks();
  for (const [name, chips] of classes) {
    const next = name ? marks.put(name, chips) : marks;
    if (next.names.length <= MOST_CLASSES && next.count <= most) marks = next;
  }
  const said = (name) => classes.some(([each]) => each === name);
  return marks.asked(Object.fromEntries(ASKED.map((name) => [name, said(name) ? marks.of(name) : asked[name].filter((chip) => !marks.classOf(chip))])));
}

/** [zoom, latitude, longitude] of the map in an address, or null. */
export function readView(search) {
  const parts = (new URLSearchParams(search).get("at") ?? "").split("/").map(Number);
  const most = [24, 85, 180];
  return parts.length === 3 && parts[0] >= 0 && parts.every((part, index) => Math.abs(part) <= most[index]) ? parts : null;
}

/** The address of a question, what is marked beside it, and a view of the map. */
export function write(question, marks, grid, view) {
  const query = new URLSearchParams({ year: question.year });
  if (question.mode !== "similar") query.set("view", question.mode);
  for (const name of ASKED) for (const chip of chipsOf(question[name], grid)) query.append(name, chip);
  if (question.k !== COUNTS[0]) query.set("k", question.k);
  if (question.bbox) query.set("bbox", question.bbox);
  const usual = marks.asked(question);
  for (const name of marks.names) {
    if (!ASKED.includes(name) || usual.of(name).join() !== marks.of(name).join()) query.append("mark", markOf(name, marks.of(name), grid));
  }
  if (view) query.set("at", view);
  return `?${query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%7E", "~")}`;
}

/** Chips as parameters: ids, or one pack where they are many. */
const chipsOf = (chips, grid) => (chips.length > MOST_IDS ? [`~${grid.pack(chips)}`] : chips);

const markOf = (name, chips, grid) => `${name}~${grid.pack(chips)}`;

/** What the server is asked: the path, and its parameters. */
export function request(question, info, grid) {
  const { year, k, bbox } = question;
  const [like, unlike] = ASKED.map((name) => chipsOf(question[name], grid));
  if (question.mode === "change") return ["change", { years: changeYears(info).join(","), k, bbox }];
  return ["search", { year, like, unlike, k, bbox }];
}

/** The same of every chip: the parameters of /api/layer. */
export function layerRequest(question, info, grid) {
  const { k, ...parameters } = request(question, info, grid)[1];
  return parameters;
}

/** The parameters of /api/classify. */
export const classRequest = ({ year }, marks, grid) => ({ year, mark: marks.labels.map(([name, chips]) => markOf(name, chips, grid)) });

/** The two years of the change view. */
export const changeYears = (info) => info.years.slice(0, 2).map((each) => each.year);
