// SPDX-License-Identifier: BSD-3-Clause
/* The link is made again, whatever happens to it, and given up when it should
 * be: link.c, with a small NBD server and in the place of device.c a kernel
 * that does as the real one does, the awkward parts included.
 */

#include <config.h>

#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "link.h"
#include "say.h"

#define SIZE (64 << 20)
#define WAIT_MS 20000

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf (stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,            \
               #condition);                                                    \
      exit (1);                                                                \
    }                                                                          \
  } while (0)

/* Until the condition holds. */
#define AWAIT(condition)                                                       \
  do {                                                                         \
    const int64_t end = clock_ms () + WAIT_MS;                                 \
    while (!(condition)) {                                                     \
      CHECK (clock_ms () < end && #condition);                                 \
      usleep (1000);                                                           \
    }                                                                          \
  } while (0)

/* --- The server. */

static char path[64];
static int listener;
static _Atomic int client = -1; /* the newest connection */
static atomic_int handshakes;   /* done so far */
static _Atomic uint64_t size = SIZE;
static atomic_int flags = EXPORT_HAS_FLAGS | EXPORT_TRIM;

struct __attribute__ ((packed)) answer {
  uint64_t magic1;
  uint32_t option1, type1, length1;
  uint16_t info;
  uint64_t size;
  uint16_t flags;
  uint64_t magic2;
  uint32_t option2, type2, length2;
};

static void
serve_one (int fd)
{
  const struct answer answer = {
    .magic1 = htobe64 (0x3e889045565a9),
    .option1 = htobe32 (7),
    .type1 = htobe32 (3),
    .length1 = htobe32 (12),
    .size = htobe64 (size),
    .flags = htobe16 (flags),
    .magic2 = htobe64 (0x3e889045565a9),
    .option2 = htobe32 (7),
    .type2 = htobe32 (1),
  };
  char question[20 + 4 + 4 + 2];

  if (send (fd, "NBDMAGICIHAVEOPT\0\3", 18, MSG_NOSIGNAL) == 18 &&
      recv (fd, question, sizeof question, MSG_WAITALL) == sizeof question &&
      send (fd, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer)
    handshakes++;
}

static void *
serve (void *unused)
{
  for (;;) {
    int fd = accept (listener, NULL, NULL);

    CHECK (fd != -1);
    client = fd; /* the earlier ones stay: it is for their clients to end */
    serve_one (fd);
  }
  return NULL;
}

static void
server_start (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  pthread_t thread;

  snprintf (path, sizeof path, "/tmp/vmswap-link-%d", (int) getpid ());
  strcpy (address.sun_path, path);
  listener = socket (AF_UNIX, SOCK_STREAM, 0);
  CHECK (bind (listener, (struct sockaddr *) &address, sizeof address) == 0);
  CHECK (listen (listener, 5) == 0);
  CHECK (pthread_create (&thread, NULL, serve, NULL) == 0);
}

static void
cut (void)
{
  shutdown (client, SHUT_RDWR);
}

/* --- The kernel. */

static _Atomic int held = -1; /* the socket of the device */
static atomic_int taken;      /* sockets so far */
static atomic_int slow; /* so often it does not know yet that one is dead */
static atomic_bool in_use;
static char label[1400];

static bool
alive (int fd)
{
  struct pollfd state = { .fd = fd, .events = POLLRDHUP };

  return poll (&state, 1, 0) == 0;
}

static void
take (int fd)
{
  fd = atomic_exchange (&held, dup (fd));
  if (fd != -1)
    close (fd);
  taken++;
}

int
device_connect (struct device *device, int fd, const char *new_label,
                const struct export *found, uint64_t dead_timeout, char *why)
{
  CHECK (found->size == SIZE && held == -1 && dead_timeout == 77);
  strcpy (label, new_label);
  take (fd);
  return 0;
}

int
device_reconnect (struct device *device, int fd, const char *same_label,
                  uint64_t dead_timeout, char *why)
{
  CHECK (dead_timeout == 77);
  if (strcmp (label, same_label) != 0) {
    strcpy (why, "the kernel refuses it");
    return -1;
  }
  /* In the place of a live socket it takes none, and does not say so. */
  if (slow > 0)
    slow--;
  else if (!alive (held))
    take (fd);
  return 0;
}

int
device_disconnect (struct device *device, char *why)
{
  close (atomic_exchange (&held, -1));
  return 0;
}

bool
device_exists (const struct device *device)
{
  return true;
}

bool
device_connected (const struct device *device)
{
  return held != -1;
}

bool
device_labelled (const struct device *device, const char *wanted)
{
  return strcmp (label, wanted) == 0;
}

void
device_found (const struct device *device, struct export *found)
{
  found->size = SIZE;
  found->flags = EXPORT_HAS_FLAGS | EXPORT_TRIM;
}

void
device_set_patience (const struct device *device, unsigned ms)
{
}

bool
device_in_use (const struct device *device)
{
  return in_use;
}

/* --- The tests. */

static struct link link_;
static atomic_bool ended;

static void *
keep (void *opaque)
{
  link_keep (opaque);
  ended = true;
  return NULL;
}

static pthread_t
start (void)
{
  pthread_t thread;
  char word[80];

  memset (&link_, 0, sizeof link_);
  snprintf (word, sizeof word, "unix:%s", path);
  CHECK (server_parse (&link_.server, word) == 0);
  link_.export_name = "web1";
  link_.dead_timeout = 77;
  strcpy (link_.label, "vmswap-nbd test");
  CHECK (link_start (&link_) == 0);
  ended = false;
  CHECK (pthread_create (&thread, NULL, keep, &link_) == 0);
  return thread;
}

static void
finish (pthread_t thread)
{
  AWAIT (ended);
  pthread_join (thread, NULL);
  close (link_.epoll);
}

static void
test_flapping (void)
{
  int i;

  for (i = 0; i < 8; i++) {
    const int before = taken;

    cut ();
    AWAIT (taken > before);
    CHECK (alive (held));
  }
}

/* The kernel has not yet noticed, and drops the first sockets it is handed. */
static void
test_slow_kernel (void)
{
  const int before = taken;

  slow = 3;
  cut ();
  AWAIT (taken > before);
  CHECK (slow == 0 && alive (held));
}

/* The export is not what it was; then it is. */
static void
test_other_export (uint64_t other_size, int other_flags)
{
  const int before = taken, seen = handshakes;

  size = other_size;
  flags = other_flags;
  cut ();
  AWAIT (handshakes >= seen + 4);
  CHECK (taken == before);
  size = SIZE;
  flags = EXPORT_HAS_FLAGS | EXPORT_TRIM;
  AWAIT (taken > before);
}

/* More than it was is as good. */
static void
test_larger_export (void)
{
  const int before = taken;

  size = 2 * SIZE;
  flags = EXPORT_HAS_FLAGS | EXPORT_TRIM | EXPORT_FLUSH | EXPORT_FUA;
  cut ();
  AWAIT (taken > before);
  size = SIZE;
}

/* An order to end is not obeyed while the device swaps, linked or not. */
static void
test_orders (pthread_t thread)
{
  const int before = taken;

  in_use = true;
  kill (getpid (), SIGTERM);
  size = 4096;
  cut ();
  kill (getpid (), SIGINT);
  usleep (100000);
  size = SIZE;
  AWAIT (taken > before);
  CHECK (!ended && alive (held));
  in_use = false;
  kill (getpid (), SIGTERM);
  finish (thread);
  CHECK (held == -1);
}

/* The operator gives up in an outage. */
static void
test_give_up (pthread_t thread)
{
  const int seen = handshakes;

  in_use = true;
  size = 4096;
  cut ();
  AWAIT (handshakes > seen);
  kill (getpid (), SIGUSR1);
  finish (thread);
  CHECK (held == -1);
  in_use = false;
  size = SIZE;
}

/* The device is somebody else's now. */
static void
test_stolen (pthread_t thread)
{
  const int before = taken;

  strcpy (label, "other");
  cut ();
  finish (thread);
  CHECK (taken == before && held != -1);
}

/* A keeper takes over from one that has died, with a link that lives on. */
static void
test_take_over (void)
{
  struct export found;
  char why[WHY_SIZE];
  int fd = link_attempt (&link_, &found, why);
  const int seen = handshakes;
  pthread_t thread;
  int before;

  CHECK (fd != -1);
  strcpy (label, "vmswap-nbd test");
  take (fd);
  close (fd);
  before = taken;
  thread = start ();
  AWAIT (handshakes >= seen + 3);
  CHECK (taken == before && alive (held));
  shutdown (held, SHUT_RDWR);
  AWAIT (taken > before);
  cut ();
  AWAIT (taken > before + 1);
  kill (getpid (), SIGTERM);
  finish (thread);
}

int
main (void)
{
  pthread_t thread;
  sigset_t set;

  sigfillset (&set);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
  server_start ();
  thread = start ();
  test_flapping ();
  test_slow_kernel ();
  test_other_export (SIZE - 4096, EXPORT_HAS_FLAGS | EXPORT_TRIM);
  test_other_export (SIZE, EXPORT_HAS_FLAGS);
  test_other_export (SIZE, EXPORT_HAS_FLAGS | EXPORT_TRIM | EXPORT_READ_ONLY);
  test_larger_export ();
  test_orders (thread);
  test_give_up (start ());
  test_stolen (start ());
  test_take_over ();
  unlink (path);
  printf ("%d sockets handed over, %d handshakes\n", taken, handshakes);
  return 0;
}
