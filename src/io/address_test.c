/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) return wr_address_public((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return wr_address_public((struct sockaddr *)&in6);
}

static void addresses(void **state)
{
    static const char *const open[] = {
        "8.8.8.8",        "93.184.216.34",    "1.1.1.1",         "172.15.255.255",     "172.32.0.0",
        "100.63.255.255", "100.128.0.0",      "223.255.255.255", "2606:2800:220:1::1", "2a00:1450:4001::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"};
    static const char *const closed[] = {"0.0.0.0",
                                         "0.1.2.3",
                                         "10.0.0.1",
                                         "100.64.0.1",
                                         "127.0.0.1",
                                         "127.255.255.255",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.0.0.1",
                                         "192.0.2.1",
                                         "192.168.1.1",
                                         "198.18.0.1",
                                         "198.19.255.255",
                                         "198.51.100.1",
                                         "203.0.113.1",
                                         "224.0.0.1",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "::127.0.0.1",
                                         "::ffff:127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::a9fe:a9fe",
                                         "64:ff9b:1::1",
                                         "100::1",
                                         "2001::1",
                                         "2001:db8::1",
                                         "2002:7f00:1::1",
                                         "2002:a00:1::",
                                         "3fff::1",
                                         "5f00::1",
                                         "fc00::1",
                                         "fdff::1",
                                         "fe80::1",
                                         "febf::1",
                                         "fec0::1",
                                         "ff02::1"};
    (void)state;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (!is_public(open[i])) fail_msg("%s is public", open[i]);
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        if (is_public(closed[i])) fail_msg("%s is not public", closed[i]);
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    assert_false(wr_address_public(&unix_socket));
}

static void hosts(void **state)
{
    static const struct {
        const char *host;
        int is;
    } cases[] = {{"example.com", -1}, {"8.8.8.8", 1},    {"127.0.0.1", 0},   {"[::1]", 0},        {"[2606:2800::1]", 1},
                 {"localhost", 0},    {"LOCALHOST.", 0}, {"a.localhost", 0}, {"mylocalhost", -1}, {"2130706433", 0},
                 {"0x7f000001", 0},   {"127.1", 0},      {"0177.0.0.1", 0},  {"134744072", 1},    {"", 0},
                 {"[]", 0},           {"[fe80::1]", 0},  {"10.1", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (wr_address_host(wr_str_of(cases[i].host)) != cases[i].is)
            fail_msg("\"%s\": %d", cases[i].host, wr_address_host(wr_str_of(cases[i].host)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(hosts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
