"""Pages: what they say, that a student's text has no power in them, that they need nothing from elsewhere, and that a large class stays small."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from autograder import course, paths
from autograder.diagnose.diagnosis import Diagnosis
from autograder.report import pages
from autograder.report.jsonfile import ResultError, dumps, results_in, validate
from autograder.report.model import Check, Counterexample, FunctionResult, SubmissionResult
from autograder.report.pages import class_view, student_view
from autograder.report.similarity import Pair
from autograder.report.text import file_name
from tests.unit.test_cli import handgrad, sandbox  # noqa: F401

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}</style></pre>\u202e\x1b[31m"
SNIPPET = "x = np.ones((2, 1))\n_, cache = f_forward(x)\ndx = f_backward(cache)\nprint(dx[1, 0])  # should be 3.0"
WHOLE = {"axes": "N D", "actual": [[1.0], [2.0]], "expected": [[1.0], [3.0]], "differs": [[False], [True]]}
VOID = {"meta", "img", "br", "input", "link", "hr", "rect", "line"}


def counterexample(**changes):
    about = {"example": "smallest", "sizes": {"N": 2, "D": 1}, "inputs": {"x": [[1.0], [1.0]]}, "path": "dx", "index": (1, 0), "actual": 2.0, "expected": 3.0}
    return Counterexample(**{**about, "whole": WHOLE, "snippet": SNIPPET, **changes})


def entry(name="f_backward", verdict="failed", sentence="dx[1, 0] is 2, but should be 3", diagnosis=None, example=None, **changes):
    failed = verdict == "failed"
    checks = (Check("runs", True, "", None), Check("values", not failed, sentence if failed else "", example if failed else None), Check("own memory", None, "", None))
    return FunctionResult(name, 0 if failed else 8, 8, verdict, False, checks, diagnosis, **changes)


def result(student="ann", *functions, **changes):
    functions = functions or (entry(),)
    score = sum(function.score for function in functions)
    about = {"isolation": {"level": "filtered", "layers": ["seccomp"], "canary": {"read files": "denied"}}, "engine": "1.2", "bank": "ab12"}
    about |= {"submission_sha256": "0" * 64, "timing": {"student": 0.25}, "environment": {"python": "3.11", "torch": None}, **changes}
    made = SubmissionResult(student, "rnn", score, 16, functions, **about).to_json()
    validate(made)
    return made


class Outline(HTMLParser):
    """Tags with their attributes, and that they nest."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def words(html):
    """Return the visible words of a page."""
    return " ".join(" ".join(Outline(re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL)).text).split())


# ------------------------------------------------------------------------------------------------- a student


def test_a_students_page_says_what_the_result_says():
    diagnosis = Diagnosis("lost rows", "Rows are lost.", "Where do they go?")
    failed, passed = entry(diagnosis=diagnosis, example=counterexample()), entry("f_forward", "passed", remark="It could be shorter.")
    text = words(pages.student_page(result("ann", failed, passed, messages=("A note.",))))
    for part in (
        "8 of 16 points", "f_backward", "dx[1, 0] is 2, but should be 3", "lost rows. Rows are lost.", "Where do they go?", "A note.", "It could be shorter.",
        "The smallest input that shows it", "N = 2, D = 1", "from rnn import f_forward, f_backward", "dx yours (N down, D across)", "as it should be",
        "filtered (seccomp)", "handgrad 1.2", "ab12", "0" * 64, "0.25 s", "3.11", "own memory not reached", "read files denied",
    ):  # fmt: skip
        assert part in text, part


def test_the_lines_to_try_are_one_block_below_their_imports():
    page = pages.student_page(result("ann", entry(example=counterexample())))
    block = "\n".join(["import numpy as np", "from rnn import f_forward, f_backward  # not in your notebook, which has them", "", *SNIPPET.split("\n")])
    assert block in page


def test_without_numbers_and_lines_the_page_says_so():
    page = pages.student_page(result("ann", entry(example=counterexample(inputs={}, whole={}, snippet=""))))
    assert "too many numbers to be printed" in page
    assert "yours is 2 , but it should be 3 ." in words(page)
    assert "Try it" not in page


def test_parts_that_agree_are_left_out():
    whole = {"axes": "A B C", "actual": [[[1.0]], [[2.0]], [[3.0]]], "expected": [[[1.0]], [[5.0]], [[3.0]]], "differs": [[[False]], [[True]], [[False]]]}
    text = words(pages.student_page(result("ann", entry(example=counterexample(path="h", index=(1, 0, 0), whole=whole)))))
    assert "h[1] yours" in text
    assert "h[0] yours" not in text
    assert "The other 2 parts agree." in text


def test_a_result_without_score_or_without_anything_is_shown():
    undecided = FunctionResult("f", None, 8, "could not judge", False, ())
    assert "not judged" in pages.student_page(result("ann", entry()) | {"score": None, "functions": result("b", entry())["functions"]})
    kit = SubmissionResult("ann", "rnn", 0, 16, (undecided,)).to_json() | {"score": None}
    assert "nothing that could be read" in pages.student_page(kit)
    assert "could not be judged" in words(pages.class_page([kit]))


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (3, ["3"]), ([], ["[]"]), ([1, 20], ["[ 1 20]"]), ([[1.5, 2], [30, 4]], ["[[1.5   2]", " [ 30   4]]"]), ([[[1], [2]], [[3], [4]]], ["[[[1]", "  [2]]", " [[3]", "  [4]]]"]),
        ([[1], [2, 3]], ["[[1], [2, 3]]"]), (["a", "b"], ["['a', 'b']"]), ([True, False], ["[ True False]"]), ([[], []], ["[[], []]"]), (0.1 + 0.2, ["0.3"]),
    ],
)  # fmt: skip
def test_inputs_are_written_like_arrays(value, lines):
    assert student_view.lines(value) == lines


# --------------------------------------------------------------------------------------------------- the class


def test_the_page_of_a_class_counts_students_functions_and_bugs():
    lost = Diagnosis("lost rows", "Rows are lost.", "Where?")
    good, bad, odd = entry("f_forward", "passed"), entry(diagnosis=lost), entry(sentence="dx[0, 0] is 7")
    results = [result("ann", entry("f_backward", "passed"), good), result("bob", bad, good), result("eve", bad, good), result("joe", odd, good)]
    text = words(pages.class_page(results, [Pair("bob", "eve", 0.875, ("f_backward",))], "A title"))
    for part in ("A title", "4 students, mean 10.0, median 8.0 of 16 points", "25 %", "88 % bob eve f_backward", "no proof of anything", "filtered (seccomp): 4"):
        assert part in text, part
    assert re.search(r"2 students: f_backward lost rows\. Rows are lost\. who", text)
    assert re.search(r"1 student: f_backward no known bug; the check “values”, for example: dx\[0, 0\] is 7", text)


def test_bugs_are_counted_once_per_function_and_the_most_frequent_is_first():
    results = [result(name, entry("b"), entry("a")) for name in ("x", "y")] + [result("z", entry("a", sentence="other"))]
    found = class_view.bugs(results, ["b", "a"])
    assert [(bug["function"], bug["students"], bug["sentence"]) for bug in found] == [
        ("a", ["x", "y", "z"], "dx[1, 0] is 2, but should be 3"),
        ("b", ["x", "y"], "dx[1, 0] is 2, but should be 3"),
    ]


def test_what_concerns_the_whole_file_is_said_once():
    line = "rnn.py could not be loaded: SyntaxError (line 3)."
    broken = result("ann", entry("a", sentence=line), entry("b", sentence=line), messages=(line,))
    assert words(pages.student_page(broken)).count(line) == 1
    (bug,) = class_view.bugs([broken], ["a", "b"])
    assert (bug["function"], bug["sentence"], bug["students"]) == ("", line, ["ann"])
    assert f"1 student: the whole file no known bug; the check “values”, for example: {line}" in words(pages.class_page([broken]))


def test_the_distribution_has_full_points_and_more_in_a_bin_of_their_own():
    bins = class_view.histogram([0, 9.5, 10, 99, 100, 107], 100)
    assert [(label, count) for label, count, _ in bins if count] == [("0–9", 2), ("10–19", 1), ("90–99", 1), ("100+", 2)]
    assert class_view.histogram([], 100) == []


def test_nobody_has_looked_is_something_else_than_nothing_found():
    assert "Nobody has looked" in pages.class_page([result()])
    assert "No two of them look alike" in pages.class_page([result()], [])


def test_results_of_two_banks_are_pointed_out():
    assert "Not everybody was judged in the same way" in pages.class_page([result("ann"), result("bob", bank="cd34")])
    assert "Not everybody" not in pages.class_page([result("ann"), result("bob")])


def test_a_class_without_results_has_a_page():
    assert "There are no scores" in pages.class_page([])


# --------------------------------------------------------------------------------------- nothing has any power


def hostile():
    example = counterexample(example=EVIL, inputs={EVIL: EVIL, "d": {EVIL: [[EVIL]]}}, path=EVIL, snippet=f"x = {EVIL!r}\n{EVIL}", sizes={EVIL: 2}, actual=EVIL, expected=EVIL,
                             whole={"axes": EVIL, "actual": [EVIL, 1.0], "expected": [EVIL, 2.0], "differs": [True, True]})  # fmt: skip
    bad = entry(EVIL, sentence=EVIL, diagnosis=Diagnosis(EVIL, EVIL, EVIL), example=example)
    about = {"messages": (EVIL,), "engine": EVIL, "bank": EVIL, "environment": {EVIL: EVIL}, "timing": {EVIL: 1.0}}
    return result(EVIL, bad, **about) | {"isolation": {"level": EVIL, "layers": [EVIL], "canary": {EVIL: EVIL}}}


@pytest.mark.parametrize("page", [pages.student_page(hostile()), pages.class_page([hostile()], [Pair(EVIL, EVIL, 1.0, (EVIL,))], EVIL)], ids=["student", "class"])
def test_hostile_text_is_shown_and_not_obeyed(page):
    outline = Outline(page)
    assert len(outline.all("script")) == len(outline.all("style")) == 1
    assert not outline.all("img")
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page
    assert not set(page) & {"\u202e", "\x1b"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_browser_may_run_our_script_only():
    for page in (pages.student_page(result()), pages.class_page([result()])):
        (policy,) = [tag["content"] for tag in Outline(page).all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
        script = re.search(r"<script>(.*?)</script>", page, flags=re.DOTALL)[1]
        assert policy == pages._policy(script)
        assert "default-src 'none'" in policy


@pytest.mark.parametrize("page", [pages.student_page(result("ann", entry(example=counterexample()))), pages.class_page([result()])], ids=["student", "class"])
def test_pages_stand_alone_and_are_well_formed(page):
    outline = Outline(page)
    assert not re.search(r"(https?:)?//(?!\s)[a-z]", re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE))
    assert not outline.all("link")
    assert "@import" not in page
    assert "url(" not in page
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {tag["href"][1:] for tag in outline.all("a") if tag["href"].startswith("#")} <= set(ids)
    assert outline.tags[0] == ("html", {"lang": "en"})
    assert len(outline.all("h1")) == 1


# ------------------------------------------------------------------------------------------- files and links


@pytest.fixture
def graded(tmp_path):
    """The folder of a run with three students, one with a name that is no file name."""
    results = [result("ann"), result("../b/ü?#%20"), result(EVIL)]
    (tmp_path / "graded" / "results").mkdir(parents=True)
    for one in results:
        (tmp_path / "graded" / "results" / f"{file_name(one['student'])}.json").write_text(dumps(one))
    return tmp_path / "graded"


def test_every_link_leads_to_a_page_and_back(graded, handgrad):  # noqa: F811
    code, out, _ = handgrad("report", graded)
    assert (code, out.split()) == (0, ["pages:", str(graded / "index.html")])
    links = {tag["href"] for tag in Outline((graded / "index.html").read_text()).all("a") if not tag["href"].startswith("#")}
    assert len(links) == 3
    for link in links:
        page = graded / unquote(link)
        assert page.parent == graded / "pages"
        (home,) = [tag["href"] for tag in Outline(page.read_text()).all("a") if not tag["href"].startswith("#")]
        assert (page.parent / home).resolve() == (graded / "index.html").resolve()


def test_pages_go_elsewhere_when_asked_and_are_the_same_each_time(graded, handgrad, tmp_path):  # noqa: F811
    assert handgrad("report", graded, "--out", tmp_path / "web" / "rnn")[0] == 0
    (tmp_path / "web" / "rnn" / "pages" / ".x.unfinished").touch()
    first = {path: (path.read_text(), path.stat().st_mtime_ns) for path in (tmp_path / "web").rglob("*.html")}
    assert handgrad("report", graded / "results", "--out", tmp_path / "web" / "rnn")[0] == 0
    assert {path: (path.read_text(), path.stat().st_mtime_ns) for path in (tmp_path / "web").rglob("*") if path.is_file()} == first
    assert len(first) == 4
    assert not (graded / "pages").exists()


def test_what_is_no_class_run_is_one_line(graded, handgrad, tmp_path):  # noqa: F811
    assert handgrad("report", tmp_path)[::2] == (3, f"handgrad: {tmp_path} holds no results. Name the folder that handgrad grade wrote to.\n")
    (graded / "results" / "x.json").write_text("{}")
    assert handgrad("report", graded)[0] == 3
    (graded / "results" / "x.json").write_text(dumps(result("x") | {"assignment": "lstm"}))
    with pytest.raises(ResultError, match="results of lstm and rnn"):
        results_in(graded)
    (graded / "results" / "x.json").write_text(dumps(result("x") | {"timing": 3}))
    with pytest.raises(ResultError, match="does not fit the schema"):
        results_in(graded)


def test_pages_that_cannot_be_written_are_one_line(graded, handgrad):  # noqa: F811
    (graded / "pages").write_text("a file in the way")
    code, _, error = handgrad("report", graded)
    assert code == 4
    assert "the pages cannot be written" in error


def test_without_jinja2_results_are_there_and_pages_are_not(graded, handgrad, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "autograder.course.pages", None)
    monkeypatch.delattr(course, "pages", raising=False)
    code, _, error = handgrad("report", graded)
    assert code == 2
    assert "pip install 'handgrad[instructor]'" in error


def test_a_class_run_writes_pages_and_finds_copies(handgrad, sandbox, tmp_path):  # noqa: F811
    for student in ("ann", "bob"):
        Path("in", student).mkdir(parents=True)
        Path("in", student, "rnn.py").write_text(paths.solution("rnn").read_text())
    code, out, _ = handgrad("grade", "in", "--assignment", "rnn", "--out", "out", "--require-isolation", "none")
    assert code == 0
    assert "pages:   out/index.html" in out
    assert "100 % ann bob" in words(Path("out/index.html").read_text())
    code, out, _ = handgrad("grade", "in", "--assignment", "rnn", "--out", "without", "--require-isolation", "none", "--no-pages")
    assert (code, "pages" in out, Path("without/index.html").exists()) == (0, False, False)


# ------------------------------------------------------------------------------------------------- many students


def test_a_page_of_300_students_is_small_enough_to_load_at_once():
    functions = [f"function_{number}_forward" for number in range(14)]
    verdicts = ("passed", "passed", "failed", "not written yet")
    results = [
        result(f"student {number:03d}", *(entry(name, verdicts[(number * 7 + place * 3) % 4], f"sentence {number % 11}") for place, name in enumerate(functions))) for number in range(300)
    ]
    page = pages.class_page(results, [])
    assert len(page) < 1_500_000
    rows = [tag for tag in Outline(page).all("tr") if "data-s" in tag]
    assert len(rows) == 300
