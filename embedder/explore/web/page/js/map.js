// The map: what is embedded, the chips' pictures where there is room, and the boxes of what was found.

/* global maplibregl */
import { picture } from "./api.js";
import { around, box, collection } from "./chips.js";
import { badge, drawGraticule, graticuleStep } from "./drawing.js";
import { paintCovered } from "./layer.js";

const MOST_PICTURES = 120;
const MOST_LOOKED_AT = 4_000; // chips in view, of which the nearest to its middle have pictures
const TOGETHER = 2; // pictures that are asked for at a time ...
const PACE = 400; // ... every so many milliseconds
const PICTURES_FROM = 9; // zoom
const LEAST_WIDTH = 24; // of a chip on the screen, pixels, for a badge to lie in its corner
const VECTOR_WIDTH = 8; // of a chip on the screen, pixels, from which what is embedded is drawn as shapes; as a picture below: quicker, and with all holes
const PICTURES_AFTER = 200; // milliseconds after the last move
const PADDING = { top: 76, right: 48, bottom: 76, left: 60 }; // what the buttons and labels cover
const EMPTY = collection([]);
const TINT = 0.45; // opacity of a layer over pictures
const BOX_FROM = 4; // pixels that are a box and no click
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Makes the map; throws where the browser can't. `pick(lon, lat)`, `mark(lon, lat)`, `markBox(bounds)`, `hover(lon, lat, id)` and `moved()` are called back. */
export class ChipMap {
  constructor(container, { info, grid, view, colours, pick, mark, markBox, hover, moved }) {
    this.grid = grid;
    this.hasBasemap = Boolean(info.basemap);
    this.opacity = this.hasBasemap ? 0.6 : 1; // of what lies over a base map
    this.found = []; // chips that were asked for and found
    this.tool = "search";
    this.near = this.#zoomOf(LEAST_WIDTH);
    this.shapesFrom = this.#zoomOf(VECTOR_WIDTH);
    this.overlays = new Map(); // pictures on the map: layer by address
    const { west, south, east, north } = grid.bounds;
    this.whole = [west, south, east, north];
    this.map = new maplibregl.Map({
      container,
      style: this.#style(info),
      ...(view ? { zoom: view[0], center: [view[2], view[1]] } : { bounds: this.#start(info), fitBoundsOptions: { padding: PADDING, maxZoom: 11 } }),
      minZoom: 2,
      maxZoom: 15,
      maxPitch: 0,
      dragRotate: false,
      boxZoom: false, // a box marks
      pitchWithRotate: false,
      attributionControl: false,
      fadeDuration: 0,
    });
    container.map = this.map; // for the browser's console, and for tests
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
    document.getElementById("scale").append(new maplibregl.ScaleControl({ maxWidth: 110 }).onAdd(this.map)); // above the attribution, however long
    const canvas = this.map.getCanvas();
    const act = ({ lng, lat }, { shiftKey }) => (this.tool === "search" && !shiftKey ? pick : mark)(lng, lat);
    canvas.addEventListener("keydown", (event) => event.key === "Enter" && act(this.map.getCenter(), event));
    this.map.on("click", ({ lngLat, originalEvent }) => act(lngLat, originalEvent));
    this.#drawBoxes(canvas, markBox);
    this.use(this.tool);
    this.map.on("mousemove", ({ lngLat }) => {
      const id = this.#covered(grid.at(lngLat.lng, lngLat.lat));
      this.#set("hover", id ? collection([box(grid.box(id))]) : EMPTY);
      canvas.style.cursor = this.tool === "box" ? "crosshair" : id ? "pointer" : "";
      hover(lngLat.lng, lngLat.lat, id);
    });
    this.map.on("mouseout", () => {
      this.#set("hover", EMPTY);
      hover();
    });
    this.map.on("styleimagemissing", ({ id }) => badge(this.map, id, this.colours));
    this.map.on("move", () => {
      drawGraticule(this.map);
      this.#drawNames();
    });
    this.map.on("moveend", () => {
      this.#lines();
      this.#showPicturesSoon();
      moved();
    });
    this.map.on("idle", () => (container.dataset.idle = "yes"));
    this.map.on("dataloading", () => delete container.dataset.idle);
    this.map.on("error", ({ sourceId }) => this.overlays.delete(sourceId) && this.#drop(sourceId)); // asked for again after the next move
    this.ready = new Promise((resolve) => this.map.on("load", resolve)).then(() => {
      this.colour(colours);
      this.lined = null;
      this.#lines();
      drawGraticule(this.map);
    });
  }

  /** Where a first look goes: around what is embedded. */
  #start(info) {
    const bounds = info.years.map((each) => each.bounds).filter(Boolean);
    return bounds.length ? around(bounds) : this.whole;
  }

  /** The zoom at which a chip has a width on the screen. */
  #zoomOf(pixels) {
    return Math.log2((pixels * 360) / (512 * this.grid.size));
  }

  #style(info) {
    const source = (data = EMPTY, more = {}) => ({ type: "geojson", data, ...more });
    const badges = (id, more, layout) => ({ id, type: "symbol", source: id, ...more, layout: { "icon-image": ["get", "badge"], "symbol-sort-key": ["get", "order"], "icon-padding": 0, ...layout } });
    const sources = { graticule: source(), grid: source(box(this.whole)), coverage: source(), outline: source(), marks: source(), drawn: source(), view: source(), hover: source(), backdrop: source("data/backdrop.json") };
    Object.assign(sources, { examples: source(), hits: source(EMPTY, { promoteId: "chip_id" }), ranks: source(), "ranks-far": source() });
    const line = (id, from, width, more = {}) => ({ id, type: "line", source: from, paint: { "line-width": width, ...more } });
    const active = (yes, no) => ["case", ["boolean", ["feature-state", "active"], false], yes, no];
    const layers = [
      { id: "paper", type: "background" },
      line("graticule", "graticule", 1),
      line("grid", "grid", 1, { "line-dasharray": [3, 3] }),
      { id: "coverage", type: "fill", source: "coverage", minzoom: this.shapesFrom, paint: { "fill-antialias": false, "fill-opacity": this.#tint() } },
      { ...line("outline", "outline", 1), maxzoom: this.shapesFrom },
      { ...line("coverage-edge", "coverage", 1), minzoom: this.shapesFrom },
      line("borders", "backdrop", ["match", ["get", "kind"], "country", 1.4, 0.8], { "line-dasharray": [4, 2], "line-opacity": 0.55 }),
      line("shores", "backdrop", ["match", ["get", "kind"], "coast", 1.2, 0.8], { "line-opacity": 0.8 }),
      line("view", "view", 1.5, { "line-dasharray": [4, 3] }),
      { id: "marks", type: "fill", source: "marks", paint: { "fill-color": ["get", "colour"], "fill-opacity": 0.3 } },
      line("marks-edge", "marks", 2.5, { "line-color": ["get", "colour"] }),
      line("hover", "hover", 2),
      line("hits-casing", "hits", active(7, 4), { "line-color": "#fff", "line-opacity": 0.9 }),
      line("hits", "hits", active(4, 2)),
      line("examples-casing", "examples", 6, { "line-color": "#fff", "line-opacity": 0.95 }),
      line("examples", "examples", 3),
      line("drawn", "drawn", 2, { "line-dasharray": [3, 2] }),
      badges("ranks", { minzoom: this.near }, { "icon-anchor": "top-left", "icon-offset": [3, 3] }),
      badges("ranks-far", { maxzoom: this.near }),
    ];
    if (info.basemap) {
      sources.basemap = { type: "raster", tiles: [info.basemap], tileSize: 256 };
      layers.splice(1, 0, { id: "basemap", type: "raster", source: "basemap" });
    }
    const shores = ["in", ["get", "kind"], ["literal", ["coast", "lake"]]];
    Object.assign(layers.find(({ id }) => id === "shores"), { filter: shores });
    Object.assign(layers.find(({ id }) => id === "borders"), { filter: ["!", shores] });
    return { version: 8, sources, layers };
  }

  /** Takes the theme's colours. */
  colour(colours) {
    this.colours = colours;
    const paint = (layer, property, value) => this.map.setPaintProperty(layer, property, value);
    paint("paper", "background-color", colours.paper);
    paint("graticule", "line-color", colours.graticule);
    paint("grid", "line-color", colours.grid);
    paint("coverage", "fill-color", colours.coverage);
    paint("coverage-edge", "line-color", colours.edge);
    paint("outline", "line-color", colours.edge);
    this.#drawCovered();
    paint("view", "line-color", colours.ink);
    paint("shores", "line-color", colours.shore);
    paint("borders", "line-color", colours.shore);
    paint("hover", "line-color", colours.ink);
    paint("drawn", "line-color", colours.ink);
    paint("hits", "line-color", colours.hit);
    paint("examples", "line-color", ["match", ["get", "kind"], "unlike", colours.unlike, "like", colours.like, colours.query]);
  }

  /** Names places on the map from now on. */
  name(names) {
    this.names = names;
    this.#drawNames();
  }

  #drawNames() {
    this.names?.draw(this.map, document.getElementById("names"));
  }

  /** What is embedded in a year: the answer of /api/coverage, and the chips of it. */
  cover(coverage, covered, year) {
    this.year = year;
    this.covered = covered;
    this.#set("coverage", coverage);
    const outer = coverage.features.flatMap(({ geometry }) => geometry.coordinates.map(([ring]) => ring)); // without the holes
    this.#set("outline", { type: "Feature", geometry: { type: "MultiLineString", coordinates: outer }, properties: {} });
    this.#drawCovered();
    this.#showPictures();
  }

  /** The chips that were asked for and found. */
  show({ like, unlike, hits, bbox }) {
    const examples = [...like.map((id, index) => [id, index ? "like" : "query"]), ...unlike.map((id) => [id, "unlike"])];
    this.found = [...examples.map(([id]) => id), ...hits.map((hit) => hit.id)];
    this.#set("examples", collection(examples.map(([id, kind]) => box(this.grid.box(id), { kind })).reverse()));
    this.#set("hits", collection(hits.toReversed()));
    this.#set("view", bbox ? collection([box(bbox.split(",").map(Number))]) : EMPTY);
    const badges = examples.map(([id, kind]) => [id, kind, 0]).concat(hits.map(({ id, properties: { rank } }) => [id, `rank-${rank}`, rank]));
    const points = (place) =>
      collection(badges.map(([id, badge, order]) => ({ type: "Feature", geometry: { type: "Point", coordinates: place(id) }, properties: { badge, order } })));
    this.#set("ranks", points((id) => [this.grid.box(id)[0], this.grid.box(id)[3]]));
    this.#set("ranks-far", points((id) => this.grid.middle(id)));
    this.#showPictures();
  }

  /** What is marked: [chip, colour] each. */
  mark(marks) {
    this.#set("marks", collection(marks.map(([id, colour]) => box(this.grid.box(id), { colour }))));
  }

  /** What a click does: `search`, `mark`, or `box`, where a drag marks instead of moving the map. */
  use(tool) {
    this.tool = tool;
    this.map.dragPan[tool === "box" ? "disable" : "enable"]();
    this.map.getContainer().dataset.tool = tool;
    const enter = tool === "search" ? "searches from its middle, with Shift it marks the chip there" : "marks the chip in its middle";
    this.map.getCanvas().setAttribute("aria-label", `Map of the embedded chips. Arrows move it, plus and minus zoom, Enter ${enter}.`);
  }

  /** Boxes are drawn with the tool for it, and beside any with Shift. */
  #drawBoxes(canvas, done) {
    let from = null;
    const place = ({ clientX, clientY }) => {
      const { left, top } = canvas.getBoundingClientRect();
      return [clientX - left, clientY - top];
    };
    const bounds = (event) => {
      const [[x, y], [fromX, fromY]] = [place(event), from];
      if (Math.hypot(x - fromX, y - fromY) < BOX_FROM) return null;
      const [one, other] = [this.map.unproject([x, y]), this.map.unproject([fromX, fromY])];
      return [Math.min(one.lng, other.lng), Math.min(one.lat, other.lat), Math.max(one.lng, other.lng), Math.max(one.lat, other.lat)];
    };
    const end = () => {
      from = null;
      this.#set("drawn", EMPTY);
      this.use(this.tool);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (from || !event.isPrimary) return end(); // a second finger zooms
      if (event.button !== 0 || (this.tool !== "box" && !event.shiftKey)) return undefined;
      from = place(event);
      this.map.dragPan.disable();
      return canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const drawn = from && bounds(event);
      if (drawn) this.#set("drawn", collection([box(drawn)]));
    });
    canvas.addEventListener("pointerup", (event) => {
      const drawn = from && bounds(event);
      if (from) end();
      if (drawn) done(drawn);
    });
    canvas.addEventListener("pointercancel", end);
    document.addEventListener("keydown", ({ key }) => from && key === "Escape" && end());
  }

  /** What is embedded, as a picture of the theme's colour. */
  #drawCovered() {
    if (!this.covered) return;
    const canvas = document.createElement("canvas");
    const bounds = paintCovered(canvas, this.grid, this.covered, this.colours.coverage);
    this.#layCanvas("covered", canvas, bounds, this.#tint(), "coverage", { maxzoom: this.shapesFrom });
  }

  /** Lays a picture over what is embedded, within [west, south, east, north], below the chips' pictures or as a tint over them; null takes it away. */
  lay(canvas, bounds, { isTint = false } = {}) {
    this.isTint = isTint;
    if (canvas) this.#layCanvas("layer", canvas, bounds, this.#layerOpacity(), isTint ? "view" : "outline");
    else if (this.map.getLayer("layer")) this.#drop("layer");
  }

  #layCanvas(id, canvas, [west, south, east, north], opacity, before, more = {}) {
    if (this.map.getLayer(id)) this.#drop(id);
    const coordinates = [[west, north], [east, north], [east, south], [west, south]];
    this.map.addSource(id, { type: "canvas", canvas, coordinates, animate: false });
    const paint = { "raster-fade-duration": 0, "raster-resampling": "nearest", "raster-opacity": opacity };
    this.map.addLayer({ id, type: "raster", source: id, paint, ...more }, before);
  }

  /** How much of a base map what lies over it hides: 0 to 1. */
  fade(opacity) {
    this.opacity = opacity;
    this.map.setPaintProperty("coverage", "fill-opacity", this.#tint());
    if (this.map.getLayer("covered")) this.map.setPaintProperty("covered", "raster-opacity", this.#tint());
    if (this.map.getLayer("layer")) this.map.setPaintProperty("layer", "raster-opacity", this.#layerOpacity());
  }

  /** Of a layer: where chips' pictures begin to show, a tint lets them be seen. */
  #layerOpacity() {
    return this.isTint ? ["interpolate", ["linear"], ["zoom"], PICTURES_FROM - 1, this.opacity, PICTURES_FROM, TINT * this.opacity] : this.opacity;
  }

  /** Of what is embedded: light over a base map, of which its outline is enough. */
  #tint() {
    return this.hasBasemap ? 0.3 * this.opacity : 1;
  }

  /** Stresses one hit's box. */
  activate(id) {
    if (this.active) this.map.setFeatureState({ source: "hits", id: this.active }, { active: false });
    if (id) this.map.setFeatureState({ source: "hits", id }, { active: true });
    this.active = id;
  }

  /** Goes to a chip. */
  goTo(id) {
    this.map.easeTo({ center: this.grid.middle(id), zoom: Math.max(this.map.getZoom(), 9), animate: !CALM.matches });
  }

  /** Shows all that was found. */
  fit() {
    const boxes = this.found.map((id) => this.grid.box(id));
    if (boxes.length) this.map.fitBounds(around(boxes), { padding: PADDING, maxZoom: 12, animate: !CALM.matches });
  }

  /** What is in view, as the API takes a box; null where that is nothing of the grid. */
  bbox() {
    const view = this.map.getBounds().toArray().flat();
    const [west, south, east, north] = view.map((value, side) => Math[side < 2 ? "max" : "min"](value, this.whole[side]));
    return west < east && south < north ? [west, south, east, north].map((value) => Number(value.toFixed(4))).join(",") : null;
  }

  /** The view as it stands in the address. */
  view() {
    const { lng, lat } = this.map.getCenter();
    return `${this.map.getZoom().toFixed(2)}/${lat.toFixed(4)}/${lng.toFixed(4)}`;
  }

  jump([zoom, lat, lon]) {
    this.map.jumpTo({ zoom, center: [lon, lat] });
  }

  #covered(id) {
    return id && this.covered?.has(id) ? id : null;
  }

  #set(source, data) {
    this.map.getSource(source)?.setData(data);
  }

  /** The graticule, three views wide and high: moved within it, the map draws no other. */
  #lines() {
    const step = graticuleStep(this.map);
    const [west, south, east, north] = this.map.getBounds().toArray().flat();
    const { lined } = this;
    if (lined?.step === step && west >= lined.west && south >= lined.south && east <= lined.east && north <= lined.north) return;
    const [wide, high] = [east - west, north - south];
    this.lined = { step, west: west - wide, south: south - high, east: east + wide, north: north + high };
    const line = (...points) => ({ type: "Feature", geometry: { type: "LineString", coordinates: points }, properties: {} });
    const lines = [];
    for (let lon = Math.ceil((west - wide) / step) * step; lon < east + wide; lon += step) lines.push(line([lon, Math.max(south - high, -85)], [lon, Math.min(north + high, 85)]));
    for (let lat = Math.ceil((south - high) / step) * step; lat < north + high; lat += step) if (Math.abs(lat) < 85) lines.push(line([west - wide, lat], [east + wide, lat]));
    this.#set("graticule", collection(lines));
  }

  #showPicturesSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.#showPictures(), PICTURES_AFTER);
  }

  #drop(picture) {
    this.map.removeLayer(picture);
    this.map.removeSource(picture);
  }

  /** Pictures of the chips in view, nearest to its middle first, then of what was found; none from afar. */
  #showPictures() {
    if (!this.year) return;
    clearInterval(this.pace);
    const view = this.map.getBounds().toArray().flat(); // west, south, east, north
    const inView = (id) => {
      const [west, south, east, north] = this.grid.box(id);
      return west < view[2] && east > view[0] && south < view[3] && north > view[1];
    };
    const middle = this.map.getCenter();
    const away = (id) => {
      const [lon, lat] = this.grid.middle(id);
      return (lon - middle.lng) ** 2 + (lat - middle.lat) ** 2;
    };
    const covered = this.grid.within(view, MOST_LOOKED_AT)?.filter((id) => this.#covered(id)) ?? [];
    const nearest = covered.map((id) => [away(id), id]).sort(([one], [other]) => one - other);
    const chosen = [...new Set([...this.found.filter(inView), ...nearest.map(([, id]) => id)])].slice(0, MOST_PICTURES);
    const wanted = new Map(this.map.getZoom() < PICTURES_FROM ? [] : chosen.map((id) => [picture(this.year, id), id]));
    for (const url of this.overlays.keys()) {
      if (wanted.has(url)) continue;
      this.#drop(url);
      this.overlays.delete(url);
    }
    const missing = [...wanted].filter(([url]) => !this.overlays.has(url));
    const some = () => {
      for (const [url, id] of missing.splice(0, TOGETHER)) this.#lay(url, id);
      if (!missing.length) clearInterval(this.pace);
    };
    this.pace = setInterval(some, PACE);
    some();
  }

  #lay(url, id) {
    const [west, south, east, north] = this.grid.box(id);
    const corners = [[west, north], [east, north], [east, south], [west, south]];
    this.map.addSource(url, { type: "image", url, coordinates: corners });
    const above = this.isTint && this.map.getLayer("layer") ? "layer" : "view";
    this.map.addLayer({ id: url, type: "raster", source: url, paint: { "raster-fade-duration": 0 } }, above);
    this.overlays.set(url, id);
  }
}
