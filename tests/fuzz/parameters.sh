#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Any command line is taken or refused in one line.
exec "${SHELL:-/bin/sh}" "${srcdir:-.}/run.sh" parameters
