"""Laws that several assignments share, and what laws compare with."""

from __future__ import annotations

import numpy as np

from autograder.spec import Law

#: Two right results may differ by this part of the largest number.
ROUNDING = 1e-9


def apart(one, other, floor: float = 1e-3, part: float = ROUNDING) -> bool:
    """Whether two results differ by more than ``part`` of the largest number, or of ``floor`` where all are smaller."""
    one, other = np.asarray(one, float), np.asarray(other, float)
    # "not <=" instead of ">": a NaN must not slip through.
    return one.shape != other.shape or not np.abs(one - other).max(initial=0.0) <= part * max(np.abs(other).max(initial=0.0), floor)


def causal_in_time(output: str, sentence: str, *examples: str) -> Law:
    """Return the law that ``output[:, t]`` does not depend on ``x`` after step t."""

    def check(call, case):
        before, T = call(case)[output], case["x"].shape[1]
        for t in sorted({0, T // 2, max(T - 2, 0)}):
            later = case["x"].copy()
            later[:, t + 1 :] += 1.0
            # The sizes are the same, so that even the rounding of a right answer hardly changes.
            if apart(call(case, x=later)[output][:, : t + 1], before[:, : t + 1], floor=1.0, part=1e-12):
                return f"changing x[:, {t + 1}:] changed {output}[:, :{t + 1}]"
        return None

    return Law("causal in time", sentence, check, examples)


def no_gradient_behind_the_mask(name: str, gradient: str, sentence: str) -> Law:
    """Return the law that a gradient is exactly 0 where the mask, of its first two axes, is False."""

    def check(call, case):
        wrong = np.argwhere(np.any(call(case)[gradient] != 0, axis=-1) & ~case["mask"])
        if len(wrong):
            n, t = map(int, wrong[0])
            return f"mask[{n}, {t}] is False, but {gradient}[{n}, {t}] is not 0"
        return None

    return Law(name, sentence, check, ("holes", "garbage behind the mask"))
