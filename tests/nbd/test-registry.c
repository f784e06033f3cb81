// SPDX-License-Identifier: BSD-3-Clause
/* The registry by itself: what is added is there for the next server, whoever
 * adds at the same time; what a client did to the header is not forgotten; a
 * registry that is full says so. */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry.h"

#define THREADS 4

static char dir[] = "/tmp/vmswap-registry-XXXXXX";
static struct registry *registry;

static void
check (int line, bool good)
{
  if (!good) {
    fprintf (stderr, "%s:%d: failed\n", __FILE__, line);
    exit (1);
  }
}

#define CHECK(good) check (__LINE__, (good))

static void
reopen (void)
{
  char reason[512];

  registry_close (registry);
  registry = NULL;
  if (registry_open (dir, false, reason, sizeof reason, &registry) != 0) {
    fprintf (stderr, "%s\n", reason);
    exit (1);
  }
}

static int
add (const char *name, uint64_t pool, bool own_header)
{
  struct registry_entry entry = { .size = 1 << 20,
                                  .pool = pool,
                                  .own_header = own_header };

  snprintf (entry.name, sizeof entry.name, "%s", name);
  return registry_add (registry, &entry, NULL);
}

/* The entry of a name; its name is "" if there is none. */
struct search {
  const char *name;
  struct registry_entry found;
  unsigned count;
};

static int
compare (const struct registry_entry *entry, void *opaque)
{
  struct search *search = opaque;

  search->count++;
  if (strcmp (entry->name, search->name) == 0)
    search->found = *entry;
  return 0;
}

static struct search
look_for (const char *name)
{
  struct search search = { .name = name };

  registry_each (registry, compare, &search);
  return search;
}

static void
test_header (void)
{
  CHECK (add ("a", 1, true) == 0);
  CHECK (look_for ("a").found.own_header);
  CHECK (add ("a", 1, false) == 0);
  CHECK (add ("a", 1, true) == 0);
  reopen ();
  CHECK (!look_for ("a").found.own_header); /* not forgotten in this pool */
  CHECK (add ("a", 2, true) == 0);
  CHECK (look_for ("a").found.own_header);
  CHECK (registry_remove (registry, "a", 0) == 0);
  CHECK (registry_remove (registry, "a", 0) == -ENOENT);
  reopen ();
  CHECK (look_for ("a").count == 0);
}

static void
test_serial (void)
{
  struct registry_entry entry = { .name = "s", .size = 4096, .pool = 1 };
  uint64_t first, second;

  CHECK (registry_add (registry, &entry, &first) == 0);
  CHECK (registry_add (registry, &entry, &second) == 0);
  CHECK (registry_remove (registry, "s", first) == -ESTALE);
  CHECK (look_for ("s").found.size == 4096);
  CHECK (registry_remove (registry, "s", second) == 0);
  CHECK (look_for ("s").count == 0);
}

static void *
add_and_remove (void *opaque)
{
  const unsigned self = *(unsigned *) opaque;
  char name[32];

  for (unsigned i = 0; i < 40; ++i) {
    snprintf (name, sizeof name, "%u/%u", self, i);
    CHECK (add (name, i, true) == 0);
    CHECK (add (name, i, i % 2) == 0);
    if (i % 4 == 3)
      CHECK (registry_remove (registry, name, 0) == 0);
  }
  return NULL;
}

static void
test_threads (void)
{
  pthread_t thread[THREADS];
  unsigned number[THREADS];

  for (unsigned t = 0; t < THREADS; ++t) {
    number[t] = t;
    CHECK (pthread_create (&thread[t], NULL, add_and_remove, &number[t]) == 0);
  }
  for (unsigned t = 0; t < THREADS; ++t)
    pthread_join (thread[t], NULL);
  reopen ();
  CHECK (look_for ("0/0").count == THREADS * 30);
  CHECK (look_for ("3/38").found.pool == 38);
  CHECK (!look_for ("3/38").found.own_header);
  CHECK (look_for ("2/37").found.own_header);
  CHECK (look_for ("2/39").found.name[0] == '\0');
}

static void
test_full (void)
{
  const unsigned taken = look_for ("").count;
  char name[32];

  for (unsigned i = taken; i < REGISTRY_ENTRIES; ++i) {
    snprintf (name, sizeof name, "more %u", i);
    CHECK (add (name, 7, false) == 0);
  }
  CHECK (add ("one too many", 7, false) == -ENOSPC);
  CHECK (add ("more 1000", 8, false) == 0);
  CHECK (registry_remove (registry, "more 500", 0) == 0);
  CHECK (add ("one too many", 7, false) == 0);
  reopen ();
  CHECK (look_for ("one too many").count == REGISTRY_ENTRIES);
  CHECK (look_for ("more 1000").found.pool == 8);

  const struct search search = look_for ("more 1000");
  CHECK (registry_is_this_boot (&search.found));
}

int
main (void)
{
  char file[sizeof dir + 20];

  CHECK (mkdtemp (dir) != NULL);
  reopen ();
  test_header ();
  test_serial ();
  test_threads ();
  test_full ();
  registry_close (registry);
  snprintf (file, sizeof file, "%s/registry", dir);
  unlink (file);
  rmdir (dir);
  return 0;
}
