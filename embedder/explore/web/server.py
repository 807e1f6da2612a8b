"""The page and its API: read-only, and every error is one sentence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zipfile import ZipFile

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from embedder import __version__
from embedder.errors import EmbedderError, NotFoundError, UsageError
from embedder.explore.explorer import Explorer
from embedder.explore.layers import Layer, write_layer
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.places import parse_chip
from embedder.explore.results import MEDIA_TYPES, encode
from embedder.explore.search import MOST_HITS
from embedder.explore.web import answers
from embedder.explore.web.answers import MOST_EXAMPLES, ChipAnswer, Collection, Coverage, Info, Problem, Unread
from embedder.explore.web.class_maps import MARK, MOST_CLASSES, ClassMaps, class_bytes
from embedder.explore.web.coverage import coverage
from embedder.explore.web.news import News
from embedder.storage.scratch import scratch_folder

PAGE = Path(__file__).parent / "page"
ANY_HOST = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
"""Addresses that mean all of this machine's."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "Nothing of that name, or no embedding there, and why."},
    422: {"model": Problem, "description": "A parameter that can't be."},
}
COVERAGE: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPES["geojson"]: {"schema": Coverage.model_json_schema()}}}}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPES["geojson"]: {"schema": {"$ref": "#/components/schemas/Collection"}},
            MEDIA_TYPES["csv"]: {"schema": {"type": "string"}},
            MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    503: {"model": Problem, "description": "Neither the WMS nor the source answers: ask again later."},
}
BYTES = {"schema": {"type": "string", "format": "binary"}}
LAYER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": BYTES}}}
LAYER_TYPES = {"parquet": MEDIA_TYPES["parquet"], "csv": MEDIA_TYPES["csv"], "tif": "image/tiff; application=geotiff"}
LAYER_FILE: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(LAYER_TYPES.values(), BYTES)}}
BUSY: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "Another classification is under way: ask again."}}
ZIP = "application/zip"
CLASSES_FILE = BUSY | {200: {"content": dict.fromkeys([LAYER_TYPES["parquet"], LAYER_TYPES["csv"], ZIP], BYTES)}}
EXPECTED = {
    "k": f"1 to {MOST_HITS}",
    "year": "a year, such as 2020",
    "years": "two years, such as 2020,2021",
    "format": "geojson, csv or parquet; of every chip parquet, csv or tif",
    "above": "a percentile, 0 to 100",
    "missing": "error or empty",
    "like": f"1 to {MOST_EXAMPLES:,} chip ids, such as c1155r0287",
    "unlike": f"at most {MOST_EXAMPLES:,} chip ids, such as c1155r0287",
    "mark": f"2 to {MOST_CLASSES} classes, each as {MARK}",
}
"""What an invalid parameter is answered with."""

Year = Annotated[int, Query(description="A year from /api/info.")]
Ids = Annotated[
    list[str],
    Query(
        max_length=MOST_EXAMPLES,
        description="Chip ids, such as c1155r0287; repeat the parameter for several, or give many in one: ~ and four characters of "
        "base64url for each, column * rows of the grid + row in three bytes.",
    ),
]
Marks = Annotated[list[str], Query(max_length=MOST_CLASSES, description=f"Repeat it for each class: {MARK}, as of like.")]
Count = Annotated[int, Query(ge=1, le=MOST_HITS, description="How many hits.")]
Box = Annotated[str | None, Query(description="Only chips that touch west,south,east,north, degrees.")]
Years = Annotated[str, Query(pattern="^[0-9]{4},[0-9]{4}$", description="Two years, such as 2020,2021.")]
Beside = Annotated[int | None, Query(description="A year whose picture is shown beside this one: both are then from the same source.")]
BothYears = Annotated[str | None, Query(pattern="^[0-9]{4},[0-9]{4}$", description="For changes: two years.")]
LayerForm = Annotated[str, Query(alias="format", pattern="^(parquet|csv|tif)$", description="parquet, csv or tif.")]
Missing = Annotated[str, Query(pattern="^(error|empty)$", description="Where there is no picture: an error, or an empty answer, 204.")]
Form = Annotated[str, Query(alias="format", pattern="^(geojson|csv|parquet)$", description="geojson, csv or parquet.")]


@dataclass(frozen=True, kw_only=True)
class Basemap:
    """Raster tiles below the page's map."""

    tiles: str
    """Their template, https://host/{z}/{x}/{y}.png."""
    attribution: str | None = None
    """Whose they are; by default their host's."""

    @property
    def origin(self) -> str:
        """Scheme and host; UsageError where the template is none."""
        parts = urlsplit(self.tiles)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError("the base map's address is none: write https://host/{z}/{x}/{y}.png, or osm")
        return f"{parts.scheme}://{parts.netloc}"


OSM = Basemap(tiles="https://tile.openstreetmap.org/{z}/{x}/{y}.png", attribution="\N{COPYRIGHT SIGN} OpenStreetMap contributors (ODbL)")
"""For light use: https://operations.osmfoundation.org/policies/tiles/."""


def make_app(
    explorer: Explorer,
    pictures: Pictures,
    *,
    host: str = "127.0.0.1",
    basemap: Basemap | None = None,
    allowed_hosts: Sequence[str] = (),
    root_path: str = "",
    news: News | None = None,
) -> FastAPI:
    """The application. It answers to its own names and `allowed_hosts`; a proxy that serves it below a path says which in `root_path`."""
    # FastAPI's own documentation pages load scripts from elsewhere; /openapi.json says the same.
    app = FastAPI(title="WorldCover embeddings", version=__version__, docs_url=None, redoc_url=None, responses=PROBLEMS)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    if host not in ANY_HOST:
        _add_host_check(app, {"127.0.0.1", "::1", "localhost", _plain(host), *map(_plain, allowed_hosts)})
    _add_headers(app, basemap)
    app.add_middleware(_Below, root=root_path)
    _add_errors(app)
    _add_search(app, explorer, basemap, root_path)
    covered = _add_files(app, explorer)
    _add_pictures(app, explorer, pictures)
    coloured = _add_layers(app, explorer)
    maps = _add_classes(app, explorer)
    _add_news(app, news, [covered.clear, coloured.clear, maps.clear])
    # MapLibre comes with a Python package that is only a carrier here: none of its code is imported.
    app.mount("/maplibre", StaticFiles(packages=[("maplibre", "srcjs")]))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


class _Below:
    """Takes the path off below which a proxy has the page, where the proxy leaves it on."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app, self.root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self.root and path.startswith(f"{self.root}/"):
            scope = {**scope, "path": path.removeprefix(self.root)}
        await self.app(scope, receive, send)


def _add_search(app: FastAPI, explorer: Explorer, basemap: Basemap | None, root: str) -> None:
    @app.get("/api/info")
    def info() -> Info:
        """What can be searched, and within which limits."""
        return answers.info(explorer, basemap.tiles if basemap else None, basemap.attribution if basemap else None)

    @app.get("/api/chip")
    def chip(year: Year, chip: str | None = None, lon: float | None = None, lat: float | None = None) -> ChipAnswer:
        """The chip of that id, or the one that covers a place."""
        return answers.chip(explorer, root, year, chip, lon, lat)

    @app.get("/api/search")
    def search(year: Year, like: Ids, unlike: Ids = [], k: Count = 10, bbox: Box = None) -> Collection:  # noqa: B006 - FastAPI copies it
        """The chips most like some and unlike others, best first, without these."""
        return Collection.model_validate(answers.collection(root, *answers.search(explorer, year, like, unlike, k, bbox)))

    @app.get("/api/change")
    def change(years: Years, k: Count = 10, bbox: Box = None) -> Collection:
        """The chips whose embeddings differ most between two years, most first."""
        return Collection.model_validate(answers.collection(root, *answers.change(explorer, years, k, bbox)))


def _add_news(app: FastAPI, news: News | None, forget: Sequence[Callable[[], None]]) -> None:
    @app.get("/api/news")
    def columns() -> Unread:
        """How many columns were published since this server read what is."""
        return Unread(columns=news.columns() if news else 0)

    @app.get("/api/load")
    def load() -> Unread:
        """Read them: the answers are of what is published now."""
        if news:
            news.load()
        for each in forget:
            each()
        return Unread(columns=0)


def _add_files(app: FastAPI, explorer: Explorer) -> dict[int, Any]:
    made: dict[int, Any] = {}

    @app.get("/api/coverage", response_class=Response, responses=COVERAGE)
    def covered(year: Year) -> Response:
        """What is embedded: a FeatureCollection of one MultiPolygon."""
        if year not in made:
            made[year] = JSONResponse(coverage(explorer.searcher(year).database), media_type=MEDIA_TYPES["geojson"])
        found = made[year]
        return Response(found.body, media_type=found.media_type)

    @app.get("/api/download", response_class=Response, responses=DOWNLOAD)
    def download(  # noqa: PLR0917 - one for each parameter of an address
        form: Form,
        year: int | None = None,
        like: Ids = [],  # noqa: B006
        unlike: Ids = [],  # noqa: B006
        years: BothYears = None,
        k: Count = 10,
        bbox: Box = None,
    ) -> Response:
        """The hits of a search, or of a change where `years` is given, as a file."""
        if years:
            hits, metadata = answers.change(explorer, years, k, bbox)
            name = f"change-{years.replace(',', '-')}"
        elif year is not None:
            hits, metadata = answers.search(explorer, year, like, unlike, k, bbox)
            name = f"similar-{metadata['like'][0]}-{year}"
        else:
            raise UsageError("neither year nor years is given: give year and like for a search, or years for a change")
        headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
        return Response(encode(hits, form, metadata), media_type=MEDIA_TYPES[form], headers=headers)

    return made


def _add_pictures(app: FastAPI, explorer: Explorer, pictures: Pictures) -> None:
    @app.get("/api/picture/{year}/{chip}.jpg", response_class=Response, responses=PICTURE)
    def picture(year: int, chip: str, request: Request, beside: Beside = None, missing: Missing = "error") -> Response:
        """A chip's picture, from the WMS or the source's tile, as the header X-Picture-Source says: `wms` or `tile`."""
        for each in (year, year if beside is None else beside):
            explorer.searcher(each)
        parsed = parse_chip(chip, explorer.recipe.chip_pixels)
        try:
            found = pictures.get(parsed, year, beside)
        except EmbedderError:
            if missing == "error":
                raise
            return Response(status_code=HTTPStatus.NO_CONTENT)
        etag = f'"{sha256(found.jpeg).hexdigest()[:16]}"'
        # Asked for again each time: another run at this address, or the WMS that is back, has other pictures.
        headers = {"Cache-Control": "private, no-cache", "ETag": etag, "X-Picture-Source": found.origin}
        if request.headers.get("If-None-Match") == etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(found.jpeg, media_type="image/jpeg", headers=headers)


def _add_layers(app: FastAPI, explorer: Explorer) -> dict[int, Any]:
    coloured: dict[int, Any] = {}

    @app.get("/api/colours", response_class=Response, responses=LAYER)
    def colours(year: Year) -> Response:
        """A year in false colour, red, green, blue and opacity a chip, row by row; X-Layer says where, as of /api/layer."""
        if year not in coloured:
            coloured[year] = answers.colours(explorer, year)
        pixels, place = coloured[year]
        return Response(pixels, media_type="application/octet-stream", headers={"X-Layer": place})

    @app.get("/api/layer", response_class=Response, responses=LAYER)
    def layer(
        year: int | None = None,
        like: Ids = [],  # noqa: B006
        unlike: Ids = [],  # noqa: B006
        years: BothYears = None,
        bbox: Box = None,
    ) -> Response:
        """Every chip's rank in a search, or in a change where `years` is given: 16 bits each, row by row, 0 where there is no chip.

        The header X-Layer says as JSON where the first one lies, how many there are, and what each threshold leaves.
        """
        ranks, place = answers.layer(answers.every(explorer, year, like, unlike, years, bbox)[0])
        return Response(ranks, media_type="application/octet-stream", headers={"X-Layer": place})

    @app.get("/api/layer/download", response_class=Response, responses=LAYER_FILE)
    def layer_file(  # noqa: PLR0917
        form: LayerForm,
        year: int | None = None,
        like: Ids = [],  # noqa: B006
        unlike: Ids = [],  # noqa: B006
        years: BothYears = None,
        bbox: Box = None,
        above: Annotated[float, Query(ge=0, le=100, description="Only chips from this percentile up.")] = 0,
    ) -> Response:
        """The same as a file: a row, or a pixel, a chip."""
        answer, metadata = answers.every(explorer, year, like, unlike, years, bbox)
        name = f"change-{years.replace(',', '-')}" if years else f"similar-{metadata['like'][0]}-{year}"
        return _as_file(answer.layer(metadata).where(answer.above(above)), f"{name}-every-chip", form)

    return coloured


def _add_classes(app: FastAPI, explorer: Explorer) -> ClassMaps:
    maps = ClassMaps(explorer)

    @app.get("/api/classify", response_class=Response, responses=LAYER | BUSY)
    def classes(year: Year, mark: Marks, bbox: Box = None) -> Response:
        """A class for every chip, learnt from marked ones as `embedder classify` does: a byte each, row by row, 0 where there is no chip.

        The header X-Layer says as JSON where they lie, what the classes are, 1 the first, and how well they are told on other ground.
        """
        codes, place = class_bytes(maps.get(year, mark, bbox))
        return Response(codes, media_type="application/octet-stream", headers={"X-Layer": place})

    @app.get("/api/classify/download", response_class=Response, responses=CLASSES_FILE)
    def file(form: LayerForm, year: Year, mark: Marks, bbox: Box = None) -> Response:
        """The same as a file; a GeoTIFF is in a ZIP file, beside the names and colours of its classes."""
        return _as_file(maps.get(year, mark, bbox).layer, f"classes-{year}", form)

    return maps


def _as_file(layer: Layer, name: str, form: str) -> Response:
    """A download; with what stands beside it as a ZIP file."""
    with scratch_folder() as scratch:
        scratch.mkdir()
        path = scratch / f"{name}.{form}"
        write_layer(layer, path)
        written = sorted(scratch.iterdir())
        if len(written) == 1:
            content, name, kind = path.read_bytes(), path.name, LAYER_TYPES[form]
        else:
            packed = BytesIO()
            with ZipFile(packed, "w") as archive:
                for each in written:
                    archive.write(each, each.name)
            content, name, kind = packed.getvalue(), f"{name}.zip", ZIP
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        problems = {"missing": "is missing", "too_long": "is given too often"}
        problem = problems.get(first["type"], f"can't be {str(first['input'])[:40]!r}")
        return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} {problem}: give {EXPECTED.get(name, 'a number')}")

    @app.exception_handler(EmbedderError)
    def failed(_request: Request, error: EmbedderError) -> JSONResponse:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, UsageError) else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(HTTPStatus.NOT_FOUND if isinstance(error, NotFoundError) else status, str(error))

    @app.exception_handler(Exception)
    def unexpected(_request: Request, error: Exception) -> JSONResponse:
        sentence = f"unexpected {type(error).__name__}: what the server prints says more; start it again if this comes back"
        return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)

    @app.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> JSONResponse:
        sentences = {404: "there is nothing at this address", 405: "this address only answers GET"}
        return _answer(error.status_code, sentences.get(error.status_code, str(error.detail)))


def _answer(status: int, sentence: str) -> JSONResponse:
    headers = {"Retry-After": "15"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"detail": sentence}, status_code=status, headers=headers)


def _add_host_check(app: FastAPI, allowed: set[str]) -> None:
    """A page elsewhere whose name leads here must not read what is here."""

    @app.middleware("http")
    async def check(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            name = _plain(urlsplit(f"//{request.headers['Host']}").hostname or "")
        except (KeyError, ValueError):
            name = ""
        if name in allowed:
            return await call_next(request)
        names = ", ".join(sorted(allowed))
        return _answer(HTTPStatus.BAD_REQUEST, f"this server answers to {names} only: start it with --allow-host {name[:80] or 'NAME'} too")


def _plain(host: str) -> str:
    """A name in small letters, or an address in its shortest form."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower()


def _add_headers(app: FastAPI, basemap: Basemap | None) -> None:
    remote = f" {basemap.origin}" if basemap else ""
    policy = (
        f"default-src 'self'; img-src 'self' data: blob:{remote}; connect-src 'self'{remote}; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        # Tile servers refuse who does not say where from; nothing else is asked for elsewhere.
        "Referrer-Policy": "strict-origin" if basemap else "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    @app.middleware("http")
    async def add(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(headers)
        return response
