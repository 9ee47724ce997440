/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - requests that a web page somewhere made a browser send here: a Host that is not ours (DNS rebinding), and
 * changes asked for by another origin. Hosts that pass: localhost, this machine's name, loopback and private addresses
 * (RFC 1918, RFC 4193, link-local), and those that the user names ("*" = all). An origin passes when it is localhost,
 * the Host itself, or named. */
#pragma once
#include <stdbool.h>
#include "codec/http.h"

typedef struct {
    const char *hosts, *origins;
} wr_guard; /* lists with commas; "*.example.com" fits what ends so; NULL = none */

/* NULL, or what is wrong. */
const char *wr_guard_refuses(const wr_guard *g, const wr_http_head *h);
