// What the map has no fonts and pictures for: badges with numbers, and the labels of meridians and parallels.

const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];
const APART = 130; // least distance of two lines, pixels
const EDGE = 30; // labels nearer to the map's edge would be cut off, or lie on each other in its corner

/** Adds the image that the map misses: `rank-7`, `query`, `like` or `unlike`. */
export function badge(map, id, colours) {
  const scale = 2;
  const text = { query: "●", like: "+", unlike: "−" }[id] ?? id.replace("rank-", "");
  const [width, height] = [scale * (text.length > 2 ? 26 : 20), scale * 20];
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.beginPath();
  context.roundRect(scale, scale, width - 2 * scale, height - 2 * scale, height / 2);
  context.fillStyle = colours[id] ?? colours.hit;
  context.fill();
  context.lineWidth = 1.5 * scale;
  context.strokeStyle = "#fff";
  context.stroke();
  context.fillStyle = "#fff";
  context.font = `600 ${11 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, width / 2, height / 2 + scale / 2);
  map.addImage(id, context.getImageData(0, 0, width, height), { pixelRatio: scale });
}

/** Degrees between two lines of the graticule. */
export function graticuleStep(map) {
  const pixels = (512 * 2 ** map.getZoom()) / 360; // a degree of longitude
  return STEPS.findLast((step) => step * pixels >= APART) ?? STEPS[0];
}

/** Labels the meridians at the top and the parallels at the left. */
export function drawGraticule(map) {
  const labels = document.getElementById("graticule");
  const step = graticuleStep(map);
  const bounds = map.getBounds();
  const digits = Math.max(0, Math.ceil(-Math.log10(step)));
  const { clientWidth: width, clientHeight: height } = map.getCanvas();
  const lowest = height - document.getElementById("attribution").offsetHeight - EDGE / 2;
  const made = [];
  const label = (value, positive, negative, x, y, kind) => {
    const text = document.createElement("span");
    text.className = kind;
    text.textContent = `${Math.abs(value).toFixed(digits)}°${value < 0 ? negative : positive}`;
    text.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    made.push(text);
  };
  for (let lon = Math.ceil(bounds.getWest() / step) * step; lon < bounds.getEast(); lon += step) {
    const { x } = map.project([lon, 0]);
    if (x > EDGE && x < width - EDGE) label(lon, "E", "W", x, 0, "meridian");
  }
  for (let lat = Math.ceil(bounds.getSouth() / step) * step; lat < bounds.getNorth(); lat += step) {
    const { y } = map.project([bounds.getWest(), lat]);
    if (y > EDGE && y < lowest) label(lat, "N", "S", 0, y, "parallel");
  }
  labels.replaceChildren(...made);
}
