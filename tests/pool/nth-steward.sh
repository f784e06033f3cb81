#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The n-th acquisition fails while the steward is at work too.
exec ./nth --steward --stride 3
