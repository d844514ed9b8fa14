"""Submissions that look alike: winnowing, after Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document
fingerprinting", SIGMOD 2003. A hint for a human, never a verdict: short functions that are right often look alike.

A source becomes tokens in which comments, docstrings, layout and the names that a student chose do not count. Lines that
the stub has, too, are left out. Every run of ``RUN`` tokens is hashed, and of every ``WINDOW`` hashes in a row the smallest
is kept, so that any stretch of ``RUN + WINDOW - 1`` equal tokens is sure to be seen. What is rare in the class weighs more.
"""

from __future__ import annotations

import builtins
import io
import keyword
import math
import tokenize
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

RUN, WINDOW = 12, 6

#: A pair is shown from this many shared fingerprints on, and from this part, by weight, of the smaller submission on.
#: Measured on the answer bank: right answers in different styles share at most 0.10, edited copies at least 0.95.
ENOUGH, ALIKE = 15, 0.5

#: Only pairs that share this many fingerprints which few others have are looked at; more pairs than ``MOST_PAIRS`` nobody reads.
RARE, FEW, MOST_PAIRS = 3, 30, 100

#: Tokens and characters of one submission, and characters of one line, that are looked at: what is not closed takes the
#: tokenizer a time that grows with the square of the line.
LONGEST, MOST_TEXT, LONGEST_LINE = 50_000, 100_000, 1_000

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
_STRING = '""'
_KNOWN = {*keyword.kwlist, *dir(builtins), "np"}


@dataclass(frozen=True)
class Pair:
    """Two submissions that look alike.

    Parameters
    ----------
    one, other : str
        The students.
    share : float
        How much of the smaller one is in the other, from 0 to 1; what many have counts little.
    where : tuple of str
        The functions in which both have the same, those with most of it first.
    """

    one: str
    other: str
    share: float
    where: tuple[str, ...]


def similar(sources: Mapping[str, str], stub: str = "") -> list[Pair]:
    """Return the pairs that look alike, the most alike first.

    Parameters
    ----------
    sources : mapping of student to source
    stub : str
        What everybody was given.
    """
    given = {line for _, line in _lines(stub)}
    functions = {name for line in given for word, name in zip(line, line[1:]) if word == "def"}
    prints = {student: fingerprints(_own(source, given, functions)) for student, source in sorted(sources.items())}
    often = Counter(number for found in prints.values() for number in found)
    weight = {number: math.log(1 + len(prints) / count) for number, count in often.items()}
    pairs = [_pair(one, other, prints, weight) for one, other in _candidates(prints, often)]
    alike = [pair for pair in pairs if pair and pair.share >= ALIKE]
    return sorted(alike, key=lambda pair: (-pair.share, pair.one, pair.other))[:MOST_PAIRS]


def fingerprints(tokens: Iterable[tuple[str, str]]) -> dict[int, str]:
    """Return the winnowed fingerprints of ``(function, token)`` pairs, each with the function that it begins in."""
    tokens = list(tokens)
    words = [token.encode("utf-8", "replace") for _, token in tokens]
    hashes = [zlib.crc32(b"\0".join(words[start : start + RUN])) for start in range(len(words) - RUN + 1)]
    chosen: dict[int, str] = {}
    for start in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))):
        window = hashes[start : start + WINDOW]
        at = start + len(window) - 1 - window[::-1].index(min(window))
        chosen.setdefault(hashes[at], tokens[at][0])
    return chosen


def _own(source, given, functions) -> Iterator[tuple[str, str]]:
    """Yield ``(function, token)`` for what the stub does not have; names that a student chose become one and the same."""
    for function, line in _lines(source):
        if line in given:
            continue
        for before, word in zip(("", *line), line):
            chosen = word.isidentifier() and word not in _KNOWN and word not in functions and before != "."
            yield function, "name" if chosen else word


def _lines(source) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the logical lines as tokens, without comments and docstrings, and the function at whose left edge each stands."""
    function, line, left_edge = "", [], True
    try:
        text = "".join(line if len(line) <= LONGEST_LINE else "\n" for line in source[:MOST_TEXT].splitlines(keepends=True))
        for count, token in enumerate(tokenize.generate_tokens(io.StringIO(text).readline)):
            if count > LONGEST:
                return
            if token.type == tokenize.NEWLINE and line:
                if left_edge:
                    function = line[1] if line[0] == "def" and len(line) > 1 else ""
                if line != [_STRING]:
                    yield function, tuple(line)
                line = []
            elif token.type not in _LAYOUT:
                left_edge = token.start[1] == 0 if not line else left_edge
                line.append(_STRING if token.type == tokenize.STRING else token.string)
    except (tokenize.TokenError, SyntaxError):
        return  # what comes before the mistake can be looked at


def _candidates(prints, often) -> set[tuple[str, str]]:
    """Return the pairs that share something which few have, and those that are equal, however many they are."""
    holders, equal = defaultdict(list), defaultdict(list)
    for student, found in prints.items():
        equal[frozenset(found)].append(student)
        for number in found:
            if often[number] <= FEW:
                holders[number].append(student)
    shared = Counter(pair for students in holders.values() for pair in combinations(students, 2))
    some = {pair for pair, count in shared.items() if count >= RARE}
    return some | {(group[0], other) for group in equal.values() for other in group[1:]}


def _pair(one, other, prints, weight) -> Pair | None:
    common = prints[one].keys() & prints[other].keys()
    if len(common) < ENOUGH:
        return None
    smaller = min(sum(weight[number] for number in prints[student]) for student in (one, other))
    where = Counter(prints[one][number] for number in common if prints[one][number])
    return Pair(one, other, sum(weight[number] for number in common) / smaller, tuple(name for name, _ in where.most_common()))
