"""Results for other systems: each a view of the one result model, in the form that its reader documents.

==============  ===================================================================================================
``csv``         one table: a column per entry, the total; safe against formulas
``canvas``      the instructor's own export of Canvas' gradebook, with one column filled in
``moodle``      the instructor's own grading worksheet of Moodle, with grade and feedback filled in
``junit``       one XML for the class, a suite per student
``gradescope``  one ``results.json`` per student
``prairielearn``  one ``results.json`` per student
``github``      GitHub Classroom: per student the reporter's JSON, and the line for ``$GITHUB_OUTPUT``
==============  ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autograder.report import csvfile
from autograder.report.exports import classroom, gradebooks, gradescope, junit, prairielearn
from autograder.report.exports.words import NoScore
from autograder.report.jsonfile import atomic
from autograder.report.text import file_name

#: Format -> from a result to the text of a file, and the end of its name. One file per student.
PER_STUDENT: Mapping[str, Mapping[str, Callable[[Mapping], str]]] = {
    "gradescope": {".json": gradescope.text},
    "prairielearn": {".json": prairielearn.text},
    "github": {".json": classroom.text, ".output": classroom.output_line},
}

#: Formats that fill in a table of the instructor's.
ROSTERS = {"canvas": gradebooks.CANVAS, "moodle": gradebooks.MOODLE}

FORMATS = ("csv", *ROSTERS, "junit", *PER_STUDENT)


def export(results: Sequence[Mapping], kind: str, out: Path, roster: Path | None = None, column: str = "") -> list[str]:
    """Write results in another system's form, and return what the instructor should know.

    Parameters
    ----------
    results : sequence of mapping
        Of one assignment, as plain data.
    kind : str
        One of FORMATS.
    out : Path
        A file; for the formats with one file per student a folder, or a file if there is one result.
    roster : Path
        What the instructor downloaded, for ``canvas`` and ``moodle``.
    column : str
        Which column of it to fill; by default the one that is named like the assignment.

    Raises
    ------
    RosterError
        The roster cannot be filled in; the message says why.
    """
    if kind in ROSTERS:
        return gradebooks.fill(ROSTERS[kind], roster, out, results, column)
    if kind == "csv":
        csvfile.write(out, [entry["name"] for entry in results[0]["functions"]], results)
    elif kind == "junit":
        _write(out, junit.text(results))
    else:
        return _per_student(results, PER_STUDENT[kind], out)
    return []


def _per_student(results, texts, out) -> list[str]:
    if out.suffix == ".json" and len(results) == 1:
        stems = [out.with_suffix("")]
    else:
        out.mkdir(parents=True, exist_ok=True)
        stems = [out / file_name(result["student"]) for result in results]
    notes = []
    for result, stem in zip(results, stems, strict=True):
        try:
            for suffix, text in texts.items():
                _write(stem.with_name(stem.name + suffix), text(result))
        except NoScore as error:
            notes.append(str(error))
    return notes


def _write(path, text):
    with atomic(path) as file:
        file.write(text)
