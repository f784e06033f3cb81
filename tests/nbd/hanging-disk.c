// SPDX-License-Identifier: BSD-3-Clause
/* Preloaded into a server: its disk hangs while the file $HANG exists. */

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int
fdatasync (int fd)
{
  int (*real) (int) = (int (*) (int)) dlsym (RTLD_NEXT, "fdatasync");
  const char *file = getenv ("HANG");

  while (file != NULL && access (file, F_OK) == 0)
    usleep (10000);
  return real (fd);
}
