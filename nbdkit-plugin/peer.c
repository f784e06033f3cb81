// SPDX-License-Identifier: BSD-3-Clause
/* Who is at the other end of a connection.
 *
 * The uid of a process is kept to be shown, not to be compared: a QEMU that
 * drops its privileges is the same peer.  IPv4 addresses are kept in the form
 * IPv6 maps them to, so that a client is one peer on either kind of socket.
 */

#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <linux/vm_sockets.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "peer.h"

static struct peer
connection_peer (void)
{
  static _Atomic uint64_t serial;

  return (struct peer){ .kind = PEER_CONNECTION, .id = { ++serial, 0 } };
}

static struct peer
process_peer (void)
{
  const int64_t pid = nbdkit_peer_pid ();
  const int64_t uid = nbdkit_peer_uid ();

  /* A process of another pid namespace has no number here. */
  if (pid <= 0)
    return connection_peer ();
  return (struct peer){ .kind = PEER_PID, .id = { pid, uid } };
}

static struct peer
ip_peer (const struct in6_addr *address)
{
  struct peer peer = { .kind = PEER_IP };

  memcpy (peer.id, address, sizeof peer.id);
  return peer;
}

static struct in6_addr
map_ipv4 (const struct in_addr *address)
{
  struct in6_addr mapped = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

  memcpy (&mapped.s6_addr[12], address, 4);
  return mapped;
}

struct peer
peer_here (void)
{
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_vm vm;
    struct sockaddr_storage room;
  } name = { .any.sa_family = AF_UNSPEC };
  socklen_t length = sizeof name;
  struct in6_addr mapped;

  if (nbdkit_peer_name (&name.any, &length) == -1)
    return connection_peer ();
  switch (name.any.sa_family) {
  case AF_UNIX:
    return process_peer ();
  case AF_INET:
    mapped = map_ipv4 (&name.in.sin_addr);
    return ip_peer (&mapped);
  case AF_INET6:
    return ip_peer (&name.in6.sin6_addr);
  case AF_VSOCK:
    return (struct peer){ .kind = PEER_CID, .id = { name.vm.svm_cid, 0 } };
  default:
    return connection_peer ();
  }
}

struct peer
peer_of_ivshmem (int fd)
{
  struct ucred cred = { 0 };
  socklen_t size = sizeof cred;

  getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &cred, &size);
  return (struct peer){ .kind = PEER_IVSHMEM, .id = { cred.pid, cred.uid } };
}

bool
peer_equal (const struct peer *a, const struct peer *b)
{
  return a->kind == b->kind && a->id[0] == b->id[0] &&
         (a->kind != PEER_IP || a->id[1] == b->id[1]);
}

static void
describe_ip (const struct peer *peer, char *text, size_t size)
{
  struct in6_addr address;
  char ip[INET6_ADDRSTRLEN];

  memcpy (&address, peer->id, sizeof address);
  if (IN6_IS_ADDR_V4MAPPED (&address))
    inet_ntop (AF_INET, &address.s6_addr[12], ip, sizeof ip);
  else
    inet_ntop (AF_INET6, &address, ip, sizeof ip);
  snprintf (text, size, "address %s", ip);
}

const char *
peer_describe (const struct peer *peer, struct peer_text *text)
{
  const size_t size = sizeof text->text;

  switch (peer->kind) {
  case PEER_PID:
    snprintf (text->text, size, "process %" PRIu64 " (uid %" PRId64 ")",
              peer->id[0], (int64_t) peer->id[1]);
    break;
  case PEER_IVSHMEM:
    snprintf (text->text, size,
              "the ivshmem device of process %" PRIu64 " (uid %" PRId64 ")",
              peer->id[0], (int64_t) peer->id[1]);
    break;
  case PEER_IP:
    describe_ip (peer, text->text, size);
    break;
  case PEER_CID:
    snprintf (text->text, size, "vsock cid %" PRIu64, peer->id[0]);
    break;
  case PEER_CONNECTION:
    snprintf (text->text, size, "connection %" PRIu64, peer->id[0]);
    break;
  }
  return text->text;
}

bool
peer_is_gone (const struct peer *peer)
{
  return peer->kind == PEER_PID && kill (peer->id[0], 0) == -1 &&
         errno == ESRCH;
}
