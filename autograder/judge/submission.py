"""Grade one submission: all functions, errors carried forward, performance, milestone, bonus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from autograder.cases.store import Bank
from autograder.exercises import load as load_assignment
from autograder.judge import carry
from autograder.judge.function import Judgement, judge_group
from autograder.judge.laws import try_laws
from autograder.judge.loading import load
from autograder.judge.milestone import CHECKS, run_milestone
from autograder.judge.own_forward import judge_on_own_forward
from autograder.judge.performance import Bench, measure
from autograder.judge.session import BUDGET_CPU, Clock, Disturbed, Exhausted, Session, Stopped
from autograder.judge.verdicts import FAILED, NOT_WRITTEN, PASSED, bonus_result, entry_result, function_result
from autograder.report.model import FunctionResult
from autograder.sandbox.steps import Fault
from autograder.spec import Assignment, Bonus, Exercise, groups

#: How often a submission is judged whose process somebody else ends (a system short of memory, an administrator) before we give up.
ATTEMPTS = 3

OUT_OF_TIME = f"had used up its {BUDGET_CPU:g} s of computing"


@dataclass
class Graded:
    """The outcome of one submission."""

    functions: list[FunctionResult]
    messages: list[str] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)
    loaded: bool = True


@dataclass
class Grader:
    """Grades submissions of one assignment; made once per grading process.

    Parameters
    ----------
    bank : Bank
        The examples.
    spawn : callable
        ``spawn(files) -> runner``: a fresh worker with a submission loaded.
    ours : Session or None
        Our own solution in a worker of its own: the measure for speed and memory.
    serve : callable or None
        ``serve(name, args)``: our solution's functions, for errors carried forward.
    forget : callable or None
        Called after every submission: what ``serve`` has kept for it can go.
    shrink : bool
        Look for the smallest failing input with the live reference (needs torch and Hypothesis).
    """

    bank: Bank
    spawn: Callable
    ours: Session | None = None
    serve: Callable | None = None
    forget: Callable | None = None
    shrink: bool = True

    def __post_init__(self):
        self.assignment: Assignment = load_assignment(self.bank.assignment)
        self.bench = Bench(self.assignment, self.bank.milestone.get("seed", 0))
        self._oracle = None

    def grade(self, files: Mapping[str, str]) -> Graded:
        """Return verdicts for everything that the assignment grades.

        Raises
        ------
        KitError
            The kit failed, or the process was ended by somebody else again and again; this says nothing about the submission.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return self._grade(files)
            except Disturbed:
                continue
        return self._grade(files)

    def _grade(self, files) -> Graded:
        try:
            return self._judged(files)
        finally:
            if self.forget:
                self.forget()

    def _judged(self, files) -> Graded:
        started, clock = time.process_time(), Clock()
        if self.ours:
            self.ours.refill()
        ours_before = self.ours.clock.student if self.ours else 0.0
        training = 0.0
        messages: list[str] = []
        loaded = load(self.spawn, self.assignment, files, messages)
        if loaded is None:
            functions = [entry_result(name, points, FAILED, [("runs", False, messages[-1])]) for name, points in self.assignment.points_table()]
        else:
            clock.loaded(loaded[1])
            grading = _Grading(self, *loaded, clock, messages)
            with np.errstate(all="ignore"):  # answers may hold any numbers
                functions = list(grading.results())
            training = grading.training
        baseline = self.ours.clock.student - ours_before if self.ours else 0.0
        judging = time.process_time() - started
        timing = {"student": clock.student, "loading": clock.loading, "baseline": baseline, "judging": judging, "milestone": training}
        return Graded(functions, messages, {name: round(value, 4) for name, value in timing.items()}, loaded is not None)

    def oracle(self):
        """Return the live reference, or None without torch."""
        if self._oracle is None and self.shrink:
            try:
                from autograder.cases.oracle import Oracle

                self._oracle = Oracle(self.assignment.name)
            except ImportError:
                self.shrink = False
        return self._oracle


class _Grading:
    """One submission on its way through the judge."""

    def __init__(self, grader: Grader, files: Mapping[str, str], worker, clock: Clock, messages: list[str]):
        self.grader, self.files, self.clock, self.messages = grader, files, clock, messages
        self.assignment = grader.assignment
        self.session = self._session(first=worker)
        self.judgements: dict[str, Judgement] = {}
        self.carried: set[str] = set()
        self.served: dict[str, frozenset[str]] = {}
        self.exhausted = False
        self.endless: set[str] = set()
        self.training = 0.0

    def _session(self, served: frozenset[str] = frozenset(), first=None) -> Session:
        spawn = lambda: self.grader.spawn(self.files)  # noqa: E731
        return Session(spawn, (Fault,), served, self.grader.serve, self.clock, self.clock.student, first)

    def results(self) -> Iterator[FunctionResult]:
        """Yield one result per entry of the points table."""
        try:
            for group in groups(self.assignment.everything):
                self._first(group)
            for group in groups(self.assignment.everything):
                self._again(group)
            carry.limit_own_forwards(self.assignment, self.judgements)
            for exercise in self.assignment.exercises:
                yield self._function(exercise)
            if self.assignment.performance:
                yield self._performance()
            if self.assignment.milestone:
                started = self._spent()
                result = self._milestone()
                self.training = self._spent() - started
                yield result
            for part in self.assignment.bonus:
                yield self._bonus(part)
        finally:
            self.session.close()

    def _spent(self) -> float:
        return self.clock.student + self.clock.loading + time.process_time()

    # ------------------------------------------------------------------------------------------- functions

    def _first(self, group):
        """Judge a group by itself; what may call something endless waits until that is served, or nothing would be left of the budget."""
        own = {e.function for e in group}
        endless = sorted((carry.closure(self.assignment, own) - own) & self.endless) if self.grader.serve else ()
        if endless:
            self.judgements |= {e.function: _not_judged(e, f"may call {endless[0]} here, which had to be stopped") for e in group}
        else:
            self.judgements |= self._judged(group, self.session)

    def _judged(self, group, session):
        examples = self.grader.bank.groups.get(group[0].function, [])
        if self.exhausted:
            return {e.function: _not_judged(e, OUT_OF_TIME) for e in group}
        before = session.stops
        try:
            judgements = judge_group(group, examples, session)
            try_laws(self.assignment, group, examples, session, judgements)
            if session.stops == before:
                judge_on_own_forward(group, examples, session, judgements)
            else:
                self.endless |= {name for name, judgement in judgements.items() if "runs" in judgement.failed}
            return judgements
        except Exhausted:
            self.exhausted = True
            self.messages.append(f"The submission used up its {BUDGET_CPU:g} s of computing; what came after {group[0].function} was not judged.")
            return {e.function: _not_judged(e, OUT_OF_TIME) for e in group}
        except Stopped as stopped:
            self.endless |= {e.function for e in group}
            return {e.function: _not_judged(e, stopped.detail) for e in group}

    def _again(self, group):
        """Judge a group again with what it uses served by the grader, where that was wrong."""
        failed = [e.function for e in group if not self.judgements[e.function].passed and self.judgements[e.function].written]
        served = carry.to_serve(self.assignment, group, self.judgements)
        if not failed or not served or not self.grader.serve or self.exhausted:
            return
        session = self._session(served)
        try:
            again = self._judged(group, session)
        finally:
            session.close()
        for function in failed:
            self.served[function] = served
            if again[function].written:
                self.judgements[function] = again[function]
            if again[function].passed:
                self.carried.add(function)

    def _function(self, exercise: Exercise) -> FunctionResult:
        judgement = self.judgements[exercise.function]
        self._cost(exercise, judgement)
        small = None
        if judgement.written and judgement.failed and not self.exhausted:
            small = self._smallest(exercise, judgement)
        known = self.grader.bank.misconceptions.get(exercise.function, {})
        return function_result(exercise, judgement, exercise.function in self.carried, small, known)

    def _smallest(self, exercise, judgement):
        """Return check -> (problem, example) on the smallest failing input, where one can be found."""
        check = next((c for c in judgement.checks() if c in judgement.failed), None)
        oracle = self.grader.oracle()
        if oracle is None or check is None or judgement.failed[check][1] is None:
            return None
        from autograder.judge import shrink

        if check not in shrink.SHRINKABLE or exercise.drive or "did not" in judgement.failed[check][0].sentence:
            return None
        group = next(g for g in groups(self.assignment.everything) if exercise in g)
        session = self._session(self.served.get(exercise.function, frozenset()))
        try:
            found = shrink.smallest(group, exercise, check, oracle, session)
        finally:
            session.close()
        return {check: found} if found else None

    # --------------------------------------------------------------------- performance, milestone, bonus

    @property
    def passed(self) -> set[str]:
        """Names of the functions that are right, carried or not."""
        return {name for name, judgement in self.judgements.items() if judgement.right}

    def _unwritten(self, functions) -> list[str]:
        return [name for name in functions if not self.judgements[name].written or "exists" in self.judgements[name].failed]

    def _performance(self) -> FunctionResult:
        performance = self.assignment.performance
        names = [cost.function for cost in performance.costs]
        if refusal := self._refusal(names, names):
            return self._entry("performance", performance.points, *refusal)
        checks = [row for cost in performance.costs for row in self._measured(cost)]
        if not any(ok is not None for _, ok, _ in checks):
            checks.append(("runs", False, "none of the functions that are measured is right by itself"))
        return self._entry("performance", performance.points, None, checks)

    def _measured(self, cost):
        """Return rows ``(check, passed, sentence)``; left out where a function that is measured is wrong or carried."""
        wrong = [e.function for e in self.grader.bench.group(cost) if e.function in self.carried or e.function not in self.passed]
        if wrong:
            return [(f"{cost.function}: {check}", None, f"left out: {wrong[0]} is not right by itself") for check in ("vectorised", "speed") if check != "vectorised" or cost.vectorised]
        return [(f"{cost.function}: {check}", sentence is None, sentence or "") for check, sentence in self._measure(cost).items()]

    def _measure(self, cost):
        """Return check -> None or sentence."""
        try:
            return measure(self.grader.bench, cost, self.session, self.grader.ours)
        except Exhausted:
            return {"speed": "the submission had used up its time"}

    def _cost(self, exercise, judgement):
        """Measure what a right function costs; each measurement is one more check of it."""
        if not exercise.cost or not judgement.passed or exercise.function in self.carried:
            return
        for check, sentence in self._measure(exercise.cost).items():
            judgement.reached.add(check)
            if sentence:
                judgement.fail(check, sentence)

    def _milestone(self) -> FunctionResult:
        milestone = self.assignment.milestone
        needed = carry.closure(self.assignment, milestone.uses) - {e.function for e in self.assignment.prerequisites}
        if refusal := self._refusal(milestone.uses, needed):
            return self._entry("milestone", milestone.points, *refusal)
        guilty = {name for name in carry.closure(self.assignment, milestone.uses) if not self.judgements[name].passed and name not in self._unwritten(needed)}
        guilty |= self.carried_roots(milestone.uses)
        served = carry.with_partners(self.assignment, guilty)
        session = self._session(served) if served else self.session
        session.renew()
        try:
            done = run_milestone(self.assignment, self.grader.bank.milestone, session)
        except Exhausted:
            done = [("reaches the goal", "the submission had used up its time")]
        finally:
            if served:
                session.close()
        rows = [(check, sentence is None, sentence or "") for check, sentence in done]
        rows += [(check, None, "not reached") for check in CHECKS[len(done) :]]
        return self._entry("milestone", milestone.points, None, rows, bool(served))

    def carried_roots(self, uses) -> set[str]:
        """Return what was served when carried functions among ``uses`` were judged."""
        return set().union(*(self.served.get(name, frozenset()) for name in carry.closure(self.assignment, uses) & self.carried))

    def _refusal(self, direct, needed):
        """Return (verdict, rows) when an entry cannot be earned: something it is built on is unwritten, or too much is wrong."""
        if missing := self._unwritten(direct):
            verdict = NOT_WRITTEN if len(missing) == len(list(direct)) else FAILED
            return verdict, [("runs", False, f"needs {missing[0]}, which is not written yet")]
        if not carry.enough(self.assignment, needed, self.passed):
            return FAILED, [("runs", False, "less than half of the functions that it needs are right")]
        return None

    def _bonus(self, part: Bonus) -> FunctionResult:
        name = f"bonus: {part.name}"
        functions = [e.function for e in part.exercises]
        if len(self._unwritten(functions)) == len(functions):
            return self._entry(name, part.points, NOT_WRITTEN, [("exists", False, f"{functions[0]} is not written yet")])
        parts = [self._function(exercise) for exercise in part.exercises]
        rows = [(f"{p.name}: exists", False, f"{p.name} is not written yet") for p in parts if p.verdict == NOT_WRITTEN]
        if all(p.verdict == PASSED for p in parts):
            rows += [row for cost in part.costs for row in self._measured(cost)]
        return bonus_result(name, part.points, parts, rows)

    def _entry(self, name, points, verdict, rows, carried=False) -> FunctionResult:
        if verdict is None:
            verdict = FAILED if any(passed is False for _, passed, _ in rows) else PASSED
        return entry_result(name, points, verdict, rows, carried and verdict == PASSED)


def _not_judged(exercise: Exercise, why: str) -> Judgement:
    judgement = Judgement(exercise)
    judgement.fail("runs", f"{exercise.function} was not judged: the submission {why}")
    judgement.reached.add("runs")
    return judgement
