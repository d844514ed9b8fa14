"""Do something again whenever a file is saved. Polling, so that it works on every system and on network folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

#: Seconds between two looks at the files.
EVERY = 0.3


def watch(files: Iterable[Path], act: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Call ``act()`` now and after every change, until it is interrupted.

    Parameters
    ----------
    files : iterable of Path
        Some may not be there: a file that comes, goes or is replaced has changed.
    act : callable
        What is saved while it runs has it called again.

    Raises
    ------
    KeyboardInterrupt
        The only way to end it.
    """
    files = list(files)
    done = None
    while True:
        seen = [_state(path) for path in files]
        # An editor may remove a file for a moment in order to replace it: only what is there is worth a look.
        if seen != done and any(seen):
            done = seen
            act()
        sleep(EVERY)


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what is different after every way of saving: in place, or a new file put in place of the old one."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
