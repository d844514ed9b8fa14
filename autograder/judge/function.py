"""Judge one group of functions, a forward and what takes its cache, on the examples of the bank."""

from __future__ import annotations

from dataclasses import dataclass, field

from autograder.cases.store import Example
from autograder.diagnose.recognise import Case
from autograder.judge.compare import Problem, imprecision
from autograder.judge.script import argument_name, first_step, results
from autograder.judge.seen import COMPUTED, Seen, allowance, look, reply_size, wrong
from autograder.judge.session import Session, Stopped
from autograder.sandbox.steps import Ref, Step
from autograder.spec import Exercise

#: In the order in which a student should mend them.
BASIC = ("exists", "runs", "shape", "dtype", "finite", "values", "inputs unchanged", "own memory", "independent calls")

#: Checks of what a right function costs, where that is measured.
COSTS = ("vectorised", "speed", "memory")


@dataclass
class Judgement:
    """What is known about one function.

    ``failed`` maps a check to its first problem and the example that shows it; ``passing`` and ``failing`` list the
    examples on which the function computes the right thing or not; ``seen`` holds what it gave, for the diagnosis.
    ``own_forward`` says that it is right only for the student's own forward, which is wrong.
    """

    exercise: Exercise
    failed: dict[str, tuple[Problem, Example | None]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    passing: list[Example] = field(default_factory=list)
    failing: list[Example] = field(default_factory=list)
    written: bool = True
    own_forward: bool = False
    undecided: str = ""
    remark: str = ""
    seen: list[Seen] = field(default_factory=list)

    def cases(self) -> list[Case]:
        """Return what the function gave where it ran, for the diagnosis."""
        return [seen.case(self.exercise) for seen in self.seen if not seen.results[self.exercise.function].error]

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return self.written and not self.failed

    @property
    def right(self) -> bool:
        """Whether everything holds by the contract, not only for a forward that is wrong."""
        return self.passed and not self.own_forward and not self.undecided

    def fail(self, check: str, sentence: str, example: Example | None = None, problem: Problem | None = None) -> None:
        """Note the first problem of a check."""
        self.failed.setdefault(check, (problem or Problem(check, "", sentence), example))

    def checks(self) -> list[str]:
        """Return the names of all checks of this function, in order."""
        paired = self.exercise.forward is not None
        basic = [name for name in BASIC if paired or name != "independent calls" or name in self.failed]
        return basic + [law.name for law in self.exercise.laws] + [check for check in COSTS if check in self.reached]


def judge_group(group: tuple[Exercise, ...], examples: list[Example], session: Session) -> dict[str, Judgement]:
    """Return function -> judgement: existence, calls, values, purity, independence. Laws come later."""
    judgements = {exercise.function: Judgement(exercise) for exercise in group}
    present = _present(group, session, judgements)
    if not present:
        return judgements
    seen = look(present, examples, session)
    if forgets := _replay(present, seen, session):
        seen = forgets
        for function in _differs_afresh(present, examples, forgets):
            judgements[function].fail("independent calls", f"{function} gives something else when other calls came before: does it keep something between calls?", forgets[0].example)
    for exercise in present:
        _judge(exercise, present[0], seen, judgements[exercise.function])
        if exercise is not present[0]:
            _without_forward(exercise, present[0], seen, session, judgements[exercise.function])
    if len(present) > 1 and not present[0].drive:
        _independence(present, examples, session, judgements)
    return judgements


def _present(group, session, judgements):
    names = session.names()
    for exercise in group:
        judgements[exercise.function].reached.add("exists")
        if exercise.function not in names:
            judgements[exercise.function].fail("exists", f"{exercise.function} is not defined")
    if group[0].function not in names:
        for exercise in group[1:]:
            if exercise.function in names:
                judgements[exercise.function].reached.add("runs")
                judgements[exercise.function].fail("runs", f"{exercise.function} needs the cache of {group[0].function}, which is not defined")
        return ()
    return tuple(exercise for exercise in group if exercise.function in names)


def _judge(exercise, head, seen, judgement):
    """Collect the first problem of every check; a backward is judged where its forward is right."""
    usable = [s for s in seen if exercise is head or (s.computes(head) and not s.results[head.function].error)]
    if _unwritten(exercise, [s.results[exercise.function].error for s in seen]):
        judgement.written = False
        return
    for s in usable:
        given = s.results[exercise.function]
        if given.error and given.error.type in ("Skipped", "NotReached") and "runs" in judgement.failed:
            continue
        _judge_one(exercise, s, given, judgement)
    if not usable:
        judgement.undecided = "forward"


def _unwritten(exercise, errors):
    """Whether the function itself raises NotImplementedError wherever it can be called."""
    called = [e for e in errors if not (e and e.type == "Skipped")]
    return bool(called) and all(e and e.type == "NotImplementedError" and e.where in (exercise.function, "") for e in called)


def _without_forward(exercise, head, seen, session, judgement):
    """Say what can be said of a function whose forward never gives it a cache, or never the right one."""
    if not judgement.written or judgement.undecided != "forward":
        return
    if all(s.results[head.function].error for s in seen):
        judgement.undecided = ""
        probe = Step(exercise.function, (*(seen[0].example.inputs[name] for name in exercise.takes), None))
        try:
            error = session.run([[probe]], reply_size([seen[0].example]))[0][0].error
        except Stopped:
            error = None
        judgement.written = not (error and error.type == "NotImplementedError" and error.where in (exercise.function, ""))
        judgement.reached.add("runs")
        judgement.fail("runs", f"{exercise.function} cannot be judged until {head.function} runs")
    elif not exercise.wrt:
        judgement.remark = f"{exercise.function} cannot be judged until {head.function} is right"
        for s in seen:
            for problem in s.problems(exercise):
                if problem.check != "values":
                    judgement.fail(problem.check, problem.sentence, s.example, problem)


def _judge_one(exercise, seen, given, judgement):
    found = [problem for problem in seen.problems(exercise) if problem.check != "dtype" or not _cast_before(exercise, seen)]
    judgement.reached.add("runs")
    if not given.error:
        judgement.reached |= set(BASIC) - {"independent calls"}
    for problem in found:
        judgement.fail(problem.check, problem.sentence, seen.example, problem)
        if problem.check == "shape" and _all_larger(seen.example) and not _all_larger(judgement.failed["shape"][1]):
            judgement.failed["shape"] = (problem, seen.example)  # (1, 6) says more than (1, 1)
    computed = not any(problem.check in COMPUTED for problem in found)
    (judgement.passing if computed else judgement.failing).append(seen.example)
    judgement.seen.append(seen)
    if given.changed:
        names = ", ".join(sorted({argument_name(exercise, path) for path in given.changed}))
        judgement.fail("inputs unchanged", f"{exercise.function} changes {names}, which belongs to the caller", seen.example)
    if given.shared:
        judgement.fail("own memory", f"{exercise.function}: {_shared_sentence(exercise, given.shared[0])}", seen.example)
    if computed and given.values and not judgement.remark:
        expected = seen.example.expected[exercise.function]
        judgement.remark = imprecision(exercise.gives, given.values, expected, allowance(exercise, seen.example)) or ""


def _cast_before(exercise, seen):
    """Whether forward has the wrong dtype already: its cache brings it on, and one error is not charged twice."""
    return exercise.forward is not None and any(problem.check == "dtype" for problem in seen.problems(exercise.forward))


def _all_larger(example):
    return min(example.plan["sizes"].values(), default=2) >= 2


def _shared_sentence(exercise, shared):
    left, _, right = shared.partition("~")
    names = list(exercise.gives)

    def named(part):
        if part.startswith("out"):
            index, _, rest = part.removeprefix("out").removeprefix("[").partition("]")
            return "the result " + (names[int(index)] if index.isdigit() and int(index) < len(names) else names[0]) + rest
        return "the argument " + argument_name(exercise, part)

    return f"{named(left)} shares memory with {named(right)}; return a new array"


# ---------------------------------------------------------------------------------------- state between calls


def _replay(group, seen, session) -> list[Seen] | None:
    """Run the first failing example in a fresh process; where it passes there, run all of them afresh."""
    first = next((i for i, s in enumerate(seen) if any(_state_may_explain(e, s) for e in group)), None)
    if not first:
        return None
    session.renew()
    again = look(group, [seen[first].example], session)[0]
    if all(_state_may_explain(e, again) == _state_may_explain(e, seen[first]) for e in group):
        return None
    fresh = []
    for s in seen:
        session.renew()
        fresh += look(group, [s.example], session)
    return fresh


def _state_may_explain(exercise, seen):
    error = seen.results[exercise.function].error
    if error and error.type in ("NotImplementedError", "Stopped", "NotReached", "Skipped"):
        return False
    return not seen.computes(exercise)


def _differs_afresh(group, examples, fresh):
    """Return the functions that are right in a fresh process; the head first, whose state the others inherit."""
    right = [e.function for e in group if all(s.computes(e) for s in fresh)]
    return right[:1] if right else []


# ------------------------------------------------------------------------------------ forward A, forward B, ...


def _independence(group, examples, session, judgements):
    """Forward A, forward B, backward A twice; and forward A, overwrite its outputs, backward A."""
    head, others = group[0], group[1:]
    pair = _two_alike([e for e in examples if e in judgements[head.function].passing])
    others = [e for e in others if judgements[e.function].written and not set(judgements[e.function].failed) & {"runs", "shape", "finite", "values"}]
    if not pair or not others or "independent calls" in judgements[head.function].failed:
        return
    one, two = pair
    for check, steps, at in (("independent calls", _interleaved(head, others, one, two), 2), ("own memory", _overwritten(head, others, one), 1)):
        try:
            answers = session.run([steps], reply_size([one, one, two]))[0]
        except Stopped as stopped:
            judgements[others[0].function].fail(check, f"{others[0].function} {stopped.detail}", one)
            continue
        for index, exercise in enumerate(others + others if at == 2 else others):
            _judge_again(exercise, head, one, answers[at + index], judgements[exercise.function], check, index >= len(others))


def _interleaved(head, others, one, two):
    steps = [first_step(head, one.inputs, send=()), first_step(head, two.inputs, send=())]
    return steps + [Step(e.function, (*(one.inputs[n] for n in e.takes), Ref(0, -1))) for e in (*others, *others)]


def _overwritten(head, others, one):
    steps = [first_step(head, one.inputs, send=(), overwrite=tuple(range(len(head.gives))))]
    return steps + [Step(e.function, (*(one.inputs[n] for n in e.takes), Ref(0, -1))) for e in others]


def _judge_again(exercise, head, example, answer, judgement, check, second):
    judgement.reached.add(check)
    found = wrong(exercise, example, results(exercise, answer))
    if not found:
        return
    if check == "own memory":
        sentence = f"{exercise.function} is wrong once the caller has overwritten what {head.function} returned: keep a copy in the cache"
    elif second:
        sentence = f"{exercise.function} gives something else when it is called twice with one cache: leave the cache as it is"
    else:
        sentence = f"{exercise.function} is wrong when another {head.function} came in between: use only what is in the cache"
    judgement.fail(check, sentence, example)


def _two_alike(examples):
    """Return two examples with the same sizes and dtype but other numbers, so that a mix-up runs and shows."""
    for one in examples:
        if one.name in ("typical", "full", "holes"):
            for two in examples:
                if two.name != one.name and all(one.plan[k] == two.plan[k] for k in ("sizes", "dtype")) and one.plan["seed"] != two.plan["seed"]:
                    return one, two
    return (examples[-1], examples[0]) if len(examples) > 1 else None
