"""The form of what a command says: text for people, or with LOG_FORMAT=json one JSON object a line, for log collectors."""

import json
import os
import time
from typing import Any, Literal

Level = Literal["info", "warning", "error"]


def is_json() -> bool:
    """Whether LOG_FORMAT asks for objects. Other values, which other programs may know, leave the text."""
    return os.environ.get("LOG_FORMAT") == "json"


def json_line(message: str, level: Level = "info", /, **fields: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """One object without its line's end: the time in UTC, the level, the message, and the fields beside it."""
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z"
    return json.dumps({"time": stamp, "level": level, "message": message, **fields}, default=str)


def format_result(text: str, **fields: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """A result to print: the text, or an object of its first line and the fields, which hold what its other lines say."""
    return json_line(text.partition("\n")[0], **fields) if is_json() else text
