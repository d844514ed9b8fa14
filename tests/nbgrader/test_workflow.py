"""From an empty folder to feedback in every student's hands, with nbgrader's own command; the points are those of ``handgrad grade``.

Where the tests run as root, the students are real users of the machine, who own what they hand in.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import answers, exercises, paths

ROOT = Path(__file__).resolve().parents[2]
STUDENT_CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "seq"\nc.Exchange.root = {exchange!r}\nc.Exchange.cache = {cache!r}\n'


def handgrad(*argv, code=0, env=None):
    command = [sys.executable, "-m", "autograder", *map(str, argv)]
    environment = {**os.environ, "HANDGRAD_COURSE": str(ROOT), "PYTHONPATH": str(ROOT), **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


class Class:
    """A course, its exchange, and students with folders of their own."""

    def __init__(self, shared, nbgrader, tools, assignments, size):
        self.nbgrader, self.assignments, self.course, self.exchange = nbgrader, assignments, shared / "course", shared / "exchange"
        self.exchange.mkdir()
        self.exchange.chmod(0o777)
        people = tools["users"](size) if self._real(shared) else []
        self.uids = dict(people) if len(people) == size else {f"student{n}": None for n in range(size)}
        self.homes = {student: self._home(shared / "homes" / student, uid) for student, uid in self.uids.items()}

    def _real(self, shared):
        """Whether other users can be: only root can become one, and they must be able to read Python and its packages."""
        (shared / "nbgrader_config.py").write_text(STUDENT_CONFIG.format(exchange=str(self.exchange), cache=str(shared)))
        (self.exchange / "seq" / "outbound").mkdir(parents=True)
        env = {"HOME": str(shared), "JUPYTER_DATA_DIR": str(shared), "JUPYTER_CONFIG_DIR": str(shared)}
        return os.getuid() == 0 and self.nbgrader.ask(argv=["list"], cwd=str(shared), uid=1, env=env)["code"] == 0

    def _home(self, folder, uid):
        folder.mkdir(parents=True)
        (folder / "nbgrader_config.py").write_text(STUDENT_CONFIG.format(exchange=str(self.exchange), cache=str(folder / ".cache")))
        if uid is not None:
            os.chown(folder, uid, uid)
        return folder

    def student(self, student, *argv):
        uid, home = self.uids[student], str(self.homes[student])
        more = ["--student", student] if uid is None and argv[0] == "submit" else []
        env = {"USER": student, "LOGNAME": student, "HOME": home, "JUPYTER_DATA_DIR": f"{home}/.data", "JUPYTER_CONFIG_DIR": f"{home}/.config"}
        return self.nbgrader(home, *argv, *more, uid=uid, env=env)

    def instructor(self, *argv):
        return self.nbgrader(self.course, *argv)

    def release(self):
        names = ",".join(self.assignments)
        handgrad("course", "new", self.course, "--assignments", names, "--course-id", "seq", "--exchange", self.exchange, "--question-points", 5)
        if None in self.uids.values():
            with open(self.course / "nbgrader_config.py", "a") as file:
                file.write("c.ExchangeCollect.check_owner = False\n")
        for assignment in self.assignments:
            self.instructor("generate_assignment", assignment)
            self.instructor("release_assignment", assignment)

    def hand_in(self, work):
        """Let every student fetch, write and submit; ``work`` gives the notebook that somebody makes of the released one."""
        for student, home in self.homes.items():
            assert self.assignments[0] in self.student(student, "list")
            self.student(student, "fetch_assignment", *self.assignments)
            for assignment in self.assignments:
                path = home / assignment / f"{assignment}.ipynb"
                path.write_text(json.dumps(work(student, assignment, json.loads(path.read_text()))))
                self.student(student, "submit", assignment)

    def grade(self, assignment):
        """Collect, grade and record one assignment; return what is in the gradebook and what ``handgrad grade`` says."""
        self.instructor("collect", assignment)
        handgrad("course", "grade", self.course, "--assignment", assignment, "--jobs", 2)
        results = [json.loads(path.read_text()) for path in (self.course / "graded" / assignment / "results").glob("*.json")]
        return {result["student"]: result for result in results}

    def give_back(self, assignment):
        self.instructor("generate_feedback", assignment)
        self.instructor("release_feedback", assignment)
        for student in self.homes:
            self.student(student, "fetch_feedback", assignment)


def pasted(book, source):
    """The work of somebody who writes in an editor and pastes all of it into one cell."""
    book["cells"].append({"cell_type": "code", "id": "pasted", "metadata": {}, "source": source, "outputs": [], "execution_count": None})
    return book


def answers_of(assignment, size):
    """Return what the class hands in: None for ours cell by cell, "" for nothing, else a module, right and wrong in turn."""
    folder, solution = ROOT / "tests" / "bank" / assignment, paths.solution(assignment)
    right, wrong = answers.right(folder, solution)[1:], answers.wrong(folder, solution)
    mixed = [answer.source for pair in zip(wrong[:: max(1, len(wrong) // size)], right * size, strict=False) for answer in pair]
    return [None, "", *mixed][:size]


def run_a_class(shared, nbgrader, tools, assignments, size):
    whole = Class(shared, nbgrader, tools, assignments, size)
    print("students:", whole.uids)
    whole.release()
    handed_in = {assignment: dict(zip(whole.homes, answers_of(assignment, size), strict=True)) for assignment in assignments}

    def work(student, assignment, book):
        source = handed_in[assignment][student]
        if source is None:
            return tools["fill"](book, tools["solved"](assignment))
        return pasted(book, source) if source else book

    whole.hand_in(work)
    judged = {assignment: whole.grade(assignment) for assignment in assignments}
    for assignment in assignments:
        whole.give_back(assignment)
    whole.instructor("export", "--to", "grades.csv")
    return whole, judged


def check(whole, judged, exported):
    students = list(whole.homes)
    for assignment, results in judged.items():
        assert set(results) == set(students)
        declared = exercises.load(assignment)
        for student, result in results.items():
            row = exported[student, assignment]
            assert repr(float(row["score"])) == repr(float(result["score"])), (student, assignment)
            assert float(row["max_score"]) == declared.max_score + 5
            page = next((whole.homes[student] / assignment / "feedback").rglob(f"{assignment}.html")).read_text()
            assert all(entry["name"].removeprefix("bonus: ") in page for entry in result["functions"])
        assert results[students[0]]["score"] >= declared.max_score
        assert results[students[1]]["score"] == 0
    assert not [path for path in (whole.course / "autograded").rglob("*.ipynb") if '"ename"' in path.read_text()]


def rows(course):
    import csv

    with open(course / "grades.csv", newline="") as file:
        return {(row["student_id"], row["assignment"]): row for row in csv.DictReader(file)}


def test_two_assignments_and_three_students(shared, nbgrader, tools):
    whole, judged = run_a_class(shared, nbgrader, tools, ["rnn", "word2vec"], 3)
    check(whole, judged, rows(whole.course))


@pytest.mark.soak
def test_all_assignments_and_twelve_students(shared, nbgrader, tools):
    whole, judged = run_a_class(shared, nbgrader, tools, ["word2vec", "rnn", "lstm", "seq2seq", "attention"], 12)
    check(whole, judged, rows(whole.course))
    assert len({result["score"] for results in judged.values() for result in results.values()}) > 5
