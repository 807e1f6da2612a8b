"""What the models are told beside the pixels: positions, places and dates as sines and cosines. Pure functions of numbers.

Facts: Clay-foundation/model, src/ at 472c92f for v0.1 and claymodel/ on main for v1.5. All results are float32.
"""

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TEMPERATURE = 10_000.0
"""Ratio between the longest and the shortest period of a sine-cosine code."""
PUBLISHED_LOCATION = (1.5707948, 0.0)
"""The location that the published run gave for every chip, radians: it took the affine's terms for a place."""


def frequencies(count: int, exponent: float = 1.0) -> NDArray[np.float64]:
    """Angular frequencies from 1 down to TEMPERATURE**-exponent, evenly spaced in the logarithm: (count,)."""
    return TEMPERATURE ** -(exponent * np.arange(count) / (count - 1))


def line_code(values: NDArray[Any], width: int) -> Floats:
    """Sines, then cosines, of each value: (n,) to (n, width)."""
    angles = np.multiply.outer(np.asarray(values, np.float64), frequencies(width // 2))  # (n, width / 2)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)  # (n, width)


def grid_code(side: int, omega: NDArray[np.float64]) -> Floats:
    """Code of the places of a square grid, row by row: sin x, cos x, sin y, cos y: (side * side, 4 * len(omega))."""
    y, x = np.divmod(np.arange(side * side), side)  # (side * side,) each
    x_angles, y_angles = np.multiply.outer(x, omega), np.multiply.outer(y, omega)  # (side * side, len(omega)) each
    parts = [np.sin(x_angles), np.cos(x_angles), np.sin(y_angles), np.cos(y_angles)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def date_of(year: int) -> dt.date:
    """The day that stands for a year's composite."""
    return dt.date(year, 6, 1)


def v01_time(year: int) -> Floats:
    """Year, month and day as angles, radians in (-pi, pi]: (3,)."""
    date = date_of(year)
    turns = np.array([(date.year - 2012) / 18, (date.month - 1) / 11, (date.day - 1) / 30])
    angles = 2 * np.pi * turns
    return np.arctan2(np.cos(angles), np.sin(angles)).astype(np.float32)


def v01_location(lonlat: NDArray[np.float64]) -> Floats:
    """Places in degrees, (n, 2), as v0.1 was trained on them, radians: (n, 2)."""
    lon, lat = np.radians(lonlat).T  # (n,) each
    return np.stack([np.sin(lat), np.arctan2(np.cos(lon), np.sin(lon))], axis=1).astype(np.float32)


def v01_published_location(lonlat: NDArray[np.float64]) -> Floats:
    """The same constant for every place, as in the published run: (n, 2)."""
    return np.tile(np.array(PUBLISHED_LOCATION, np.float32), (len(lonlat), 1))


def v15_time(year: int) -> Floats:
    """Sine and cosine of the ISO week, then of the hour, which is 0: (4,)."""
    week = 2 * np.pi * date_of(year).isocalendar().week / 52
    return np.array([np.sin(week), np.cos(week), 0, 1], np.float32)


def v15_location(lonlat: NDArray[np.float64]) -> Floats:
    """Places in degrees, (n, 2), as sine and cosine of the latitude, then of the longitude: (n, 4)."""
    lon, lat = np.radians(lonlat).T  # (n,) each
    return np.stack([np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)], axis=1).astype(np.float32)
