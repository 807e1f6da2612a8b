"""The times that files speak of: a composite's year, and the moment of inference."""

from datetime import UTC, datetime


def first_second(year: int) -> datetime:
    """Of a year."""
    return datetime(year, 1, 1, tzinfo=UTC)


def last_second(year: int) -> datetime:
    """Of a year."""
    return datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)


def middle(year: int) -> datetime:
    """Of a year: in no time zone does it lie in another one."""
    start = first_second(year)
    return start + (first_second(year + 1) - start) / 2


def to_rfc3339(time: datetime) -> str:
    """To the second, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_rfc3339(value: object) -> bool:
    """Whether a value is a time as `to_rfc3339` writes it."""
    try:
        return isinstance(value, str) and to_rfc3339(datetime.fromisoformat(value)) == value
    except (ValueError, OverflowError):
        return False
