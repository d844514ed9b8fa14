"""A student and an instructor in a real browser: JupyterLab and formgrader on loopback, driven by headless Chromium.

Needs Debian's ``chromium`` and ``chromium-driver``, and ``selenium`` from PyPI; soak. Screenshots go to ``HANDGRAD_SHOTS``, if that
is set, to be looked at.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
EVIL = "I forgot a transpose. <img src=x onerror=\"document.title='hacked'\"> $\\href{javascript:document.title='hacked'}{click}$"
PATIENCE_S = 60

pytestmark = [pytest.mark.soak, pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")]


@contextlib.contextmanager
def jupyter(folder, settings, *options):
    """A server on a free port of this machine; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.mkdir(parents=True)
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}", "JUPYTER_CONFIG_DIR": str(settings / "config"),
        "JUPYTER_DATA_DIR": str(settings / "data"), "JUPYTER_RUNTIME_DIR": str(settings / "run"), "IPYTHONDIR": str(settings / "ipython"), "HANDGRAD_COURSE": str(ROOT),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    fixed = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}"]
    with open(settings / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", *fixed, *options], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            answers(address, process, settings / "log")
            yield address
        finally:
            process.terminate()
            process.wait(30)


def until(done):
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)


def answers(address, process, log):
    for _ in range(10 * PATIENCE_S):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/api", timeout=2).close()
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


class Browser:
    """What a person does in a browser."""

    def __init__(self, driver, shots):
        self.driver, self.shots, self.count = driver, shots, 0

    def go(self, address):
        self.driver.get(address)

    def wait(self, script, *values):
        """Wait until a script gives something true, and return that."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                if found := self.driver.execute_script(f"return {script}", *values):
                    return found
            time.sleep(0.2)
        self.shoot("waiting")
        raise AssertionError(f"never true: {script}")

    def element(self, css, text=""):
        return self.wait("[...document.querySelectorAll(arguments[0])].find(e => e.offsetParent !== null && e.textContent.includes(arguments[1]))", css, text)

    def click(self, css, text=""):
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", self.element(css, text))

    def lab(self, command, **arguments):
        """Run one of JupyterLab's commands, as its menus and buttons do."""
        self.wait("!!(window.jupyterapp && window.jupyterapp.commands.hasCommand(arguments[0]))", command)
        self.driver.set_script_timeout(PATIENCE_S)
        code = "const done = arguments[2]; window.jupyterapp.commands.execute(arguments[0], arguments[1]).then(() => done(''), e => done(String(e)))"
        assert self.driver.execute_async_script(code, command, arguments) == ""

    def shoot(self, name):
        self.count += 1
        if self.shots:
            self.driver.save_screenshot(str(self.shots / f"{self.count:02}-{name}.png"))


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    shots = os.environ.get("HANDGRAD_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
    yield Browser(driver, Path(shots) if shots else None)
    driver.quit()


@pytest.fixture
def places(course, tmp_path):
    """A course whose rnn is released, and a student's folder that knows its exchange."""
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    exchange.mkdir()
    exchange.chmod(0o777)
    home.mkdir()
    with open(course.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.Exchange.root = {str(exchange)!r}\n")
    (home / "nbgrader_config.py").write_text(
        f'c = get_config()\nc.CourseDirectory.course_id = "course"\nc.Exchange.root = {str(exchange)!r}\nc.Exchange.cache = {str(tmp_path / "cache")!r}\n'
    )
    course.run("release_assignment", "rnn")
    return course, home


def work(path, tools):
    """Write everything into the fetched notebook, with one mistake."""
    book = json.loads(path.read_text())
    tools["fill"](book, tools["solved"]("rnn"))
    step = tools["cell"](book, "rnn_step_backward")
    step["source"] = step["source"].replace("h_prev.T @ da", "h.T @ da")
    tools["cell"](book, "question")["source"] = EVIL
    path.write_text(json.dumps(book))


def student(browser, home, settings, tools):
    """Fetch, fill in, look at a check card, validate, submit."""
    with jupyter(home, settings, "--LabApp.expose_app_in_browser=True") as address:
        browser.go(f"{address}/lab")
        browser.lab("nbgrader:open-assignment-list")
        browser.element("button", "Fetch")
        browser.shoot("assignment-list")
        browser.click("button", "Fetch")
        browser.element("button", "Submit")
        browser.shoot("fetched")
        work(home / "rnn" / "rnn.ipynb", tools)
        browser.lab("docmanager:open", path="rnn/rnn.ipynb", factory="Notebook")
        select = "(() => { const n = window.jupyterapp.shell.currentWidget; const at = n.content.widgets.findIndex(c => c.model.sharedModel.getSource().startsWith(arguments[0])); if (at < 0 || !n.context.sessionContext.session) return false; n.content.activeCellIndex = at; n.content.widgets[at].node.scrollIntoView(); return true })()"
        browser.wait(select, 'check("rnn_step_backward")')
        browser.lab("notebook:run-all-above")
        browser.wait(select, 'check("rnn_step_backward")')
        browser.lab("notebook:run-cell")
        card = browser.element(".jp-OutputArea-output", "rnn_step_backward").text
        assert "failed" in card
        assert "dWh" in card
        browser.shoot("check-card")
        browser.lab("docmanager:save")
        browser.click(".jp-Toolbar jp-button", "Validate")
        said = browser.element(".jp-Dialog, dialog", "").text
        browser.shoot("validate")
        assert "fail" in said.lower()
        browser.click(".jp-Dialog button", "")
        browser.lab("nbgrader:open-assignment-list")
        browser.click("button", "Submit")
        browser.element("button", "Fetch Feedback")
        browser.shoot("submitted")


def instructor(browser, course, settings):
    """Collect, autograde, open the submission, see report and comment, grade the question; return the points it comes to."""
    with jupyter(course.root, settings) as address:
        browser.go(f"{address}/formgrader/manage_assignments")
        browser.click(".collect a")
        browser.element(".modal-body, .modal", "Successfully collected")
        browser.shoot("collected")
        (name,) = [path.name for path in (course.root / "submitted").iterdir()]
        browser.go(f"{address}/formgrader/manage_submissions/rnn")
        browser.click(".autograde a")
        browser.element(".modal-body, .modal", "Successfully autograded")
        browser.shoot("autograded")
        browser.go(f"{address}/formgrader/gradebook/rnn/rnn")
        browser.click("td a", "Submission #1")
        report = browser.element(".output_html, .rendered_html", "rnn_step_backward: 0 of 12")
        browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", report)
        comment = browser.wait("document.getElementById('rnn_step_backward-comment').placeholder || document.getElementById('rnn_step_backward-comment').value")
        assert "dWh" in comment
        browser.shoot("submission")
        browser.driver.execute_script("document.getElementById('question').scrollIntoView({block: 'center'})")
        assert browser.driver.title != "hacked"
        assert not browser.driver.execute_script("return [...document.querySelectorAll('.nbgrader_cell *')].some(e => e.hasAttribute('onerror') || (e.href || '').startsWith('javascript'))")
        box = browser.element("input#question.score, #question")
        box.clear()
        box.send_keys("4\t")
        browser.shoot("question")
        until(lambda: course.gradebook()[name]["grades"]["question"][1] == 4)
        browser.go(f"{address}/formgrader/gradebook/rnn")
        browser.element("td", "rnn")
        browser.shoot("gradebook")
        return course.gradebook()[name]["score"]


def test_a_student_hands_in_and_an_instructor_grades(browser, places, tmp_path, tools):
    course, home = places
    student(browser, home, tmp_path / "student", tools)
    assert instructor(browser, course, tmp_path / "instructor") == 88 + 4
