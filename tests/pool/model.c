// SPDX-License-Identifier: BSD-3-Clause
/* The model test: options, threads, and the summary.  See model.h. */

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const char usage[] =
    "usage: model [--ops N] [--seconds N] [--threads N] [--volumes N]\n"
    "             [--size BYTES] [--pool BYTES] [--seed N] [--codec NAME]\n"
    "             [--check-every N] [--full] [--limits] [--hot]\n"
    "             [--cold] [--same N] [--groups N] [--sharing off|auto|always]\n"
    "             [--steward | --no-steward]\n"
    "BYTES may end in K, M, G or T.\n";

enum {
  OPT_FIRST = 256,
  OPT_COLD,
  OPT_FULL,
  OPT_HOT,
  OPT_LIMITS,
  OPT_SHARING,
  OPT_STEWARD,
  OPT_NO_STEWARD
};

static const struct option options[] = {
  { "ops", required_argument, NULL, 'o' },
  { "seconds", required_argument, NULL, 'n' },
  { "threads", required_argument, NULL, 't' },
  { "volumes", required_argument, NULL, 'v' },
  { "size", required_argument, NULL, 's' },
  { "pool", required_argument, NULL, 'p' },
  { "seed", required_argument, NULL, 'r' },
  { "codec", required_argument, NULL, 'c' },
  { "check-every", required_argument, NULL, 'e' },
  { "same", required_argument, NULL, 'a' },
  { "groups", required_argument, NULL, 'g' },
  { "sharing", required_argument, NULL, OPT_SHARING },
  { "cold", no_argument, NULL, OPT_COLD },
  { "full", no_argument, NULL, OPT_FULL },
  { "hot", no_argument, NULL, OPT_HOT },
  { "limits", no_argument, NULL, OPT_LIMITS },
  { "steward", no_argument, NULL, OPT_STEWARD },
  { "no-steward", no_argument, NULL, OPT_NO_STEWARD },
  { "help", no_argument, NULL, 'h' },
  { NULL, 0, NULL, 0 },
};

static const char *const sharing_names[] = {
  [POOL_SHARING_AUTO] = "auto",
  [POOL_SHARING_OFF] = "off",
  [POOL_SHARING_ALWAYS] = "always",
};

static enum pool_sharing
sharing_of (const char *name)
{
  for (unsigned i = 0; i < 3; ++i)
    if (strcmp (name, sharing_names[i]) == 0)
      return (enum pool_sharing) i;
  FAIL ("--sharing must be off, auto or always");
}

static void
set_option (struct model_options *opt, int c)
{
  switch (c) {
  case 'o':
    opt->ops = test_size ("--ops", optarg);
    break;
  case 'n':
    opt->seconds = test_size ("--seconds", optarg);
    break;
  case 't':
    opt->threads = test_size ("--threads", optarg);
    break;
  case 'v':
    opt->volumes = test_size ("--volumes", optarg);
    break;
  case 's':
    opt->size = test_size ("--size", optarg);
    break;
  case 'p':
    opt->pool = test_size ("--pool", optarg);
    break;
  case 'r':
    opt->seed = test_size ("--seed", optarg);
    break;
  case 'c':
    opt->codec = optarg;
    break;
  case 'e':
    opt->check_every = test_size ("--check-every", optarg);
    break;
  case 'a':
    opt->same = test_size ("--same", optarg);
    break;
  case 'g':
    opt->groups = test_size ("--groups", optarg);
    break;
  case OPT_SHARING:
    opt->sharing = sharing_of (optarg);
    break;
  case OPT_COLD:
    opt->cold = true;
    break;
  case OPT_FULL:
    opt->full = true;
    break;
  case OPT_HOT:
    opt->hot = true;
    break;
  case OPT_LIMITS:
    opt->full = opt->limits = true;
    break;
  case OPT_STEWARD:
  case OPT_NO_STEWARD:
    opt->steward = c == OPT_STEWARD;
    break;
  default:
    fputs (usage, c == 'h' ? stdout : stderr);
    exit (c == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
  }
}

static void
parse_options (struct model_options *opt, int argc, char **argv)
{
  int c;

  *opt = (struct model_options){ .ops = 1000000,
                                 .threads = 4,
                                 .volumes = 2,
                                 .size = 32 * MIB,
                                 .seed = (uint64_t) (test_seconds () * 1e6),
                                 .codec = "lz4",
                                 .steward = true };
  while ((c = getopt_long (argc, argv, "h", options, NULL)) != -1)
    set_option (opt, c);
  if (optind < argc)
    FAIL ("unknown argument '%s'", argv[optind]);
  if (opt->threads < 1 || opt->threads > MODEL_MAX_THREADS)
    FAIL ("--threads must be 1 to %u", MODEL_MAX_THREADS);
  if (opt->volumes < 1 || opt->volumes > POOL_MAX_VOLUMES)
    FAIL ("--volumes must be 1 to %u", POOL_MAX_VOLUMES);
  if (opt->limits && (opt->hot || opt->volumes > MODEL_LIMITS_VOLUMES))
    FAIL ("--limits goes with at most %u volumes, and without --hot",
          MODEL_LIMITS_VOLUMES);
  if (opt->size % POOL_PAGE_SIZE || opt->size / opt->threads < MIB / 4)
    FAIL ("--size must be whole pages, and 256K for each thread");
  if (opt->pool == 0) /* by default there is room for all, or for a quarter */
    opt->pool = opt->full ? opt->size * opt->volumes / 4
                          : opt->size * opt->volumes * 2 + 32 * MIB;
  if (opt->pool < POOL_MIN_LIMIT)
    opt->pool = POOL_MIN_LIMIT;
  if (opt->check_every == 0)
    opt->check_every = opt->ops / 20 + 1;
  snprintf (test_context, sizeof test_context,
            "seed %" PRIu64 ", %u threads, %u volumes of %" PRIu64
            "K, pool %" PRIu64 "K, %s%s%s%s%s, steward %s, sharing %s, %u "
            "groups, %u same",
            opt->seed, opt->threads, opt->volumes, opt->size >> 10,
            opt->pool >> 10, opt->codec, opt->full ? ", full" : "",
            opt->hot ? ", hot" : "", opt->limits ? ", limits" : "",
            opt->cold ? ", cold" : "",
            opt->steward ? "on" : "off", sharing_names[opt->sharing],
            opt->groups, opt->same);
}

bool
model_tick (struct model *m)
{
  const uint64_t n = atomic_fetch_add (&m->done, 1) + 1;

  /* Also of what is still in open segments. */
  if (m->opt.cold && n % (m->opt.check_every / 8 + 1) == 0)
    CHECK_RC (pool_compact (m->pool), 0); /* there is always room to clean */
  if (n % m->opt.check_every == 0)
    POOL_CHECK (m->pool, n / m->opt.check_every % 8 == 0);
  if (n >= m->opt.ops)
    atomic_store (&m->stop, true);
  if (m->deadline && n % 256 == 0 && test_seconds () > m->deadline)
    atomic_store (&m->stop, true);
  return !atomic_load (&m->stop);
}

static void
setup (struct model *m)
{
  const struct model_options *opt = &m->opt;
  const struct pool_config config = { .limit = opt->pool,
                                      .codec = opt->codec,
                                      .sharing = opt->sharing,
                                      .cold = { .on = opt->cold,
                                                .cpu = 100,
                                                .level = 1 } };

  content_init (opt->seed);
  CHECK_RC (pool_create (&config, &m->pool), 0);
  m->volumes = test_alloc (opt->volumes * sizeof *m->volumes);
  for (unsigned i = 0; i < opt->volumes; i++) {
    struct model_volume *v = &m->volumes[i];
    char name[32];
    bool created;

    snprintf (name, sizeof name, "guest%u", i);
    CHECK_RC (volume_open (m->pool, name, opt->size, &v->volume, &created), 0);
    CHECK (created);
    if (opt->groups) {
      snprintf (name, sizeof name, "group%u", i % opt->groups);
      CHECK_RC (volume_set_group (v->volume, name), 0);
    }
    if (!opt->hot)
      v->shadow = test_alloc (opt->size);
  }
  CHECK_RC (pool_compact (m->pool), 0);
  pool_get_stats (m->pool, &m->empty);
  model_verify (m); /* of the empty pool */
  if (opt->hot)
    model_hot_init (m);
  if (opt->steward)
    CHECK_RC (pool_start_steward (m->pool), 0);
  if (opt->seconds)
    m->deadline = test_seconds () + opt->seconds;
}

static void
run (struct model *m, struct model_thread *threads)
{
  pthread_t handles[MODEL_MAX_THREADS];

  for (unsigned i = 0; i < m->opt.threads; i++) {
    struct model_thread *t = &threads[i];

    t->model = m;
    t->id = i;
    t->rng.state = test_mix (m->opt.seed * 64 + i);
    t->buf = test_alloc (MODEL_MAX_REQUEST);
    t->probe = test_alloc (MODEL_MAX_REQUEST);
    CHECK (pthread_create (&handles[i], NULL,
                           m->opt.hot ? model_hot_thread : model_shadow_thread,
                           t) == 0);
  }
  for (unsigned i = 0; i < m->opt.threads; i++)
    CHECK (pthread_join (handles[i], NULL) == 0);
}

#define MODEL_PROVED_NOTHING 3 /* exit status */

static void
print_limits (const struct model_counts *sum, uint64_t done)
{
  printf ("  limits   %10" PRIu64 "  changes; for quota: %" PRIu64
          " refused, %" PRIu64 " could not be; below reserve: %" PRIu64 "\n",
          sum->limits_changed, sum->quota_refused, sum->quota_proved,
          sum->reserve_proved);
  if (done > 100000 &&
      (sum->quota_refused * 400 < done || sum->quota_proved * 400 < done ||
       sum->reserve_proved * 2000 < done)) {
    /* It varies tenfold from run to run. */
    puts ("limits mattered too seldom to prove anything: try another seed");
    exit (MODEL_PROVED_NOTHING);
  }
}

static void
print_summary (struct model *m, struct model_thread *threads, double seconds)
{
  static const char *const names[MODEL_OPS] = { "read", "write",   "zero",
                                                "trim", "extents", "stats" };
  struct model_counts sum = { 0 };
  struct pool_stats s;
  const uint64_t done = atomic_load (&m->done);

  for (unsigned i = 0; i < m->opt.threads; i++) {
    for (unsigned op = 0; op < MODEL_OPS; op++) {
      sum.ops[op] += threads[i].counts.ops[op];
      sum.bytes[op] += threads[i].counts.bytes[op];
    }
    sum.refused += threads[i].counts.refused;
    sum.learned_new += threads[i].counts.learned_new;
    sum.limits_changed += threads[i].counts.limits_changed;
    sum.quota_refused += threads[i].counts.quota_refused;
    sum.quota_proved += threads[i].counts.quota_proved;
    sum.reserve_proved += threads[i].counts.reserve_proved;
  }
  printf ("model: %s\n", test_context);
  printf ("  %" PRIu64 " ops in %.1f s: %.0f ops/s\n", done, seconds,
          done / seconds);
  for (unsigned op = 0; op < MODEL_OPS; op++)
    printf ("  %-8s %10" PRIu64 "  %8" PRIu64 " MiB\n", names[op], sum.ops[op],
            op < MODEL_EXTENTS ? sum.bytes[op] >> 20 : 0);
  printf ("  refused  %10" PRIu64 "  (%.0f %% of writes)\n", sum.refused,
          sum.ops[MODEL_WRITE] ? 100.0 * sum.refused / sum.ops[MODEL_WRITE]
                               : 0);
  if (m->opt.limits)
    print_limits (&sum, done);
  pool_get_stats (m->pool, &s);
  printf ("  pool: used %" PRIu64 "K of %" PRIu64 "K, blobs %" PRIu64
          "K in %" PRIu64 " pages, fill %" PRIu64 ", cleaned %" PRIu64
          " segments, moved %" PRIu64 " MiB\n",
          s.used >> 10, s.limit >> 10, s.blob_bytes >> 10, s.blob_pages,
          s.fill_pages, s.segments_cleaned, s.bytes_moved >> 20);
  printf ("  sharing: %" PRIu64 " look-ups, %" PRIu64 " hits; %" PRIu64
          " pages share %" PRIu64 " blobs\n",
          s.share_lookups, s.share_hits, s.shared_pages, s.shared_blobs);
  printf ("  cold: %" PRIu64 " pages went into groups, %" PRIu64
          " came out; now %" PRIu64 " pages in %" PRIu64 "K, %.2f s of CPU\n",
          s.pages_cooled, s.pages_warmed, s.cold_pages, s.cold_bytes >> 10,
          s.cold_cpu_ns / 1e9);
  if (m->opt.same && m->opt.sharing == POOL_SHARING_ALWAYS && done > 10000 &&
      s.share_hits * 50 < s.share_lookups)
    FAIL ("too little was shared to prove anything");
  if (m->opt.full && done > 100000 &&
      (sum.refused * 20 < sum.ops[MODEL_WRITE] ||
       (!m->opt.hot && sum.learned_new == 0)))
    FAIL ("the pool was not full often enough to prove anything");
}

int
main (int argc, char **argv)
{
  static struct model m;
  static struct model_thread threads[MODEL_MAX_THREADS];
  double start;

  parse_options (&m.opt, argc, argv);
  setup (&m);
  start = test_seconds ();
  run (&m, threads);
  print_summary (&m, threads, test_seconds () - start);
  if (m.opt.steward)
    pool_stop_steward (m.pool);
  model_verify (&m);
  CHECK_RC (pool_compact (m.pool), 0);
  model_verify (&m);
  model_empty (&m);
  for (unsigned i = 0; i < m.opt.threads; i++) {
    free (threads[i].buf);
    free (threads[i].probe);
  }
  for (unsigned i = 0; i < m.opt.volumes; i++)
    free (m.volumes[i].shadow);
  free (m.volumes);
  pool_destroy (m.pool);
  return 0;
}
