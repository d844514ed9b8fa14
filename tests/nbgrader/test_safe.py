"""Student text on pages that render it as it is: through the filter that formgrader and feedback use, nothing is left that acts."""

import re
from html.parser import HTMLParser

import pytest

from autograder.course.gradebook.page import entry_comment, entry_html
from autograder.course.gradebook.safe import safe_markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<IMG SRC=`javascript:alert(1)`>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java&#115;cript:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](\njavascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x)",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "[a][b]\n\n[b]:\n  javascript:alert(1)",
    '[a](http://x.invalid" onmouseover="alert(1))',
    "[a](http://x.invalid 'x\" onmouseover=\"alert(1)')",
    "<javascript:alert(1)>",
    "![a](http://x.invalid/spy.png)",
    "![a](javascript:alert(1))",
    "[![a](http://x.invalid/spy.png)](http://x.invalid)",
    "![a][b]\n\n[b]: http://x.invalid/spy.png",
    "```html\n<script>alert(1)</script>\n```",
    "``<script>alert(1)</script>``",
    "$<script>alert(1)</script>$",
    "$$\n<img src=x onerror=alert(1)>\n$$",
    "\\begin{align}<img src=x onerror=alert(1)>\\end{align}",
    "\\(<img src=x onerror=alert(1)>\\)",
    "> <img src=x onerror=alert(1)>",
    "    <img src=x onerror=alert(1)>",
    "# <iframe srcdoc='<script>alert(1)</script>'>",
    "<!-- --><script>alert(1)</script>",
    "a | b\n--|--\n<img src=x onerror=alert(1)> | x",
    "<a href='http://x.invalid' style='position:fixed'>x</a>",
    "<form action=/api/terminals method=post><button>x</button></form>",
    "http://x.invalid/<script>alert(1)</script>",
    "<http://x.invalid/\"onmouseover=alert(1)>",
]


class Tags(HTMLParser):
    """What of a page acts by itself or when it is clicked."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in {"script", "img", "svg", "iframe", "form", "button", "style", "object", "embed", "base", "meta", "link"}:
            self.found.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name == "style" or (name in ("href", "src") and not re.match(r"https?://|#|mailto:", value or "#")):
                self.found.append((tag, name, value))


@pytest.fixture(scope="module")
def render():
    filters = pytest.importorskip("nbconvert.filters")
    return lambda text: str(filters.markdown2html(text))


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_acts(render, attack):
    assert Tags(render(safe_markdown(attack))).found == []


def test_the_attacks_are_attacks(render):
    """Most of them do act without us; the others are for what a later version of the filter may do."""
    assert sum(bool(Tags(render(attack)).found) for attack in ATTACKS) >= len(ATTACKS) // 2


@pytest.mark.parametrize("name", ["href", "url", "class", "cssId", "style", "htmlData", "require", "unicode", "def", "let", "newcommand"])
def test_no_formula_makes_a_link_or_a_command(name):
    text = safe_markdown(f"$\\{name}{{javascript:alert(1)}}{{x}}$ and \\{name} too")
    assert f"\\{name}" not in text


def test_what_students_write_stays_readable(render):
    text = "I had $a < b$ and `x[:, None] < y`, see [the paper](https://x.invalid/p) or <https://x.invalid>.\n\n> quoted\n\n- **one**\n\n$$\\frac{1}{N} \\sum_i \\delta_i$$"
    page = render(safe_markdown(text))
    for piece in ("$a &lt; b$", "<code>x[:, None] &lt; y</code>", '<a href="https://x.invalid/p">the paper</a>', '<a href="https://x.invalid">', "<blockquote>", "<strong>one</strong>", "\\frac{1}{N}"):
        assert piece in page, piece


def entry(**changes):
    check = {"name": "values", "passed": False, "sentence": "<b>dWx</b>[0, 2] is 0, but should be 1", "counterexample": None}
    given = {"name": "f", "score": 0, "max_score": 8, "verdict": "failed", "carried_forward": False, "checks": [check], "diagnosis": None, "remark": ""}
    return given | changes


def test_a_report_is_escaped_and_a_comment_is_sentences():
    assert "&lt;b&gt;dWx" in entry_html(entry())
    assert "<b>f</b>: 0 of 8, failed" in entry_html(entry())
    named = entry(diagnosis={"name": "n", "sentence": "The sum over time is missing.", "hint": "How many steps use Wx?"})
    assert entry_comment(named) == "<b>dWx</b>[0, 2] is 0, but should be 1. The sum over time is missing. How many steps use Wx?"
    assert entry_comment(entry(verdict="passed", checks=[])) is None
