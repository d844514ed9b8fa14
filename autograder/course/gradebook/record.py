"""Let nbgrader record what has been graded: its own autograde, once for every student, whatever a broken run left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from autograder.course.gradebook.outcome import FOLDER
from autograder.ours import CourseError

#: Where the output of nbgrader goes, in the folder of the results.
LOG = "record.log"

@dataclass(frozen=True)
class Recorded:
    """What came of recording: the students whose grade is in the gradebook, what went wrong, and where nbgrader's log is."""

    students: tuple[str, ...]
    trouble: tuple[str, ...]
    log: Path


def record(course: Path, assignment: str) -> Recorded:
    """Let nbgrader autograde an assignment again, which records what the journal holds and judges what it does not.

    It is forced, since nbgrader takes a folder that a killed run left half done for a finished one. What failed is tried once
    more: of two graders who meet a student that is new to the gradebook, nbgrader lets one fail.

    Raises
    ------
    CourseError
        nbgrader is not installed, or this is no course.
    """
    _config(course)
    log = course / FOLDER / assignment / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    for flags in (["--force"], []):
        with open(log, "w", encoding="utf-8") as file:
            done = nbgrader(course, "autograde", assignment, *flags, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode == 0:
            break
    said = log.read_text(encoding="utf-8", errors="replace")
    recorded = sorted(path.parent.parent.name for path in (course / "autograded").glob(f"*/{assignment}/{assignment}.ipynb"))
    return Recorded(tuple(recorded), tuple(_trouble(said)) if done.returncode else (), log)


def _trouble(said: str) -> list[str]:
    """Return the lines of nbgrader's log that say what went wrong: the last one of every traceback."""
    lines = [line.strip() for line in said.splitlines()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b.*: ", line)]
    return list(dict.fromkeys(errors)) or [line for line in lines if "| ERROR]" in line][-3:] or ["nbgrader failed"]


def _config(course: Path) -> Path:
    path = course / "nbgrader_config.py"
    if not path.is_file():
        raise CourseError(f"{course} has no nbgrader_config.py. Make a course with: handgrad course new {course}")
    return path


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

    config = PyFileConfigLoader(_config(course).name, path=str(course)).load_config()
    if "root" not in config.Exchange:
        raise CourseError(f"{course / 'nbgrader_config.py'} names no exchange. Set c.Exchange.root there, or put submissions into submitted/ yourself.")
    return {"root": str(config.Exchange.root), "course_id": str(config.CourseDirectory.course_id)}
