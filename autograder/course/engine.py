"""Which kit judges: what a result depends on beside the submission and the bank."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from autograder import __version__, exercises, paths

#: What of the package can change a result.
KINDS = {".py", ".toml", ".json"}


@cache
def engine() -> str:
    """Return the version, and a hash of the files that judge: with other points, checks or sentences it is another engine."""
    digest = hashlib.sha256()
    for name, path in _files():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _files() -> Iterator[tuple[str, Path]]:
    """Yield name and path of what judges, the same on every machine with the same kit: our code, the reference, our solutions."""
    package = Path(__file__).resolve().parents[1]
    reference = importlib.util.find_spec("reference")
    for folder in (package, *map(Path, (reference.submodule_search_locations or ()) if reference else ())):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.suffix in KINDS and name.parts[0] != "_course":
                yield f"{folder.name}/{name.as_posix()}", path
    for assignment in exercises.names():
        if path := paths.solution(assignment):
            yield f"solutions/{assignment}", path
