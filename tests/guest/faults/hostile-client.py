#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A client that means harm, beside those that do not.

    hostile-client.py ADDRESS VICTIM_EXPORT OWN_EXPORT [SEED]

ADDRESS is the path of a unix socket, or HOST:PORT; over TCP it comes from
127.0.0.2, because clients of one address are one peer.  It sends garbage,
half of every kind of message and then silence, requests of 64 MiB and far
larger ones, and opens 500 connections; the silent ones stay open until the
end.  It never asks for what the server allows it to do to the victim: reading
is what every peer may.  Ends with status 0, whatever the server answered, if
the server took connections until the end; prints what it did."""

import random
import socket
import struct
import sys

MAGIC = b"NBDMAGIC"
IHAVEOPT = b"IHAVEOPT"
OPT_GO = 7
REPLY_ACK = 1
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range (8)
MIB = 1 << 20

address, victim, own = sys.argv[1:4]
dice = random.Random (int (sys.argv[4]) if len (sys.argv) > 4 else 1)
done = {}
silent = []


def count (what, n=1):
    done[what] = done.get (what, 0) + n


def connect ():
    if address.startswith ("/"):
        s = socket.socket (socket.AF_UNIX)
        s.connect (address)
    else:
        host, port = address.rsplit (":", 1)
        s = socket.create_connection ((host, int (port)),
                                      source_address=("127.0.0.2", 0))
    s.settimeout (20)
    return s


def receive (s, n):
    data = b""
    while len (data) < n:
        more = s.recv (n - len (data))
        if not more:
            raise EOFError
        data += more
    return data


def option (number, data):
    return IHAVEOPT + struct.pack (">II", number, len (data)) + data


def go (name):
    name = name.encode ()
    return option (OPT_GO, struct.pack (">I", len (name)) + name + b"\0\0")


def opened (name):
    """A connection in transmission, or None where that needs TLS."""
    s = connect ()
    receive (s, 18)
    s.sendall (struct.pack (">I", 3) + go (name))
    while True:
        _, _, reply, length = struct.unpack (">QIII", receive (s, 20))
        receive (s, length)
        if reply == REPLY_ACK:
            return s
        if reply & 1 << 31:
            silent.append (s)
            return None


def request (kind, length, offset=0, flags=0, magic=0x25609513):
    return struct.pack (">IHHQQI", magic, flags, kind, 7, offset, length)


def talk (s, data):
    """Says it and hears what comes, if anything does."""
    try:
        s.sendall (data)
        s.settimeout (0.2)
        s.recv (4096)
    except (OSError, EOFError):
        pass


def garbage ():
    for size in (1, 3, 100, 4096, MIB) * 4:
        s = connect ()
        talk (s, dice.randbytes (size))
        s.close ()
        count ("garbage")
        s = opened (victim)
        if s:
            talk (s, dice.randbytes (size))
            s.close ()
            count ("garbage after the handshake")


def halves ():
    whole = [struct.pack (">I", 3) + go (victim),
             struct.pack (">I", 3) + option (OPT_GO, b"\xff" * 16),
             struct.pack (">I", 3) + IHAVEOPT + struct.pack (">II", 3, 0xfffffff0)]
    for message in whole:
        for part in (0, 1, 4, len (message) // 2, len (message) - 1):
            s = connect ()
            s.sendall (message[:part])
            silent.append (s)
            count ("half a handshake")
    for kind in (READ, WRITE, TRIM, ZEROES, STATUS, 99):
        for name in (victim, own):
            s = opened (name)
            if s is None:
                continue
            s.sendall (request (kind, 4096)[:dice.randrange (28)])
            silent.append (s)
            count ("half a request")
    s = opened (own)
    if s:
        s.sendall (request (WRITE, 64 * MIB) + b"x" * 1000)
        silent.append (s)
        count ("half a payload")


def large ():
    for length in (64 * MIB, 64 * MIB + 1, 1 << 31, (1 << 32) - 1):
        for kind in (READ, WRITE, TRIM, ZEROES, CACHE, STATUS):
            s = opened (own if kind in (WRITE, TRIM, ZEROES) else victim)
            if s is None:
                continue
            data = request (kind, length)
            if kind == WRITE:
                data += b"vmswap! " * (MIB // 8) * min (length // MIB, 64)
            talk (s, data)
            s.close ()
            count ("large request")
    for offset in (1, (1 << 63) - 1, (1 << 64) - 4096):
        s = opened (victim)
        if s:
            talk (s, request (READ, 4096, offset))
            talk (s, request (READ, 4096, offset, magic=0x12345678))
            s.close ()
            count ("request beyond the end")


def unread ():
    """64 MiB asked for many times, and nothing read of it."""
    s = opened (victim)
    if s:
        s.sendall (request (READ, 64 * MIB) * 64)
        silent.append (s)
        count ("reply nobody reads", 64)


def flood ():
    for _ in range (500):
        silent.append (connect ())
        count ("connection")


for harm in (garbage, halves, large, unread, flood, garbage):
    harm ()
connect ().close ()
print (", ".join (f"{n} x {what}" for what, n in done.items ()))
