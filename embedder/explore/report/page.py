"""The report as one page: no script, nothing from elsewhere, light or dark as the reader's system is."""

from collections.abc import Callable, Iterable
from html import escape
from importlib.resources import files
from typing import Any

from embedder.explore.report.charts import cumulative, histogram, interval_text, intervals

Figures = dict[str, Any]
WAYS = {"most frequent": "Most frequent class", "nearest": "Nearest embeddings", "linear": "Linear probe"}
NOTHING = "-"
"""In a table, where there is no figure."""
EDGES = {"length": "Length", "neighbour_distance": "Distance to neighbours", "change": "Change"}


def render(document: Figures) -> str:
    """The whole page, of what `figures.measure` made."""
    years: Figures = document["years"]
    style = files("embedder.explore.report").joinpath("page.css").read_text()
    title = f"What the embeddings are worth: {document['recipe']}"
    made = f"{', '.join(years)} · {document['output']} · made {document['made']} with {document['package_version']}"
    sections = [
        f"<h1>{escape(title)}</h1><p class='soft'>{escape(made)}</p>",
        *(f"<p class='note'>{escape(warning)}</p>" for warning in document["warnings"]),
        _table(years),
        *(_year(year, figures) for year, figures in years.items() if figures["chips"]),
        _change(document["change"]),
        "<footer>What each figure means, what is usual, and what it can't say: docs/report.md. All numbers: report.json.</footer>",
    ]
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title><style>{style}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body><main>{''.join(sections)}</main></body></html>\n"


def summary(document: Figures) -> list[str]:
    """The main figures of each year, a line each, for a terminal."""
    lines = []
    for year, figures in document["years"].items():
        facts = (
            [f"{name} {text}" for name, tell in ROWS.items() if (text := tell(figures)) != NOTHING] if figures["chips"] else ["no chips"]
        )
        lines.append(f"{year}: {'; '.join(facts)}")
    change = document["change"]
    median = change["quantiles"]["0.5"] if "quantiles" in change else None
    lines.append(f"change: {change['reason']}" if median is None else f"change: median distance {median:.3g} over {change['count']} chips")
    return lines


def _maybe(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _labelled(figures: Figures, way: str) -> str:
    labels = figures["labels"]
    return interval_text(labels["ways"][way]["accuracy"]) if "ways" in labels else NOTHING


ROWS: dict[str, Callable[[Figures], str]] = {
    "chips": lambda figures: f"{figures['chips']:,}",
    "median length": lambda figures: f"{figures['lengths']['quantiles']['0.5']:.4g}",
    "lengths far from it": lambda figures: f"{figures['lengths']['far_from_median']:,}",
    "copies of others": lambda figures: f"{figures['duplicates']['copies']:,}",
    "effective rank": lambda figures: f"{figures['spectrum']['effective_rank']:.1f} of {figures['spectrum']['width']}",
    "cosine of two at random": lambda figures: _maybe(figures["spectrum"]["mean_cosine"]),
    "median distance of neighbours": lambda figures: _maybe(figures["neighbours"].get("quantiles", {}).get("0.5")),
    "main class, most frequent": lambda figures: _labelled(figures, "most frequent"),
    "main class, nearest": lambda figures: _labelled(figures, "nearest"),
    "main class, linear": lambda figures: _labelled(figures, "linear"),
}
"""What the table at the top says of a year."""


def _table(years: Figures) -> str:
    head = "".join(f"<th scope='col'>{year}</th>" for year in years)
    rows = []
    for name, tell in ROWS.items():
        cells = [tell(figures) if figures["chips"] or name == "chips" else NOTHING for figures in years.values()]
        rows.append(f"<tr><th scope='row'>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<div class='wide'><table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _year(year: str, figures: Figures) -> str:
    lengths, spectrum, neighbours, copies = (figures[name] for name in ("lengths", "spectrum", "neighbours", "duplicates"))
    random = neighbours["distance_of_random_pairs"]
    plots = [
        _figure("Lengths", histogram(lengths, "lengths of the embeddings"), _lengths_text(lengths)),
        _figure(
            "Variance by axes",
            cumulative(spectrum["variance_shares"], "share of the variance in the first principal axes"),
            f"Effective rank {spectrum['effective_rank']:.1f} of {spectrum['width']}: {spectrum['axes_for_90_percent']} principal axes "
            f"hold 90 % of the variance, {spectrum['axes_for_99_percent']} hold 99 %.",
        ),
    ]
    if "edges" in neighbours:
        mark = None if random is None else (random, "two at random")
        text = f"Of {neighbours['count']:,} pairs of chips that share a side; {_outside(neighbours)}"
        plots.append(_figure("Distance of neighbours, 1 - cosine", histogram(neighbours, "distances of neighbours", mark=mark), text))
    plots.append(_edges(figures["tile_edges"]))
    groups = "".join(f"<li>{' '.join(map(escape, group))}</li>" for group in copies["largest_groups"])
    same = f"<p>{copies['copies']:,} embeddings are copies of others. The largest groups:</p><ul>{groups}</ul>" if groups else ""
    return f"<h2>{year}</h2>{same}<div class='plots'>{''.join(plots)}</div>{_labels(year, figures['labels'])}"


def _lengths_text(lengths: Figures) -> str:
    furthest = ", ".join(f"{chip} {length:.4g}" for chip, length in lengths["furthest"].items())
    far = f" {lengths['far_from_median']:,} are more than twice as long or as short as the median: {furthest}." if furthest else ""
    return f"Of {lengths['count']:,} embeddings; {_outside(lengths)}{far}"


def _outside(spread: Figures) -> str:
    return f"{spread['below'] + spread['above']:,} lie beyond the axis' ends."


def _edges(found: Figures) -> str:
    rows = [(EDGES[name], each["exceeds"]) for name, each in found.items() if "exceeds" in each]
    if not rows:
        return _figure("Chips at tile edges", "", next(iter(found.values()))["reason"])
    first = next(each for each in found.values() if "exceeds" in each)
    text = (
        f"The chance that one of {first['at_edges']:,} chips which lie in more than one tile has more than one of the "
        f"{first['elsewhere']:,} others, with its 95 % interval: 0.5 where tile edges make no difference."
    )
    return _figure("Chips at tile edges", intervals(rows, "chips at tile edges against the rest", low=0, high=1, reference=0.5), text)


def _labels(year: str, labels: Figures) -> str:
    head = f"<h3>Land cover {year}</h3>"
    if "ways" not in labels:
        return f"{head}<p>{escape(labels['reason'])}</p>"
    names, ways = labels["classes"], labels["ways"]
    there = [place for place, count in enumerate(labels["chips_by_class"]) if count]
    linear = ways["linear"]
    how = (
        f"Of {labels['chips']:,} chips drawn by lot {labels['tested']:,} are tested, in {labels['blocks']:,} blocks of "
        f"{labels['block_degrees']:g}° and {labels['folds']} folds: what is tested, and the chips beside it, is not learnt from. "
        "Intervals: 95 %, by drawing blocks again."
    )
    plots = [
        _figure(
            "Main class: accuracy",
            intervals([(WAYS[name], each["accuracy"]) for name, each in ways.items()], "accuracy by way", low=0, high=1),
            "The share of chips whose main class is said right.",
        ),
        _figure(
            "Main class: macro F1",
            intervals([(WAYS[name], each["macro_f1"]) for name, each in ways.items()], "macro F1 by way", low=0, high=1),
            "The mean over the classes: rare ones count as much as frequent ones.",
        ),
        _figure(
            "F1 by class, linear probe",
            intervals([(names[place], linear["f1"][place]) for place in there], "F1 by class", low=0, high=1),
            "Of " + ", ".join(f"{labels['chips_by_class'][place]:,} {names[place].lower()}" for place in there) + ".",
        ),
        _figure(
            "Shares of classes: R², linear probe",
            intervals([(names[place], linear["r2"][place]) for place in there], "R² by class", low=-1, high=1, reference=0),
            "1 where shares are said right, 0 where their mean would do as well. "
            f"Mean error of a share: {interval_text(linear['share_error'])}.",
        ),
    ]
    tables = "".join(_confusion(WAYS[name], ways[name]["confusion"], names, there) for name in ("nearest", "linear"))
    return f"{head}<p class='soft'>{how}</p><div class='plots'>{''.join(plots)}{tables}</div>"


def _confusion(name: str, counts: list[list[int]], names: list[str], there: Iterable[int]) -> str:
    places = list(there)
    head = "".join(f"<th scope='col'><span>{escape(names[place])}</span></th>" for place in places)
    rows = []
    for true in places:
        total = max(sum(counts[true]), 1)
        cells = "".join(f"<td style='--share:{100 * counts[true][said] / total:.0f}%'>{counts[true][said]:,}</td>" for said in places)
        rows.append(f"<tr><th scope='row'>{escape(names[true])}</th>{cells}</tr>")
    table = f"<table class='confusion'><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return _figure(f"{name}: what was said", f"<div class='wide'>{table}</div>", "Chips by their class (rows) and what was said of them.")


def _change(change: Figures) -> str:
    if "edges" not in change:
        return f"<h2>Change</h2><p>{escape(change['reason'])}</p>"
    most = ", ".join(f"{chip} {distance:.3g}" for chip, distance in change["most"].items())
    text = f"Of {change['count']:,} chips embedded in both years; {_outside(change)} Most: {most}."
    plots = _figure("Distance of a chip's two years, 1 - cosine", histogram(change, "change between the years"), text)
    plots += _edges({"change": change["tile_edges"]})
    return f"<h2>Change 2020 to 2021</h2><p class='note'>{change['note']}</p><div class='plots'>{plots}</div>"


def _figure(title: str, content: str, text: str) -> str:
    return f"<figure><h4>{escape(title)}</h4>{content}<figcaption>{escape(text)}</figcaption></figure>"
