#!/usr/bin/env python3
"""The page in Chromium: it shows what /metrics says, the time before it was opened, the values of a
point, and that a server is gone or was restarted; on a phone, too, and without a word on the console."""

import json
import re

from browser import running_browser
from qkserve import eventually, get, running_server, write_npy

LONG_NAME = "items-2026.europe-west." + "embeddings-v3." * 6 + "shard-0001"
REQUESTS = "#chart_requests"
PLOT = REQUESTS + " svg"


def expect(what, got, expected):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"


def label(metrics, name, key):
    line = next(line for line in metrics if line.startswith(name + "{"))
    return re.search(rf'{key}="([^"]*)"', line)[1]


def fill(server):
    """Two key sets, four scores, two errors."""
    keys, queries = server.folder / "keys.npy", server.folder / "queries.npy"
    write_npy(keys, 1000, 8)
    write_npy(queries, 2, 8)
    for name, requests in (("items", 3), (LONG_NAME, 1)):
        server.qkctl("keys", "put", name, f"--keys={keys}")
        for _ in range(requests):
            server.qkctl("score", f"--queries={queries}", f"--key_set={name}")
    for _ in range(2):
        server.qkctl("score", f"--queries={queries}", "--key_set=absent", ok=False)


def history(server):
    return json.loads(get(server.url + "/history.json"))


def open_page(browser, server):
    browser.open(server.url + "/")
    eventually(lambda: browser.text("#state") == "ready", "the page is ready")
    eventually(lambda: browser.run("return document.querySelectorAll('.curve').length >= 8"),
               "all charts are drawn")


def check_numbers(browser, server):
    metrics = server.metrics()
    score = 'qkserve_requests_total{method="Score",code="OK"}'
    expect("version", browser.text("#version"), label(metrics, "qkserve_build_info", "version"))
    expect("kernel", browser.text("#kernel"), label(metrics, "qkserve_kernel_info", "kernel"))
    expect("key set kernel", browser.text("#key_set_kernel"),
           label(metrics, "qkserve_kernel_info", "key_set_kernel"))
    expect("workers", browser.text("#workers"), f"{metrics['qkserve_workers']:.0f}")
    expect("requests", browser.text(REQUESTS + " .readings dt"), f"{metrics[score]:.0f} since the start")
    errors = sum(value for name, value in metrics.items()
                 if name.startswith("qkserve_requests_total{") and 'code="OK"' not in name)
    expect("errors", browser.text("#chart_errors .readings dt"), f"{errors:.0f} since the start")
    expect("error codes", browser.text("#chart_errors .codes dt"), "NOT_FOUND")
    rows = browser.run("return [...document.querySelectorAll('#key_set_rows tr')].map("
                       "row => [...row.children].map(cell => cell.textContent.trim()))")
    for row, name in zip(rows, ("items", LONG_NAME), strict=True):
        of_set = lambda metric: str(int(metrics[f'qkserve_key_set_{metric}{{key_set="{name}"}}']))
        expect("row", row[:6] + row[7:8],
               [name, of_set("version"), "1,000", "1,000 × 8", "–", "FLOAT32", of_set("requests_total")])
    # The page shortens only the beginning of the name, so that the cut is in the middle. The
    # tooltip shows the whole name.
    expect("title", browser.attribute("#key_set_rows tr:last-child .cut", "title"), LONG_NAME)
    assert browser.run("const [begin, end] = document.querySelectorAll('tr:last-child .cut span');"
                       "return begin.scrollWidth > begin.clientWidth && end.scrollWidth <= end.clientWidth")


def check_copy(browser):
    """A name that the page cuts is copied whole, between what else is selected."""
    copied = browser.run("getSelection().selectAllChildren(document.querySelector('#key_set_rows'));"
                         "const event = new ClipboardEvent('copy', {clipboardData: new DataTransfer()});"
                         "document.dispatchEvent(event);"
                         "getSelection().removeAllRanges();"
                         "return event.clipboardData.getData('text/plain')")
    assert re.search(rf"^items\b[^a-z]*^{re.escape(LONG_NAME)}\b", copied, re.MULTILINE | re.DOTALL), repr(copied)


def walk(browser):
    """The chart's points, from the oldest on: what a screen reader would say of each."""
    browser.run("document.querySelector(arguments[0]).focus()", PLOT)
    browser.press("Home")
    said = [browser.attribute(PLOT, "aria-valuetext")]
    for _ in range(int(browser.attribute(PLOT, "aria-valuemax"))):
        browser.press("Right")
        said.append(browser.attribute(PLOT, "aria-valuetext"))
    browser.press("Escape")
    return said


def check_history(browser, opened_at):
    """What was answered before the page was opened is in the chart, and keys reach it."""
    browser.run("document.querySelector('input[value=\"120\"]').click()")
    said = walk(browser)
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d: [\d,.]+", text) for text in said), said
    before = [text for text in said if text[:8] < opened_at and not text.endswith(": 0")]
    assert before, f"opened at {opened_at}; the chart has {said}"


def check_hover(browser, kind):
    left, top, width, height = browser.box(PLOT)
    browser.point_at(left + width * 0.9, top + height / 2, kind)
    shown = browser.text(REQUESTS + " time")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", shown), shown
    expect("value at the cursor", browser.attribute(PLOT, "aria-valuetext"),
           f"{shown}: {browser.text(REQUESTS + ' dd')}")
    expect("the other charts' time", browser.text("#chart_latency time"), shown)
    browser.point_at(2, 2, kind)
    expect("time after the cursor left", browser.text(REQUESTS + " time"), "")


def luminance(color):
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def check_widths(browser):
    """Nothing is cut off or scrolls sideways, however wide the window is."""
    for width in (520, 700, 900, 1100, 1260, 1900):
        browser.call("POST", "/window/rect", {"width": width, "height": 1000})
        eventually(lambda: browser.run("return innerWidth") == width, f"the window is {width} wide")
        # The charts are drawn again for the new width. A busy browser does this late.
        eventually(lambda: browser.run("return document.documentElement.scrollWidth") == width,
                   f"the page is {width} wide")
        outside = browser.run("const end = document.querySelector('.key_sets').getBoundingClientRect().right;"
                              "return [...document.querySelectorAll('#key_sets *')].filter("
                              "part => !part.closest('.cut') && part.getBoundingClientRect().right > end).length")
        expect(f"parts outside of the table at {width}", outside, 0)
        cut = browser.run("return [...document.querySelectorAll('svg text')].filter("
                          "text => text.getBBox().x < -1).map(text => text.textContent)")
        expect(f"labels that a chart cuts at its left at {width}", cut, [])


def check_contrast(browser):
    """Text has the 4.5:1 that WCAG asks for, in both schemes."""
    color = lambda selector, which: browser.run(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, which)
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        for text, ground in (("h1", "body"), ("footer", "body"), ("h2", ".card"), ("td", ".card"),
                             (".readings dt", ".card"), ("#key_set_head th", ".card"),
                             ("footer a", "body"), ("#state", "#state")):
            light, dark = sorted((luminance(color(text, "color")),
                                  luminance(color(ground, "backgroundColor"))), reverse=True)
            ratio = (light + 0.05) / (dark + 0.05)
            assert ratio >= 4.5, f"{scheme}: {text} on {ground}: {ratio:.1f}"
    browser.prefer("light")


def check_names(browser):
    """Every chart and the table say to a screen reader what they are."""
    charts = browser.run("return [...document.querySelectorAll('svg')].map(svg => "
                         "[svg.getAttribute('role'), svg.getAttribute('aria-label'), "
                         "svg.getAttribute('aria-valuetext')])")
    expect("charts", len(charts), 8)
    assert all(role == "slider" and name and value for role, name, value in charts), charts
    cells = browser.run("return [...document.querySelectorAll('#key_sets :is(th, td)')].map("
                        "cell => cell.getAttribute('role'))")
    expect("roles of cells", sorted(set(cells)), ["cell", "columnheader", "rowheader"])


def color_of_numbers(browser):
    return browser.run("return getComputedStyle(document.querySelector('.readings dd')).color")


def main():
    with running_browser() as browser:
        with running_server() as server:
            fill(server)
            eventually(lambda: sum(history(server)["samples"]["answered"]) == 4, "4 are in the history")
            eventually(lambda: history(server)["samples"]["answered"][-2:] == [0, 0], "2 s are quiet")
            opened_at = browser.run("return new Date().toLocaleTimeString('en-GB')")
            open_page(browser, server)
            check_numbers(browser, server)
            check_copy(browser)
            check_history(browser, opened_at)
            check_hover(browser, "mouse")
            check_names(browser)
            check_contrast(browser)
            check_widths(browser)
            expect("console", browser.console(), [])
            with running_browser(phone=True) as phone:
                open_page(phone, server)
                check_hover(phone, "touch")
                expect("overflow", phone.run("return document.documentElement.scrollWidth"), 375)
                expect("console of the phone", phone.console(), [])
            color = color_of_numbers(browser)
            http_address = server.url.removeprefix("http://")
        eventually(lambda: browser.text("#state") == "no answer", "the page sees that the server is gone")
        assert re.match(r"No answer since \d\d:\d\d:\d\d$", browser.text("#gone strong"))
        assert color_of_numbers(browser) != color, "numbers of a server that is gone are not greyed"
        with running_server(http_address=http_address) as server:
            eventually(lambda: browser.text("#state") == "ready", "the page sees the new server")
            assert color_of_numbers(browser) == color
            expect("requests of the new server", browser.text(REQUESTS + " .readings dt"), "")
            eventually(lambda: "restarted" in browser.text(PLOT), "the chart marks the restart")
            # The requests of the old server are still in the chart.
            assert any(not said.endswith(": 0") for said in walk(browser))
    print("the page and /metrics agree; history, cursor, phone, end and restart of the server are shown")


main()
