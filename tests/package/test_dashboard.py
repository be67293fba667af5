"""The dashboard: asv's page, made to need no network, in a headless browser that could reach none.

Runs where Chromium, its driver, selenium, asv and npm are; FASTBP_BROWSER=1 makes their absence an error.
"""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("chromium", "chromedriver", "npm", "git")
COMMITS = 12
SLOWER_FROM = 6  # this commit on, one benchmark takes 1.3 times as long
STEADY, SLOWED = "training.Digits.time_epoch", "calls.Inference.time_predict"

if os.environ.get("FASTBP_BROWSER") != "1":
    for module in ("selenium", "asv"):
        pytest.importorskip(module)
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the page of a small history, whose results are made up."""
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "-q", "-b", "main")
    configuration = {**json.loads((ROOT / "asv.conf.json").read_text()), "repo": str(folder)}
    suite = folder / configuration["benchmark_dir"]
    suite.mkdir(parents=True)
    (suite / "__init__.py").touch()
    (folder / "asv.conf.json").write_text(json.dumps(configuration))
    machine = {"machine": "somewhere", "arch": "x86_64", "cpu": "a CPU", "num_cpu": "2", "os": "", "ram": ""}
    results = folder / ".asv" / "results"
    (results / "somewhere").mkdir(parents=True)
    (results / "somewhere" / "machine.json").write_text(json.dumps({**machine, "version": 1}))
    described = {
        "type": "time",
        "unit": "seconds",
        "params": [],
        "param_names": [],
        "version": "1",
        "code": "",
    }
    listed = {name: {**described, "name": name} for name in (STEADY, SLOWED)}
    (results / "benchmarks.json").write_text(json.dumps({**listed, "version": 2}))
    for number in range(COMMITS):
        git(folder, "commit", "-q", "--allow-empty", "-m", f"commit {number}")
        commit = git(folder, "rev-parse", "HEAD")
        date = 1_700_000_000_000 + 3_600_000 * number
        found = {}
        for name in (STEADY, SLOWED):
            slowed = name == SLOWED and number >= SLOWER_FROM
            seconds = 0.010 * (1.3 if slowed else 1.0) * (1 + 0.001 * (number % 3))
            found[name] = [[seconds], [], "1", date, 1.0]
        result = {
            "commit_hash": commit,
            "env_name": "env",
            "date": date,
            "params": machine,
            "python": "3.11",
            "requirements": {},
            "env_vars": {},
            "result_columns": ["result", "params", "version", "started_at", "duration"],
            "results": found,
            "durations": {},
            "version": 2,
        }
        (results / "somewhere" / f"{commit[:8]}-env.json").write_text(json.dumps(result))
    subprocess.run(
        [sys.executable, "-m", "bench.dashboard", "--config", str(folder / "asv.conf.json")],
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    return folder / ".asv" / "html"


@pytest.fixture(scope="module")
def address(site):
    """The address of a web server for the folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium for which no name but this machine's address resolves."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "window-size=1400,900",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def visit(browser, address, page, ready):
    """Opens a page and returns what `ready` gives once that is true; nothing fails or comes from outside."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")
    browser.get(f"{address}/index.html#{page}")
    found = WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(f"return {ready}"))
    if folder := os.environ.get("FASTBP_SCREENSHOTS"):
        name = page.strip("/").split("?")[0] or "grid"
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in severe if "favicon" not in entry["message"]]
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    requests = [r["request"]["url"] for r in requests if r["documentURL"].startswith(address)]
    assert len(requests) > 10
    outside = [url for url in requests if not url.startswith((address, "data:"))]
    assert not outside
    return found


def test_grid(browser, address):
    shown = "$('#summarygrid-display .benchmark-container').length"
    assert visit(browser, address, "/", shown) == 2
    line = browser.find_element("id", "measured").text
    assert "somewhere: a CPU, 2 CPUs" in line and "2023-11-1" in line


def test_graph_has_a_point_a_commit(browser, address):
    points = "$('#main-graph').data('plot') && $('#main-graph').data('plot').getData()[0].data.length"
    assert visit(browser, address, f"{STEADY}", points) >= COMMITS


def test_a_slower_commit_is_a_regression_and_a_steady_one_is_none(browser, address):
    rows = "$('#regressions-body tbody tr').toArray().map(row => row.innerText)"
    ready = f"$('#regressions-body tbody tr').length && {rows}"
    [row] = visit(browser, address, "/regressions", ready)
    assert SLOWED in row and "1.30" in row


def test_page_refers_to_nothing_outside(site):
    page = (site / "index.html").read_text()
    assert not re.search(r'<(script|link)[^>]*"(https?:)?//', page)
    for path in re.findall(r'(?:src|href)="(assets/[^"]+)"', page):
        assert (site / path).stat().st_size > 500
