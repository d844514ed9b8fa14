"""Let nbgrader record what has been graded: its own autograde, once for every student, whatever a broken run left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autograder.ours import CourseError


def record(course: Path, assignment: str) -> int:
    """Run ``nbgrader autograde --force`` in a course folder and return its exit code.

    It is forced, since nbgrader takes a folder that a killed run left half done for a finished one. Recording is cheap:
    verdicts come from the journal.

    Raises
    ------
    CourseError
        nbgrader is not installed, or this is no course.
    """
    if not (course / "nbgrader_config.py").is_file():
        raise CourseError(f"{course} has no nbgrader_config.py. Make a course with: handgrad course new {course}")
    return nbgrader(course, "autograde", assignment, "--force").returncode


def nbgrader(course: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run an nbgrader command in a course folder, with the programs that it calls (alembic) on the path."""
    beside = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([beside, os.environ.get("PATH", "")])}
    program = Path(beside) / "nbgrader"
    if not program.is_file():
        raise CourseError("nbgrader is not installed here. Install the instructor's packages: pip install 'handgrad[instructor]'")
    return subprocess.run([str(program), *arguments], cwd=course, env=environment, check=False, **options)


def settings(course: Path) -> dict[str, str]:
    """Return ``root`` and ``course_id`` of the exchange as the course's own configuration sets them.

    Raises
    ------
    CourseError
        There is no configuration, or it names no exchange.
    """
    from traitlets.config.loader import PyFileConfigLoader

    if not (course / "nbgrader_config.py").is_file():
        raise CourseError(f"{course} has no nbgrader_config.py. Make a course with: handgrad course new {course}")
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    if not config.Exchange.root:
        raise CourseError(f"{course / 'nbgrader_config.py'} names no exchange. Set c.Exchange.root there, or put submissions into submitted/ yourself.")
    return {"root": str(config.Exchange.root), "course_id": str(config.CourseDirectory.course_id)}
