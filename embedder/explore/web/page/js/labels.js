// Marks as a file of labels, GeoJSON: what `embedder classify --labels` reads too.

import { Problem } from "./api.js";
import { collection } from "./chips.js";
import { LONGEST_NAME, MOST_CLASSES, Marks } from "./marks.js";

const DIGITS = 1e7;

/** A point in the middle of each labelled chip, with its class. */
export function toLabels(labels, grid) {
  const feature = (chip, name) => ({
    type: "Feature",
    id: chip,
    geometry: { type: "Point", coordinates: grid.middle(chip).map((value) => Math.round(value * DIGITS) / DIGITS) },
    properties: { class: name, chip_id: chip },
  });
  return collection(labels.flatMap(([name, chips]) => chips.map((chip) => feature(chip, name))));
}

/** The marks of a file's text: at most `most` chips. A Problem where it holds none, or too many. */
export function fromLabels(text, grid, most) {
  let features;
  try {
    ({ features } = JSON.parse(text));
  } catch {
    features = null;
  }
  if (!Array.isArray(features)) throw new Problem("That file is no GeoJSON: open one that “Save marks” made, or points with a class.");
  const classes = new Map();
  for (const { geometry, properties } of features) {
    const name = String(properties?.class ?? "").trim().slice(0, LONGEST_NAME);
    const [lon, lat] = middleOf(geometry?.coordinates);
    const chip = name && grid.at(lon, lat);
    if (chip) classes.set(name, [...(classes.get(name) ?? []), chip]);
  }
  if (!classes.size) throw new Problem("That file has no chip with a class on this grid: open one that “Save marks” made, or points with a class.");
  const marks = [...classes].reduce((made, [name, chips]) => made.put(name, chips), new Marks());
  if (marks.names.length > MOST_CLASSES) throw new Problem(`That file has ${classes.size} classes: ${MOST_CLASSES} can be marked here, like and unlike among them; “embedder classify” takes more.`);
  if (marks.count > most) throw new Problem(`That file has ${marks.count.toLocaleString("en")} chips: ${most.toLocaleString("en")} can be marked here; “embedder classify” takes more.`);
  return marks;
}

/** [longitude, latitude] of the middle of a geometry's positions. */
function middleOf(coordinates) {
  const positions = (each) => (typeof each?.[0] === "number" ? [each] : (each ?? []).flatMap(positions));
  const all = positions(coordinates);
  return [0, 1].map((axis) => {
    const values = all.map((position) => position[axis]);
    return values.length ? (Math.min(...values) + Math.max(...values)) / 2 : NaN;
  });
}
