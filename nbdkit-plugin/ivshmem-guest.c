// SPDX-License-Identifier: BSD-3-Clause
/* One guest of the ivshmem door.
 *
 * All that is the guest's belongs to its thread.
 *
 *     no QEMU  --one connects: a region is made, the export claimed-->  served
 *     served   --it ends, or says a word-->  leaving: posts are done
 *     leaving  --all are-->  no QEMU: export and region are given up
 *
 * The thread looks for work as long as there is some, and for a while after:
 * that saves the guest its doorbell and the server its sleep.  How long pays is
 * learned from how long it sleeps (as KVM does for idle virtual CPUs,
 * halt_poll_ns): a sleep that was short was not worth it.  While it looks,
 * there is no system call but one every SOCKETS_NS, and one every BUSY_NS.
 * While more tasks are ready to run than there are CPUs it sleeps at once: the
 * guest itself could be what has to wait. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "bell.h"
#include "crowd.h"
#include "fair.h"
#include "ivshmem-guest.h"
#include "report.h"

#define MS_NS UINT64_C (1000000)
#define SOCKETS_NS (100 * MS_NS)
#define DEAF_NS (200 * MS_NS)

/* So many QEMUs may come at once; then one every COMING_NS: a region is made
 * for each, and the export opened. */
#define COMINGS_AT_ONCE 8u
#define COMING_NS (100 * MS_NS)

#define BUSY_NS (2 * MS_NS) /* without a sleep: others go first */

#define WINDOW_MIN_NS UINT64_C (10000)
#define WINDOW_MAX_NS UINT64_C (200000)

/* A guest that rings as soon as the thread sleeps, again and again, had no CPU
 * while that looked for work: there are too few of them to look. */
#define SHORT_NS UINT64_C (25000)
#define IN_VAIN_MAX 3u
#define CALM_NS (50 * MS_NS)

/* How often it is asked whether a CPU is to spare: what a virtual CPU does is
 * seldom over sooner, and one system call in that time is next to nothing. */
#define CROWD_NS (5 * MS_NS)

/* How long a guest may take to hold still. */
#define QUIESCE_NS (UINT64_C (5000) * MS_NS)
#define QUIESCE_KEPT_NS (UINT64_C (500) * MS_NS) /* another server is near */

static void
close_fd (int *fd)
{
  if (*fd != -1)
    close (*fd);
  *fd = -1;
}

static const char *
name_of (const struct ivshmem_guest *guest)
{
  return guest->guest->name;
}

/* --- A region comes and goes. */

static void
give_up (struct ivshmem_guest *guest)
{
  struct ring *ring = &guest->ring;
  struct conn *conn = ring->conn;

  if (guest->kept && guest->stopping)
    keep_leave (name_of (guest));
  else if (guest->kept)
    keep_drop (name_of (guest));
  guest->kept = false;
  close_fd (&guest->qemu);
  ring_cache_free (ring);
  ring_region_free (&ring->region);
  close_fd (&ring->doorbell);
  close_fd (&ring->interrupt);
  ring->conn = NULL;
  if (conn != NULL)
    exports_close (conn);
}

/* The export, for this guest alone.  Who else has it has been reported. */
static int
claim (struct ivshmem_guest *guest)
{
  const struct peer peer = peer_of_ivshmem (guest->qemu);
  struct conn *conn = exports_open_as (name_of (guest), &peer, false);

  if (conn == NULL)
    return -1;
  guest->ring.conn = conn;
  return exports_claim (conn) < 0 ? -1 : 0;
}

static int
make_region (struct ivshmem_guest *guest)
{
  struct ring *ring = &guest->ring;
  const uint64_t pages = volume_size (ring->conn->volume) / POOL_PAGE_SIZE;
  int r = ring_region_make (&ring->region, guest->guest->region,
                            name_of (guest), pages);

  if (r < 0)
    return r;
  ring->doorbell = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  ring->interrupt = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ring->doorbell == -1 || ring->interrupt == -1)
    return -errno;
  return ring_cache_make (ring);
}

int
ivshmem_guest_keep (struct ivshmem_guest *guest, bool greeting)
{
  const struct ring *ring = &guest->ring;
  struct kept region = {
    .pool = pool_identity (ring->conn->pool),
    .last_page = (uint32_t) (ring->device_pages - 1),
    .greeting = greeting,
    .fd = {
      [VMSWAP_KEEPER_MEMORY] = ring->region.fd,
      [VMSWAP_KEEPER_DOORBELL] = ring->doorbell,
      [VMSWAP_KEEPER_INTERRUPT] = ring->interrupt,
      [VMSWAP_KEEPER_QEMU] = guest->qemu,
    },
  };
  int r;

  if (ring->conn->settings->keeper == NULL)
    return 0;
  strcpy (region.name, name_of (guest));
  r = keep_region (&region);
  guest->kept = r == 0;
  return r;
}

/* A keeper that is gone is no reason to refuse a QEMU, which could not come
 * again and would end: the next keeper gets what this one would have had. */
static void
warn_if_not_kept (const struct ivshmem_guest *guest)
{
  if (keep_is_gone ())
    report (REPORT_OTHER,
            "warning: guest=%s: its region is served and not kept, as the "
            "keeper is gone: start vmswap-keep again before this server ends, "
            "or that guest waits for ever then",
            name_of (guest));
}

/* The keeper has the region before QEMU knows of it, and learns that QEMU knows
 * all before the guest can use it.  Killed in between, at whatever step, we
 * leave a region that the next server closes; it harms nobody, even if the last
 * message is out: a guest posts nothing before it sees session_ack, and that
 * is given by ring_turn, which this thread does not call before this has
 * returned.  Told the other way round, the keeper would have a region as whole
 * whose QEMU waits for a message that nobody sends. */
static int
introduce (struct ivshmem_guest *guest)
{
  int r = ivshmem_guest_keep (guest, true);

  if (r == 0)
    r = ivshmem_greet (guest->qemu, &guest->ring);
  if (r < 0)
    return r;
  /* QEMU has it: if nobody keeps it, it is served all the same. */
  ivshmem_guest_keep (guest, false);
  warn_if_not_kept (guest);
  return 0;
}

static void
turn_away (struct ivshmem_guest *guest)
{
  ivshmem_refuse (guest->qemu);
  guest->qemu = -1;
  give_up (guest);
}

/* guest->qemu has just connected. */
static void
welcome (struct ivshmem_guest *guest)
{
  struct ring *ring = &guest->ring;
  int r;

  memset (ring, 0, sizeof *ring);
  ring->region.fd = ring->doorbell = ring->interrupt = -1;
  if (claim (guest) == -1) {
    turn_away (guest);
    return;
  }
  r = make_region (guest);
  if (r == 0) {
    ring_begin (ring);
    r = introduce (guest);
  }
  if (r < 0) {
    if (r != -EPIPE) /* it may have gone already */
      report (REPORT_REFUSED,
              "guest=%s: ivshmem=%s: its QEMU gets no region: %s: raise the "
              "limits of memory or descriptors, or give a smaller region=",
              name_of (guest), guest->guest->ivshmem, strerror (-r));
    turn_away (guest);
    return;
  }
  guest->window_ns = WINDOW_MIN_NS;
  nbdkit_debug ("guest=%s: its QEMU has a region", name_of (guest));
}

/* --- Sockets. */

static void
refuse (struct ivshmem_guest *guest, int fd)
{
  const struct peer late = peer_of_ivshmem (fd);
  const struct peer first = peer_of_ivshmem (guest->qemu);
  struct peer_text late_text, first_text;

  report (REPORT_REFUSED,
          "guest=%s: ivshmem=%s: %s is refused: %s has the region, and there "
          "is one for each guest: end that QEMU first, or give this one a "
          "guest= of its own",
          name_of (guest), guest->guest->ivshmem,
          peer_describe (&late, &late_text),
          peer_describe (&first, &first_text));
  ivshmem_refuse (fd);
}

/* Who comes and goes, or says a word and is ended, waits before the next time:
 * else making regions takes a CPU from other guests. */
static void
pay_for_coming (struct ivshmem_guest *guest)
{
  const uint64_t now = traffic_clock ();
  const uint64_t earliest = now - COMINGS_AT_ONCE * COMING_NS;

  if (guest->comings_ns < earliest)
    guest->comings_ns = earliest;
  guest->comings_ns += COMING_NS;
  if (guest->comings_ns > now && guest->comings_ns > guest->deaf_ns)
    guest->deaf_ns = guest->comings_ns;
}

static void
accept_one (struct ivshmem_guest *guest)
{
  const int fd =
      accept4 (guest->door.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd == -1) {
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      report (REPORT_OTHER, "guest=%s: ivshmem=%s: cannot accept: %m",
              name_of (guest), guest->guest->ivshmem);
      guest->deaf_ns = traffic_clock () + DEAF_NS;
    }
    return;
  }
  pay_for_coming (guest);
  if (guest->qemu != -1) {
    refuse (guest, fd);
    return;
  }
  guest->qemu = fd;
  welcome (guest);
}

static void
read_doorbell (struct ivshmem_guest *guest)
{
  if (bell_hear (guest->ring.doorbell))
    ring_count (&guest->ring, TRAFFIC_RING_DOORBELLS, 1);
}

static void
end_of_qemu (struct ivshmem_guest *guest)
{
  nbdkit_debug ("guest=%s: its QEMU has ended", name_of (guest));
  close_fd (&guest->qemu);
  ring_end (&guest->ring);
}

/* Looks at all descriptors; waits for one of them so long.  A QEMU that ends
 * is noticed before the next that connects. */
static void
look (struct ivshmem_guest *guest, int ms)
{
  const bool leaving = guest->ring.conn != NULL && guest->qemu == -1;
  const bool deaf = leaving || traffic_clock () < guest->deaf_ns;
  struct pollfd fds[] = {
    { .fd = guest->ring.doorbell, .events = POLLIN },
    { .fd = guest->qemu, .events = POLLIN },
    { .fd = deaf ? -1 : guest->door.fd, .events = POLLIN },
    { .fd = guest->stopping ? -1 : guest->ending, .events = POLLIN },
  };

  if (poll (fds, sizeof fds / sizeof fds[0], ms) <= 0)
    return;
  if (fds[0].revents)
    read_doorbell (guest);
  if (fds[1].revents && ivshmem_is_over (guest->qemu))
    end_of_qemu (guest);
  else if (fds[2].revents)
    accept_one (guest);
  if (fds[3].revents)
    guest->stopping = true;
}

/* --- Service. */

static inline void
relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void
calm_down (struct ivshmem_guest *guest, uint64_t until)
{
  guest->in_vain = 0;
  guest->window_ns = 0;
  if (until > guest->calm_ns)
    guest->calm_ns = until;
}

static void
mind_the_crowd (struct ivshmem_guest *guest, uint64_t now)
{
  if (now < guest->crowd_ns)
    return;
  guest->crowd_ns = now + CROWD_NS;
  if (crowd_is ())
    calm_down (guest, guest->crowd_ns);
}

static void
learn (struct ivshmem_guest *guest, uint64_t slept_ns, uint64_t now)
{
  uint64_t window = guest->window_ns;

  mind_the_crowd (guest, now);
  if (now < guest->calm_ns)
    return;
  guest->in_vain = slept_ns < SHORT_NS ? guest->in_vain + 1 : 0;
  if (guest->in_vain == IN_VAIN_MAX) {
    calm_down (guest, now + CALM_NS);
    return;
  }
  if (slept_ns < WINDOW_MAX_NS)
    window *= 2;
  else if (slept_ns > 10 * WINDOW_MAX_NS)
    window /= 2;
  guest->window_ns = window < WINDOW_MIN_NS   ? WINDOW_MIN_NS
                     : window > WINDOW_MAX_NS ? WINDOW_MAX_NS
                                              : window;
}

/* While the guest is at work, a doorbell for each page that it posts would cost
 * both sides more than the page does; when it is not, it rings for the first.
 */
static void
sleep_until_rung (struct ivshmem_guest *guest)
{
  const uint64_t start = traffic_clock ();
  const bool soon = guest->at_work;
  uint64_t now;

  if (!ring_arm (&guest->ring, soon))
    return;
  look (guest, ring_patience (&guest->ring, soon));
  guest->at_work = false;
  now = traffic_clock ();
  learn (guest, now - start, now);
  guest->idle_ns = 0;
  guest->busy_ns = now;
  guest->sockets_ns = now + SOCKETS_NS;
}

static void
serve (struct ivshmem_guest *guest)
{
  struct ring *ring = &guest->ring;
  const bool any = ring_turn (ring);

  if (ring->now_ns - guest->busy_ns >= BUSY_NS) {
    guest->busy_ns = ring->now_ns;
    mind_the_crowd (guest, ring->now_ns);
    fair_busy ();
  }
  if (ring->now_ns >= guest->sockets_ns) {
    guest->sockets_ns = ring->now_ns + SOCKETS_NS;
    look (guest, 0);
  }
  guest->at_work |= any;
  if (any)
    guest->idle_ns = 0;
  else if (guest->qemu == -1 && ring_is_drained (ring))
    give_up (guest);
  else if (guest->idle_ns == 0)
    guest->idle_ns = ring->now_ns;
  else if (ring->now_ns - guest->idle_ns < guest->window_ns)
    relax ();
  else
    sleep_until_rung (guest);
}

/* Will the guest publish more, or is something left of what it has? */
static bool
is_still (struct ring *ring)
{
  uint32_t head;

  return !ring_guest_is (ring, VMSWAP_GUEST_LIVE) &&
         ring_posts_open (ring, &head) <= 0 && !ring_requests_any (ring);
}

/* A planned stop: what the guest holds from now on waits in the guest. */
static void
quiesce (struct ivshmem_guest *guest)
{
  const uint64_t until =
      traffic_clock () +
      (guest->kept && keep_is_on () ? QUIESCE_KEPT_NS : QUIESCE_NS);
  struct ring *ring = &guest->ring;

  if (ring->host_state == VMSWAP_HOST_LIVE)
    ring_set_state (ring, VMSWAP_HOST_QUIESCED, VMSWAP_REASON_NONE);
  while (ring->conn != NULL && traffic_clock () < until) {
    const bool any = ring_turn (ring);

    if (!any && is_still (ring))
      break;
    if (!any && ring_arm (ring, false))
      look (guest, 10);
  }
}

static void
run (struct ivshmem_guest *guest)
{
  while (!guest->stopping)
    if (guest->ring.conn == NULL)
      look (guest, traffic_clock () < guest->deaf_ns ? 100 : -1);
    else
      serve (guest);
  if (guest->ring.conn != NULL)
    quiesce (guest);
  give_up (guest);
}

void
ivshmem_guest_run (struct ivshmem_guest *guest)
{
  struct bell_watch watch;
  const int r = bell_watch (&watch);

  if (r < 0) {
    nbdkit_error ("guest=%s: it cannot be served: no timer: %s: raise the "
                  "limit of pending signals, and start the server anew",
                  name_of (guest), strerror (-r));
    return;
  }
  run (guest);
  bell_unwatch (&watch);
}
