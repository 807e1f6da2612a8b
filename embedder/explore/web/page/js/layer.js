// Every chip's answer: ranks on the grid of chips, which a threshold cuts without asking the server again.

import { Problem, address } from "./api.js";

const BEST = 0xffff; // of a rank; 0 is no chip
const FINENESS = 8; // rows of the picture for each row of chips, where they are few
const MOST_ROWS = 4096; // of a picture, which every graphics card takes

export class Layer {
  /** `column` and `row` of the first chip, `columns` and `rows` of them; `levels` are [percentile, value, chips, km2]. */
  constructor({ column, row, columns, rows, measure, levels }, ranks) {
    Object.assign(this, { column, row, columns, rows, measure, levels, ranks });
  }

  /** Asks for a question's layer. */
  static async load(parameters, signal) {
    const reply = await fetch(address("layer", parameters), { signal });
    if (!reply.ok) throw new Problem((await reply.json().catch(() => ({}))).detail ?? `The server answered with status ${reply.status}.`, reply.status);
    const ranks = new Uint16Array(await reply.arrayBuffer()); // little-endian, as every machine with a browser is
    return new Layer(JSON.parse(reply.headers.get("X-Layer")), ranks);
  }

  /** [west, south, east, north] of its chips. */
  bounds({ bounds, size }) {
    const [west, north] = [bounds.west + this.column * size, bounds.north - this.row * size];
    return [west, north - this.rows * size, west + this.columns * size, north];
  }

  /** The chips at or above a percentile as a picture whose rows are those of a Mercator map: a stretched one would lie a degree off. */
  paint(canvas, grid, percentile, ramp) {
    const [, south, , north] = this.bounds(grid);
    const [top, bottom] = [mercator(north), mercator(south)];
    const height = Math.max(1, Math.min(MOST_ROWS, this.rows * FINENESS));
    Object.assign(canvas, { width: Math.max(1, this.columns), height });
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    const colours = coloursOf(percentile, ramp);
    for (let y = 0; y < height; y++) {
      const latitude = latitudeAt(top + ((y + 0.5) / height) * (bottom - top));
      const row = Math.min(this.rows - 1, Math.max(0, Math.floor((north - latitude) / grid.size)));
      const from = row * this.columns;
      for (let x = 0, at = y * this.columns; x < this.columns; x++, at++) pixels[at] = colours[this.ranks[from + x]];
    }
    context.putImageData(picture, 0, 0);
  }
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
    const [r, g, b] = ramp[below].map((value, band) => Math.round(value + (ramp[below + 1][band] - value) * (place - below)));
    colours[rank] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return colours;
}
