#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# protocol.py SEED COUNT FOLDER [-s COMMAND... | SOCKET]: streams of bytes as
# NBD clients send them, recorded once and then damaged.
#
#   -s COMMAND   each goes to the input of a command of its own (nbdkit -s),
#                which must end with status 0 or 1
#   SOCKET       each goes to a server that listens there; after every 20 a
#                client that means well must be served
#
# The stream under way is kept in FOLDER/stream, so that it is there if
# something ends badly.

import os
import random
import socket
import struct
import subprocess
import sys

MAGIC, OPTION_MAGIC, REPLY_MAGIC = b'NBDMAGIC', b'IHAVEOPT', 0x3e889045565a9
REQUEST = 0x25609513
(EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META,
 SET_META) = (1, 2, 3, 5, 6, 7, 8, 9, 10)
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
SIZE = 1 << 20


def option(number, data=b''):
    return OPTION_MAGIC + struct.pack('>II', number, len(data)) + data


def text(string):
    return struct.pack('>I', len(string)) + string


def request(kind, count, offset, flags=0, data=b''):
    return struct.pack('>IHHQQI', REQUEST, flags, kind, random.getrandbits(64),
                       offset, count) + data


def negotiation():
    name = random.choice((b'', b'a', b'b', b'a,b', b'\xff' * 200, b'x' * 4096))
    parts = [struct.pack('>I', random.choice((0, 1, 3, 3, 3, 7)))]
    if random.random() < 0.5:
        parts.append(option(STRUCTURED))
        context = random.choice((b'base:allocation', b'base:', b'q:x'))
        parts.append(option(random.choice((LIST_META, SET_META)),
                            text(name) + struct.pack('>I', 1) + text(context)))
    for number in random.choices((LIST, INFO, STARTTLS, 99, ABORT), k=1,
                                 weights=(5, 3, 1, 1, 1)):
        if random.random() < 0.4:
            data = text(name) + struct.pack('>HH', 1, 3)
            parts.append(option(number, data if number == INFO else b''))
    if random.random() < 0.2:
        parts.append(option(EXPORT_NAME, name))
    else:
        parts.append(option(GO, text(name) + struct.pack('>HH', 1, 3)))
    return parts


def transmission():
    parts = []
    for _ in range(random.randrange(1, 30)):
        kind = random.choice((READ, READ, WRITE, WRITE, WRITE, FLUSH, TRIM,
                              CACHE, ZEROES, STATUS))
        count = int(2 ** random.uniform(0, 17))
        offset = random.randrange(0, SIZE - count)
        if random.random() < 0.1:
            offset = random.choice((SIZE, SIZE - 1, 2 ** 63, 2 ** 64 - 1))
        if random.random() < 0.05:
            count = random.choice((0, 64 << 20, 2 ** 32 - 1))
        flags = 1 << random.randrange(6) if random.random() < 0.3 else 0
        data = b''
        if kind == WRITE:
            count = min(count, 1 << 17)
            data = random.choice((os.urandom(1), b'\0')) * count
        elif kind == FLUSH:
            count = offset = 0
        parts.append(request(kind, count, offset, flags, data))
    if random.random() < 0.7:
        parts.append(request(DISC, 0, 0))
    return parts


# Whole messages lost, doubled, swapped; bytes changed; the end cut off.
def damaged(parts):
    parts = list(parts)
    for _ in range(random.choice((0, 0, 1, 2))):
        i, j = random.randrange(len(parts)), random.randrange(len(parts))
        how = random.randrange(3)
        if how == 0:
            parts[i], parts[j] = parts[j], parts[i]
        elif how == 1:
            parts.insert(i, parts[j])
        elif len(parts) > 1:
            del parts[i]
    stream = bytearray(b''.join(parts))
    for _ in range(random.choice((0, 0, 1, 3, 20))):
        at = random.randrange(min(len(stream), 400))
        stream[at] = random.choice((0, 0xff, random.randrange(256)))
    if random.random() < 0.3:
        del stream[random.randrange(len(stream)):]
    return bytes(stream)


def run_command(command, stream):
    done = subprocess.run(command, input=stream, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=120)
    if done.returncode not in (0, 1) or b'Sanitizer' in done.stderr:
        sys.stderr.buffer.write(done.stderr[-20000:])
        sys.exit('status %d' % done.returncode)


def receive(sock, count):
    data = b''
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


# Reads as much as comes while it sends, so that neither side waits.
def send_stream(path, stream):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(path)
        if random.random() < 0.2:
            sock.setblocking(False)
            try:
                sock.send(stream)
            except OSError:
                pass
            return  # gone in the middle of it
        reader = os.fork()
        if reader == 0:
            try:
                while sock.recv(1 << 16):
                    pass
            except OSError:
                pass
            os._exit(0)
        try:
            sock.sendall(stream)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        os.waitpid(reader, 0)


def good_client(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(120)
        sock.connect(path)
        if receive(sock, 18)[:16] != MAGIC + OPTION_MAGIC:
            sys.exit('a strange greeting')
        sock.sendall(struct.pack('>I', 3) + option(EXPORT_NAME, b'good'))
        if struct.unpack('>Q', receive(sock, 10)[:8])[0] != SIZE:
            sys.exit('a strange size')
        page = os.urandom(4096)
        sock.sendall(request(WRITE, 4096, 8192, 0, page))
        if struct.unpack('>II', receive(sock, 16)[:8]) != (0x67446698, 0):
            sys.exit('a good write fails')
        sock.sendall(request(READ, 4096, 8192))
        if struct.unpack('>II', receive(sock, 16)[:8]) != (0x67446698, 0) or \
                receive(sock, 4096) != page:
            sys.exit('a good read fails')
        sock.sendall(request(DISC, 0, 0))


def main():
    seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    random.seed(seed)
    for n in range(count):
        stream = damaged(negotiation() + transmission())
        with open(folder + '/stream', 'wb') as file:
            file.write(stream)
        if sys.argv[4] == '-s':
            run_command(sys.argv[5:], stream)
            continue
        send_stream(sys.argv[4], stream)
        if n % 20 == 19 or n == count - 1:
            good_client(sys.argv[4])
    print('%d streams' % count)


main()
