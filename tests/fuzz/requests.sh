#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Any sequence of requests is served right.
exec "${SHELL:-/bin/sh}" "${srcdir:-.}/run.sh" requests
