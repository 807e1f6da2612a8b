// Names of places: GeoNames' of 15,000 people or more, on the map and in the box.

const MOST_NAMES = 36; // on the map at once
const GAP = 6; // between two names, pixels
const PER_CHARACTER = 6.4; // a name's width, about
const plain = (text) => text.normalize("NFD").replaceAll(/\p{M}|[.'’]/gu, "").replaceAll(/\bsaint\b/giu, "st").toLowerCase().trim();

export class Names {
  /** `places` are [name, state, longitude, latitude, thousands of people], the largest first. */
  constructor(places) {
    this.places = places;
    this.keys = places.map(([name, state]) => [plain(name), plain(state)]);
  }

  static async load() {
    const reply = await fetch("data/places.json");
    return new Names(reply.ok ? await reply.json() : []);
  }

  /** Those that a text may mean, best first: "Norfolk, VA", "norfolk", "Norf". */
  matches(text, most) {
    const [name, state = ""] = text.split(",").map(plain);
    if (!name) return [];
    const found = this.keys.map(([own, where], index) => (own.startsWith(name) && where.startsWith(state) ? [own === name ? 0 : 1, index] : null));
    return found
      .filter(Boolean)
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .slice(0, most)
      .map(([, index]) => this.places[index]);
  }

  /** [longitude, latitude] of the place that a text names, or null. */
  find(text) {
    const [first] = this.matches(text, 1);
    return first ? [first[2], first[3]] : null;
  }

  /** Writes the names of the largest places in view, where they do not lie on each other. */
  draw(map, element) {
    const [west, south, east, north] = map.getBounds().toArray().flat();
    const { clientWidth: width, clientHeight: height } = map.getCanvas();
    const taken = [];
    const made = [];
    for (const [name, , lon, lat] of this.places) {
      if (lon < west || lon > east || lat < south || lat > north) continue;
      const { x, y } = map.project([lon, lat]);
      const box = [x - GAP, y - 9 - GAP, x + 10 + name.length * PER_CHARACTER + GAP, y + 9 + GAP];
      if (box[2] > width || box[1] < 24 || box[3] > height - 24) continue;
      if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      const label = document.createElement("span");
      label.textContent = name;
      label.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
      made.push(label);
      if (made.length === MOST_NAMES) break;
    }
    element.replaceChildren(...made);
  }
}

/** "Norfolk, VA" */
export const nameOf = ([name, state]) => `${name}, ${state}`;
