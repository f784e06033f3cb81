// SPDX-License-Identifier: BSD-3-Clause
/* The barriers of proto/vmswap-ring.h are enough, and none is too many.
 *
 * Each step of the protocol is two short programs of loads and stores, the
 * guest's and the host's.  The explorer runs them in every way in which a
 * weakly ordered machine may: a thread's operations happen in any order, but
 * that
 *   - those of one variable keep theirs;
 *   - a store waits for the loads it depends on (loads do not: speculation);
 *   - a barrier puts all operations of one set before all of another.
 * No outcome may be wrong.  Then each barrier is left out in turn, and some
 * outcome must be. */

#include <config.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "unit-check.h"

#define MAX_OPS 8
#define MAX_BARRIERS 6
#define NOTHING 0xff

enum { GUEST, HOST };
enum kind { END, STORE, LOAD };

struct op {
  enum kind kind;
  uint8_t variable;
  uint8_t what;        /* STORE: the value; LOAD: the register */
  uint8_t if_register; /* STORE: only if this register … */
  uint8_t if_value;    /* … has this value */
};

#define S(variable, value)                                                     \
  {                                                                            \
    STORE, variable, value, NOTHING, 0                                         \
  }
#define S_IF(variable, value, reg, is)                                         \
  {                                                                            \
    STORE, variable, value, reg, is                                            \
  }
#define L(variable, reg)                                                       \
  {                                                                            \
    LOAD, variable, reg, NOTHING, 0                                            \
  }

/* In a thread, the operations of the mask before happen before those of the
 * mask after. */
struct barrier {
  const char *name;
  unsigned thread;
  unsigned before;
  unsigned after;
};

struct world {
  uint8_t memory[8];
  uint8_t registers[8];
  uint8_t done[2];
};

struct scenario {
  const char *name;
  struct op ops[2][MAX_OPS];
  struct barrier barriers[MAX_BARRIERS];
  bool (*is_right) (const uint8_t *registers);
  uint8_t memory[8];
};

/* Worlds that were seen. */
#define SEEN_SIZE (1u << 18)
static struct world seen[SEEN_SIZE];
static bool seen_used[SEEN_SIZE];

static bool
seen_add (const struct world *world)
{
  uint64_t hash = 0;
  unsigned i;

  for (i = 0; i < sizeof *world; ++i)
    hash = (hash ^ ((const uint8_t *) world)[i]) * 0x100000001b3u;
  for (i = (unsigned) (hash >> 20) % SEEN_SIZE; seen_used[i];
       i = (i + 1) % SEEN_SIZE)
    if (memcmp (&seen[i], world, sizeof *world) == 0)
      return false;
  seen[i] = *world;
  seen_used[i] = true;
  return true;
}

static unsigned
ops_count (const struct op *ops)
{
  unsigned n = 0;

  while (n < MAX_OPS && ops[n].kind != END)
    ++n;
  return n;
}

/* What must have happened before an operation. */
static unsigned
op_needs (const struct scenario *scenario, unsigned left_out, unsigned thread,
          unsigned op)
{
  const struct op *ops = scenario->ops[thread];
  unsigned needs = 0;

  for (unsigned i = 0; i < op; ++i)
    if (ops[i].variable == ops[op].variable ||
        (ops[i].kind == LOAD && ops[op].kind == STORE &&
         ops[op].if_register == ops[i].what))
      needs |= 1u << i;
  for (unsigned b = 0; b < MAX_BARRIERS; ++b) {
    const struct barrier *barrier = &scenario->barriers[b];

    if (b != left_out && barrier->name && barrier->thread == thread &&
        (barrier->after >> op & 1))
      needs |= barrier->before;
  }
  return needs;
}

static void
op_run (const struct op *op, struct world *world)
{
  if (op->kind == LOAD)
    world->registers[op->what] = world->memory[op->variable];
  else if (op->if_register == NOTHING ||
           world->registers[op->if_register] == op->if_value)
    world->memory[op->variable] = op->what;
}

/* Is every outcome right, from this world on? */
static bool
explore (const struct scenario *scenario, unsigned left_out,
         const struct world *world)
{
  bool ended = true;

  if (!seen_add (world))
    return true;
  for (unsigned thread = 0; thread < 2; ++thread)
    for (unsigned op = 0; op < ops_count (scenario->ops[thread]); ++op) {
      const unsigned needs = op_needs (scenario, left_out, thread, op);
      struct world next = *world;

      if (world->done[thread] >> op & 1)
        continue;
      ended = false;
      if ((needs & ~(unsigned) world->done[thread]) != 0)
        continue;
      op_run (&scenario->ops[thread][op], &next);
      next.done[thread] |= (uint8_t) (1u << op);
      if (!explore (scenario, left_out, &next))
        return false;
    }
  return !ended || scenario->is_right (world->registers);
}

static bool
scenario_holds (const struct scenario *scenario, unsigned left_out)
{
  struct world world;

  memset (&world, 0, sizeof world);
  memcpy (world.memory, scenario->memory, sizeof world.memory);
  memset (seen_used, 0, sizeof seen_used);
  return explore (scenario, left_out, &world);
}

/* A post and its slot (two halves); the slot is used again once post_tail has
 * passed it. */
enum { POST, HALF1, HALF2, HEAD, TAIL };

static bool
post_is_right (const uint8_t *r)
{
  return r[1] != 1 || (r[2] == 1 && r[3] == 1 && r[4] == 1);
}

/* What the host did before it moved post_tail: the cache is corrected. */
enum { CACHE = 0, CACHE_TAIL };

static bool
tail_is_right (const uint8_t *r)
{
  return r[0] != 1 || r[1] == 1;
}

/* Sleeping: woken, or seen. */
enum { INDEX = 0, EVENT };

static bool
wake_is_right (const uint8_t *r)
{
  return r[0] == 1 || r[1] == 1;
}

/* A cache entry of page 1 becomes one of page 2. */
enum { SEQUENCE = 0, PAGE, DATA1, DATA2 };

static bool
cache_is_right (const uint8_t *r)
{
  const bool hit = r[0] == r[4] && (r[0] & 1) == 0;

  return !hit || (r[2] == r[1] && r[3] == r[1]);
}

/* A request and its result; the tag is used again when it is done. */
enum { REQUEST = 0, SERIAL, TAG_PAGE, STATUS, RESULT };

static bool
request_is_right (const uint8_t *r)
{
  return (r[3] != 1 || r[4] == 1) && (r[0] != 1 || (r[1] == 1 && r[2] == 1));
}

/* A later server that has seen submit_head has seen the request in the table;
 * a host that has seen QUIESCED has seen the last post. */
enum { PUBLISHED = 0, FLAG };

static bool
publish_is_right (const uint8_t *r)
{
  return r[0] != 1 || r[1] == 1;
}

static const struct scenario scenarios[] = {
  { "posts",
    { { S (HALF1, 1), S (HALF2, 1), S (POST, 1), S (HEAD, 1), L (TAIL, 0),
        S_IF (HALF1, 2, 0, 1), S_IF (HALF2, 2, 0, 1) },
      { L (HEAD, 1), L (POST, 2), L (HALF1, 3), L (HALF2, 4),
        S_IF (TAIL, 1, 1, 1) } },
    { { "release of post_head", GUEST, 07, 010 },
      { "acquire of post_head", HOST, 01, 016 },
      { "release of post_tail", HOST, 016, 020 } },
    post_is_right,
    { 0 } },
  { "the cache and post_tail",
    { { L (CACHE_TAIL, 0), L (CACHE, 1) },
      { S (CACHE, 1), S (CACHE_TAIL, 1) } },
    { { "release of post_tail", HOST, 01, 02 },
      { "acquire of post_tail", GUEST, 01, 02 } },
    tail_is_right,
    { 0 } },
  { "notification",
    { { S (INDEX, 1), L (EVENT, 0) }, { S (EVENT, 1), L (INDEX, 1) } },
    { { "full barrier of who moves", GUEST, 01, 02 },
      { "full barrier of who waits", HOST, 01, 02 } },
    wake_is_right,
    { 0 } },
  { "a cache entry",
    { { L (SEQUENCE, 0), L (PAGE, 1), L (DATA1, 2), L (DATA2, 3),
        L (SEQUENCE, 4) },
      { S (SEQUENCE, 3), S (PAGE, 2), S (DATA1, 2), S (DATA2, 2),
        S (SEQUENCE, 4) } },
    { { "write barrier after the odd sequence", HOST, 01, 016 },
      { "release of the even sequence", HOST, 016, 020 },
      { "acquire of the sequence", GUEST, 01, 016 },
      { "read barrier before the second look", GUEST, 016, 020 } },
    cache_is_right,
    { 2, 1, 1, 1 } },
  { "requests",
    { { S (REQUEST, 1), S (SERIAL, 1), L (RESULT, 0), L (STATUS, 1),
        L (TAG_PAGE, 2), S_IF (REQUEST, 2, 0, 1) },
      { L (SERIAL, 3), L (REQUEST, 4), S_IF (TAG_PAGE, 1, 3, 1),
        S_IF (STATUS, 1, 3, 1), S_IF (RESULT, 1, 3, 1) } },
    { { "release of the serial", GUEST, 01, 02 },
      { "acquire of the serial", HOST, 01, 02 },
      { "release of the result", HOST, 016, 020 },
      { "acquire of the result", GUEST, 04, 030 } },
    request_is_right,
    { 0 } },
  { "a look at the table, or a stop",
    { { S (PUBLISHED, 1), S (FLAG, 1) }, { L (FLAG, 0), L (PUBLISHED, 1) } },
    { { "release of submit_head, or of QUIESCED", GUEST, 01, 02 },
      { "acquire of them", HOST, 01, 02 } },
    publish_is_right,
    { 0 } },
};

/* The second look comes first: as if it were left out. */
static const struct scenario no_second_look = {
  "notification without the second look",
  { { S (INDEX, 1), L (EVENT, 0) }, { L (INDEX, 1), S (EVENT, 1) } },
  { { "full barrier of who moves", GUEST, 01, 02 },
    { "full barrier of who waits", HOST, 01, 02 } },
  wake_is_right,
  { 0 }
};

int
main (void)
{
  for (unsigned s = 0; s < sizeof scenarios / sizeof scenarios[0]; ++s) {
    const struct scenario *scenario = &scenarios[s];

    if (!scenario_holds (scenario, MAX_BARRIERS)) {
      fprintf (stderr, "%s: goes wrong with all barriers\n", scenario->name);
      return 1;
    }
    for (unsigned b = 0; b < MAX_BARRIERS && scenario->barriers[b].name; ++b)
      if (scenario_holds (scenario, b)) {
        fprintf (stderr, "%s: holds without the %s\n", scenario->name,
                 scenario->barriers[b].name);
        return 1;
      }
  }
  CHECK (!scenario_holds (&no_second_look, MAX_BARRIERS));
  return 0;
}
