"""The commands for courses run by nbgrader: course new, collect, grade, record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.common import INTERNAL, OK, UNGRADABLE, AssignmentOption, IsolationOption, JobsOption, assignment_of
from autograder.cli.grading import cores, graded

course_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Courses for nbgrader: make one, collect into it, record grades in it.")

CourseArgument = Annotated[Path, typer.Argument(help="The course's folder.", show_default=False)]


@course_app.command("new")
def course_new(
    folder: CourseArgument,
    assignments: Annotated[str, typer.Option("--assignments", help="Which ones, with commas in between; by default all.", show_default=False)] = "",
    course_id: Annotated[str, typer.Option("--course-id", help="By default the folder's name.", show_default=False)] = "",
    db_url: Annotated[str, typer.Option("--db-url", help="The gradebook, e.g. postgresql://...; by default SQLite in the folder.", show_default=False)] = "",
    exchange: Annotated[str, typer.Option("--exchange", help="nbgrader's exchange folder; by default none.", show_default=False)] = "",
    question_points: Annotated[float, typer.Option("--question-points", min=0, help="Points of a question that a human grades.")] = 0,
) -> int:
    """Make a course for nbgrader: source notebooks and settings with which it never runs student code."""
    from autograder.course.gradebook.new import make_course

    names = [assignment_of(name.strip()).name for name in assignments.split(",") if name.strip()]
    made = make_course(folder, names, course_id=course_id, db_url=db_url, exchange=exchange, question_points=question_points)
    print(f"{folder}: {', '.join(made)}. Next: cd {folder} && nbgrader generate_assignment {made[0]}")
    return OK


@course_app.command("collect")
def course_collect(folder: CourseArgument, assignment: AssignmentOption) -> int:
    """Collect submissions out of nbgrader's exchange, safely: owners checked, no link followed, sizes limited."""
    from autograder.course.gradebook.collect import collect
    from autograder.course.gradebook.record import settings

    exchange = settings(folder)
    inbound = Path(exchange["root"]) / exchange["course_id"] / "inbound"
    found = list(collect(inbound, folder / "submitted", assignment_of(assignment).name))
    for one in found:
        print(f"{one.student}: {' '.join([one.problem or 'collected.', *one.notes])}")
    print(f"{sum(not one.problem for one in found)} of {len(found)} collected.")
    return UNGRADABLE if any(one.problem for one in found) else OK


@course_app.command("grade")
def course_grade(
    folder: CourseArgument,
    assignment: AssignmentOption,
    jobs: JobsOption = None,
    require_isolation: IsolationOption = "filtered",
    force: Annotated[bool, typer.Option("--force", help="Grade again what is done.")] = False,
) -> int:
    """Grade what was collected, in parallel, and record it in nbgrader's gradebook."""
    from autograder.course.gradebook.outcome import FOLDER, bank_path
    from autograder.course.run import Order

    name = assignment_of(assignment).name
    bank = bank_path(folder / "banks", name)
    order = Order(folder / "submitted", name, bank, folder / FOLDER / name, jobs or cores(), force, level=require_isolation)
    code = graded(order, public=bank.parent != folder / "banks")
    return course_record(folder, name) or code if code in (OK, UNGRADABLE) else code


@course_app.command("record")
def course_record(folder: CourseArgument, assignment: AssignmentOption) -> int:
    """Record grades in nbgrader's gradebook; what has been graded into FOLDER/graded/ASSIGNMENT is not run again."""
    from autograder.course.gradebook.record import record

    recorded = record(folder, assignment_of(assignment).name)
    for line in recorded.trouble:
        print(line, file=sys.stderr)
    print(f"{len(recorded.students)} recorded in the gradebook. nbgrader's own words: {recorded.log}")
    return INTERNAL if recorded.trouble else OK
