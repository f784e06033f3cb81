#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The workload of the guest tests notices a wrong page of any kind: one that
# was lost, torn, swapped with another, or rolled back to an older version.

set -eu
: "${builddir:=.}"

command -v python3 >/dev/null 2>&1 || {
  echo "SKIP: python3 is not installed"
  exit 77
}

exec python3 - "$builddir/swap-hog" <<'END'
import re, subprocess, sys

PAGE = 4096
SIZE = 8 << 20

hog = subprocess.Popen ([sys.argv[1], "3"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        text=True, bufsize=1)

def ask (command):
    global answer
    print (command, file=hog.stdin, flush=True)
    answer = hog.stdout.readline ()
    assert answer.startswith ("ok "), f"{command}: {answer}"
    return int (re.search (r"bad_pages=(\d+)", answer)[1])

assert ask ("fill 8") == 0
base = int (re.search (r"base=0x([0-9a-f]+)", answer)[1], 16)
try:
    mem = open (f"/proc/{hog.pid}/mem", "r+b", buffering=0)
except PermissionError as e:
    print (f"SKIP: {e}: no access to the memory of a child")
    hog.kill ()
    sys.exit (77)

def get (i):
    mem.seek (base + i * PAGE)
    return mem.read (PAGE)

def put (i, data):
    mem.seek (base + i * PAGE)
    mem.write (data)

def wrong (what, count):
    """Exactly so many pages are wrong; put them right again."""
    global bad
    now = ask ("check")
    assert now - bad == count, f"{what}: {now - bad} bad pages, not {count}"
    bad = now
    for i, data in good.items ():
        put (i, data)
    assert ask ("check") == bad, f"{what}: not put right"

bad = ask ("check")
assert bad == 0
good = {i: get (i) for i in range (SIZE // PAGE)}
zero = bytes (PAGE)
kept = [i for i in good if good[i] != zero]
assert len (kept) > len (good) * 3 // 4, "too many pages of zeroes"
assert len (set (good[i] for i in kept)) == len (kept), "pages that are alike"

for i in kept[:64]:
    put (i, zero)
wrong ("lost", 64)

for i in range (64):
    put (i, good[i][:1000] + bytes ([good[i][1000] ^ 1]) + good[i][1001:])
wrong ("a bit", 64)

for a, b in zip (kept[0:64:2], kept[1:64:2]):
    put (a, good[b])
    put (b, good[a])
wrong ("swapped", 64)

for a, b in zip (kept[0:64:2], kept[1:64:2]):
    put (a, good[a][:2048] + good[b][2048:])
wrong ("torn", 32)

# verify rewrites some pages: what they held before is wrong from then on.
assert ask ("verify") == bad
newer = {i: get (i) for i in good}
changed = [i for i in good if newer[i] != good[i]]
assert len (changed) >= len (good) // 16, "too few pages were rewritten"
old, good = good, newer
for i in changed:
    put (i, old[i])
wrong ("rolled back", len (changed))
hog.stdin.close ()
assert hog.wait (timeout=30) == 0
print (f"{len (good)} pages, {len (changed)} rewritten")
END
