#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The manual page describes every parameter that --help lists, and the other
# way round; it is well-formed and has all sections.
. "${srcdir:-.}/functions.sh"
: "${VMSWAP_POD:?names the manual page: run 'make check'}"

# Keys at the beginning of a line of the help, after the heading.
"$nbdkit" "$plugin" --help >"$dir/help.log"
sed -n 's/^\[\{0,1\}\([a-z][a-z-]*\)=.*/\1/p' "$dir/help.log" \
    | sort -u >"$dir/help.keys"
# Items of the section PARAMETERS: B<key=>, [B<key=>].
sed -n '/^=head1 PARAMETERS/,/^=head1 [^P]/p' "$VMSWAP_POD" \
    | sed -n 's/^=item \[\{0,1\}B<\([a-z-]*\)=.*/\1/p' \
    | sort -u >"$dir/pod.keys"
[ "$(wc -l <"$dir/help.keys")" -ge 7 ] || fail "keys are missing in --help"
diff "$dir/help.keys" "$dir/pod.keys" \
    || fail "--help and the manual differ (< help, > manual)"

# Every key of both is a key, and named in the synopsis.
while read -r key; do
    # /dev/null/x: nothing is ever made there.
    "$nbdkit" -U - "$plugin" pool=64M "$key=/dev/null/x" --run true \
        >"$dir/run.log" 2>&1 || :
    ! grep -q "unknown parameter" "$dir/run.log" || fail "there is no $key="
    sed -n '/^=head1 SYNOPSIS/,/^=head1 D/p' "$VMSWAP_POD" | grep -q "$key=" \
        || fail "the synopsis lacks $key="
done <"$dir/help.keys"

for section in NAME SYNOPSIS DESCRIPTION EXAMPLES PARAMETERS FILES VERSION \
               'SEE ALSO' AUTHORS COPYRIGHT LICENSE; do
    grep -q -x "=head1 $section" "$VMSWAP_POD" || fail "no section $section"
done
if command -v podchecker >/dev/null; then
    podchecker -warnings "$VMSWAP_POD" >"$dir/podchecker.log" 2>&1 \
        || fail "podchecker"
    ! grep -q WARNING "$dir/podchecker.log" || fail "podchecker warns"
fi
