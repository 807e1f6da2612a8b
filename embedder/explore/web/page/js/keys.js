// The keyboard. Of the buttons of all hits only those of one, the current one, are stops of the tab key.

import { find } from "./panel.js";

const hits = () => [...find("hits").querySelectorAll(".hit[data-id]")];

const current = () => document.activeElement?.closest?.(".hit[data-id]");

/** Makes a hit the one that the tab key stops at. */
function settle(hit) {
  for (const each of hits()) for (const button of each.querySelectorAll("button")) button.tabIndex = each === hit ? 0 : -1;
}

function focus(hit) {
  settle(hit);
  hit.querySelector(".face").focus();
  hit.scrollIntoView({ block: "nearest" });
}

/** Lets the focus wait at the answer where what has it is about to go. */
export function holdFocus() {
  if (document.activeElement.closest("#find, #question, #message, #hits, #pending")) find("answer").focus({ preventScroll: true });
}

/** Gives a focus that waits to the first hit, so that the keys work on. */
export function releaseFocus() {
  if (document.activeElement === find("answer")) find("hits").querySelector(".face")?.focus({ preventScroll: true });
}

function move(key) {
  const all = hits();
  const at = all.indexOf(current());
  if (at < 0) return all.length && key !== "ArrowUp" && key !== "ArrowLeft" ? focus(all[0]) : undefined;
  const across = getComputedStyle(find("hits")).gridTemplateColumns.split(" ").length;
  const next = at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[key];
  return all[next] ? focus(all[next]) : undefined;
}

/** Calls back `again()`, `open(id)`, `nextYear()`, `nextMode()`, `nextTool()` and `undo()`. */
export function listenToKeys({ again, open, nextYear, nextMode, nextTool, undo }) {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const writes = target.matches("input:not([type=checkbox], [type=radio]), select");
    const elsewhere = target.closest("dialog, .maplibregl-map, [type=radio]");
    if (key === "Escape") {
      find("download").open = false;
      if (writes) target.blur();
    }
    if (key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !writes) {
      event.preventDefault();
      undo();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || writes || find("help").open) return;
    const hit = current();
    const press = (kind) => hit?.querySelector(`.${kind}:not([hidden])`)?.click(); // changed chips have no such button
    const actions = {
      "/": () => find("place").select(),
      "?": () => find("help").showModal(),
      s: again,
      y: nextYear,
      c: nextMode,
      t: nextTool,
      l: () => press("like"),
      u: () => press("unlike"),
      m: () => press("mark"),
      ...(hit && target.matches(".face") && { Enter: () => open(hit.dataset.id) }),
    };
    if (!elsewhere) for (const arrow of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) actions[arrow] = () => move(arrow);
    const act = actions[key.length === 1 ? key.toLowerCase() : key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  find("hits").addEventListener("focusin", () => current() && settle(current()));
  new MutationObserver(() => hits().length && settle(current() ?? hits()[0])).observe(find("hits"), { childList: true });
}
