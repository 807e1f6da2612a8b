// The whole answer beside the first hits: a layer on the map, and a slider that cuts it.

import { Problem, address } from "./api.js";
import { ClassMap, Colours, Layer } from "./layer.js";
import { find } from "./panel.js";
import { layerRequest } from "./question.js";

const FIRST = 99; // percentile that the slider begins at
const RAMP = { light: [[250, 220, 130], [240, 110, 60], [130, 15, 90]], dark: [[90, 40, 110], [225, 85, 75], [255, 235, 150]] };

/** `context()` tells { info, grid, map, question }. */
export class Whole {
  constructor(context) {
    this.context = context;
    this.canvas = document.createElement("canvas");
    find("whole").addEventListener("toggle", () => this.#change());
    find("above").addEventListener("input", () => this.#draw());
  }

  /** Another question was answered, or none. */
  async ask(isAnswered) {
    this.asking?.abort();
    this.layer = null;
    find("whole").hidden = !isAnswered;
    await this.#change();
  }

  /** The opening view: a colour for every chip. Resolves to whether they are shown. */
  async colours() {
    const { map, question } = this.context();
    if (!map) return false;
    const { signal } = (this.asking = new AbortController());
    try {
      this.opening = this.opening?.year === question.year ? this.opening : { year: question.year, colours: await Colours.load(question.year, signal) };
      await map.ready;
    } catch {
      return false; // the map shows what is embedded all the same
    }
    if (signal.aborted) return false;
    const { grid } = this.context();
    this.opening.colours.paint(this.canvas, grid);
    map.lay(this.canvas, this.opening.colours.bounds(grid));
    return true;
  }

  /** The map of classes that are learnt from what is marked; `colourOf(name)` is [r, g, b]. */
  async classes(parameters, colourOf, signal) {
    const found = await ClassMap.load(parameters, signal);
    const { grid, map } = this.context();
    await map?.ready;
    if (map && !signal.aborted) {
      found.paint(this.canvas, grid, found.classes.map(({ name }) => colourOf(name)));
      map.lay(this.canvas, found.bounds(grid), { isTint: true });
    }
    return found;
  }

  /** Takes the theme's colours. */
  colour() {
    if (this.layer) this.#draw();
  }

  async #change() {
    const { info, map, question } = this.context();
    const open = find("whole").open && !find("whole").hidden;
    if (!open || !map) return map?.ready.then(() => this.#lay());
    if (this.layer) return this.#draw();
    const { signal } = (this.asking = new AbortController());
    find("covers").textContent = "Comparing every chip …";
    try {
      const layer = await Layer.load(layerRequest(question, info, this.context().grid), signal);
      await map.ready;
      if (signal.aborted) return;
      this.layer = layer;
      const slider = find("above");
      const before = this.percentile ?? FIRST;
      slider.max = layer.levels.length - 1;
      slider.value = Math.max(0, layer.levels.findLastIndex(([percentile]) => percentile <= before));
      this.#draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      find("covers").textContent = error instanceof Problem ? error.message : "The server does not answer.";
    }
  }

  #draw() {
    if (!this.layer) return;
    const { grid, info, question } = this.context();
    const [percentile, value, chips, km2] = this.layer.levels[find("above").value];
    this.percentile = percentile;
    const best = Number((100 - percentile).toFixed(2));
    find("share").textContent = `${best} %`;
    find("above").setAttribute("aria-valuetext", `the best ${best} percent: ${chips} chips`);
    const { measure } = this.layer;
    const side = measure === "distance" ? "at most" : "at least";
    find("covers").textContent = `${chips.toLocaleString("en")} chips, ${Math.round(km2).toLocaleString("en")} km²: ${measure} ${side} ${value}`;
    for (const link of find("whole").querySelectorAll("a")) {
      link.href = address("layer/download", { format: link.dataset.format, above: percentile, ...layerRequest(question, info, grid) });
    }
    const dark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
    this.layer.paint(this.canvas, grid, percentile, RAMP[dark ? "dark" : "light"]);
    this.#lay();
  }

  #lay() {
    const { grid, map } = this.context();
    const shown = this.layer && find("whole").open && this.layer.columns;
    map.lay(shown ? this.canvas : null, shown ? this.layer.bounds(grid) : null, { isTint: true });
  }
}
