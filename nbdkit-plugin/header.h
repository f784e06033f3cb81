// SPDX-License-Identifier: BSD-3-Clause
/* The swap header of an export and the pages that it reserves, as they lie in
 * the volume; swapheader.h has their form.
 *
 * The header is *ours* while page 0 is what the server writes there and every
 * reserved page reads as zeroes: then nobody can miss them when all pages of
 * the export are lost, for they can be made again.  Else it is *the guest's*,
 * and is lost like the rest.
 *
 *     none         -> ours         exports_open: the export is blank
 *     ours         -> the guest's  exports_note_header: before a client's write
 *     the guest's  -> ours         exports_open: it is as if it were, again
 *
 * The registry has it, too ("header=server" or "header=guest"): what it says
 * may only be too cautious.
 *
 * Functions take no locks; the caller keeps clients from writing to these pages
 * meanwhile. */

#ifndef VMSWAP_HEADER_H
#define VMSWAP_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

/* Pages of the volume that hold something. */
extern uint64_t header_pages (struct volume *volume);

extern bool header_is_ours (struct volume *volume);

/* Does the volume hold nothing, or our header alone?  Nobody would notice then
 * if its pages were lost. */
extern bool header_is_all (struct volume *volume);

/* Is page 0 a swap header that is not ours?  Then a guest has made a new swap
 * area, and what was lost before is no loss. */
extern bool header_is_new (struct volume *volume);

/* Makes page 0 our header.  0, or the errors of volume_write. */
extern int header_write (struct volume *volume);

/* All pages of a volume that holds nothing, or our header alone, become lost;
 * but what the header reserved if it was ours, and page 0 if our header is
 * wanted there. */
extern void header_lose (struct volume *volume, bool ours, bool wanted);

#endif /* VMSWAP_HEADER_H */
