// Places as people paste them: 37.6907° N, 75.6560° W; 37.7, -75.6; -75.6 37.7; 37°41'26"N 75°39'W.

const SIGNED = String.raw`([-+−]?\d+(?:\.\d+)?)\s*(?:[°º]|deg)?\s*`;
const MINUTES = String.raw`(?:(?<=[°º]\s*)([0-5]?\d(?:\.\d+)?)(?!\s*[°º.\d])\s*['′’]?\s*)?`;
const SECONDS = String.raw`(?:(?<=['′’]\s*)([0-5]?\d(?:\.\d+)?)\s*(?:["″”]|'')\s*)?`;
const AFTER = new RegExp(String.raw`()${SIGNED}${MINUTES}${SECONDS}([NSEW])?`, "giu"); // 37.7 N
const BEFORE = new RegExp(String.raw`([NSEW])\s*${SIGNED}${MINUTES}${SECONDS}()`, "giu"); // N 37.7
const NAMES = /\b(lat(itude)?|lon(g|gitude)?|geo|point)\b/giu; // that stand before coordinates
const BETWEEN = /[\s,;:/@=()[\]]/gu;

/** [longitude, latitude] of a text with two coordinates in any order, or null. On the grid no longitude is a latitude: it is west of 66° W. */
export function parsePlace(text, { west, south, east, north }) {
  const plain = spaced(text.replaceAll(NAMES, " ").trim());
  const coordinate = /^[^\d]*[NSEW]\s*[-+−\d]/iu.test(plain) ? BEFORE : AFTER;
  const parts = [...plain.matchAll(coordinate)];
  if (plain.replaceAll(coordinate, "").replaceAll(BETWEEN, "") || parts.length !== 2) return null;
  const values = parts.map(([, before, degrees, minutes, seconds, after]) => {
    const size = Math.abs(Number(degrees.replace("−", "-"))) + Number(minutes ?? 0) / 60 + Number(seconds ?? 0) / 3600;
    const side = (before || after || "").toUpperCase();
    const negative = /^[-−]/u.test(degrees) || side === "W" || side === "S";
    return { value: negative ? -size : size, side };
  });
  const isLongitude = ({ value, side }) => (side ? "EW".includes(side) : Math.abs(value) >= -east);
  const [first, second] = values;
  if (isLongitude(first) === isLongitude(second)) return null;
  const [lon, lat] = isLongitude(first) ? [first, second] : [second, first];
  const place = [lon.side ? lon.value : -Math.abs(lon.value), lat.value]; // nobody writes the minus who writes 75.6 alone
  return place[0] >= west && place[0] < east && place[1] > south && place[1] <= north ? place : undefined;
}

/** Degrees and minutes, or numbers with commas for points, with what parts them made plain. */
function spaced(text) {
  const pairs = /^([-+−]?\d+) (\d+(?:\.\d+)?)(?: (\d+(?:\.\d+)?))?\s*([NSEW]?)[\s,;]+([-+−]?\d+) (\d+(?:\.\d+)?)(?: (\d+(?:\.\d+)?))?\s*([NSEW]?)$/iu.exec(text);
  if (!pairs) return text.replace(/^([-+−]?\d+),(\d+)\s*[;\s]\s*([-+−]?\d+),(\d+)$/u, "$1.$2 $3.$4");
  const [, a, b, c, d, e, f, g, h] = pairs;
  const one = (degrees, minutes, seconds, side) => `${degrees}°${minutes}'${seconds ? `${seconds}"` : ""}${side}`;
  return `${one(a, b, c, d)} ${one(e, f, g, h)}`;
}
