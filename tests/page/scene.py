# SPDX-License-Identifier: BSD-3-Clause
"""A server on a bad night: guests that swap, one that is above 90 % of its quota,
one that lost pages with an earlier server, one that is refused, and names that
nobody should have."""

import random
import threading

from harness import PAGE

# Names that a client can give: printable ASCII, at most 127 of it.
HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "<script>document.title='owned'</script>",
    "x" * 127,
    "  two  spaces ",
    "&lt;b&gt;\"'`${1}",
    "__proto__",
    "constructor",
]


class Traffic:
    """Guests that swap out and in until they are stopped."""

    def __init__(self, server, names):
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._swap, args=(server, name, number),
                                         daemon=True)
                        for number, name in enumerate(names)]
        for thread in self.threads:
            thread.start()

    def _swap(self, server, name, number):
        import nbd
        rng = random.Random(number)
        client = server.connect(name)
        # Waits between bursts, so that graphs have something to show.
        while not self.stopped.wait(rng.random() * 0.4 * (number + 1)):
            for _ in range(rng.randrange(1, 60)):
                place = rng.randrange(16, 1024) * PAGE
                try:
                    client.pwrite(rng.randbytes(128) * (PAGE // 128), place)
                except nbd.Error:
                    pass # The pool is full.
                client.pread(4 * PAGE, place)
                if rng.random() < 0.1:
                    client.trim(2 * PAGE, place)
        client.shutdown()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)


def write(server, name, pages, data):
    """As many as there is room for; says how many."""
    import nbd
    client = server.connect(name)
    try:
        for page in range(16, 16 + pages):
            client.pwrite(data(page), page * PAGE)
    except nbd.Error:
        return page - 16
    finally:
        client.shutdown()
    return pages


def noise(page):
    return random.Random(page).randbytes(PAGE)


def text(page):
    return random.Random(page).randbytes(256) * (PAGE // 256)


def digits(page):
    """LZ4 does next to nothing for them, zstd takes half away: cold ones show."""
    return random.Random(page).randbytes(PAGE // 2).hex().encode()


def fill(page):
    return bytes([page % 3 + 1]) * PAGE


def prepare(test):
    """The server, with guests in all states; nothing goes on yet."""
    server = test.server
    parameters = ("pool=64M", "size=1G", "group=all", "dedup=always", "cold=1",
                  "cold-cpu=30",
                  "registry=" + test.folder + "/registry")
    server.start(*parameters)
    write(server, "mail-archive", 200, text)
    server.kill()
    server.start(*parameters)
    return server


def populate(server):
    write(server, "web1", 1600, text)
    write(server, "web2", 1600, text)
    write(server, "db1", 900, lambda page: noise(page) if page % 3 else fill(page))
    write(server, "build-7", 2000, fill)
    write(server, "archive", 3000, digits)
    for name in HOSTILE:
        write(server, name, 60, text)
    server.limit("web1", "quota=1M")
    server.limit("web2", "quota=9M")
    server.limit("db1", "reserve=20M")
