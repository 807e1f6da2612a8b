// Chips as places: their ids, boxes and coordinates.

const TILE_PIXELS = 12_000; // of one degree
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // of a pack: base64url
const PLACES = [18, 12, 6, 0]; // bits of a key that each of its four digits has below it

/** The grid of chips that the server describes. */
export class Grid {
  constructor({ grid: [west, south, east, north], chip_pixels: pixels }) {
    this.bounds = { west, south, east, north };
    this.size = pixels / TILE_PIXELS; // degrees
    this.rows = Math.round((north - south) / this.size);
    this.columns = Math.round((east - west) / this.size);
  }

  /** The chip that covers a place, or null off the grid. */
  at(lon, lat) {
    const { west, south, east, north } = this.bounds;
    if (lon < west || lon >= east || lat <= south || lat > north) return null;
    return id(Math.floor((lon - west) / this.size + 1e-9), Math.floor((north - lat) / this.size + 1e-9));
  }

  /** [west, south, east, north] of a chip. */
  box(chip) {
    const [column, row] = placeOf(chip);
    const west = this.bounds.west + column * this.size;
    const north = this.bounds.north - row * this.size;
    return [west, north - this.size, west + this.size, north];
  }

  /** [longitude, latitude] of a chip's middle. */
  middle(chip) {
    const [west, south, east, north] = this.box(chip);
    return [(west + east) / 2, (south + north) / 2];
  }

  /** The chips that touch a box, or null where they are more than `most`. */
  within([west, south, east, north], most) {
    const column = (lon) => (lon - this.bounds.west) / this.size;
    const row = (lat) => (this.bounds.north - lat) / this.size;
    const [left, right] = [Math.max(0, Math.floor(column(west))), Math.ceil(column(Math.min(east, this.bounds.east)))];
    const [top, bottom] = [Math.max(0, Math.floor(row(north))), Math.ceil(row(Math.max(south, this.bounds.south)))];
    return rectangle(left, right, top, bottom, most);
  }

  /** The chips whose middles are in a box, or the one that a smaller box lies in; null where they are more than `most`. */
  inside([west, south, east, north], most) {
    const column = (lon) => Math.min(this.columns, Math.max(0, Math.ceil((lon - this.bounds.west) / this.size - 0.5)));
    const row = (lat) => Math.min(this.rows, Math.max(0, Math.ceil((this.bounds.north - lat) / this.size - 0.5)));
    const found = rectangle(column(west), column(east), row(north), row(south), most);
    return found?.length === 0 ? [this.at((west + east) / 2, (south + north) / 2)].filter(Boolean) : found;
  }

  /** Chips as a text, four characters each, as an address holds many. */
  pack(chips) {
    const digits = (key) => PLACES.map((place) => DIGITS[(key >> place) & 63]).join("");
    return chips.map((chip) => digits(placeOf(chip).reduce((column, row) => column * this.rows + row))).join("");
  }

  /** The chips of such a text, each once; none where it is no such text. */
  unpack(text) {
    if (!/^([\w-]{4})*$/.test(text)) return [];
    const keys = (text.match(/.{4}/g) ?? []).map((digits) => [...digits].reduce((key, digit) => key * 64 + DIGITS.indexOf(digit), 0));
    const within = [...new Set(keys)].filter((key) => key < this.columns * this.rows);
    return within.map((key) => id(Math.floor(key / this.rows), key % this.rows));
  }
}

/** The chips of some columns and rows, the latter of each pair not included; null where they are more than `most`. */
function rectangle(left, right, top, bottom, most) {
  const wide = right - left;
  if (wide <= 0 || bottom <= top) return [];
  if (wide * (bottom - top) > most) return null;
  return Array.from({ length: wide * (bottom - top) }, (_, index) => id(left + (index % wide), top + Math.floor(index / wide)));
}

/** [column, row] of a chip. */
const placeOf = (chip) => chip.match(/^c(\d{4})r(\d{4})$/).slice(1).map(Number);

const id = (column, row) => `c${String(column).padStart(4, "0")}r${String(row).padStart(4, "0")}`;

export const ring = ([west, south, east, north]) => [[west, south], [east, south], [east, north], [west, north], [west, south]];

export const box = (bounds, properties = {}) => ({
  type: "Feature",
  geometry: { type: "Polygon", coordinates: [ring(bounds)] },
  properties,
});

export const collection = (features) => ({ type: "FeatureCollection", features });

/** Which chips are embedded, of the answer of /api/coverage. */
export class Covered {
  constructor(coverage) {
    this.boxes = coverage.features.flatMap(({ properties }) => properties.boxes); // [left, top, right, bottom] in chips
    const most = (side) => this.boxes.reduce((found, box) => Math.max(found, box[side]), 1);
    this.down = most(3);
    this.cells = new Uint8Array(most(2) * this.down);
    for (const [left, top, right, bottom] of this.boxes) {
      for (let column = left; column < right; column++) this.cells.fill(1, column * this.down + top, column * this.down + bottom);
    }
  }

  has(chip) {
    const [column, row] = placeOf(chip);
    return row < this.down && this.cells[column * this.down + row] === 1;
  }

  /** Any of them, or null. */
  any() {
    const [left, top, right, bottom] = this.boxes[Math.floor(Math.random() * this.boxes.length)] ?? [];
    const between = (least, most) => least + Math.floor(Math.random() * (most - least));
    return left === undefined ? null : id(between(left, right), between(top, bottom));
  }
}

/** The box around boxes. */
export const around = (boxes) => [0, 1, 2, 3].map((side) => Math[side < 2 ? "min" : "max"](...boxes.map((box) => box[side])));

/** 36.7521° N, 121.7787° W */
export function coordinates([lon, lat], digits = 4) {
  const part = (value, positive, negative) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? negative : positive}`;
  return `${part(lat, "N", "S")}, ${part(lon, "E", "W")}`;
}

/** What ranked hits: a score of a question with unlikes, otherwise a distance. */
export const measureOf = ({ properties: { score, distance } }) => score ?? distance;

/** Distances, or scores, with as many digits as tell them apart. */
export function distances(features) {
  const values = features.map(measureOf);
  const digits = Math.max(...values, 0) < 0.01 ? 6 : 4;
  return values.map((value) => value.toFixed(digits));
}

/** A percentile with as many digits as its distance from 0 or 100 needs. */
export function percent(value) {
  const edge = Math.min(value, 100 - value);
  return `${value.toFixed(edge >= 10 ? 0 : edge >= 1 ? 1 : edge >= 0.1 ? 2 : 3)}\u00a0%`;
}
