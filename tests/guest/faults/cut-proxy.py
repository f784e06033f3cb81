#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A wire that can be cut: passes connections on, until it is killed.

    cut-proxy.py FROM TO READY_FILE

FROM and TO are paths of unix sockets or ports of the loopback.  READY_FILE
comes into being when it listens.  To cut the wire, kill it; to mend it, start
another."""

import os
import socket
import sys
import threading


def endpoint (where):
    if where.startswith ("/"):
        return socket.socket (socket.AF_UNIX), where
    s = socket.socket (socket.AF_INET)
    s.setsockopt (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s, ("127.0.0.1", int (where))


def pump (source, sink):
    try:
        while data := source.recv (1 << 18):
            sink.sendall (data)
    except OSError:
        pass
    for s in source, sink:
        try:
            s.shutdown (socket.SHUT_RDWR)
        except OSError:
            pass


def serve (near, where):
    far, address = endpoint (where)
    try:
        far.connect (address)
    except OSError:
        near.close ()
        return
    for pair in (near, far), (far, near):
        threading.Thread (target=pump, args=pair, daemon=True).start ()


def main (source, target, ready):
    listener, address = endpoint (source)
    if source.startswith ("/") and os.path.exists (source):
        os.unlink (source)
    listener.bind (address)
    listener.listen ()
    open (ready, "w").write ("ready\n")
    while True:
        serve (listener.accept ()[0], target)


main (*sys.argv[1:])
