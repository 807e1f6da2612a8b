// Marks as a file of labels, GeoJSON: what `embedder classify --labels` reads too.

import { Problem } from "./api.js";
import { collection } from "./chips.js";

const KINDS = ["like", "unlike"];
const DIGITS = 1e7;

/** A point in the middle of each marked chip, with its class. */
export function toLabels(marks, grid) {
  const feature = (chip, kind) => ({
    type: "Feature",
    id: chip,
    geometry: { type: "Point", coordinates: grid.middle(chip).map((value) => Math.round(value * DIGITS) / DIGITS) },
    properties: { class: kind, chip_id: chip },
  });
  return collection(KINDS.flatMap((kind) => marks[kind].map((chip) => feature(chip, kind))));
}

/** The marks of a file's text: at most `most` chips a class. A Problem where it holds none. */
export function fromLabels(text, grid, most) {
  let features;
  try {
    ({ features } = JSON.parse(text));
  } catch {
    features = null;
  }
  if (!Array.isArray(features)) throw new Problem("That file is no GeoJSON: open one that “Save marks” made, or points with a class, like or unlike.");
  const found = { like: new Set(), unlike: new Set() };
  for (const { geometry, properties } of features) {
    const chips = found[properties?.class];
    const [lon, lat] = middleOf(geometry?.coordinates);
    const chip = chips && grid.at(lon, lat);
    if (chip) chips.add(chip);
  }
  const like = [...found.like].slice(0, most);
  if (!like.length) throw new Problem("That file has no chip of the class “like” on this grid: open one that “Save marks” made, or points with a class, like or unlike.");
  return { like, unlike: [...found.unlike].filter((chip) => !found.like.has(chip)).slice(0, most) };
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
