"""The pages in a browser: axe-core finds nothing serious, nothing is wider than a phone, search, sort and filter work, scripts of students do not run.

It needs Chromium with its driver, the package selenium, and axe-core's file ``axe.min.js`` (``npm install axe-core``), whose path
``HANDGRAD_AXE`` names. None of them is needed for anything else.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from autograder.course import pages
from autograder.diagnose.diagnosis import Diagnosis
from autograder.report.card import card
from autograder.report.text import file_name
from tests.unit.test_pages import EVIL, counterexample, entry, hostile, result

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore::ResourceWarning")]

AXE = Path(os.environ.get("HANDGRAD_AXE", "node_modules/axe-core/axe.min.js"))
LARGE = {"axes": "N T H", "actual": [[[0.5 * k for k in range(20)]] * 4] * 2, "expected": [[[1.0] * 20] * 4] * 2, "differs": [[[True] * 20] * 4] * 2}


@pytest.fixture(scope="module")
def browser():
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("Chromium or its driver is not installed: apt-get install chromium chromium-driver")
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}: npm install axe-core, and set HANDGRAD_AXE to the path of axe.min.js")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield made
    made.quit()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A class of 300 with everything that pages can show; one student is called like a script."""
    folder = tmp_path_factory.mktemp("site")
    bug = Diagnosis("lost rows", "Rows are lost.", "Where do they go?")
    kinds = [
        (entry(diagnosis=bug, example=counterexample()), entry("f_forward", "passed", remark="Right, but only to 1e-9.")),
        (entry(example=counterexample(whole=LARGE, path="h", index=(0, 0, 0))), entry("f_forward", "not written yet")),
        (entry("f_backward", "passed"), entry("f_forward", "passed")),
    ]
    results = [result(f"student {number:03d}", *kinds[number % 3]) for number in range(299)] + [result(EVIL, *kinds[0])]
    results[7] |= {"submission_sha256": "", "messages": ["There is no rnn.py."]}
    results[8] |= {"score": None}
    pages.write(folder, results)
    cards = card([*results[0]["functions"], *results[1]["functions"], *hostile()["functions"]])
    for name, colours in (("light", "background:#fff;color:#212121"), ("dark", "background:#111;color:#e0e0e0")):
        page = f'<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>card</title><body style="{colours}"><main><h1>card</h1>{cards}'
        (folder / f"card-{name}.html").write_text(page)
    return folder


def show(browser, path, width=1280, scheme="light"):
    """Open a file in a window of this width with this colour scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(path.as_uri())


def findings(browser):
    """Return what axe-core finds, without what depends on the rest of a page."""
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.refresh()
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run({resultTypes: ['violations']}).then(arguments[0])")["violations"]
    return [(one["impact"], one["id"], one["nodes"][0]["html"]) for one in found]


PAGES = ["index.html", "pages/student 000.html", "pages/student 001.html", f"pages/{file_name(EVIL)}.html", "card-{}.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(browser, site, name, width, scheme):
    show(browser, site / name.format(scheme), width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert findings(browser) == []


def rows(browser):
    return browser.execute_script("return [...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden).map(row => row.cells[0].textContent)")


def choose(browser, value):
    script = "const show = document.getElementById('show'); show.value = arguments[0]; show.dispatchEvent(new Event('change'))"
    browser.execute_script(script, value)


def test_search_sort_and_filter(browser, site):
    show(browser, site / "index.html")
    assert len(rows(browser)) == 300
    browser.find_element("id", "search").send_keys("29 STUDENT")
    found = [number for number in range(299) if "29" in f"{number:03d}"]
    assert rows(browser) == [f"student {number:03d}" for number in found]
    assert browser.find_element("id", "shown").text == f"{len(found)} of 300"
    choose(browser, "f:0")
    assert rows(browser) == [f"student {number:03d}" for number in found if number % 3 != 2]
    choose(browser, "s:full")
    assert rows(browser) == [f"student {number:03d}" for number in found if number % 3 == 2]
    browser.find_element("id", "search").clear()
    choose(browser, "s:unread")
    assert rows(browser) == ["student 007"]
    choose(browser, "")
    points, names = (browser.find_elements("css selector", "#table thead button")[place] for place in (1, 0))
    for first in (16, "?"):
        points.click()
        assert browser.execute_script("return document.querySelector('#table tbody tr').cells[1].textContent") == str(first)
    names.click()
    assert rows(browser)[1] == "student 000"


def test_the_script_in_a_name_does_not_run_and_its_link_works(browser, site):
    show(browser, site / "index.html")
    browser.find_element("partial link text", "alert(1)").click()
    assert browser.find_element("tag name", "h1").text.startswith("<script>alert(1)</script>")
    browser.find_element("partial link text", "the class").click()
    assert browser.title.endswith("300 students")


def test_without_scripts_the_table_is_plain_and_complete(browser, site):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(browser, site / "index.html")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert not browser.find_element("id", "controls").is_displayed()
    assert len(browser.find_elements("css selector", "#table tbody tr")) == 300
