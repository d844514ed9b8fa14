"""Make a course folder that nbgrader works with as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from autograder import exercises, paths
from autograder.course.gradebook.source import source_notebook
from autograder.ours import CourseError
from autograder.release.percent import read

CONFIG = '''"""nbgrader's settings for this course. Made by `handgrad course new`; change what you like."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
c = get_config()  # noqa: F821  nbgrader defines it

c.CourseDirectory.course_id = {course_id!r}
c.CourseDirectory.root = str(HERE)
# Where the gradebook is: SQLite beside this file, or for example "postgresql://user@host/gradebook".
{db_line}
{exchange_line}
# What tools leave behind is no part of a submission.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", ".hypothesis", "*.npz"]
c.ClearSolutions.code_stub = {{"python": 'raise NotImplementedError("not written yet")  # YOUR CODE HERE'}}

# handgrad judges student code in its sandbox; nbgrader never executes it.
from autograder.course.gradebook.plugin import configure  # noqa: E402

configure(c, banks=str(HERE / "banks"))
'''


def make_course(
    folder: Path,
    assignments: Iterable[str] = (),
    *,
    course_id: str = "",
    db_url: str = "",
    exchange: str = "",
    question_points: float = 0,
) -> list[str]:
    """Write a course and return the names of its assignments.

    Parameters
    ----------
    folder : Path
        Made where it is missing; must be empty otherwise.
    assignments : iterable of str
        Which ones; all by default.
    course_id : str
        The folder's name by default.
    db_url : str
        Of the gradebook; by default SQLite in the folder.
    exchange : str
        nbgrader's exchange folder; none by default.
    question_points : float
        Points of a question at the end of each notebook that a human grades.

    Raises
    ------
    CourseError
        The folder is not empty, or a source is missing.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder} is not empty. Name a new folder for the course.")
    names = list(assignments) or exercises.names()
    notebooks = {name: _notebook(name, question_points) for name in names}
    for name, text in notebooks.items():
        target = folder / "source" / name
        target.mkdir(parents=True)
        (target / f"{name}.ipynb").write_text(text, encoding="utf-8")
    (folder / "banks").mkdir()
    (folder / "nbgrader_config.py").write_text(_config(folder.resolve().name, course_id, db_url, exchange), encoding="utf-8")
    return names


def _notebook(name, question_points) -> str:
    path = paths.solution(name)
    if path is None:
        raise CourseError(f"the source of {name} is not there. Run handgrad inside the course's folder, or set HANDGRAD_COURSE to its path.")
    parts = read(path.read_text(encoding="utf-8"), path.name)
    return json.dumps(source_notebook(parts, exercises.load(name), question_points=question_points), indent=1, ensure_ascii=False) + "\n"


def _config(name, course_id, db_url, exchange) -> str:
    return CONFIG.format(
        course_id=course_id or name,
        db_line=f"c.CourseDirectory.db_url = {db_url!r}" if db_url else "# c.CourseDirectory.db_url = ...",
        exchange_line=f"c.Exchange.root = {exchange!r}" if exchange else "# No exchange: put submissions into submitted/STUDENT/ASSIGNMENT/.",
    )
