"""How the zygote is started: the interpreter, its clean environment, and bubblewrap as an outer wall around it.

The zygote gets the standard library, NumPy and this folder. It does not get the environment of the grader, its
working folder, its module path or its descriptors.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
import sysconfig

import numpy as np

_FOLDER = os.path.dirname(os.path.realpath(__file__))
_NUMPY = os.path.dirname(os.path.realpath(np.__file__))
_STDLIB = sysconfig.get_path("stdlib")
#: Holds every installed package: the reference and the course are among them.
_SITES = ("site-packages", "dist-packages")
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/alternatives")

#: What it executes. The path to this folder and to NumPy comes last: nothing there can stand before the library.
_BOOT = "import json, sys; sys.path += json.loads(sys.argv[2]); from sandbox import zygote; zygote.main(json.loads(sys.argv[1]))"
_NOBODY = 65534

#: One thread, since a fork copies one only and since CPU time is then work; the same hash order in every run.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def command(config: dict) -> list[str]:
    """Return the command line of a zygote without an outer wall.

    Parameters
    ----------
    config : dict
        ``control`` (a descriptor), ``limits``, ``landlock``, ``seccomp``; see `zygote.main`.
    """
    config = {"path": _library_path(), "readable": readable(), "user": _other_user(), **config}
    found_in = [os.path.dirname(_FOLDER), os.path.dirname(_NUMPY)]
    return [_interpreter(), "-S", "-s", "-P", "-B", "-c", _BOOT, json.dumps(config), json.dumps(found_in)]


def readable() -> list[str]:
    """List what a submission may read: NumPy, and the standard library without the installed packages inside it."""
    library = [os.path.join(_STDLIB, name) for name in os.listdir(_STDLIB) if name not in (*_SITES, "__pycache__")]
    return [*_numpy(), *sorted(library)]


def wrapped(command: list[str]) -> list[str] | None:
    """Put bubblewrap around a command line: namespaces of its own, and a file system with nothing else in it.

    Returns
    -------
    list of str, or None where bubblewrap is not installed; whether it works here only a try can tell
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None
    wall = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--proc", "/proc"]
    wanted = {*_SYSTEM, _interpreter(), _STDLIB, os.path.join(sys.base_prefix, "lib"), sysconfig.get_config_var("LIBDIR")}
    shown = sorted(path for path in wanted if path and os.path.exists(path))
    for path in shown:  # sorted: a folder comes before what lies in it
        wall += ["--ro-bind", path, path]
    for path in _sites(shown):
        wall += ["--tmpfs", path]
    for path in [*_numpy(), _FOLDER]:
        wall += ["--ro-bind", path, path]
    for path in _sites(shown):
        wall += ["--remount-ro", path]
    return [*wall, "--remount-ro", "/", "--chdir", "/", "--", *command]


def _interpreter() -> str:
    # Of a virtual environment only NumPy is needed, so the interpreter behind it is started.
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _library_path() -> list[str]:
    return [_STDLIB, os.path.join(_STDLIB, "lib-dynload")]


def _other_user() -> int | None:
    """Return the user that workers of root change to; None: they stay who they are, since others cannot read the library."""
    if os.geteuid() != 0:
        return None
    return _NOBODY if all(_open_to_all(path) for path in (_interpreter(), _STDLIB, _NUMPY)) else None


def _open_to_all(path: str) -> bool:
    if not os.stat(path).st_mode & 0o004:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


def _numpy() -> list[str]:
    """NumPy's package and the folder in which its wheel keeps shared libraries."""
    return [path for path in (_NUMPY, f"{_NUMPY}.libs") if os.path.isdir(path)]


def _sites(shown: list[str]) -> list[str]:
    """Folders with installed packages inside what is shown."""
    found = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for path in shown:
        for site in _SITES:
            found.update([os.path.join(path, site), *glob.glob(os.path.join(path, "python3*", site))])
    return sorted(path for path in found if os.path.isdir(path) and any(path.startswith(f"{top}/") for top in shown))
