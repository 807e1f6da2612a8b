// What the server is asked.

const RETRY_AFTER = 500; // milliseconds
const TRIES = 3;

/** Something that a person has to be told, in one sentence. */
export class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** An address of the API; lists become repeated parameters, null and undefined are left out. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined) query.append(name, each);
  }
  return query.size ? `api/${path}?${query}` : `api/${path}`;
}

/** A laptop that wakes up, or changes its network, loses what it was just asking: it asks again. */
async function persist(url, signal, tries = TRIES) {
  try {
    return await fetch(url, { signal });
  } catch (error) {
    if (error.name === "AbortError" || tries === 1) throw error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER));
    return persist(url, signal, tries - 1);
  }
}

/** The server's reply; a Problem where it has no answer. */
export async function reach(path, parameters, signal) {
  const reply = await persist(address(path, parameters), signal).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem("Start “embedder explore” again in the terminal, then try again here.", 0);
  });
  if (reply.ok) return reply;
  const { detail } = await reply.json().catch(() => ({}));
  throw new Problem(detail ?? `The server answered with status ${reply.status}: see what its terminal says.`, reply.status);
}

/** What the server answers in JSON. */
export const ask = async (path, parameters, signal) => (await reach(path, parameters, signal)).json().catch(() => ({}));

/** A chip's picture; an empty answer where there is none, as the browser's console lists each error. */
export const picture = (year, id, beside) => `api/picture/${year}/${id}.jpg?missing=empty${beside ? `&beside=${beside}` : ""}`;
