"""Pictures from a WMS: one host, the configured one, and short waits."""

import math
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import urllib3

from embedder.errors import TemporaryError, UsageError
from embedder.explore.pictures.images import WIDTH, decode, encode, height_of
from embedder.grid import Chip
from embedder.storage import network

URL = "https://services.terrascope.be/wms/v2"
"""Of ESA WorldCover's own service."""
LAYER = "WORLDCOVER_{year}_S2_TCC"
"""The Sentinel-2 composites in true colours."""
EARTH_RADIUS_M = 6_378_137.0
"""Of EPSG:3857."""
TIMEOUT = urllib3.Timeout(connect=3, read=5)
"""Seconds; behind a picture there is a person."""
LARGEST = 4_000_000
"""Bytes of a reply: some thirty times a picture's."""
CONNECTIONS = 8


class Wms:
    """A WMS's pictures of chips, for several threads."""

    def __init__(self, url: str, layer: str) -> None:
        """`layer` may hold {year}."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise UsageError("the WMS's address is none: give http(s)://host/path without a user or a password, or none")
        self._url, self._layer = url, layer
        self._pool = network.pool(url, timeout=TIMEOUT, maxsize=CONNECTIONS)

    def picture(self, chip: Chip, year: int) -> bytes | None:
        """A JPEG of the chip's box; None where the WMS shows nothing there. TemporaryError where it does not answer with a picture."""
        try:
            data = self._request(chip, year)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if refusal := network.refusal(error, "the WMS"):
                raise refusal from error
            data = None
        if data is None:
            raise TemporaryError("the WMS does not answer")
        image = decode(data)
        return None if image is None else encode(image)

    def _request(self, chip: Chip, year: int) -> bytes | None:
        query = {
            "SERVICE": "WMS",
            "VERSION": "1.3.0",
            "REQUEST": "GetMap",
            "LAYERS": self._layer.replace("{year}", str(year)),
            "STYLES": "",
            "CRS": "EPSG:3857",
            "BBOX": ",".join(f"{value:.3f}" for value in mercator_box(chip)),
            "WIDTH": str(WIDTH),
            "HEIGHT": str(height_of(chip)),
            "FORMAT": "image/png",
        }
        separator = "&" if "?" in self._url else "?"
        # No redirect is followed: it could lead to another host.
        reply = self._pool.request("GET", f"{self._url}{separator}{urlencode(query)}", redirect=False, retries=False, preload_content=False)
        try:
            data = reply.read(LARGEST + 1)
        finally:
            reply.close()
        is_picture = reply.headers.get("Content-Type", "").startswith("image/")
        return data if reply.status == HTTPStatus.OK and is_picture and len(data) <= LARGEST else None


def mercator_box(chip: Chip) -> tuple[float, float, float, float]:
    """The chip's box in EPSG:3857, meters: west, south, east, north."""
    bounds = chip.bounds
    west, east = (EARTH_RADIUS_M * math.radians(value) for value in (bounds.west, bounds.east))
    south, north = (EARTH_RADIUS_M * math.asinh(math.tan(math.radians(value))) for value in (bounds.south, bounds.north))
    return west, south, east, north
