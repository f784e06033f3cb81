#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Views of a server: views.py fill|touch|parse|compare DIR

fill: writes to one export for each line of DIR/names.
touch: reads some of that.
parse: DIR/metrics is valid, and strictly so.
compare: DIR/{json,json2,figures,metrics,all,status} agree in every figure; it
exits with 3 if something changed between json and json2, or somebody is connected."""

import json
import random
import re
import sys
import urllib.parse

PAGE = 4096


def names(folder):
    with open(folder + "/names", encoding="utf-8") as lines:
        return lines.read().splitlines()


def connect(folder, name):
    import nbd
    client = nbd.NBD()
    client.set_export_name(name)
    client.connect_unix(folder + "/sock")
    return client


def touch(folder):
    for name in names(folder):
        client = connect(folder, name)
        client.pread(16 * PAGE, 32 * PAGE)
        client.shutdown()


def fill(folder):
    rng = random.Random(1)
    for number, name in enumerate(names(folder)):
        client = connect(folder, name)
        for page in range(1, 100 + 20 * number):
            kind = rng.randrange(4)
            data = (rng.randbytes(PAGE) if kind == 0 else
                    bytes([7]) * PAGE if kind == 1 else
                    rng.randbytes(64) * (PAGE // 64))
            client.pwrite(data, page * PAGE)
        client.pread(32 * PAGE, 0)
        client.trim(16 * PAGE, 8 * PAGE)
        client.shutdown()


# --- Prometheus' text format 0.0.4.

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


def parse_labels(text):
    """The labels at the start of text, and the rest of it."""
    labels = {}
    at = 0
    while text[at] != "}":
        equals = text.index("=", at)
        label = text[at:equals]
        assert LABEL_NAME.match(label), label
        assert label not in labels
        assert text[equals + 1] == '"', text
        at = equals + 2
        value = ""
        while text[at] != '"':
            if text[at] == "\\":
                at += 1
                value += {"\\": "\\", '"': '"', "n": "\n"}[text[at]]
            else:
                value += text[at]
            at += 1
        labels[label] = value
        at += 1
        assert text[at] in ",}", text
        if text[at] == ",":
            at += 1
    return labels, text[at + 1:]


def parse_sample(line):
    match = re.match(r"[^{ ]+", line)
    name = match.group(0)
    assert NAME.match(name), name
    rest = line[match.end():]
    labels = {}
    if rest.startswith("{"):
        labels, rest = parse_labels(rest[1:])
    assert re.match(r" (\+Inf|NaN|[0-9.e+-]+)\Z", rest), line
    return name, labels, float(rest)


def family_of(name, kinds):
    if name in kinds:
        return name
    for end in ("_bucket", "_sum", "_count"):
        if name.endswith(end) and kinds.get(name[:-len(end)]) == "histogram":
            return name[:-len(end)]
    raise AssertionError("a sample without TYPE: " + name)


def check_histogram(name, samples):
    """Buckets rise to +Inf, which is the count."""
    series = {}
    for (sample, labels), value in samples.items():
        labels = dict(labels)
        bound = labels.pop("le", None)
        one = series.setdefault(tuple(sorted(labels.items())), {"le": []})
        if sample == name + "_bucket":
            one["le"].append((float(bound), value))
        else:
            one[sample[len(name):]] = value
    for one in series.values():
        bounds = [bound for bound, value in one["le"]]
        counts = [value for bound, value in one["le"]]
        assert bounds == sorted(set(bounds)), name
        assert counts == sorted(counts), name
        assert bounds[-1] == float("inf") and counts[-1] == one["_count"], name
        assert one["_sum"] >= 0


def parse(folder):
    """{(name, ((label, value), ...)): value} and {name: kind}"""
    with open(folder + "/metrics", "rb") as file:
        data = file.read()
    text = data.decode("utf-8")
    assert text.endswith("\n# EOF\n")
    helps, kinds, samples, families = set(), {}, {}, {}
    current = None
    for line in text[:-len("\n# EOF\n")].split("\n"):
        if line.startswith("# HELP "):
            name, _, meaning = line[7:].partition(" ")
            assert NAME.match(name) and meaning and name not in helps, line
            helps.add(name)
            current = name
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current and name not in kinds, line
            assert kind in ("counter", "gauge", "histogram"), line
            assert kind != "counter" or name.endswith("_total"), line
            kinds[name] = kind
        else:
            name, labels, value = parse_sample(line)
            family = family_of(name, kinds)
            assert family == current, "lines of a metric apart: " + line
            key = (name, tuple(sorted(labels.items())))
            assert key not in samples, "twice: " + line
            samples[key] = value
            families.setdefault(family, {})[key] = value
    assert helps == set(kinds) == set(families)
    for name, kind in kinds.items():
        if kind == "histogram":
            check_histogram(name, families[name])
    return samples, kinds


# --- Agreement.

def metric_name(scope, line):
    return ("vmswap_" + scope + "_" + line["name"] +
            ("_total" if line["kind"] == "counter" else ""))


def same(one, other):
    return abs(one - other) <= 1e-5 * max(abs(one), abs(other))


def parse_all(folder):
    """{"pool" or "guest NAME": {figure: text}}"""
    result = {}
    with open(folder + "/all", encoding="utf-8") as file:
        for line in file.read().splitlines():
            if not line.startswith("  "):
                current = result.setdefault(line, {})
            else:
                name, value = line.split()[:2]
                current[name] = float(value)
    return result


def human(size):
    """Independent of the program's own: one decimal below ten."""
    if size < 1024:
        return str(size)
    unit = 0
    while size >= 1024 ** (unit + 2) and unit < 5:
        unit += 1
    tenths = (size * 10 * 2 // 1024 ** (unit + 1) + 1) // 2
    if tenths < 100:
        return ("%d.%d" % divmod(tenths, 10)).replace(".0", "") + "KMGTPE"[unit]
    return "%d%s" % ((size * 2 // 1024 ** (unit + 1) + 1) // 2, "KMGTPE"[unit])


def short_time(seconds):
    for unit, factor in (("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return ("%.1f" if seconds * factor < 10 else "%.0f") % (
                seconds * factor) + unit
    return "%.1fs" % seconds


def cold_share(guest):
    percent = 100 * guest["cold_pages"] / guest["stored_pages"]
    return "<1%" if 0 < percent < 1 else "%.0f%%" % percent


def compare_top(folder, now):
    with open(folder + "/top", encoding="utf-8") as file:
        top = file.read().splitlines()
    pool = now["pool"]
    assert top[1].endswith("] %s of %s used" % (human(pool["used_bytes"]),
                                                human(pool["limit_bytes"])))
    assert top[2] == "memory # hot %s  = shared %s  + cold %s  : other %s  . free %s" % (
        human(pool["blob_bytes"] - pool["shared_blob_bytes"] - pool["cold_bytes"]),
        human(pool["shared_blob_bytes"]), human(pool["cold_bytes"]),
        human(pool["used_bytes"] - pool["blob_bytes"] - pool["free_bytes"]),
        human(pool["free_bytes"])), top[2]
    assert top[3] == (
        "stored %s  saved %s  ratio %.2f  compression %.2f  overhead %s" % (
            human(pool["stored_bytes"]), human(pool["saved_bytes"]),
            pool["effective_ratio"], pool["compression_ratio"],
            human(pool["overhead_bytes"]))), top[3]
    assert top[4] == (
        "pages  stored %(stored_pages)d  compressed %(compressed_pages)d  "
        "cold %(cold_pages)d  shared %(shared_pages)d  fill %(fill_pages)d  "
        "raw %(raw_pages)d  lost %(lost_pages)d" % pool), top[4]
    guests = sorted(now["guests"], key=lambda g: (-g["held_bytes"], g["id"]))
    for guest, line in zip(guests, top[8:]):
        assert line.startswith(guest["name"]), line
        assert line[len(guest["name"]):].split() == [
            human(guest["stored_bytes"]), human(guest["held_bytes"]),
            "%.2f" % guest["effective_ratio"], "-", "-",
            short_time(guest["read_p50_seconds"]),
            short_time(guest["read_p99_seconds"]),
            short_time(guest["write_p99_seconds"]), "idle", cold_share(guest),
            "%.0f%%" % (100 * guest["charged_bytes"] / guest["quota_bytes"])
            if guest["quota_bytes"] else "-",
            human(guest["saved_bytes"]), human(guest["size_bytes"]), "-", "-",
            "0"], line
    hints = [line for line in top if line.startswith("! ")]
    assert len(hints) == len(now["hints"]) > 0
    for hint, line in zip(now["hints"], hints):
        assert line.endswith(": " + hint["seen"]), line


def check_sums(now):
    """What is part of something else, is: a page is one of five things."""
    for one in [now["pool"]] + now["guests"]:
        assert one["stored_pages"] == sum(one[kind + "_pages"] for kind in (
            "compressed", "raw", "cold", "shared", "fill")), one
        assert one["cold_bytes"] <= one["blob_bytes"], one
        # Nothing is shared here, so each compressed page is one of its own.
        pages = one["compressed_pages"] + one["raw_pages"] + one["cold_pages"]
        assert same(one["compression_ratio"], pages * PAGE / one["data_bytes"]), one
    for name in ("cold_pages", "cold_bytes", "blob_bytes", "stored_pages"):
        assert now["pool"][name] == sum(guest[name] for guest in now["guests"]), name
    assert now["pool"]["shared_pages"] == 0


def compare(folder):
    now, again, figures = (json.load(open(folder + "/" + name,
                                          encoding="utf-8"))
                           for name in ("json", "json2", "figures"))
    samples, kinds = parse(folder)
    everything = parse_all(folder)
    compared = 0
    for moment in (now, again):
        del moment["time"], moment["clock_ns"]
    if now != again or now["pool"]["connections"] > 0: # one that ends just now
        sys.exit(3)
    for line in figures["pool"]:
        value = now["pool"][line["name"]]
        name = metric_name("pool", line)
        assert kinds[name] == line["kind"] or line["kind"] == "histogram"
        assert same(samples.pop((name, ())), value), name
        assert same(everything["pool"][line["name"]], value), name
        compared += 1
    listed = names(folder)
    assert [guest["name"] for guest in now["guests"]] == listed
    for guest in now["guests"]:
        assert urllib.parse.unquote(guest["id"]) == guest["name"]
        for line in figures["guest"]:
            name = metric_name("guest", line)
            value = guest[line["name"]]
            key = (name, (("guest", guest["name"]),))
            assert same(samples.pop(key), value), key
            assert same(everything["guest " + guest["name"]][line["name"]],
                        value), key
            compared += 1
    left = {name for name, labels in samples
            if kinds[family_of(name, kinds)] != "histogram"}
    assert left == {"vmswap_info", "vmswap_start_time_seconds"}, left
    # Numbers that are there are no zeroes, or this would prove little.
    for name in ("stored_pages", "raw_pages", "fill_pages", "compressed_pages",
                 "cold_pages", "cold_bytes", "held_bytes", "written_pages", "read_pages", "trimmed_pages"):
        assert all(guest[name] > 0 for guest in now["guests"]), name
    for name in ("cooled_pages", "warmed_pages", "cold_cpu_seconds"):
        assert now["pool"][name] > 0, name
    check_sums(now)
    with open(folder + "/status", encoding="utf-8") as file:
        status = file.read().splitlines()
    pool = now["pool"]
    assert status[0].startswith(
        "pool: %s of %s used, %s stored, %s saved, ratio %.2f " %
        (human(pool["used_bytes"]), human(pool["limit_bytes"]),
         human(pool["stored_bytes"]), human(pool["saved_bytes"]),
         pool["effective_ratio"])), status[0]
    for guest, line in zip(now["guests"], status[2:]):
        assert line.startswith(guest["name"])
        assert line[len(guest["name"]):].split()[:7] == [
            human(guest["size_bytes"]), human(guest["stored_bytes"]),
            human(guest["held_bytes"]), human(guest["saved_bytes"]),
            "%.2f" % guest["effective_ratio"], cold_share(guest),
            str(guest["stored_pages"])], line
    compare_top(folder, now)
    print("%d figures, the same in all views" % compared)


{"fill": fill, "touch": touch, "parse": parse, "compare": compare}[sys.argv[1]](sys.argv[2])
