"""Run a milestone: training with the student's functions, every random number the grader's."""

from __future__ import annotations

import numpy as np

from autograder.judge.laws import UNUSABLE, Call, Raised
from autograder.judge.session import Session
from autograder.spec import Assignment

CHECKS = ("follows the reference", "reaches the goal")


def run_milestone(assignment: Assignment, stored: dict, session: Session) -> list[tuple[str, str | None]]:
    """Return ``(check, None | sentence)`` for every check of the milestone, up to the first that fails."""
    call = Call(assignment, session)
    done = []
    try:
        with np.errstate(all="ignore"):
            for check, sentence in assignment.milestone.run(call.plain, stored["curve"], stored["seed"]):
                done.append((check, sentence))
                if sentence:
                    break
    except Raised as raised:
        done.append((CHECKS[min(len(done), len(CHECKS) - 1)], str(raised)))
    except UNUSABLE as error:
        # The run handles what the student returned; values of a wrong kind are the student's mistake.
        done.append((CHECKS[min(len(done), len(CHECKS) - 1)], f"what was returned cannot be used: {type(error).__name__}: {error}"))
    return done
