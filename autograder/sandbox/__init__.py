"""Running student code that nobody trusts: a confined worker per submission, or in process for a self-check."""

from importlib import import_module

_HOME = {
    "Step": "steps", "Ref": "steps", "Opaque": "steps", "Answer": "steps", "Error": "steps",
    "Fault": "steps", "LoadError": "steps",
    "Local": "local",
    "Sandbox": "box", "Limits": "jail", "Worker": "worker", "Failed": "worker", "Served": "serving", "Refused": "serving",
    "Isolation": "levels", "observe": "levels", "LEVELS": "levels", "at_least": "levels",
}  # fmt: skip


def __getattr__(name: str):
    """Import a public name on first use, so that importing this package costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names as well, for completion."""
    return sorted([*globals(), *_HOME])
