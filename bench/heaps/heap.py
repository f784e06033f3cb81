# SPDX-License-Identifier: BSD-3-Clause
"""A Python heap: syntax trees of the standard library and an index of its
words, as a linter or a documentation tool holds them.  Grows to about the
number of MiB given, says "ready", and lives until its input ends."""

import ast
import collections
import os
import re
import resource
import sys
import sysconfig


def sources():
    for folder, folders, names in os.walk(sysconfig.get_path("stdlib")):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def held_mib():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main():
    goal = int(sys.argv[1])
    trees, index = {}, collections.defaultdict(list)
    for path in sources():
        try:
            with open(path, encoding="utf-8") as fp:
                text = fp.read()
            trees[path] = ast.parse(text)
        except (SyntaxError, ValueError, UnicodeDecodeError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for word in re.findall(r"[A-Za-z_]\w+", line):
                index[word].append((path, number, line.strip()))
        if held_mib() >= goal:
            break
    print("ready", len(trees), len(index), flush=True)
    sys.stdin.read()


main()
