// SPDX-License-Identifier: BSD-3-Clause
/* What keeps this process alive, and alone, while its device swaps.
 *
 * When the link is down every process may wait for the swap device, and
 * reclaim finds nothing more to write out: memory is short and stays short
 * until this process has made a new link.  So it must not need any that it does
 * not have, and what the kernel allocates on its behalf (a socket, packets)
 * must neither wait for swap nor for somebody else's turn:
 *
 *   - mlockall, all of it and at once (no MCL_ONFAULT: a page of code that runs
 *     first in an outage would have to be read from a file then); a heap that
 *     is large enough from the start, and does not shrink;
 *   - PR_SET_IO_FLUSHER: the kernel's allocations for it start no I/O;
 *   - a real-time policy: besides being run at once, such a task may take a
 *     part of the reserve below the kernel's lowest watermark;
 *   - oom_score_adj -1000: the OOM killer looks elsewhere.
 *
 * Owns the lock file of the device, held (fcntl) for as long as the process
 * lives.  A lock, not a process id in a file, says who the keeper is.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/prctl.h>

#include "hold.h"
#include "say.h"

#define LOCK_DIR "/run/vmswap"

/* The heap, and the depth of the stack, that will ever be needed. */
#define HEAP_SIZE (256 << 10)
#define STACK_SIZE (64 << 10)

static void
missing (const char *what)
{
  say ("%s: %s; an outage may last until the guest has memory to spare", what,
       strerror (errno));
}

/* malloc takes from the heap alone, and never gives back. */
static void
reserve_heap (void)
{
  void *heap;

  mallopt (M_MMAP_MAX, 0);
  mallopt (M_TRIM_THRESHOLD, 1 << 30);
  heap = malloc (HEAP_SIZE);
  if (heap != NULL)
    memset (heap, 1, HEAP_SIZE);
  free (heap);
}

static void
reserve_stack (void)
{
  volatile char stack[STACK_SIZE];
  size_t i;

  for (i = 0; i < sizeof stack; i += 1024)
    stack[i] = 1;
}

static void
spare_from_oom (void)
{
  int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd == -1 || write (fd, "-1000", 5) != 5)
    missing ("oom_score_adj");
  if (fd != -1)
    close (fd);
}

void
hold_memory (void)
{
  const struct sched_param lowest = { .sched_priority = 1 };

  if (mlockall (MCL_CURRENT | MCL_FUTURE) == -1)
    missing ("mlockall");
  reserve_heap ();
  reserve_stack ();
  if (prctl (PR_SET_IO_FLUSHER, 1, 0, 0, 0) == -1)
    missing ("PR_SET_IO_FLUSHER");
  if (sched_setscheduler (0, SCHED_RR, &lowest) == -1)
    missing ("SCHED_RR");
  spare_from_oom ();
}

static int
lock_open (const char *device, int flags)
{
  char path[64];

  snprintf (path, sizeof path, LOCK_DIR "/keeper-%s", device);
  return open (path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

pid_t
hold_keeper (const char *device)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int fd = lock_open (device, O_RDWR);
  int rc;

  if (fd == -1 && errno == ENOENT)
    return 0;
  rc = fd == -1 ? -1 : fcntl (fd, F_GETLK, &lock);
  if (rc == -1)
    say_error (LOCK_DIR "/keeper-%s: %s", device, strerror (errno));
  if (fd != -1)
    close (fd);
  if (rc == -1)
    return -1;
  return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int
hold_device (const char *device)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  char pid[16];
  int fd, length;

  if (mkdir (LOCK_DIR, 0755) == -1 && errno != EEXIST)
    return say_error ("cannot make " LOCK_DIR ": %s", strerror (errno));
  fd = lock_open (device, O_RDWR | O_CREAT);
  if (fd == -1)
    return say_error (LOCK_DIR "/keeper-%s: %s", device, strerror (errno));
  if (fcntl (fd, F_SETLK, &lock) == -1)
    return say_error ("another vmswap-nbd looks after /dev/%s: use another "
                      "device, or vmswap-nbd --disconnect /dev/%s first",
                      device, device);
  /* For vmswap-setup status, which cannot ask for the lock. */
  length = snprintf (pid, sizeof pid, "%d\n", (int) getpid ());
  if (ftruncate (fd, 0) == -1 || write (fd, pid, length) != length)
    return say_error (LOCK_DIR "/keeper-%s: %s", device, strerror (errno));
  return 0; /* the file stays open: it is the lock */
}
