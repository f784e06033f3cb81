# SPDX-License-Identifier: BSD-3-Clause
"""A Chromium without a screen, driven by the DevTools protocol over a pair of
pipes.  Every message is JSON and ends with a zero byte."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

TIMEOUT = 60

# Keys by what they are called in the page: key code, and the text they make.
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " "),
        "ArrowUp": (38, ""), "ArrowDown": (40, ""), "End": (35, ""), "Home": (36, ""),
        "/": (191, "/")}


def find():
    for name in (os.environ.get("CHROMIUM", "chromium"), "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


def high(descriptor):
    """The same with a number that is not in the way of 3 and 4."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20)
    os.close(descriptor)
    return copy


class Browser:
    def __init__(self, folder):
        self.complaints = []
        self.exceptions = []
        self.number = 0
        self.buffer = b""
        self.answers = {}
        self.events = []
        theirs_in, self.to = map(high, os.pipe())
        self.since, theirs_out = map(high, os.pipe())
        arguments = [
            find(), "--headless", "--remote-debugging-pipe", "--disable-gpu",
            "--disable-dev-shm-usage", "--disable-extensions", "--disable-component-update",
            "--disable-background-networking", "--disable-default-apps", "--disable-sync",
            "--no-first-run", "--no-default-browser-check", "--no-proxy-server",
            "--force-color-profile=srgb",
            "--user-data-dir=" + tempfile.mkdtemp(dir=folder), "about:blank"]
        if os.geteuid() == 0:
            arguments.insert(1, "--no-sandbox")
        with open(folder + "/chromium.log", "ab") as log:
            self.process = subprocess.Popen(
                arguments, close_fds=False, start_new_session=True,
                preexec_fn=lambda: (os.dup2(theirs_in, 3), os.dup2(theirs_out, 4)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(theirs_in)
        os.close(theirs_out)

    def _receive(self, seconds):
        """Takes what has come; False: nothing within the time."""
        if not select.select([self.since], [], [], seconds)[0]:
            return False
        data = os.read(self.since, 1 << 20)
        assert data, "the browser is gone"
        self.buffer += data
        *messages, self.buffer = self.buffer.split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self._note(message)
        return True

    def _note(self, event):
        self.events.append((event["method"], event.get("params")))
        if event["method"] == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.exceptions.append(details.get("exception", details).get("description"))
        if event["method"] == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] in ("error", "warning"):
                self.complaints.append(entry)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + TIMEOUT
        while self.number not in self.answers:
            self._receive(max(0, end - time.monotonic()))
            assert time.monotonic() < end, "no answer of the browser: " + method
        answer = self.answers.pop(self.number)
        assert "error" not in answer, "%s: %s" % (method, answer.get("error"))
        return answer["result"]

    def open(self, url, width=1280, height=900, dark=False):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target,
                            flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Performance"):
            page.call(domain + ".enable")
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        page.look(width, height, dark)
        page.call("Page.navigate", url=url)
        return page

    def check_complaints(self, forgiven=None):
        """Errors of scripts, and what the Content-Security-Policy forbade; forgets
        those that have the text that is forgiven."""
        while self._receive(0):
            pass
        self.complaints = [complaint for complaint in self.complaints
                           if not (forgiven and forgiven in complaint["text"])]
        assert not self.exceptions, self.exceptions
        assert not self.complaints, self.complaints

    def close(self):
        os.close(self.to)
        os.close(self.since)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try: # Its children, which would go on writing for a moment.
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)


class Page:
    def __init__(self, browser, session):
        self.browser = browser
        self.session = session

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def look(self, width, height, dark):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def eval(self, expression):
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression, seconds=TIMEOUT):
        """Until it is true; its value."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.eval(expression)
            except AssertionError as error:
                # The page is being loaded.
                value, problem = None, error
            else:
                problem = None
            if value:
                return value
            assert not self.browser.exceptions, self.browser.exceptions
            assert time.monotonic() < end, "not in %d s: %s (%s)" % (
                seconds, expression, problem)
            time.sleep(0.05)

    def texts(self, selector):
        return self.eval("[...document.querySelectorAll(%s)].map(e => e.textContent)"
                         % json.dumps(selector))

    def key(self, *keys):
        for key in keys:
            code, text = KEYS.get(key, (ord(key.upper()[0]), key))
            common = {"key": key, "windowsVirtualKeyCode": code}
            if text:
                common["text"] = text
            self.call("Input.dispatchKeyEvent", type="keyDown", **common)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key,
                      windowsVirtualKeyCode=code)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def events(self, method):
        return [params for name, params in self.browser.events if name == method]
