/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - hosts and origins. */
#include "server/guard.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/os.h"

/* "name:port", "[::1]:port" -> name. */
static wr_str name_of(wr_str host)
{
    if (host.n && host.p[0] == '[') {
        const char *end = memchr(host.p, ']', host.n);
        return end ? (wr_str){host.p + 1, (size_t)(end - host.p) - 1} : host;
    }
    const char *colon = memchr(host.p, ':', host.n);
    return colon ? (wr_str){host.p, (size_t)(colon - host.p)} : host;
}

static bool private_v4(const unsigned char a[4])
{
    return a[0] == 127 || a[0] == 10 || a[0] == 0 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
           (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254);
}

static bool private_v6(const unsigned char a[16])
{
    static const unsigned char loop[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16] = {0};
    if (memcmp(a, mapped, 12) == 0) return private_v4(a + 12);
    return memcmp(a, loop, 16) == 0 || memcmp(a, zero, 16) == 0 || (a[0] & 0xfe) == 0xfc ||
           (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

static bool private_address(wr_str name)
{
    char text[64];
    unsigned char a[16];
    if (name.n >= sizeof text) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    if (inet_pton(AF_INET, text, a) == 1) return private_v4(a);
    return inet_pton(AF_INET6, text, a) == 1 && private_v6(a);
}

static bool is_local(wr_str name)
{
    bool address =
        name.n && ((name.p[0] >= '0' && name.p[0] <= '9') || memchr(name.p, ':', name.n)); /* what is one is no name */
    if (address && private_address(name)) return true;
    return wr_str_ieq(name, "localhost") || wr_str_ends(name, ".localhost") || wr_str_ieq(name, wr_os_hostname());
}

static bool same(wr_str a, wr_str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        char x = a.p[i], y = b.p[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x | 0x20);
        if (y >= 'A' && y <= 'Z') y = (char)(y | 0x20);
        if (x != y) return false;
    }
    return true;
}

/* `whole` is the host with its port, or the origin with its scheme: a list may name either form. */
static bool listed(const char *list, wr_str name, wr_str whole)
{
    wr_str rest = wr_str_of(list);
    while (list && rest.p) {
        wr_str item = wr_str_trim(wr_str_cut(&rest, ','));
        if (!item.n) continue;
        if (wr_str_is(item, "*") || same(item, name) || same(item, whole)) return true;
        if (item.n > 2 && item.p[0] == '*' && item.p[1] == '.' && name.n > item.n - 1 &&
            same(wr_str_sub(item, 1, item.n), wr_str_sub(name, name.n - (item.n - 1), name.n)))
            return true;
    }
    return false;
}

static bool changes(wr_str method)
{
    return !wr_str_is(method, "GET") && !wr_str_is(method, "HEAD") && !wr_str_is(method, "OPTIONS");
}

const char *wr_guard_refuses(const wr_guard *g, const wr_http_head *h)
{
    wr_str host = wr_http_get(h, "host"), origin = wr_http_get(h, "origin"), name = name_of(host);
    if (wr_str_is(h->path, "/health") || wr_str_is(h->path, "/version")) return NULL;
    if (host.n && !is_local(name) && !listed(g->hosts, name, host))
        return "Invalid Host header - possible DNS rebinding attack detected (weir up --allowed-hosts names the hosts "
               "to trust)";
    if (!origin.p || !changes(h->method)) return NULL;
    const char *after = memmem(origin.p, origin.n, "://", 3);
    wr_str from = after ? (wr_str){after + 3, origin.n - (size_t)(after + 3 - origin.p)} : origin,
           from_name = name_of(from);
    if (same(from, host) || wr_str_ieq(from_name, "localhost") || wr_str_is(from_name, "127.0.0.1") ||
        wr_str_is(from_name, "::1") || listed(g->origins, from_name, origin))
        return NULL;
    return "Cross-origin request blocked (weir up --allowed-origins names the origins to trust)";
}
