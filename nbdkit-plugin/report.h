// SPDX-License-Identifier: BSD-3-Clause
/* Messages about requests: one line per kind and second, however many
 * requests fail.  What was left out is counted in the next line of its kind.
 */

#ifndef VMSWAP_REPORT_H
#define VMSWAP_REPORT_H

enum report_kind {
  REPORT_FULL,    /* the pool has no room */
  REPORT_QUOTA,   /* an export has all that it may hold */
  REPORT_MEMORY,  /* the host has none */
  REPORT_DAMAGED, /* a page failed its check */
  REPORT_CLAIMED, /* the export belongs to another peer */
  REPORT_LOST,     /* a page went with an earlier pool */
  REPORT_REGISTRY, /* the registry cannot be written */
  REPORT_REFUSED,  /* an export cannot be opened */
  REPORT_UNNAMED, /* "" where it could mean several exports */
  REPORT_OTHER,
  REPORT_KINDS
};

extern void report (enum report_kind kind, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

#endif /* VMSWAP_REPORT_H */
