// SPDX-License-Identifier: BSD-3-Clause
/* One nbd device of the kernel's: netlink (linux/nbd-netlink.h) and sysfs.
 *
 * Owns the netlink socket.  It is opened, and its buffers are allocated, before
 * the device swaps; a message that is sent later fits into the heap that
 * hold_memory has set aside.
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "device.h"
#include "say.h"

int
device_parse (struct device *device, const char *word)
{
  const char *digits = word + strlen ("/dev/nbd");
  size_t length;

  memset (device, 0, sizeof *device);
  if (strncmp (word, "/dev/nbd", strlen ("/dev/nbd")) == 0) {
    length = strspn (digits, "0123456789");
    if (length > 0 && length <= 5 && digits[length] == '\0') {
      device->index = strtoul (digits, NULL, 10);
      snprintf (device->name, sizeof device->name, "nbd%" PRIu32,
                device->index);
      return 0;
    }
  }
  return say_error ("'%s' is not an nbd device such as /dev/nbd0", word);
}

int
device_open (struct device *device)
{
  int rc;

  device->netlink = nl_socket_alloc ();
  if (device->netlink == NULL)
    return say_error ("no memory for a netlink socket");
  rc = genl_connect (device->netlink);
  if (rc < 0)
    return say_error ("no netlink socket: %s", nl_geterror (rc));
  device->family = genl_ctrl_resolve (device->netlink, NBD_GENL_FAMILY_NAME);
  if (device->family < 0)
    return say_error ("the kernel has no nbd that netlink can set up: run "
                      "'modprobe nbd max_part=0' (%s)",
                      nl_geterror (device->family));
  return 0;
}

/* --- Commands. */

static struct nl_msg *
command_new (const struct device *device, uint8_t command)
{
  struct nl_msg *msg = nlmsg_alloc ();

  if (msg == NULL)
    return NULL;
  if (genlmsg_put (msg, NL_AUTO_PORT, NL_AUTO_SEQ, device->family, 0, 0,
                   command, 0) != NULL &&
      nla_put_u32 (msg, NBD_ATTR_INDEX, device->index) == 0)
    return msg;
  nlmsg_free (msg);
  return NULL;
}

static int
command_add_socket (struct nl_msg *msg, int socket)
{
  struct nlattr *list = nla_nest_start (msg, NBD_ATTR_SOCKETS);
  struct nlattr *item = list ? nla_nest_start (msg, NBD_SOCK_ITEM) : NULL;

  if (item == NULL || nla_put_u32 (msg, NBD_SOCK_FD, socket) != 0)
    return -1;
  nla_nest_end (msg, item);
  nla_nest_end (msg, list);
  return 0;
}

struct answer {
  bool done;
  int err; /* an errno */
};

static int
answer_ack (struct nl_msg *msg, void *opaque)
{
  struct answer *answer = opaque;

  answer->done = true;
  return NL_STOP;
}

static int
answer_error (struct sockaddr_nl *from, struct nlmsgerr *err, void *opaque)
{
  struct answer *answer = opaque;

  answer->done = true;
  answer->err = -err->error;
  return NL_STOP;
}

/* Sends the message, which it takes, and waits for the kernel's verdict.  A
 * reply to CONNECT comes before it, and tells nothing new.
 */
static int
command_run (struct device *device, struct nl_msg *msg, char *why)
{
  struct answer answer = { 0 };
  struct nl_cb *cb = nl_cb_alloc (NL_CB_DEFAULT);
  int rc = cb == NULL ? -NLE_NOMEM : nl_send_auto (device->netlink, msg);

  nlmsg_free (msg);
  if (rc >= 0) {
    nl_cb_set (cb, NL_CB_ACK, NL_CB_CUSTOM, answer_ack, &answer);
    nl_cb_err (cb, NL_CB_CUSTOM, answer_error, &answer);
    while (rc >= 0 && !answer.done)
      rc = nl_recvmsgs (device->netlink, cb);
  }
  nl_cb_put (cb);
  if (answer.done && answer.err == 0)
    return 0;
  snprintf (why, WHY_SIZE, "the kernel refuses it: %s",
            answer.done ? strerror (answer.err) : nl_geterror (rc));
  return -1;
}

static int
no_memory (struct nl_msg *msg, char *why)
{
  nlmsg_free (msg);
  snprintf (why, WHY_SIZE, "no memory for a netlink message");
  return -1;
}

/* What CONNECT and RECONFIGURE have in common. */
static struct nl_msg *
command_with_socket (const struct device *device, uint8_t command, int socket,
                     const char *label, uint64_t dead_timeout)
{
  struct nl_msg *msg = command_new (device, command);

  if (msg != NULL &&
      nla_put_u64 (msg, NBD_ATTR_DEAD_CONN_TIMEOUT, dead_timeout) == 0 &&
      nla_put_string (msg, NBD_ATTR_BACKEND_IDENTIFIER, label) == 0 &&
      command_add_socket (msg, socket) == 0)
    return msg;
  nlmsg_free (msg);
  return NULL;
}

int
device_connect (struct device *device, int socket, const char *label,
                const struct export *found, uint64_t dead_timeout, char *why)
{
  struct nl_msg *msg = command_with_socket (device, NBD_CMD_CONNECT, socket,
                                            label, dead_timeout);

  if (msg == NULL || nla_put_u64 (msg, NBD_ATTR_SIZE_BYTES, found->size) != 0 ||
      nla_put_u64 (msg, NBD_ATTR_BLOCK_SIZE_BYTES, BLOCK_SIZE) != 0 ||
      nla_put_u64 (msg, NBD_ATTR_SERVER_FLAGS, found->flags) != 0)
    return no_memory (msg, why);
  return command_run (device, msg, why);
}

int
device_reconnect (struct device *device, int socket, const char *label,
                  uint64_t dead_timeout, char *why)
{
  struct nl_msg *msg = command_with_socket (device, NBD_CMD_RECONFIGURE, socket,
                                            label, dead_timeout);

  if (msg == NULL)
    return no_memory (msg, why);
  return command_run (device, msg, why);
}

int
device_disconnect (struct device *device, char *why)
{
  struct nl_msg *msg = command_new (device, NBD_CMD_DISCONNECT);

  if (msg == NULL)
    return no_memory (msg, why);
  return command_run (device, msg, why);
}

/* --- What the kernel shows. */

static int
file_open (const struct device *device, const char *name, int flags)
{
  char path[96];

  snprintf (path, sizeof path, "/sys/block/%s%s%s", device->name,
            name[0] ? "/" : "", name);
  return open (path, flags | O_CLOEXEC);
}

/* The line of a file, or nothing. */
static void
file_line (const struct device *device, const char *name, char *line,
           size_t size)
{
  int fd = file_open (device, name, O_RDONLY);
  ssize_t n = fd == -1 ? 0 : read (fd, line, size - 1);

  line[n > 0 ? n : 0] = '\0';
  line[strcspn (line, "\n")] = '\0';
  if (fd != -1)
    close (fd);
}

static uint64_t
file_number (const struct device *device, const char *name)
{
  char line[64];

  file_line (device, name, line, sizeof line);
  return strtoull (line, NULL, 10);
}

bool
device_exists (const struct device *device)
{
  int fd = file_open (device, "", O_PATH);

  if (fd != -1)
    close (fd);
  return fd != -1;
}

bool
device_connected (const struct device *device)
{
  return file_number (device, "pid") != 0;
}

bool
device_labelled (const struct device *device, const char *label)
{
  char line[2048];

  file_line (device, "backend", line, sizeof line);
  return strcmp (line, label) == 0;
}

void
device_found (const struct device *device, struct export *found)
{
  char cache[32];

  file_line (device, "queue/write_cache", cache, sizeof cache);
  found->size = file_number (device, "size") * 512;
  found->flags = EXPORT_HAS_FLAGS;
  if (strcmp (cache, "write back") == 0)
    found->flags |= EXPORT_FLUSH;
  if (file_number (device, "queue/fua") != 0)
    found->flags |= EXPORT_FUA;
  if (file_number (device, "queue/discard_max_bytes") != 0)
    found->flags |= EXPORT_TRIM;
  if (file_number (device, "queue/write_zeroes_max_bytes") != 0)
    found->flags |= EXPORT_ZEROES;
}

void
device_set_patience (const struct device *device, unsigned ms)
{
  char line[16];
  const int length = snprintf (line, sizeof line, "%u", ms);
  int fd = file_open (device, "queue/io_timeout", O_WRONLY);

  if (fd == -1 || write (fd, line, length) != length)
    say ("cannot set queue/io_timeout: requests under way when a link dies "
         "wait up to 30 s");
  if (fd != -1)
    close (fd);
}

/* Does a line of the file begin with this device? */
static bool
table_names (const struct device *device, const char *path)
{
  char line[512], wanted[32];
  FILE *table = fopen (path, "re");
  const size_t length =
      snprintf (wanted, sizeof wanted, "/dev/%s", device->name);
  bool found = false;

  if (table == NULL)
    return false;
  while (!found && fgets (line, sizeof line, table) != NULL)
    found = strncmp (line, wanted, length) == 0 &&
            (line[length] == ' ' || line[length] == '\t' ||
             line[length] == '\\' || line[length] == 'p');
  fclose (table);
  return found;
}

/* Device mapper, md and their like name it under holders/. */
static bool
has_holder (const struct device *device)
{
  char path[64];
  struct dirent *entry;
  bool found = false;
  DIR *holders;

  snprintf (path, sizeof path, "/sys/block/%s/holders", device->name);
  holders = opendir (path);
  if (holders == NULL)
    return false;
  while (!found && (entry = readdir (holders)) != NULL)
    found = entry->d_name[0] != '.';
  closedir (holders);
  return found;
}

bool
device_in_use (const struct device *device)
{
  return table_names (device, "/proc/swaps") ||
         table_names (device, "/proc/mounts") || has_holder (device);
}
