# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the page share: a server with the plugin, clients of it, and
a browser without a screen.

A test is a function that is given a Test; run (function) is how it is started.
It exits with 0 (passed), 77 (skipped: it says why) or something else."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request

import chromium

PAGE = 4096


class Skip(Exception):
    """Something is missing that this machine need not have."""


def poll(seconds, what, function):
    """The first true value of the function; an answer that does not come fails."""
    end = time.monotonic() + seconds
    while True:
        value = function()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.05)


def free_port():
    """Below those that outgoing connections take, so that it stays free while a
    server is started anew."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Server:
    """nbdkit with the plugin; the page is at self.url."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = "http://127.0.0.1:%d/" % self.port
        self.process = None
        self.socket = folder + "/sock"

    def start(self, *parameters):
        """Serves on the port as before, so that a page finds it again."""
        assert self.process is None
        pidfile = self.folder + "/pid"
        for path in (pidfile, self.socket):
            if os.path.exists(path):
                os.unlink(path)
        if not any(p.startswith("registry=") for p in parameters):
            parameters += ("registry=none",)
        with open(self.folder + "/nbdkit.log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ.get("NBDKIT", "nbdkit"), "-f", "-P", pidfile, "-U", self.socket,
                 os.environ["VMSWAP_PLUGIN"], "control-port=%d" % self.port,
                 "control=" + self.folder + "/control", *parameters],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def is_up():
            assert self.process.poll() is None, "nbdkit ended"
            return os.path.exists(pidfile) and os.path.getsize(pidfile) > 0
        poll(60, "a server", is_up)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def kill(self):
        self.end(signal.SIGKILL)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def limit(self, name, limits):
        """quota=SIZE, reserve=SIZE or both with an & between."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.folder + "/control")
            control.sendall(("POST /limit?guest=%s&%s HTTP/1.1\r\nHost: localhost\r\n"
                             "Content-Length: 0\r\n\r\n" % (
                                 urllib.parse.quote(name, safe=""), limits)).encode())
            answer = control.makefile("rb").read()
        assert b" 200 " in answer.splitlines()[0], answer

    def connect(self, name):
        import nbd
        client = nbd.NBD()
        client.set_export_name(name)
        client.connect_unix(self.socket)
        return client


def missing():
    """Why the tests cannot run here, or None."""
    try:
        import nbd  # noqa: F401
    except ImportError:
        return "python3-libnbd is not installed"
    if shutil.which(os.environ.get("NBDKIT", "nbdkit")) is None:
        return "nbdkit is not installed"
    if chromium.find() is None:
        return "there is no chromium: apt-get install chromium"
    return None


class Test:
    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix="vmswap-page.", dir="/dev/shm")
        self.pictures = os.path.join(os.environ.get("PICTURES", "."), name)
        self.server = Server(self.folder)
        self.url = self.server.url
        self.browsers = []

    def page(self, **options):
        """A fresh browser, and the page in it, with its first figures."""
        browser = chromium.Browser(self.folder)
        self.browsers.append(browser)
        page = browser.open(self.url, **options)
        page.wait("!document.getElementById('main').hidden")
        return page

    def quiet_json(self):
        """The figures, when they do not change any more."""
        def quiet():
            one, other = self.server.get("json"), self.server.get("json")
            for answer in (one, other):
                del answer["time"], answer["clock_ns"]
            return one == other and one
        return poll(60, "a quiet server", quiet)

    def forgive_refused(self):
        """The server was gone on purpose."""
        for browser in self.browsers:
            browser.check_complaints("net::ERR_")

    def log(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def picture(self, page, name):
        os.makedirs(self.pictures, exist_ok=True)
        page.picture(os.path.join(self.pictures, name + ".png"))

    def close(self):
        for browser in self.browsers:
            browser.close()
        if self.server.process is not None:
            self.server.kill()
        poll(10, "an end of " + self.folder, lambda: shutil.rmtree(
            self.folder, ignore_errors=True) or not os.path.exists(self.folder))


def run(function):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    why = missing()
    if why is not None:
        print(("FAIL: " if os.environ.get("CI") == "true" else "SKIP: ") + why)
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    test = Test(name)
    try:
        function(test)
        for browser in test.browsers:
            browser.check_complaints()
        print("passed")
    except BaseException:
        traceback.print_exc()
        for log in ("nbdkit.log", "chromium.log"):
            sys.stderr.write("--- %s\n%s" % (log, test.log(log)[-3000:]))
        for browser in test.browsers:
            sys.stderr.write("--- the browser's complaints: %s\n" % browser.complaints)
        raise
    finally:
        test.close()
