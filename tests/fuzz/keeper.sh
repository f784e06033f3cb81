#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# No message of a server, nor answer of a keeper, harms the other or leaves a
# descriptor open.
exec "${SHELL:-/bin/sh}" "${srcdir:-.}/run.sh" keeper
