#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""hostile.py CONTROL PORT PID NBD-SOCKET SEED ROUNDS

Clients as nobody wants them, on the Unix socket and on the port.  After each
kind an operator must get an answer, the server must hold no more descriptors
and no more memory than is reasonable, and NBD clients must get through."""

import http.client
import json
import os
import random
import socket
import struct
import sys
import time

CONTROL, PORT, PID, NBD, SEED, ROUNDS = sys.argv[1:]
PORT, PID, SEED, ROUNDS = int(PORT), int(PID), int(SEED), int(ROUNDS)
rng = random.Random(SEED)

# 16 connections of the socket that is flooded, and what else there is.
DESCRIPTORS = 16 + 8
# What may wait to be read, with room for the allocator.  Without that bound it
# would be sixteen times 5 MiB.
MEMORY_KIB = 48 * 1024
OPERATOR_SECONDS = 10


def connect_local(seconds):
    """Waits while the queue is full, which a socket with a Python timeout does
    not."""
    client = socket.socket(socket.AF_UNIX)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                      struct.pack("ll", seconds, 0))
    client.connect(CONTROL)
    client.settimeout(seconds)
    return client


def connect(local):
    if local:
        client = connect_local(30)
    else:
        client = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    return client


def send(client, data):
    """What the server does with it is its own business."""
    try:
        client.sendall(data)
        return True
    except OSError:
        return False


def drain(client):
    data = b""
    try:
        while len(data) < 1 << 24:
            part = client.recv(65536)
            if not part:
                break
            data += part
    except OSError:
        pass
    return data


class Operator(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=OPERATOR_SECONDS)

    def connect(self):
        self.sock = connect_local(OPERATOR_SECONDS)


def operator():
    """Seconds until an operator has the figures.  One whose connection is
    closed in a flood, or who is told to try again, does."""
    start = time.monotonic()
    while True:
        try:
            client = Operator()
            client.request("GET", "/json")
            answer = client.getresponse()
            if answer.status == 503:
                raise OSError("busy")
            assert answer.status == 200
            figures = json.loads(answer.read())
            assert figures["pool"]["guests"] >= 0
            return time.monotonic() - start
        except (OSError, http.client.HTTPException):
            if time.monotonic() - start > OPERATOR_SECONDS:
                raise
            time.sleep(0.05)


def descriptors():
    return len(os.listdir("/proc/%d/fd" % PID))


def memory_kib():
    with open("/proc/%d/status" % PID, encoding="ascii") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise AssertionError


def nbd_greets():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(OPERATOR_SECONDS)
    client.connect(NBD)
    assert client.recv(8) == b"NBDMAGIC"
    client.close()


most_descriptors = most_memory = 0
slowest = 0.0


def check(what, base):
    global most_descriptors, most_memory, slowest
    taken = operator()
    slowest = max(slowest, taken)
    nbd_greets()
    used, memory = descriptors() - base[0], memory_kib() - base[1]
    most_descriptors = max(most_descriptors, used)
    most_memory = max(most_memory, memory)
    assert used <= DESCRIPTORS, "%s: %d descriptors" % (what, used)
    assert memory <= MEMORY_KIB, "%s: %d KiB more" % (what, memory)
    print("%-28s operator %.3f s, %d descriptors, %d KiB" %
          (what, taken, used, memory), flush=True)


# --- What they do.

def garbage(local):
    for _ in range(50):
        client = connect(local)
        send(client, rng.randbytes(rng.randrange(1, 4096)))
        client.close()


def half_requests(local):
    clients = []
    text = b"POST /reset?guest=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nab"
    for length in range(1, len(text)):
        client = connect(local)
        send(client, text[:length])
        clients.append(client)
    return clients


def flood(local):
    """A thousand connections that stay and say nothing."""
    clients = []
    for _ in range(1000):
        client = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        client.setblocking(False)
        try:
            client.connect(CONTROL if local else ("127.0.0.1", PORT))
        except BlockingIOError:
            pass
        clients.append(client)
    return clients


def flood_that_asks(local):
    clients = flood(local)
    for client in clients:
        try:
            client.send(b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except OSError:
            pass
    return clients


def slow_readers(local):
    clients = []
    for _ in range(40):
        client = connect(local)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send(client, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.append(client)
    return clients


def pipelines(local):
    """Requests without end on one connection, of which no answer is read."""
    one = b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    clients = []
    for _ in range(5):
        client = connect(local)
        client.settimeout(0.3)
        for _ in range(200):
            if not send(client, one * 100):
                break
        clients.append(client)
    return clients


def huge_heads(local):
    heads = (
        b"GET /" + b"a" * (1 << 22) + b" HTTP/1.1\r\n\r\n",
        b"GET /json HTTP/1.1\r\nX: " + b"b" * (1 << 22) + b"\r\n\r\n",
        b"GET /json HTTP/1.1\r\n" + b"X: y\r\n" * (1 << 18) + b"\r\n",
        b"GET /json HTTP/1.1\r\nX: y\r\n" + b" folded\r\n" * (1 << 18) + b"\r\n",
        b"\r\n" * (1 << 20),
    )
    for head in heads:
        client = connect(local)
        client.settimeout(2)
        send(client, head)
        answer = drain(client)
        assert b" 200 " not in answer[:20], answer[:100]
        client.close()


def huge_bodies(local):
    for head in (b"Content-Length: 999999999999\r\n",
                 b"Content-Length: -1\r\n",
                 b"Content-Length: 18446744073709551616\r\n",
                 b"Content-Length: 5\r\nContent-Length: 6\r\n",
                 b"Transfer-Encoding: chunked\r\n"):
        client = connect(local)
        client.settimeout(2)
        send(client, b"POST /reset?guest=none HTTP/1.1\r\nHost: localhost\r\n" +
             head + b"\r\n")
        for _ in range(100):
            if not send(client, b"ffffff\r\n" + b"z" * 65536):
                break
        answer = drain(client)
        assert b" 200 " not in answer[:20], answer[:100]
        client.close()


def methods(local):
    for method in (b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH",
                   b"POST", b"BREW", b"", b"get"):
        for path in (b"/json", b"*", b"/grow", b"http://evil/json", b"", b"//",
                     b"/../json", b"/%2e%2e/json", b"/json?x=" + b"%" * 1000):
            for version in (b"HTTP/1.1", b"HTTP/0.9", b"HTTP/9.9", b"", b"junk"):
                client = connect(local)
                client.settimeout(5)
                send(client, method + b" " + path + b" " + version +
                     b"\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                     b"Content-Length: 0\r\n\r\n")
                client.shutdown(socket.SHUT_WR)
                answer = drain(client)
                assert b" 200 " not in answer[:20] or method == b"POST", (
                    method, path, version, answer[:100])
                client.close()


def resets(local):
    """Closed with RST, at every stage."""
    text = b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for length in list(range(0, len(text), 3)) + [len(text)] * 20:
        client = connect(local)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        send(client, text[:length])
        client.close()


SEEDS = (
    b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:80\r\nConnection: keep-alive\r\n\r\n",
    b"POST /grow?guest=none&size=1G HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 4\r\n\r\nbody",
    b"POST /reset?guest=n%20one&pages=all HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\n\r\n",
    b"POST /limit?guest=none&quota=1G&reserve=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
)
TOKENS = (b"\r\n", b"\n", b"\0", b" ", b":", b"%", b"%00", b"?", b"&", b"=",
          b"HTTP/1.1", b"Host:", b"Content-Length:", b"chunked", b"-1",
          b"4294967296", b"\xff\xfe", b"/", b"..", b"\t", b";", b"0x10")


def mutated():
    text = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            text[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            del text[at:at + rng.randrange(1, 8)]
        elif kind == 2 and at < len(text):
            text[at] = rng.randrange(256)
        elif kind == 3:
            text[at:at] = text[:at][-rng.randrange(1, 40):] * rng.randrange(1, 9)
        else:
            text[at:at + 4] = rng.choice(TOKENS)
    return bytes(text)


def mutations(local):
    for _ in range(ROUNDS // 2):
        client = connect(local)
        client.settimeout(5)
        text = mutated()
        while text:
            part = rng.randrange(1, len(text) + 1)
            if not send(client, text[:part]):
                break
            text = text[part:]
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        drain(client)
        client.close()


def settle(base):
    """What has ended is given back."""
    end = time.monotonic() + 40
    while descriptors() > base[0] + 2:
        assert time.monotonic() < end, "descriptors are not given back"
        time.sleep(0.1)


def main():
    # The allocator's and libevent's first needs are not the clients'.
    for _ in range(5):
        operator()
    base = descriptors(), memory_kib()
    for kind in (garbage, half_requests, flood, flood_that_asks, slow_readers,
                 pipelines, huge_heads, huge_bodies, methods, resets,
                 mutations):
        for local in (True, False):
            clients = kind(local)
            check(kind.__name__ + (" (socket)" if local else " (port)"), base)
            for client in clients or ():
                client.close()
    settle(base)
    print("at most: operator %.3f s, %d descriptors, %d KiB" %
          (slowest, most_descriptors, most_memory))


main()
