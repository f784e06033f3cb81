// SPDX-License-Identifier: BSD-3-Clause
/* The parameters of the plugin: what the command line says, checked.
 *
 * Every function that fails has said why in one line (nbdkit_error) and
 * returns -1.  Filled by one thread before the server forks, only read
 * afterwards.
 */

#ifndef VMSWAP_SETTINGS_H
#define VMSWAP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pool.h"

/* mkswap(8) makes nothing smaller than ten pages. */
#define EXPORT_MIN_SIZE (UINT64_C (10) * POOL_PAGE_SIZE)
#define EXPORT_MAX_SIZE VOLUME_MAX_SIZE

/* A year: what nobody wants is off. */
#define SETTINGS_COLD_MAX_SECONDS 31536000u

/* What a region takes of the pool's size, or of the guest's quota, by default,
 * at the most. */
#define SETTINGS_REGION_PART 4

#define SETTINGS_REGISTRY_DEFAULT "/var/lib/vmswap"
#define SETTINGS_REGISTRY_NONE "none"

/* A size, or a part of the pool. */
struct amount {
  bool given;
  unsigned percent; /* 0: bytes counts */
  uint64_t bytes;   /* right after settings_complete */
};

/* What an export may hold at the most, and what nobody can take from it. */
struct export_limits {
  struct amount quota, reserve; /* 0 bytes: none */
};

/* Who may connect to a socket, beside the user of the server and root. */
struct socket_group {
  const char *key;  /* the parameter that names it; NULL: nobody */
  const char *name; /* as it was given */
  gid_t gid;
};

/* One guest=NAME[,size=SIZE][,group=NAME][,quota=SIZE][,reserve=SIZE]
 * [,ivshmem=PATH][,region=SIZE]. */
struct guest {
  struct guest *next; /* in the order of the command line */
  const char *name;
  uint64_t size;     /* 0 until settings_complete: the default */
  const char *group; /* NULL: the one of the settings */
  struct export_limits limits;
  char *ivshmem;   /* a socket for its QEMU, absolute, or NULL */
  uint64_t region; /* bytes that it shares with the guest; 0 until
                    * settings_complete: the default */
};

struct settings {
  uint64_t pool;     /* bytes of host memory, everything counted */
  uint64_t size;     /* virtual size of an export, unless it says else */
  const char *group; /* likewise; NULL: each shares with itself */
  struct export_limits limits; /* likewise */
  enum pool_sharing dedup;
  struct pool_cold cold; /* never with defaults to be filled in */
  const char *compressor; /* NULL: the pool's default */
  char *state;            /* a directory on tmpfs, absolute; NULL: none */
  char *registry; /* a directory, absolute, or SETTINGS_REGISTRY_NONE; NULL: the
                   * default, if that can be had */
  char *control;  /* a socket of the control server, absolute, or NULL */
  struct socket_group control_group;
  struct socket_group ivshmem_group; /* of those of all guests */
  char *keeper;   /* the socket of vmswap-keep, absolute, or NULL */
  uint16_t control_port; /* and its TCP port on the loopback; 0: none */
  bool stall;            /* full=stall */
  bool parallel;         /* requests of one connection run in parallel */
  bool share;            /* several peers may write to one export */
  bool swap_header;      /* blank exports get a swap header */

  struct guest *guests; /* NULL: exports open by name */
  size_t nr_guests;
  uint32_t given; /* bit n: parameters[n] was given */
};

#define SETTINGS_COLD_DEFAULT                                                  \
  {                                                                            \
    .on = true, .after = 300, .cpu = 10, .level = 3                            \
  }

#define SETTINGS_DEFAULT                                                       \
  {                                                                            \
    .cold = SETTINGS_COLD_DEFAULT, .swap_header = true                         \
  }

/* The text of --help, one parameter per line. */
extern const char settings_help[];

extern int settings_set (struct settings *settings, const char *key,
                         const char *value);
extern int settings_complete (struct settings *settings);
extern void settings_free (struct settings *settings);

/* Why a name can name no export, or NULL if it can. */
extern const char *settings_bad_name (const char *name);

#endif /* VMSWAP_SETTINGS_H */
