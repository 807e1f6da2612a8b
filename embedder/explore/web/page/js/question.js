// What is asked, as it stands in the page's address.

export const COUNTS = [12, 24, 48, 96];

const CHIP = /^c\d{4}r\d{4}$/;

/** The question in an address; what is missing or nonsense is taken as not given. */
export function read(search, info) {
  const given = new URLSearchParams(search);
  const years = info.years.map((each) => each.year);
  const chips = (name) => [...new Set(given.getAll(name).filter((text) => CHIP.test(text)))];
  const marks = { like: chips("plus"), unlike: chips("minus") };
  const number = (name, least, most, otherwise) => {
    const value = Number(given.get(name) || NaN);
    return Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
  };
  const year = number("year", 0, 9999, NaN);
  const box = given.get("bbox");
  return {
    mode: given.get("view") === "change" && years.length > 1 ? "change" : "similar",
    year: years.includes(year) ? year : years.at(-1),
    like: chips("like"),
    unlike: chips("unlike"),
    k: number("k", 1, info.limits.k, COUNTS[0]),
    bbox: /^(-?[\d.]+,){3}-?[\d.]+$/.test(box ?? "") ? box : null,
    marks: marks.like.length || marks.unlike.length ? marks : null, // not searched with yet
  };
}

/** [zoom, latitude, longitude] of the map in an address, or null. */
export function readView(search) {
  const parts = (new URLSearchParams(search).get("at") ?? "").split("/").map(Number);
  const most = [24, 85, 180];
  return parts.length === 3 && parts[0] >= 0 && parts.every((part, index) => Math.abs(part) <= most[index]) ? parts : null;
}

/** Whether marks are not those of the question. */
export const differ = (marks, question) => ["like", "unlike"].some((name) => marks[name].join() !== question[name].join());

/** The address of a question, a view of the map, and marks that were not searched with yet. */
export function write(question, view, marks) {
  const query = new URLSearchParams({ year: question.year });
  if (question.mode === "change") query.set("view", "change");
  for (const name of ["like", "unlike"]) for (const chip of question[name]) query.append(name, chip);
  if (question.k !== COUNTS[0]) query.set("k", question.k);
  if (question.bbox) query.set("bbox", question.bbox);
  if (marks && differ(marks, question)) {
    for (const chip of marks.like) query.append("plus", chip);
    for (const chip of marks.unlike) query.append("minus", chip);
  }
  if (view) query.set("at", view);
  return `?${query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/")}`;
}

/** What the server is asked: the path, and its parameters. */
export function request(question, info) {
  const { year, like, unlike, k, bbox } = question;
  if (question.mode === "similar") return ["search", { year, like, unlike, k, bbox }];
  return ["change", { years: changeYears(info).join(","), k, bbox }];
}

/** The same of every chip: the parameters of /api/layer. */
export function layerRequest(question, info) {
  const { k, ...parameters } = request(question, info)[1];
  return parameters;
}

/** The two years of the change view. */
export const changeYears = (info) => info.years.slice(0, 2).map((each) => each.year);
