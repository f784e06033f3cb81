# SPDX-License-Identifier: BSD-3-Clause
"""A bridge between the browser and the server, as an operator's ssh -L is one.
It can hold answers back, refuse, and change them."""

import http.server
import json
import threading
import urllib.request


class Bridge:
    """The page is at self.url.

    change: a function of the path and of the JSON of an answer, that changes it
    blocked: answers wait while this is set
    status: if not 200, what is answered instead
    requests: paths that were asked for"""

    def __init__(self, server):
        self.server = server
        self.change = None
        self.open = threading.Event()
        self.open.set()
        self.status = 200
        self.requests = []
        bridge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                bridge.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = "http://127.0.0.1:%d/" % self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, handler):
        self.requests.append(handler.path)
        self.open.wait()
        try:
            if self.status != 200:
                handler.send_error(self.status, "it is that way today")
                return
            with urllib.request.urlopen(self.server.url + handler.path[1:], timeout=60) as reply:
                body, headers = reply.read(), reply.headers
            if self.change and "json" in headers["Content-Type"]:
                answer = json.loads(body)
                self.change(handler.path, answer)
                body = json.dumps(answer).encode()
            handler.send_response(200)
            for name in ("Content-Type", "Content-Security-Policy"):
                if headers[name]:
                    handler.send_header(name, headers[name])
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass # The browser, or the server, is gone.
