"""Print what the answer bank says of the judge: ``python -m tests.bank.table [X ...] [--seeds N]``.

One row per assignment, over N banks drawn from other seeds: functions, checks, right and wrong answers, the part of the wrong
answers that lose exactly what they name, right answers that lose anything, CPU seconds per answer (median, in the sandbox).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from statistics import median

from autograder import exercises
from autograder.judge.function import BASIC
from tests.bank import judging


@dataclass
class Row:
    """What is counted for one assignment."""

    name: str
    banks: int
    functions: int
    checks: int
    right: int
    wrong: int
    exact: int = 0
    rejected: int = 0
    seconds: float = 0.0


def counted(name: str, seeds: range) -> Row:
    """Judge all answers of an assignment on banks drawn from seeds; say what departs as it comes."""
    assignment = exercises.load(name)
    # A slip that changes no result is listed among the wrong answers, and must lose nothing.
    everything = [*judging.right(name), *judging.wrong(name)]
    wrong = [answer for answer in everything if answer.loses]
    checks = sum(len(BASIC) - (e.forward is None) + len(e.laws) for e in assignment.everything if e not in assignment.prerequisites)
    costs = sum(bool(cost.vectorised) + bool(cost.speed) + bool(cost.memory) for cost in (assignment.performance.costs if assignment.performance else ()))
    functions = sum(e not in assignment.prerequisites for e in assignment.everything)
    row = Row(name, len(seeds), functions, checks + costs + 2 * bool(assignment.milestone), len(everything) - len(wrong), len(wrong))
    seconds = []
    for seed in seeds:
        with judging.judging(name, 1000 + seed) as judge:
            for answer in everything:
                if departures := judge.departures(answer):
                    print(f"{name}, seed {1000 + seed}, {answer.name}: {departures}", flush=True)
                row.rejected += bool(departures) and not answer.loses
                row.exact += not departures and bool(answer.loses)
        seconds += judge.seconds
    row.seconds = median(seconds)
    return row


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=exercises.names())
    parser.add_argument("--seeds", type=int, default=10)
    chosen = parser.parse_args()
    print("| assignment | banks | functions | checks | right | wrong | exactly as named | false rejects | CPU s per answer |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in chosen.names:
        row = counted(name, range(chosen.seeds))
        rate = row.exact / (row.wrong * row.banks)
        print(
            f"| {name} | {row.banks} | {row.functions} | {row.checks} | {row.right} | {row.wrong} | {rate:.2%} | {row.rejected} of {row.right * row.banks} | {row.seconds:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
