/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - is an address one of the open internet?
 *
 * A server that calls addresses its users name must not be used to reach what only it can reach: itself, its own
 * network, the cloud's metadata service. Lists: IANA's special-purpose registries for IPv4 and IPv6. */
#pragma once
#include <stdbool.h>
#include <sys/socket.h>
#include "base/str.h"

/* IPv4 or IPv6; false for everything special (private, loopback, link-local, shared, documentation, multicast,
 * reserved), also where it is wrapped in an IPv6 address (mapped, 6to4, NAT64), and for other families. */
bool wr_address_public(const struct sockaddr *address);
/* A host as it stands in a URL: 1 = an address of the open internet, 0 = one that is not, or a name that means this
 * machine ("localhost"); -1 = another name, which says nothing before it is looked up. */
int wr_address_host(wr_str host);
