"""Chromium, driven over WebDriver by chromedriver. Standard library only."""

import contextlib
import json
import re
import subprocess
import urllib.error
import urllib.request

PHONE = {"deviceMetrics": {"width": 375, "height": 812, "pixelRatio": 2, "touch": True}}
KEYS = {"Home": "\ue011", "End": "\ue010", "Left": "\ue012", "Right": "\ue014", "Escape": "\ue00c",
        "Tab": "\ue004"}


class Browser:
    def __init__(self, driver_url, phone):
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            "--window-size=1440,1000"]}
        if phone:
            options["mobileEmulation"] = PHONE
        self.session = driver_url
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = f"{driver_url}/session/{made['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.session + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {json.load(error)['value']['message']}") from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What a function body of JavaScript returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def attribute(self, selector, name):
        return self.run("return document.querySelector(arguments[0]).getAttribute(arguments[1])",
                        selector, name)

    def point_at(self, x, y, kind="mouse"):
        """Moves the mouse to a point of the window, or taps it with a finger."""
        steps = [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]
        if kind == "touch":
            steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("POST", "/actions", {"actions": [
            {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": steps}]})

    def press(self, key):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": KEYS[key]}, {"type": "keyUp", "value": KEYS[key]}]}]})

    def box(self, selector):
        """(left, top, width, height) in the window, once the element is scrolled into it."""
        return self.run("const element = document.querySelector(arguments[0]);"
                        "element.scrollIntoView({block: 'center'});"
                        "const box = element.getBoundingClientRect();"
                        "return [box.left, box.top, box.width, box.height]", selector)

    def prefer(self, scheme):
        """Light or dark, as the system of a reader would say."""
        self.call("POST", "/goog/cdp/execute", {
            "cmd": "Emulation.setEmulatedMedia",
            "params": {"features": [{"name": "prefers-color-scheme", "value": scheme}]}})

    def console(self):
        """What was said on the console since the last call."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]


@contextlib.contextmanager
def running_browser(phone=False):
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        try:
            port = next(found[1] for found in (
                re.search(r"successfully on port (\d+)", line) for line in driver.stdout) if found)
            browser = Browser(f"http://127.0.0.1:{port}", phone)
            try:
                yield browser
            finally:
                browser.call("DELETE", "")
        finally:
            driver.terminate()
