/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_curl.h - what fetch.c uses of libcurl's binary interface, which has been the same since 7.16 (2006), so that no
 * header of it is needed to build. Numbers: 0 long, 10000 pointer, 20000 function, 30000 off_t. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef void wr_curl;
struct wr_curl_list;

enum {
    OPT_WRITEDATA = 10001,
    OPT_URL = 10002,
    OPT_PROXY = 10004,
    OPT_READDATA = 10009,
    OPT_ERRORBUFFER = 10010,
    OPT_WRITEFUNCTION = 20011,
    OPT_READFUNCTION = 20012,
    OPT_POSTFIELDS = 10015,
    OPT_LOW_SPEED_LIMIT = 19,
    OPT_LOW_SPEED_TIME = 20,
    OPT_HTTPHEADER = 10023,
    OPT_HEADERDATA = 10029,
    OPT_CUSTOMREQUEST = 10036,
    OPT_NOPROGRESS = 43,
    OPT_NOBODY = 44,
    OPT_UPLOAD = 46,
    OPT_POST = 47,
    OPT_FOLLOWLOCATION = 52,
    OPT_SSL_VERIFYPEER = 64,
    OPT_CAINFO = 10065,
    OPT_HEADERFUNCTION = 20079,
    OPT_SSL_VERIFYHOST = 81,
    OPT_NOSIGNAL = 99,
    OPT_INFILESIZE_LARGE = 30115,
    OPT_POSTFIELDSIZE_LARGE = 30120,
    OPT_TIMEOUT_MS = 155,
    OPT_CONNECTTIMEOUT_MS = 156,
    OPT_XFERINFODATA = 10057,
    OPT_XFERINFOFUNCTION = 20219,
    OPT_OPENSOCKETFUNCTION = 20163,
    OPT_OPENSOCKETDATA = 10164,
    OPT_PROTOCOLS = 181,
    OPT_EXPECT_100_TIMEOUT_MS = 227,
    INFO_RESPONSE_CODE = 0x200002,
    GLOBAL_ALL = 3,
    PROTOCOL_HTTP = 1,
    PROTOCOL_HTTPS = 2,
    E_RESOLVE = 6,
    E_CONNECT = 7,
    E_WRITE = 23,
    E_READ = 26,
    E_TIMEOUT = 28,
    E_ABORTED = 42,
    ERROR_SIZE = 256,
    READ_ABORT = 0x10000000,
    SOCKET_BAD = -1,
};

struct wr_curl_address {
    int family, socktype, protocol;
    unsigned int length;
    struct sockaddr address;
};

typedef struct {
    int (*global_init)(long flags);
    wr_curl *(*easy_init)(void);
    void (*easy_cleanup)(wr_curl *);
    void (*easy_reset)(wr_curl *);
    int (*easy_setopt)(wr_curl *, int option, ...);
    int (*easy_perform)(wr_curl *);
    int (*easy_getinfo)(wr_curl *, int info, ...);
    const char *(*easy_strerror)(int);
    struct wr_curl_list *(*slist_append)(struct wr_curl_list *, const char *);
    void (*slist_free_all)(struct wr_curl_list *);
} wr_curl_api;
