# SPDX-License-Identifier: BSD-3-Clause
# Included by every Makefile.am: the flags that all user-space code shares.

NULL =
AM_CPPFLAGS = -I$(top_srcdir)/proto -I$(top_srcdir)/host-pool -I$(top_builddir)
AM_CFLAGS = -std=gnu11 -fno-strict-aliasing $(PTHREAD_FLAGS) $(WARNINGS_CFLAGS)
AM_LDFLAGS = $(PTHREAD_FLAGS)
