// Every chip's answer: ranks on the grid of chips, which a threshold cuts without asking the server again.

import { reach } from "./api.js";

const BEST = 0xffff; // of a rank; 0 is no chip
const FINENESS = 8; // rows of the picture for each row of chips, where they are few
const COVERED_FINENESS = 3; // likewise from afar, where a finer picture is made smaller, which blurs it
const MOST_ROWS = 4096; // of a picture, which every graphics card takes

export class Layer {
  /** `column` and `row` of the first chip, `columns` and `rows` of them; `levels` are [percentile, value, chips, km2]. */
  constructor({ column, row, columns, rows, measure, levels }, ranks) {
    Object.assign(this, { column, row, columns, rows, measure, levels, ranks });
  }

  /** Asks for a question's layer. */
  static async load(parameters, signal) {
    const { place, body } = await fetchGrid("layer", parameters, signal);
    return new Layer(place, new Uint16Array(body));
  }

  bounds(grid) {
    return boundsOf(this, grid);
  }

  /** The chips at or above a percentile as a picture. */
  paint(canvas, grid, percentile, ramp) {
    const colours = coloursOf(percentile, ramp);
    paintRows(canvas, grid, this, (index) => colours[this.ranks[index]]);
  }
}

/** A class for every chip. */
export class ClassMap {
  constructor({ classes, accuracy, notes, ...place }, codes) {
    Object.assign(this, { classes, accuracy, notes, place, codes });
  }

  /** Asks for the classes that are learnt from marks. */
  static async load(parameters, signal) {
    const { place, body } = await fetchGrid("classify", parameters, signal);
    return new ClassMap(place, new Uint8Array(body));
  }

  bounds(grid) {
    return boundsOf(this.place, grid);
  }

  /** `colours` are [r, g, b] of each class. */
  paint(canvas, grid, colours) {
    const pixels = Uint32Array.from([0, ...colours.map(pixelOf)]);
    paintRows(canvas, grid, this.place, (index) => pixels[this.codes[index]]);
  }
}

/** A colour for every chip: alike where embeddings are. */
export class Colours {
  constructor({ column, row, columns, rows }, pixels) {
    Object.assign(this, { column, row, columns, rows, pixels });
  }

  /** Asks for a year's. */
  static async load(year, signal) {
    const { place, body } = await fetchGrid("colours", { year }, signal);
    return new Colours(place, new Uint32Array(body));
  }

  bounds(grid) {
    return boundsOf(this, grid);
  }

  paint(canvas, grid) {
    paintRows(canvas, grid, this, (index) => this.pixels[index]);
  }
}

/** Paints the chips that are embedded in one colour; returns the picture's [west, south, east, north]. */
export function paintCovered(canvas, grid, { cells, down }, colour) {
  const columns = cells.length / down;
  const place = { column: 0, row: 0, columns, rows: down };
  const bits = (index) => -cells[(index % columns) * down + Math.floor(index / columns)]; // all of a pixel, or none
  paintRows(canvas, grid, place, bits, COVERED_FINENESS);
  const context = canvas.getContext("2d");
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return boundsOf(place, grid);
}

/** What lies where, and the bytes: little-endian, as every machine with a browser is. */
async function fetchGrid(path, parameters, signal) {
  const reply = await reach(path, parameters, signal);
  return { place: JSON.parse(reply.headers.get("X-Layer")), body: await reply.arrayBuffer() };
}

/** [west, south, east, north] of a rectangle of chips. */
function boundsOf({ column, row, columns, rows }, { bounds, size }) {
  const [west, north] = [bounds.west + column * size, bounds.north - row * size];
  return [west, north - rows * size, west + columns * size, north];
}

/** Paints a pixel a chip with rows as a Mercator map has them: a picture stretched by its corners would lie up to a degree off. */
function paintRows(canvas, grid, place, colourAt, fineness = FINENESS) {
  const [, south, , north] = boundsOf(place, grid);
  const [top, bottom] = [mercator(north), mercator(south)];
  const height = Math.max(1, Math.min(MOST_ROWS, place.rows * fineness));
  Object.assign(canvas, { width: Math.max(1, place.columns), height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let y = 0; y < height; y++) {
    const latitude = latitudeAt(top + ((y + 0.5) / height) * (bottom - top));
    const row = Math.min(place.rows - 1, Math.max(0, Math.floor((north - latitude) / grid.size)));
    const from = row * place.columns;
    for (let x = 0, at = y * place.columns; x < place.columns; x++, at++) pixels[at] = colourAt(from + x);
  }
  context.putImageData(picture, 0, 0);
}

const mercator = (latitude) => Math.log(Math.tan(Math.PI / 4 + (latitude * Math.PI) / 360));
const latitudeAt = (y) => (Math.atan(Math.exp(y)) * 360) / Math.PI - 90;

/** The colour, as the four bytes of a pixel, of each rank; from the threshold up they run through `ramp`, [r, g, b] each. */
function coloursOf(percentile, ramp) {
  const colours = new Uint32Array(BEST + 1);
  const first = 1 + Math.round((percentile / 100) * (BEST - 1));
  for (let rank = first; rank <= BEST; rank++) {
    const place = ((rank - first) / Math.max(1, BEST - first)) * (ramp.length - 1);
    const below = Math.min(ramp.length - 2, Math.floor(place));
    colours[rank] = pixelOf(ramp[below].map((value, band) => Math.round(value + (ramp[below + 1][band] - value) * (place - below))));
  }
  return colours;
}

/** The four bytes of an opaque pixel. */
const pixelOf = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
