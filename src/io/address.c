/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - special addresses. */
#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

typedef struct {
    uint32_t net, bits;
} range4;

/* Host order. */
static bool public4(uint32_t a)
{
    static const range4 special[] = {
        {0x00000000, 8},  /* this network */
        {0x0a000000, 8},  /* private */
        {0x64400000, 10}, /* shared with a provider */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local, and metadata services */
        {0xac100000, 12}, /* private */
        {0xc0000000, 24}, /* protocol assignments */
        {0xc0000200, 24}, /* documentation */
        {0xc0586300, 24}, /* old relays */
        {0xc0a80000, 16}, /* private */
        {0xc6120000, 15}, /* benchmarks */
        {0xc6336400, 24}, /* documentation */
        {0xcb007100, 24}, /* documentation */
        {0xe0000000, 4},  /* multicast */
        {0xf0000000, 4},  /* reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (((a ^ special[i].net) >> (32 - special[i].bits)) == 0) return false;
    return true;
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool begins(const unsigned char *a, const unsigned char *net, int bits)
{
    if (memcmp(a, net, (size_t)bits / 8) != 0) return false;
    int rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ net[bits / 8]) >> (8 - rest)) == 0;
}

static bool public6(const unsigned char a[16])
{
    static const struct {
        unsigned char net[16];
        int bits;
    } special[] = {
        {{0}, 8},                       /* unspecified, loopback, compatible, NAT64 beside its prefix */
        {{0x01, 0}, 64},                /* discard */
        {{0x20, 0x01, 0}, 23},          /* protocol assignments */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x3f, 0xff, 0}, 20},          /* documentation */
        {{0x5f, 0}, 16},                /* segment routing */
        {{0xfc, 0}, 7},                 /* private */
        {{0xfe, 0x80}, 10},             /* link-local */
        {{0xfe, 0xc0}, 10},             /* site-local of old */
        {{0xff}, 8},                    /* multicast */
    };
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
                               nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const unsigned char six_to_four[2] = {0x20, 0x02};
    if (begins(a, mapped, 96) || begins(a, nat64, 96)) return public4(be32(a + 12));
    if (begins(a, six_to_four, 16)) return public4(be32(a + 2));
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (begins(a, special[i].net, special[i].bits)) return false;
    return true;
}

bool wr_address_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6) return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    return public6(in6.sin6_addr.s6_addr);
}

int wr_address_host(wr_str host)
{
    char text[256];
    struct in_addr v4;
    struct in6_addr v6;
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') host = wr_str_sub(host, 1, host.n - 1);
    while (host.n && host.p[host.n - 1] == '.') host.n--;
    if (!host.n || host.n >= sizeof text) return 0;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    if (inet_pton(AF_INET6, text, &v6) == 1) return public6(v6.s6_addr);
    if (inet_aton(text, &v4)) return public4(ntohl(v4.s_addr)); /* 127.1, 0x7f000001 and 2130706433 too */
    bool local = wr_str_ieq(host, "localhost") ||
                 (host.n > 10 && wr_str_ieq(wr_str_sub(host, host.n - 10, host.n), ".localhost"));
    return local ? 0 : -1;
}
