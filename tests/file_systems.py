"""File systems that lack something, by system calls that fail as theirs do."""

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Any

LACKS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "links": (os, "link", lambda *_, **__: True),
    "nameless files": (os, "open", lambda _path, flags, *_, **__: flags & os.O_TMPFILE == os.O_TMPFILE),
    "locks": (fcntl, "flock", lambda *_: True),
    "syncing of folders": (os, "fsync", lambda descriptor: os.path.isdir(f"/proc/self/fd/{descriptor}")),  # noqa: PTH112 - of a descriptor
}
"""What a file system can lack: the module and name of the call that then fails, and with which arguments it does."""
SMB = {"links": errno.EOPNOTSUPP, "nameless files": errno.EOPNOTSUPP}
EXFAT = {"links": errno.EPERM, "nameless files": errno.EOPNOTSUPP}
GCSFUSE = {"links": errno.ENOSYS, "nameless files": errno.EOPNOTSUPP, "syncing of folders": errno.EINVAL}
"""What they answer, by what they lack."""


def lack(answers: dict[str, int], patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """From now on this process has what `answers` names nowhere: the call fails with that error."""
    for name, number in answers.items():
        module, call, concerns = LACKS[name]
        patch(module, call, _failing(getattr(module, call), number, concerns))


def _failing(call: Callable[..., Any], number: int, concerns: Callable[..., bool]) -> Callable[..., Any]:
    def failing(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the call takes and gives
        if concerns(*given, **named):
            raise OSError(number, os.strerror(number))
        return call(*given, **named)

    return failing
