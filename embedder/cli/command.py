"""Run a command, and end it with the right exit code: every error is one line that says what, where, and what to do."""

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from embedder.console.log import is_json, json_line
from embedder.console.log_capture import capture_as_json
from embedder.console.signals import ending
from embedder.errors import EmbedderError


def run_command(command: click.Command, name: str) -> NoReturn:
    """Run a click command and exit at once: while Python takes itself down, a signal would end it by default, not with its code."""
    if is_json():
        capture_as_json()
    code = exit_code_of(command, name)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ending.acquire()
    os._exit(code)


def exit_code_of(command: click.Command, name: str) -> int:
    """The exit code of a command, once its error, if any, is on standard error."""
    try:
        command.main(prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        return _failed(f"{error.format_message()} (see {path} --help)", 2)
    except EmbedderError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}: make room or correct the path, then run again", 78)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported in one line
        return _failed(f"unexpected {type(error).__name__}: {error}: run again with --debug, and report what it prints", 1)
    return 0


def _failed(message: str, code: int) -> int:
    message = " ".join(message.split())
    line = f"error: {message}"
    ending.acquire()  # and never released: what is reported is what the process ends with
    trace = traceback.format_exc() if "--debug" in sys.argv else ""
    if is_json():
        click.echo(json_line(message, "error", exit_code=code, **{"traceback": trace} if trace else {}), err=True)
    else:
        click.echo(f"{trace}{line}", err=True)
    if log := os.environ.get("TERMINATION_LOG"):  # what Kubernetes reports of a container that failed
        with suppress(OSError):
            Path(log).write_text(line)
    return code
