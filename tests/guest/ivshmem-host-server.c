// SPDX-License-Identifier: BSD-3-Clause
/* ivshmem-host: the host's part of proto/PROTOCOL.md, and lies. */

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem-host.h"

static uint64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* PROTOCOL.md, attach, step 3. */
static void
session_look (void)
{
  const uint32_t session = ACQUIRE (&header->session);

  if (session == host.session || header->host_state == VMSWAP_HOST_QUIESCED)
    return;
  while (ACQUIRE (&header->post_head) - host.tail <= COUNT (POSTS) &&
         posts_do ())
    ;
  host.tail = ACQUIRE (&header->post_head);
  host.submit_tail = ACQUIRE (&header->submit_head);
  host.hint_tail = RELAXED (&header->hint_head);
  /* Who attaches is lied to from the first moment on. */
  RELEASE (&header->post_tail, host.tail - (knob (KNOB_TAIL) == 1 ? 1000 : 0));
  if (header->host_state == VMSWAP_HOST_DEAD)
    RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  host.session = session;
  RELEASE (&header->session_ack, session);
  notify (interrupt);
}

static void
state_look (void)
{
  uint32_t state = VMSWAP_HOST_LIVE;

  if (knob (KNOB_HOST_STATE))
    state = knob (KNOB_HOST_STATE);
  else if (knob (KNOB_DEAD))
    state = VMSWAP_HOST_DEAD;
  else if (knob (KNOB_QUIESCE))
    state = VMSWAP_HOST_QUIESCED;
  if (state != header->host_state) {
    SET (&header->host_reason, knob (KNOB_DEAD));
    RELEASE (&header->host_state, state);
    notify (interrupt);
  }
  if (shared->device_pages != header->device_pages && !knob (KNOB_PAGES)) {
    SET (&header->device_pages, shared->device_pages);
    notify (interrupt);
  }
}

/* The lies that are told all the time. */
static void
lies_tell (void)
{
  if (knob (KNOB_TAIL) == 1)
    RELEASE (&header->post_tail, host.tail - 1000);
  if (knob (KNOB_TAIL) == 2)
    RELEASE (&header->post_tail, ACQUIRE (&header->post_head) + 1000);
  if (knob (KNOB_GEOMETRY)) {
    memset (header, (int) noise (), 32);
    memset (header->parts, (int) noise (), sizeof header->parts);
  }
  if (knob (KNOB_PAGES))
    SET (&header->device_pages,
         knob (KNOB_PAGES) == 1 ? 0 : UINT64_C (1) << 63);
  if (knob (KNOB_SESSION))
    RELEASE (&header->session_ack, host.session + 1);
  if (knob (KNOB_GENERATION))
    RELEASE (&header->generation, noise ());
  if (knob (KNOB_EVENTS)) {
    SET (&header->post_event, noise ());
    SET (&header->submit_event, noise ());
    SET (&header->hint_event, noise ());
  }
  for (uint32_t n = 0; knob (KNOB_SEQUENCE) && n < COUNT (CACHE); ++n)
    for (unsigned i = 0; i < VMSWAP_RING_CACHE_WAYS; ++i)
      SET (&CACHE[n].ways[i].sequence,
           knob (KNOB_SEQUENCE) == 1 ? noise () | 1 : noise ());
  if (knob (KNOB_INTERRUPTS) || knob (KNOB_GENERATION) || knob (KNOB_TAIL))
    notify (interrupt);
}

static bool
lying (void)
{
  for (unsigned i = KNOB_TAIL; i < KNOBS; ++i)
    if (knob (i))
      return true;
  return false;
}

static void
beat (void)
{
  const uint64_t now = now_ms ();

  if (now - host.beat < VMSWAP_RING_HEARTBEAT_MS)
    return;
  host.beat = now;
  SET (&header->heartbeat, header->heartbeat + 1);
}

static void
server_sleep (void)
{
  struct pollfd poller = { .fd = doorbell, .events = POLLIN };
  uint64_t count;

  SET (&header->post_event, host.tail);
  SET (&header->submit_event, host.submit_tail);
  FULL_BARRIER ();
  if (!lying () && (ACQUIRE (&header->post_head) != host.tail ||
                    ACQUIRE (&header->submit_head) != host.submit_tail))
    /* Stuck posts are not worth a busy loop. */
    poll (&poller, 1, 1);
  else
    poll (&poller, 1, lying () ? 1 : 500);
  if (poller.revents & POLLIN && read (doorbell, &count, sizeof count) < 0)
    die ("read from an eventfd");
}

/* PROTOCOL.md, a server that was killed. */
static void
server_take_over (void)
{
  host.tail = header->post_tail;
  host.complete_head = header->complete_head;
  host.session = header->session_ack;
  host.submit_tail = ACQUIRE (&header->submit_head) - 1;
  cache_empty ();
  SET (&header->post_event, header->post_head - 1);
  SET (&header->submit_event, header->submit_head - 1);
  SET (&header->heartbeat, header->heartbeat + 1);
  RELEASE (&header->generation, header->generation + 1);
  RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  notify (interrupt);
}

void
server_run (void)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  server_take_over ();
  for (;;) {
    bool any;

    state_look ();
    beat ();
    if (header->host_state != VMSWAP_HOST_DEAD)
      any = requests_do () | posts_do ();
    else
      any = false;
    session_look ();
    if (lying ())
      lies_tell ();
    if (!any)
      server_sleep ();
  }
}
