// SPDX-License-Identifier: BSD-3-Clause
/* The functions of the nbdkit server that the plugin calls, as far as it needs
 * them: what they were told is kept for the target to look at. */

#ifndef VMSWAP_FUZZ_SERVER_H
#define VMSWAP_FUZZ_SERVER_H

#include <stdint.h>
#include <sys/socket.h>

struct server {
  unsigned errors;    /* lines of nbdkit_error since it was reset */
  unsigned warnings;  /* of those that begin so */
  char line[1024];    /* the last of them */
  int error;          /* nbdkit_set_error */
  const char *export; /* the name that the client asked for */
  int64_t pid;        /* of the peer on a Unix socket; 0: it is unknown */
  sa_family_t family; /* of its address */
  uint32_t address;   /* IPv4, host order */
  unsigned exports;   /* nbdkit_add_export */
};

extern struct server server;

/* Forgets the errors. */
extern void server_reset (void);

/* Frees the strings that the plugin has interned. */
extern void server_free (void);

/* Extents of one request: nbdkit_add_extent checks that each begins where the
 * last ended. */
struct nbdkit_extents {
  uint64_t start, end; /* of the request */
  uint64_t upto;
  void (*fn) (void *opaque, uint64_t offset, uint64_t length, uint32_t type);
  void *opaque;
};

#endif /* VMSWAP_FUZZ_SERVER_H */
