"""Run a command, and end it with the right exit code: every error is one line that says what, where, and what to do."""

import os
import sys
import traceback
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import click

from embedder.console.log import is_json, json_line
from embedder.console.log_capture import capture_as_json
from embedder.console.signals import ending
from embedder.errors import ConfigurationError, EmbedderError, one_line


def run_command(command: click.Command, name: str) -> NoReturn:
    """Run a click command and exit at once: while Python takes itself down, a signal would end it by default, not with its code."""
    if is_json():
        capture_as_json()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever a path or another's text holds
    code = exit_code_of(command, name)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ending.acquire()
    os._exit(code)


def exit_code_of(command: click.Command, name: str) -> int:
    """The exit code of a command, once its error, if any, is on standard error."""
    try:
        _check_folder()
        command.main(prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is reported in one line
        return _failed(*_described(error, name))
    return 0


def _described(error: BaseException, name: str) -> tuple[str, int]:
    """What to say of an error, and its exit code."""
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else name
            described = f"{error.format_message()} (see {path} --help)", 2
        case EmbedderError():
            described = str(error), error.exit_code
        case UnicodeEncodeError():
            described = f"{error.object!r} is not UTF-8: write it, or name the file or folder, in that", 78
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            described = f"{place}{error.strerror or error}: make room or correct the path, then run again", 78
        case SystemExit():  # click's answer to a reader that has gone
            described = "what is printed has no reader any more, as after `| head`: the rest is lost", 78
        case _:
            described = f"unexpected {type(error).__name__}: {error}: run again with --debug, and report what it prints", 1
    return described


def _check_folder() -> None:
    """Libraries abort the process in a folder that has been removed."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError as error:
        raise ConfigurationError("the folder that this is called in has been removed: change to one that is there") from error


def _failed(message: str, code: int) -> int:
    message = one_line(message)
    line = f"error: {message}"
    ending.acquire()  # and never released: what is reported is what the process ends with
    trace = traceback.format_exc() if "--debug" in sys.argv else ""
    with suppress(OSError, ValueError):  # a full disk, or closed: the code still says it
        if is_json():
            click.echo(json_line(message, "error", exit_code=code, **{"traceback": trace} if trace else {}), err=True)
        else:
            click.echo(f"{trace}{line}", err=True)
    if log := os.environ.get("TERMINATION_LOG"):  # what Kubernetes reports of a container that failed
        with suppress(OSError):
            Path(log).write_text(line, encoding="utf-8")
    return code
