#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# embed.sh FILE NAME: the bytes of FILE as a C array of that name.
set -eu
export LC_ALL=C
echo "/* Made of ${1##*/}. */"
echo "static const unsigned char $2[] = {"
od -An -v -tu1 "$1" | sed 's/  */ /g; s/ $//; s/ \([0-9]\)/\1/; s/ /,/g; s/$/,/'
echo "};"
