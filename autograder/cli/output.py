"""Standard output that ends nothing: a class is graded whether or not somebody is listening."""

from __future__ import annotations

import os
import sys


class Output:
    """A text stream that passes everything on until that fails, and drops the rest.

    Parameters
    ----------
    stream : text stream
        Its descriptor leads to nowhere once it cannot be written: Python writes what is left when it ends.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        return self._guarded(self._stream.write, text) or len(text)

    def flush(self) -> None:
        """Flush, or drop what is left."""
        self._guarded(self._stream.flush)

    def _guarded(self, method, *args):
        try:
            return method(*args)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):  # a reader that has gone, such as head, wanted no more
                print(f"handgrad: what is printed cannot be written: {error.strerror}. The rest of it is dropped, and the work goes on.", file=sys.stderr)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def prepare() -> None:
    """Make the standard streams ones that cannot fail: closed, full, without a reader, or without letters for a name."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the process ends
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, stream)
    if not isinstance(sys.stdout, Output):
        sys.stdout = Output(sys.stdout)
