"""The preprocessors that take the place of nbgrader's: rebuild the notebook from our release, fill in verdicts, add comments.

nbgrader is imported here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader import preprocessors, utils
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from autograder.course.gradebook import cells
from autograder.course.gradebook.outcome import Outcomes
from autograder.course.gradebook.page import entry_comment, entry_html
from autograder.course.gradebook.safe import safe_markdown

_outcomes: dict[tuple[str, str], Outcomes] = {}


def configure(c, banks: str = "", isolation: str = "filtered") -> None:
    """Set nbgrader up: our preprocessors in place of those that run or trust what students send.

    Parameters
    ----------
    c : traitlets Config
    banks : str
        Folder with private example banks.
    isolation : str
        The level that is required for grading on the spot.
    """
    p = preprocessors
    c.Autograde.sanitize_preprocessors = [RebuildFromRelease, p.ClearOutput, p.DeduplicateIds, p.OverwriteKernelspec, p.OverwriteCells, p.CheckCellMetadata]
    c.Autograde.autograde_preprocessors = [
        FillVerdicts, p.IgnorePattern, ClearMetadataPreprocessor, p.LimitOutput, p.SaveAutoGrades, AddCommentsAndBonus, p.AssignLatePenalties, p.CheckCellMetadata,
    ]  # fmt: skip
    c.OverwriteCells.add_missing_cells = True
    c.FillVerdicts.banks = banks
    c.FillVerdicts.isolation = isolation


class RebuildFromRelease(NbGraderPreprocessor):
    """Start from the notebook that was released; take over only the sources of the student's cells.

    Whatever else a submission carries (metadata, flags, tags, outputs, schema versions, locked cells) never arrives.
    Duplicates of a solution cell stay as ordinary cells, in which nbgrader sees nothing.
    """

    def preprocess(self, nb, resources):
        """Return the rebuilt notebook."""
        coursedir, names = self.parent.parent.coursedir, resources["nbgrader"]
        folder = coursedir.format_path(coursedir.release_directory, ".", names["assignment"])
        released = nbformat.read(Path(folder) / f"{names['notebook']}.ipynb", 4)
        answers, extras = _taken(nb, released)
        rebuilt = []
        for cell in released.cells:
            identity = _identity(cell)
            if identity in answers and utils.is_solution(cell):
                cell.source = answers[identity] if cell.cell_type == "code" else safe_markdown(answers[identity])
            rebuilt.append(cell)
        released.cells = rebuilt + extras
        return released, resources


def _identity(cell) -> str | None:
    found = cell.get("metadata", {}).get("nbgrader")
    identity = found.get("grade_id") if isinstance(found, dict) else None
    return identity if isinstance(identity, str) else None


def _taken(nb, released) -> tuple[dict[str, str], list]:
    """Return the answers by grade_id, the first of each, and the student's own cells without any metadata."""
    known = {_identity(cell) for cell in released.cells} - {None}
    ours = {cell.source for cell in released.cells}
    answers: dict[str, str] = {}
    extras = []
    for cell in nb.cells:
        source = cell.source if isinstance(cell.source, str) else ""
        identity = _identity(cell)
        if identity in known and identity not in answers:
            answers[identity] = source
        elif source.strip() and source not in ours:
            extras.append(new_code_cell(source) if cell.cell_type == "code" else new_markdown_cell(safe_markdown(source)))
    return answers, extras


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
                cell.outputs = _verdict(_identity(cell).removeprefix("points-"), entries, float(cell.metadata.nbgrader["points"]))
        resources["handgrad"] = entries
        return nb, resources

    def result(self, assignment: str, student: str) -> dict:
        """Return the result of a student as plain data."""
        course = Path(self.parent.parent.coursedir.root)
        key = (str(course), assignment)
        if key not in _outcomes:
            _outcomes[key] = Outcomes(course, assignment, Path(self.banks or course / "banks"), self.isolation)
        return _outcomes[key].get(student)


def _verdict(name, entries, points) -> list:
    """Return the one output that nbgrader reads the score from and shows the report of."""
    bonus = [entry for entry in entries.values() if entry["name"].startswith(f"{cells.BONUS}: ")]
    shown = bonus if name == cells.BONUS else [entries[name]]
    # A value above the maximum would make nbgrader stop; no output at all would give full points.
    score = 0.0 if name == cells.BONUS else max(0.0, min(float(entries[name]["score"]), points))
    data = {"text/plain": repr(score), "text/html": "".join(map(entry_html, shown))}
    return [new_output("execute_result", data, execution_count=None)]


class AddCommentsAndBonus(NbGraderPreprocessor):
    """After nbgrader has saved the scores: what is wrong under the student's own cell, and bonus points as extra credit."""

    def preprocess(self, nb, resources):
        """Write comments and extra credit into the gradebook."""
        names, entries = resources["nbgrader"], resources["handgrad"]
        where = (names["notebook"], names["assignment"], names["student"])
        with Gradebook(names["db_url"]) as gradebook:
            known = {cell.name for cell in gradebook.find_notebook(*where[:2]).solution_cells}
            for name, entry in entries.items():
                if cells.solution_id(name) in known:
                    gradebook.find_comment(cells.solution_id(name), *where).auto_comment = entry_comment(entry)
            bonus = [entry["score"] for entry in entries.values() if entry["name"].startswith(f"{cells.BONUS}: ")]
            if bonus:
                gradebook.find_grade(cells.points_id(cells.BONUS), *where).extra_credit = float(sum(bonus))
            gradebook.db.commit()
        return nb, resources
