#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A state image, damaged in any way, is refused whole or serves no wrong page.
exec "${SHELL:-/bin/sh}" "${srcdir:-.}/run.sh" image
