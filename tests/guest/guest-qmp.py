#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Talks to the QEMU of a test guest.

    guest-qmp.py SOCKET save FILE    write all that the guest is to a file
    guest-qmp.py SOCKET runs         wait until it runs: it was read from a file
    guest-qmp.py SOCKET wake         wait until it is suspended, and wake it up
    guest-qmp.py SOCKET unplug ID    ask the guest to give a device up, and wait
                                     until it has

Waits for events, without a time-out of its own.
"""

import json
import shlex
import socket
import sys


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        self.events = []
        self.read()
        self.run("qmp_capabilities")

    def read(self):
        line = self.lines.readline()
        if not line:
            sys.exit("guest-qmp: QEMU ended")
        return json.loads(line)

    def run(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self.socket.sendall(json.dumps(request).encode())
        while True:
            said = self.read()
            if "error" in said:
                sys.exit(f"guest-qmp: {command}: {said['error']['desc']}")
            if "return" in said:
                return said["return"]
            self.events.append(said)

    def event(self):
        return self.events.pop(0) if self.events else self.read()


def save(monitor, path):
    monitor.run("migrate-set-capabilities",
                capabilities=[{"capability": "events", "state": True}])
    monitor.run("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    monitor.run("migrate", uri="exec:cat >" + shlex.quote(path))
    while True:
        event = monitor.event()
        if event.get("event") != "MIGRATION":
            continue
        status = event["data"]["status"]
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            sys.exit(f"guest-qmp: the migration is {status}")


def runs(monitor):
    if monitor.run("query-status")["running"]:
        return
    while monitor.event().get("event") != "RESUME":
        pass


def wake(monitor):
    if monitor.run("query-status")["status"] != "suspended":
        while monitor.event().get("event") != "SUSPEND":
            pass
    monitor.run("system_wakeup")


def unplug(monitor, device):
    monitor.run("device_del", id=device)
    while True:
        event = monitor.event()
        if event.get("event") == "DEVICE_UNPLUG_GUEST_ERROR":
            sys.exit(f"guest-qmp: the guest does not give {device} up")
        if (event.get("event") == "DEVICE_DELETED"
                and event["data"].get("device") == device):
            return


def main(words):
    if len(words) == 3 and words[1] == "save":
        save(Monitor(words[0]), words[2])
    elif len(words) == 2 and words[1] == "runs":
        runs(Monitor(words[0]))
    elif len(words) == 2 and words[1] == "wake":
        wake(Monitor(words[0]))
    elif len(words) == 3 and words[1] == "unplug":
        unplug(Monitor(words[0]), words[2])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
