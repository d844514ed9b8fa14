"""The gradebook in PostgreSQL, with two graders at once. The server is Debian's ``postgresql``, started here on a socket of its own."""

import contextlib
import glob
import os
import shutil
import subprocess
import sys

import pytest

from autograder import paths

PROGRAMS = [os.path.dirname(path) for path in (*sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), shutil.which("initdb")) if path]
USER = "postgres"  # the server refuses to run as root


def as_user(*argv):
    return [*(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []), *map(str, argv)]


@pytest.fixture
def server(shared):
    """The URL of a gradebook in a server that ends with the test."""
    if not PROGRAMS:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="there is no driver for PostgreSQL: pip install 'psycopg[binary]'")
    data, tools = shared / "data", PROGRAMS[0]
    data.mkdir()
    if os.getuid() == 0:
        shutil.chown(data, USER, USER)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": shared}
    subprocess.run(as_user(f"{tools}/initdb", "-D", data, "-A", "trust", "-U", "grader", "-E", "UTF8", "--no-sync"), **quiet)
    options = f"-c listen_addresses='' -c unix_socket_directories={data} -c fsync=off"
    subprocess.run(as_user(f"{tools}/pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start"), **quiet)
    try:
        subprocess.run(as_user(f"{tools}/createdb", "-h", data, "-U", "grader", "gradebook"), **quiet)
        yield f"postgresql+psycopg://grader@/gradebook?host={data}"
    finally:
        subprocess.run(as_user(f"{tools}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"), **quiet)


@pytest.fixture
def played(course, server):
    """A course whose gradebook is in PostgreSQL, with twelve judged submissions."""
    with open(course.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.CourseDirectory.db_url = {server!r}\n")
    with contextlib.suppress(FileNotFoundError):
        (course.root / "gradebook.db").unlink()
    for assignment in ("rnn", "lstm"):
        course.run("generate_assignment", assignment, "--force")
        for n in range(12):
            course.hand_in(f"s{n}", course.written(assignment), assignment)
            course.play(f"s{n}", assignment, bonus=n % 3 == 0, failed=("rnn_backward",) if n % 2 else ())
    course.url = server
    return course


def expected(assignment):
    return {f"s{n}": (82 if n % 2 else 100) if assignment == "rnn" else 110 if n % 3 == 0 else 100 for n in range(12)}


def scores(course, assignment):
    return {student: one["score"] for student, one in course.gradebook(assignment, course.url).items()}


def test_the_whole_way_with_two_graders_at_once(played):
    """Two assignments at the same time, then the same one by two graders for different students."""
    commands = [[sys.executable, "-m", "autograder", "course", "record", played.root, "-a", name] for name in ("rnn", "lstm")]
    graders = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands]
    said = [grader.communicate()[0] for grader in graders]
    assert [grader.returncode for grader in graders] == [0, 0], said
    for assignment in ("rnn", "lstm"):
        assert scores(played, assignment) == expected(assignment)
    even = [f"--CourseDirectory.student_id_exclude={','.join(f's{n}' for n in range(12) if n % 2 == odd)}" for odd in (0, 1)]
    together(played, *(["autograde", "rnn", "--force", exclude] for exclude in even))
    assert scores(played, "rnn") == expected("rnn")
    played.run("generate_feedback", "rnn")
    assert "rnn_backward" in played.feedback("s1")
    exported = {student: float(row["score"]) for (student, name), row in played.exported().items() if name == "lstm"}
    assert exported == expected("lstm")
    assert not (played.root / "gradebook.db").exists()


def environment():
    root = str(paths.course())
    return {**os.environ, "HANDGRAD_COURSE": root, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}


def together(course, *commands):
    logs = [course.root / f"log{n}" for n in range(len(commands))]
    pids = [course.nbgrader.ask(argv=command, cwd=str(course.root), log=str(log), background=True)["pid"] for command, log in zip(commands, logs, strict=True)]
    for pid, log in zip(pids, logs, strict=True):
        assert course.nbgrader.ask(wait=pid)["code"] == 0, log.read_text()[-4000:]
