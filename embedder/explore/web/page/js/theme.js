// Not a module: it runs before the page is painted, so that a chosen theme does not flash.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // The browser keeps nothing for this page; the system's theme then.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
