"""Listen, say where, and open the browser."""

import socket
import threading
import time
import webbrowser

import click
import uvicorn
from fastapi import FastAPI

from embedder.errors import ConfigurationError

START_LIMIT_S = 10.0


def serve(app: FastAPI, listening: socket.socket, host: str, *, show: bool) -> None:
    """Serve until a signal ends the process."""
    found = listening.getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{found}/"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
    # Not in the main thread, where uvicorn would take over the signals: the command's own end the process at once.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_LIMIT_S
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    click.echo(f"the page is at {address} (Ctrl-C ends it)")
    if show:
        webbrowser.open(address)
    thread.join()


def listen(host: str, port: int) -> socket.socket:
    """A socket at the address; port 0 takes a free one."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(128)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise ConfigurationError(f"can't listen at {host}:{port} ({reason}): choose another --port, or 0 for a free one") from error
    return listening
