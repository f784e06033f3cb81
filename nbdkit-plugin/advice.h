// SPDX-License-Identifier: BSD-3-Clause
/* What an operator should look at: things that figures show to be wrong, and
 * how each is put right. */

#ifndef VMSWAP_ADVICE_H
#define VMSWAP_ADVICE_H

#include "figures.h"
#include "render.h"

struct advice {
  const struct figures_guest *guest; /* NULL: it concerns the server */
  const char *kind;                  /* one word, which never changes */
  char seen[256];
  const char *fix;
};

/* Calls fn for each until it returns other than 0, and returns that. */
extern int advice_each (const struct figures *figures,
                        const struct render_server *server,
                        int (*fn) (const struct advice *advice, void *opaque),
                        void *opaque);

#endif /* VMSWAP_ADVICE_H */
