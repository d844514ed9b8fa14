"""The preprocessors that take the place of nbgrader's: rebuild the notebook from our release, fill in verdicts, add comments.

nbgrader is imported here and in ``exchange.py``, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties, NbGraderPreprocessor, OverwriteCells, SaveAutoGrades
from traitlets import Unicode

from autograder.course.gradebook import cells, rebuild
from autograder.course.gradebook.outcome import Outcomes, bank_path
from autograder.course.gradebook.page import entry_comment, entry_html
from autograder.ours import CourseError

_outcomes: dict[tuple, Outcomes] = {}


def configure(c, banks: str = "", isolation: str = "filtered") -> None:
    """Set nbgrader up: our parts in place of those that run or trust what students send.

    Parameters
    ----------
    c : traitlets Config
    banks : str
        Folder with private example banks.
    isolation : str
        The level that is required for grading on the spot.
    """
    # nbgrader's other preprocessors clean up what students send; here nothing of it is left after the first one.
    c.Autograde.sanitize_preprocessors = [RebuildFromRelease, OverwriteCells]
    c.Autograde.autograde_preprocessors = [FillVerdicts, SaveAutoGrades, AddCommentsAndBonus, AssignLatePenalties]
    c.Autograde.exporter_class = SubmissionExporter
    c.OverwriteCells.add_missing_cells = True
    c.FillVerdicts.banks = banks
    c.FillVerdicts.isolation = isolation
    c.ExchangeFactory.collect = "autograder.course.gradebook.exchange.SafeCollect"


class SubmissionExporter(NotebookExporter):
    """Reads submissions like somebody who trusts nobody; a file that is no notebook becomes an empty one.

    nbgrader would stop there, and the student would have no grade. This way the grade is 0 and the report says why.
    """

    def from_filename(self, filename, resources=None, **kw):
        """Return what the preprocessors make of a notebook."""
        if not self.parent._sanitizing:
            return super().from_filename(filename, resources, **kw)
        return self.from_notebook_node(rebuild.read(Path(filename)), resources, **kw)

    def _validate_preprocessor(self, nbc, preprocessor):
        """Leave out what nbconvert does after every preprocessor: the notebook is ours, and it is validated when it is written."""


class RebuildFromRelease(NbGraderPreprocessor):
    """Start from the notebook that was released; take over only the sources of the student's cells.

    Whatever else a submission carries (metadata, flags, tags, outputs, schema versions, locked cells) never arrives.
    """

    def preprocess(self, nb, resources):
        """Return the rebuilt notebook."""
        coursedir, names = self.parent.parent.coursedir, resources["nbgrader"]
        path = Path(coursedir.format_path(coursedir.release_directory, ".", names["assignment"])) / f"{names['notebook']}.ipynb"
        if not path.is_file():
            raise CourseError(f"{path} is not there. Make it again: nbgrader generate_assignment {names['assignment']} --force")
        return rebuild.rebuilt(nb, nbformat.read(path, 4)), resources


class FillVerdicts(NbGraderPreprocessor):
    """In place of nbgrader's Execute: every cell that carries points gets the engine's verdict as its output."""

    banks = Unicode("", help="Folder with private example banks, X.bank.npz.").tag(config=True)
    isolation = Unicode("filtered", help="The isolation that grading on the spot requires.").tag(config=True)

    def preprocess(self, nb, resources):
        """Return the notebook with verdicts in it; raise where there is none, so that nobody gets points by accident."""
        names = resources["nbgrader"]
        result = self.result(names["assignment"], names["student"])
        if result["score"] is None:
            raise RuntimeError(f"{names['student']}: {' '.join(result['messages'])}")
        entries = {entry["name"]: entry for entry in result["functions"]}
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if cell.cell_type == "code" and utils.is_grade(cell) and not utils.is_solution(cell):
                cell.outputs = verdict(rebuild.identity(cell).removeprefix(cells.points_id("")), entries, float(cell.metadata.nbgrader["points"]))
        resources["handgrad"] = entries
        return nb, resources

    def result(self, assignment: str, student: str) -> dict:
        """Return the result of a student as plain data."""
        course = Path(self.parent.parent.coursedir.root)
        banks = Path(self.banks or course / "banks")
        # Formgrader's server lives for days, and a bank may be drawn again meanwhile.
        key = (str(course), assignment, bank_path(banks, assignment).stat().st_mtime_ns)
        if key not in _outcomes:
            _outcomes[key] = Outcomes(course, assignment, banks, self.isolation)
        return _outcomes[key].get(student)


def verdict(name: str, entries: dict, points: float) -> list:
    """Return the one output that nbgrader reads the score from and shows the report of."""
    if name == cells.BONUS:
        shown, score = _bonus(entries), 0.0
    elif name in entries:
        # A value above the maximum would make nbgrader stop; no output at all would give full points.
        shown, score = [entries[name]], max(0.0, min(float(entries[name]["score"]), points))
    else:
        raise CourseError(f"there is no verdict on {name!r}: the course's notebook is of another version. Make the course again.")
    data = {"text/plain": repr(score), "text/html": "".join(map(entry_html, shown))}
    return [new_output("execute_result", data, execution_count=None)]


def _bonus(entries) -> list:
    return [entry for entry in entries.values() if entry["name"].startswith(f"{cells.BONUS}: ")]


class AddCommentsAndBonus(NbGraderPreprocessor):
    """After nbgrader has saved the scores: what is wrong under the student's own cell, and bonus points as extra credit."""

    def preprocess(self, nb, resources):
        """Write comments and extra credit into the gradebook."""
        names, entries = resources["nbgrader"], resources["handgrad"]
        where = (names["notebook"], names["assignment"], names["student"])
        with Gradebook(names["db_url"]) as gradebook:
            known = {cell.name for cell in gradebook.find_notebook(*where[:2]).solution_cells}
            for name, entry in entries.items():
                if cells.solution_id(name) in known and (comment := entry_comment(entry)):
                    gradebook.find_comment(cells.solution_id(name), *where).auto_comment = comment
            if bonus := _bonus(entries):
                gradebook.find_grade(cells.points_id(cells.BONUS), *where).extra_credit = float(sum(entry["score"] for entry in bonus))
            gradebook.db.commit()
        return nb, resources
