"""What Python and the libraries say on standard error, as JSON objects too: warnings, log records, and whatever else is written there."""

import io
import logging
import sys
import threading
import warnings

from embedder.console.log import json_line

OBJECT = '{"time": '
"""How an object of `json_line` begins."""


def capture_as_json() -> None:
    """From now on, every line that Python code writes to standard error is an object."""
    if buffer := getattr(sys.stderr, "buffer", None):  # there is none where standard error is closed
        sys.stderr = _JsonStream(buffer, encoding="utf-8", line_buffering=True)
    warnings.formatwarning = _warning_line
    if logging.lastResort:  # the handler that also prints as text; one of the root logger would show what libraries keep back
        logging.lastResort.setFormatter(_JsonFormatter())


class _JsonStream(io.TextIOWrapper):
    """Makes an object of each line that is none yet, such as a library's own print or a thread's traceback."""

    _begun = threading.local()
    """Holds the line that a thread has not ended yet: a line can be written in pieces."""

    def write(self, text: str, /) -> int:
        if text.startswith(OBJECT):
            return super().write(text)
        *lines, self._begun.line = (getattr(self._begun, "line", "") + text).split("\n")
        for line in lines:
            if line.strip():
                super().write(f"{json_line(line.rstrip(), 'warning')}\n")
        return len(text)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {"logger": record.name}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json_line(record.getMessage(), "error" if record.levelno >= logging.ERROR else "warning", **fields)


def _warning_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:  # noqa: ARG001
    return f"{json_line(str(message), 'warning', category=category.__name__, where=f'{filename}:{lineno}')}\n"
