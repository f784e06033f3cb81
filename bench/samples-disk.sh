# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# What guests of the benches swap.  Sourced after tests/guest/functions.sh.

# make_disk PAGES SAMPLE...: $dir/disk, with pages of all samples in turns of 2
# MiB.  Left out are those that are one 64-bit value all over, which all sides keep
# in a table.
make_disk ()
{
  python3 - "$dir/disk" "$@" <<'END' || fail "no disk of samples"
import sys
PAGE, RUN = 4096, 512

def pages(path):
    with open(path, "rb") as sample:
        while len(page := sample.read(PAGE)) == PAGE:
            if page != page[:8] * (PAGE // 8):
                yield page

wanted, sources = int(sys.argv[2]), [pages(path) for path in sys.argv[3:]]
with open(sys.argv[1], "wb") as out:
    while sources and wanted:
        for source in list(sources):
            run = [page for _, page in zip(range(min(RUN, wanted)), source)]
            out.write(b"".join(run))
            wanted -= len(run)
            if not run:
                sources.remove(source)
if wanted:
    sys.exit(f"the samples are {wanted} pages short")
END
}
