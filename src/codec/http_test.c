/* SPDX-License-Identifier: Apache-2.0 */
/* http_test.c - the syntax: what is read, what is refused and with which status, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>


#include "codec/http.h"

/* The result must not depend on how the bytes were cut; every prefix lives in a block of its own, so that ASan sees
 * overreads. */
static int parse_request(wr_http_head *h, wr_str s)
{
    size_t scanned = 0, step_scanned = 0;
    int whole = wr_http_parse_request(h, s, &scanned);
    if (s.n > 2000) return whole;
    int step = 0;
    for (size_t n = 1; n <= s.n && step == 0; n++) {
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, s.p, n);
        wr_http_head partial;
        step = wr_http_parse_request(&partial, (wr_str){copy, n}, &step_scanned);
        free(copy);
    }
    assert_int_equal(step, whole);
    return whole;
}

static void is_str(wr_str got, const char *want)
{
    if (!wr_str_is(got, want)) fail_msg("got '%.*s', want '%s'", WR_STR_FMT(got), want);
}

static void reads_a_request(void **state)
{
    (void)state;
    wr_http_head h;
    wr_str s = WR_STR("POST /a%20b?x=1&y=? HTTP/1.1\r\nHost: example.org:80\r\nX-Empty:\r\nContent-Length:\t12 \r\n"
                      "Accept: text/\xc3\xa4, */*\r\n\r\nhello");
    assert_int_equal(parse_request(&h, s), 1);
    is_str(h.method, "POST");
    is_str(h.target, "/a%20b?x=1&y=?");
    is_str(h.path, "/a%20b");
    is_str(h.query, "x=1&y=?");
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.nheaders, 4);
    is_str(wr_http_get(&h, "host"), "example.org:80");
    is_str(wr_http_get(&h, "x-empty"), "");
    is_str(wr_http_get(&h, "ACCEPT"), "text/\xc3\xa4, */*");
    assert_null(wr_http_get(&h, "x-none").p);
    assert_true(h.has_length && h.keep_alive && !h.chunked && !h.expect_continue);
    assert_int_equal(h.length, 12);
    assert_int_equal(h.size, s.n - 5);
}

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int rc;
        const char *path, *query;
    } rows[] = {
        {"GET / HTTP/1.1", 1, "/", ""},
        {"GET /a?b#c HTTP/1.1", -400, NULL, NULL},
        {"GET http://h:1/p?q HTTP/1.1", 1, "/p", "q"},
        {"GET HTTPS://h HTTP/1.1", 1, "/", ""},
        {"GET http://h?q HTTP/1.1", 1, "/", "q"},
        {"GET http:///p HTTP/1.1", -400, NULL, NULL},
        {"GET http://user@h/p HTTP/1.1", -400, NULL, NULL},
        {"GET ftp://h/p HTTP/1.1", -400, NULL, NULL},
        {"OPTIONS * HTTP/1.1", 1, "*", ""},
        {"GET * HTTP/1.1", -400, NULL, NULL},
        {"CONNECT h:443 HTTP/1.1", -400, NULL, NULL},
        {"GET a HTTP/1.1", -400, NULL, NULL},
        {"GET /\x7f HTTP/1.1", -400, NULL, NULL},
        {"GET /\xc3\xa4 HTTP/1.1", -400, NULL, NULL},
        {"GET  / HTTP/1.1", -400, NULL, NULL},
        {"GET /  HTTP/1.1", -400, NULL, NULL},
        {"GET / HTTP/1.1 ", -400, NULL, NULL},
        {" GET / HTTP/1.1", -400, NULL, NULL},
        {"GET\t/ HTTP/1.1", -400, NULL, NULL},
        {"G(T / HTTP/1.1", -400, NULL, NULL},
        {"GET /", -400, NULL, NULL},
        {"GET", -400, NULL, NULL},
        {"GET / http/1.1", -400, NULL, NULL},
        {"GET / HTTP/1", -400, NULL, NULL},
        {"GET / HTTP/1.10", -400, NULL, NULL},
        {"GET / HTTP/2.0", -505, NULL, NULL},
        {"GET / HTTP/1.2", -505, NULL, NULL},
        {"GET / HTTP/0.9", -505, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        int n = snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", rows[i].line);
        wr_http_head h;
        int rc = parse_request(&h, (wr_str){text, (size_t)n});
        if (rc != rows[i].rc) fail_msg("'%s': got %d, want %d", rows[i].line, rc, rows[i].rc);
        if (rc != 1) continue;
        is_str(h.path, rows[i].path);
        is_str(h.query, rows[i].query);
    }
}

/* Header lines behind "POST / HTTP/1.1": each row is one thing two parsers may read in two ways. */
static void header_rows(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int rc;
    } rows[] = {
        {"Host: a", 1},
        {"Host:", 1},
        {"", -400},
        {"Host: a\r\nHost: a", -400},
        {"Host: a b", -400},
        {"Host: a/b", -400},
        {"Host: u@a", -400},
        {"Host: a, b", -400},
        {"Host: [::1]:8080", 1},
        {"Host : a", -400},
        {"Host: a\r\nX\t: 1", -400},
        {"Host: a\r\n X: folded", -400},
        {"Host: a\r\nX: 1\r\n\tfolded", -400},
        {" Host: a", -400},
        {"Host: a\r\n: empty name", -400},
        {"Host: a\r\nno colon", -400},
        {"Host: a\r\nX: a\rb", -400},
        {"Host: a\r\nX: a\nb: c", -400},
        {"Host: a\r\nX: a\x01", -400},
        {"Host: a\r\nX: a\x7f", -400},
        {"Host: a\r\nX\x80: a", -400},
        {"Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", -400},
        {"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", -400},
        {"Host: a\r\nContent-Length: 5\r\nContent-Length: 6", -400},
        {"Host: a\r\nContent-Length: 5\r\nContent-Length: 5", -400},
        {"Host: a\r\nContent-Length: +5", -400},
        {"Host: a\r\nContent-Length: -5", -400},
        {"Host: a\r\nContent-Length: 5, 6", -400},
        {"Host: a\r\nContent-Length: 5, 5", -400},
        {"Host: a\r\nContent-Length: 5x", -400},
        {"Host: a\r\nContent-Length: 5 x", -400},
        {"Host: a\r\nContent-Length: 0x5", -400},
        {"Host: a\r\nContent-Length:", -400},
        {"Host: a\r\nContent-Length: 99999999999999999999999", -400},
        {"Host: a\r\nContent-Length: 18446744073709551621", -400},
        {"Host: a\r\nContent-Length: 999999999999999999", 1},
        {"Host: a\r\nTransfer-Encoding: chunked", 1},
        {"Host: a\r\nTransfer-Encoding: Chunked", 1},
        {"Host: a\r\nTransfer-Encoding: gzip", -501},
        {"Host: a\r\nTransfer-Encoding: gzip, chunked", -501},
        {"Host: a\r\nTransfer-Encoding: chunked, chunked", -501},
        {"Host: a\r\nTransfer-Encoding: xchunked", -501},
        {"Host: a\r\nTransfer-Encoding: chunked;q=1", -501},
        {"Host: a\r\nTransfer-Encoding: \"chunked\"", -501},
        {"Host: a\r\nTransfer-Encoding:", -501},
        {"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", -400},
        {"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", -400},
        {"Host: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 1", -400},
        {"Host: a\r\nExpect: 100-Continue", 1},
        {"Host: a\r\nExpect: 200-ok", -417},
        {"Host: a\r\nExpect: 100-continue\r\nExpect: 100-continue", -417},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        const char *sep = *rows[i].lines ? "\r\n" : "";
        int n = snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s%s\r\n", rows[i].lines, sep);
        wr_http_head h;
        int rc = parse_request(&h, (wr_str){text, (size_t)n});
        if (rc != rows[i].rc) fail_msg("'%s': got %d, want %d", rows[i].lines, rc, rows[i].rc);
    }
}

static void line_ends(void **state)
{
    (void)state;
    wr_http_head h;
    assert_int_equal(parse_request(&h, WR_STR("GET / HTTP/1.1\nHost: a\n\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("GET / HTTP/1.1\r\nHost: a\n\r\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")), 1); /* RFC 9112 2.2 */
    is_str(h.method, "GET");
    assert_int_equal(h.size, 29);
    assert_int_equal(parse_request(&h, WR_STR("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("\x16\x03\x01\x02")), -400); /* a TLS greeting */
    assert_int_equal(parse_request(&h, WR_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), -505);
}

static void connection_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade , close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wr_http_head h;
        assert_int_equal(parse_request(&h, wr_str_of(rows[i].text)), 1);
        assert_int_equal(h.keep_alive, rows[i].keep);
    }
    wr_http_head h;
    assert_int_equal(parse_request(&h, WR_STR("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")), -400);
    assert_int_equal(parse_request(&h, WR_STR("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")), 1);
    assert_false(h.expect_continue);
}

/* "GET /xx... HTTP/1.1" with `uri` bytes of target and `count` headers of `each` bytes; parsed. */
static int parse_big(size_t uri, size_t count, size_t each, bool whole)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "GET /");
    for (size_t i = 1; i < uri; i++) wr_buf_char(&b, 'u');
    wr_buf_str(&b, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t k = 0; k < count; k++) {
        wr_buf_printf(&b, "X-%03zu: ", k);
        for (size_t i = 0; i < each; i++) wr_buf_char(&b, 'v');
        wr_buf_str(&b, "\r\n");
    }
    if (whole) wr_buf_str(&b, "\r\n");
    wr_http_head h;
    size_t scanned = 0;
    return wr_http_parse_request(&h, wr_buf_view(&b), &scanned);
}

static void limits_of_the_head(void **state)
{
    (void)state;
    assert_int_equal(parse_big(WR_LIMIT_HTTP_TARGET, 0, 0, true), 1);
    assert_int_equal(parse_big(WR_LIMIT_HTTP_TARGET + 1, 0, 0, true), -414);
    assert_int_equal(parse_big(100 << 10, 0, 0, true), -414);
    assert_int_equal(parse_big(1, WR_LIMIT_HTTP_HEADERS - 1, 1, true), 1);
    assert_int_equal(parse_big(1, WR_LIMIT_HTTP_HEADERS, 1, true), -431);
    assert_int_equal(parse_big(1, 1, 100 << 10, true), -431);
    assert_int_equal(parse_big(1, 1, 100 << 10, false), -431);
    assert_int_equal(parse_big(1, 1, 30 << 10, true), 1);
    assert_int_equal(parse_big(1, 1, 30 << 10, false), 0);
    char method[64] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n";
    wr_http_head h;
    size_t scanned = 0;
    assert_int_equal(wr_http_parse_request(&h, wr_str_of(method), &scanned), -400);
    /* An endless line that never says LF is refused as soon as the limit is passed. */
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "GET /");
    int rc = 0;
    scanned = 0;
    for (size_t i = 0; i < 2 * WR_LIMIT_HTTP_TARGET && rc == 0; i++) {
        wr_buf_char(&b, 'x');
        rc = wr_http_parse_request(&h, wr_buf_view(&b), &scanned);
    }
    assert_int_equal(rc, -414);
    assert_true(b.n < WR_LIMIT_HTTP_TARGET + 200);
}

static void reads_a_response(void **state)
{
    (void)state;
    wr_http_head h;
    size_t scanned = 0;
    wr_str s = WR_STR("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    assert_int_equal(wr_http_parse_response(&h, s, &scanned), 1);
    assert_int_equal(h.status, 404);
    assert_int_equal(h.length, 2);
    assert_false(h.keep_alive);
    assert_int_equal(h.size, s.n - 2);
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 1},
        {"HTTP/1.1 200 \r\n\r\n", 1},
        {"HTTP/1.1 200\r\n\r\n", 1},
        {"HTTP/1.0 200 OK\r\n\r\n", 1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 1},
        {"HTTP/1.1 200 OK\r\nX: 1\r\n", 0},
        {"", 0},
        {"HTTP/2.0 200 OK\r\n\r\n", -502},
        {"HTTP/1.1 20 OK\r\n\r\n", -502},
        {"HTTP/1.1 2000\r\n\r\n", -502},
        {"HTTP/1.1 099 x\r\n\r\n", -502},
        {"HTTP/1.1  200 OK\r\n\r\n", -502},
        {"HTTP/1.1 200 O\x01K\r\n\r\n", -502},
        {"\r\n\r\n", -502},
        {"HTTP/1.1 200 OK\n\n", -502},
        {"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", -502},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", -502},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -502},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -502},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scanned = 0;
        int rc = wr_http_parse_response(&h, wr_str_of(rows[i].text), &scanned);
        if (rc != rows[i].rc) fail_msg("'%s': got %d, want %d", rows[i].text, rc, rows[i].rc);
    }
}

/* Decodes with the input cut into pieces of `step` bytes. Returns 1 done, 0 unfinished, or the error; payload in out.
 * */
static int dechunk(wr_buf *out, wr_str s, size_t step, size_t *rest)
{
    wr_http_chunks c;
    wr_http_chunks_init(&c);
    wr_buf_clear(out);
    size_t at = 0;
    while (at < s.n && !c.done) {
        wr_str in = wr_str_sub(s, at, at + step), piece;
        size_t offered = in.n;
        int rc;
        while ((rc = wr_http_chunks_next(&c, &in, &piece)) == 1) wr_buf_slice(out, piece);
        if (rc < 0) return rc;
        at += offered - in.n;
    }
    *rest = s.n - at;
    return c.done;
}

static void chunks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        const char *payload;
    } rows[] = {
        {"0\r\n\r\n", 1, ""},
        {"5\r\nhello\r\n0\r\n\r\n", 1, "hello"},
        {"5\r\nhello\r\n00006;a=b;c=\"d e\"\r\n world\r\n0\r\n\r\n", 1, "hello world"},
        {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", 1, "01234567890123456789"},
        {"1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", 1, "x"},
        {"5\r\nhel", 0, "hel"},
        {"5\r\nhello\r\n0\r\n", 0, "hello"},
        {"5\r\nhelloX", -400, NULL},
        {"5\r\nhello\rX", -400, NULL},
        {"5\nhello\r\n0\r\n\r\n", -400, NULL},
        {"\r\n", -400, NULL},
        {";a\r\n", -400, NULL},
        {"5 \r\nhello\r\n0\r\n\r\n", -400, NULL},
        {" 5\r\nhello\r\n0\r\n\r\n", -400, NULL},
        {"+5\r\nhello\r\n0\r\n\r\n", -400, NULL},
        {"-5\r\nhello\r\n0\r\n\r\n", -400, NULL},
        {"0x5\r\nhello\r\n0\r\n\r\n", -400, NULL},
        {"5;a\x01\r\nhello\r\n0\r\n\r\n", -400, NULL},
        {"5\rXhello", -400, NULL},
        {"ffffffffffffffff\r\n", -400, NULL},
        {"10000000000000000000000005\r\nhello", -400, NULL},
        {"0\r\nbad name: 1\r\n\r\n", -400, NULL},
        {"0\r\n folded\r\n\r\n", -400, NULL},
        {"0\r\n:x\r\n\r\n", -400, NULL},
        {"0\r\nA: \x01\r\n\r\n", -400, NULL},
        {"0\r\nA: 1\rX", -400, NULL},
        {"0\r\n\rX", -400, NULL},
    };
    WR_AUTOBUF wr_buf out;
    wr_buf_init(&out, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wr_str s = wr_str_of(rows[i].text);
        for (size_t step = 1; step <= s.n + 1; step++) {
            size_t rest = 0;
            int rc = dechunk(&out, s, step, &rest);
            if (rc != rows[i].rc) fail_msg("'%s' by %zu: got %d, want %d", rows[i].text, step, rc, rows[i].rc);
            if (rc >= 0) is_str(wr_buf_view(&out), rows[i].payload);
        }
    }
    size_t rest = 0;
    assert_int_equal(dechunk(&out, WR_STR("1\r\nx\r\n0\r\n\r\nGET /"), 100, &rest), 1);
    assert_int_equal(rest, 5); /* what follows the body is left for the next request */
}

static void limits_of_chunks(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    WR_AUTOBUF wr_buf out;
    wr_buf_init(&b, 0);
    wr_buf_init(&out, 0);
    size_t rest;
    wr_buf_str(&b, "5;");
    for (int i = 0; i < WR_LIMIT_HTTP_CHUNK_LINE; i++) wr_buf_char(&b, 'e');
    assert_int_equal(dechunk(&out, wr_buf_view(&b), 1000, &rest), -400);
    wr_buf_clear(&b);
    wr_buf_str(&b, "0\r\n");
    for (int i = 0; i < WR_LIMIT_HTTP_TRAILER; i++) wr_buf_str(&b, "A: b\r\n");
    assert_int_equal(dechunk(&out, wr_buf_view(&b), 1000, &rest), -431);
    wr_buf_clear(&b); /* many chunks do not add up to a long line */
    for (int i = 0; i < WR_LIMIT_HTTP_TRAILER; i++) wr_buf_str(&b, "1;ext\r\nx\r\n");
    wr_buf_str(&b, "0\r\nA: b\r\n\r\n");
    assert_int_equal(dechunk(&out, wr_buf_view(&b), 77, &rest), 1);
    assert_int_equal(out.n, WR_LIMIT_HTTP_TRAILER);
}

static void decoding(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool plus, ok;
        const char *want;
    } rows[] = {
        {"a%20b+c", false, true, "a b+c"},
        {"a%20b+c", true, true, "a b c"},
        {"%C3%a4", false, true, "\xc3\xa4"},
        {"%2e%2E%2f", false, true, "../"},
        {"", false, true, ""},
        {"%", false, false, ""},
        {"%4", false, false, ""},
        {"%4g", false, false, ""},
        {"%%41", false, false, ""},
        {"a%00b", false, false, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WR_AUTOBUF wr_buf out;
        wr_buf_init(&out, 0);
        assert_int_equal(wr_http_decode(&out, wr_str_of(rows[i].text), rows[i].plus), rows[i].ok);
        if (rows[i].ok) is_str(wr_buf_view(&out), rows[i].want);
    }
    WR_AUTOBUF wr_buf small;
    wr_buf_init(&small, 4);
    assert_false(wr_http_decode(&small, WR_STR("0123456789"), false));
}

static void queries(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf out;
    wr_buf_init(&out, 0);
    wr_str q = WR_STR("a=1&b+c=x%26y&empty=&flag&a=2&bad=%zz&=v");
    assert_true(wr_http_query(&out, q, "a"));
    is_str(wr_buf_view(&out), "1");
    assert_true(wr_http_query(&out, q, "b c"));
    is_str(wr_buf_view(&out), "x&y");
    assert_true(wr_http_query(&out, q, "empty"));
    is_str(wr_buf_view(&out), "");
    assert_true(wr_http_query(&out, q, "flag"));
    assert_false(wr_http_query(&out, q, "bad"));
    assert_false(wr_http_query(&out, q, "none"));
    assert_false(wr_http_query(&out, (wr_str){0}, "a"));
}

static void undone_leniently(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain, *plus;
    } rows[] = {
        {"", "", ""},           {"a%20b", "a b", "a b"}, {"a+b%2B", "a+b+", "a b+"}, {"%c3%A9", "\xc3\xa9", "\xc3\xa9"},
        {"%", "%", "%"},        {"%4", "%4", "%4"},      {"%4g%41", "%4gA", "%4gA"}, {"%%41", "%A", "%A"},
        {"%2541", "%41", "%41"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int plus = 0; plus < 2; plus++) {
            char text[16];
            strcpy(text, rows[i].text);
            text[wr_http_undo(text, strlen(text), plus)] = 0;
            assert_string_equal(text, plus ? rows[i].plus : rows[i].plain);
        }
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(wr_http_reason(200), "OK");
    assert_string_equal(wr_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(wr_http_reason(299), "Unknown");
}

/* ---- HTTP/2 ---- */

static int fields(wr_http_head *h, const char *const *nv)
{
    wr_http_fields_start(h);
    for (; nv[0]; nv += 2) {
        int rc = wr_http_fields_add(h, wr_str_of(nv[0]), wr_str_of(nv[1]));
        if (rc < 0) return rc;
    }
    return wr_http_fields_end(h);
}

static void test_fields(void **state)
{
    (void)state;
    static wr_http_head h;
    static const char *const fine[] = {":method",        "POST",       ":path",  "/a%20b?c=d",   ":scheme",
                                       "https",          ":authority", "x:1",    "host",         "X:1",
                                       "content-length", "12",         "expect", "100-Continue", NULL};
    assert_int_equal(fields(&h, fine), 0);
    assert_true(wr_str_is(h.method, "POST") && wr_str_is(h.path, "/a%20b") && wr_str_is(h.query, "c=d"));
    assert_true(h.keep_alive && h.minor == 1 && h.expect_continue && h.has_length && h.length == 12);
    assert_int_equal(h.nheaders, 3);
    assert_true(wr_str_is(wr_http_get(&h, "Host"), "x:1"));
    static const char *const options[] = {":method", "OPTIONS", ":path", "*", NULL};
    assert_int_equal(fields(&h, options), 0);
    static const char *const bad[][9] = {
        {":method", "GET", NULL},
        {":path", "/", NULL},
        {":method", "GET", ":path", "", NULL},
        {":method", "GET", ":path", "*", NULL},
        {":method", "GET", ":path", "http://a/", NULL},
        {":method", "GET", ":path", "/a b", NULL},
        {":method", "GET", ":path", "/\x7f", NULL},
        {":method", "G T", ":path", "/", NULL},
        {":method", "GET", ":path", "/", ":status", "200", NULL},
        {":method", "GET", ":path", "/", ":authority", "a/b", NULL},
        {":method", "GET", ":path", "/", "a", "1", ":authority", "a"},
        {":method", "GET", ":path", "/", "Upper", "x", NULL},
        {":method", "GET", ":path", "/", "a b", "x", NULL},
        {":method", "GET", ":path", "/", "", "x", NULL},
        {":method", "GET", ":path", "/", "a", "x\r\ny: z", NULL},
        {":method", "GET", ":path", "/", ":authority", "a", "host", "b"},
        {":method", "GET", ":path", "/", "host", "a", "host", "b"},
        {":method", "GET", ":path", "/", "host", "a/b", NULL},
        {":method", "GET", ":path", "/", "a", " x", NULL},
        {":method", "GET", ":path", "/", "a", "x\t", NULL},
        {":method", "GET", ":path", "/", "connection", "close", NULL},
        {":method", "GET", ":path", "/", "transfer-encoding", "chunked", NULL},
        {":method", "GET", ":path", "/", "content-length", "+5", NULL},
        {":method", "GET", "content-length", "5", "content-length", "5", ":path", "/"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (fields(&h, bad[i]) != -400) fail_msg("case %zu", i);
    }
}

static void test_fields_expect(void **state)
{
    (void)state;
    static wr_http_head h;
    static const char *const other[] = {":method", "GET", ":path", "/", "expect", "miracles", NULL};
    static const char *const twice[] = {":method",      "GET",    ":path",        "/", "expect",
                                        "100-continue", "expect", "100-continue", NULL};
    assert_int_equal(fields(&h, other), -417);
    assert_int_equal(fields(&h, twice), -417);
}

static void test_fields_limits(void **state)
{
    (void)state;
    static wr_http_head h;
    static char value[WR_LIMIT_HTTP_HEAD];
    memset(value, 'v', sizeof value);
    wr_http_fields_start(&h);
    for (int i = 0; i < WR_LIMIT_HTTP_HEADERS; i++)
        assert_int_equal(wr_http_fields_add(&h, WR_STR("a"), WR_STR("b")), 0);
    assert_int_equal(wr_http_fields_add(&h, WR_STR("a"), WR_STR("b")), -431);
    wr_http_fields_start(&h);
    assert_int_equal(wr_http_fields_add(&h, WR_STR("a"), (wr_str){value, WR_LIMIT_HTTP_HEAD - 33}), 0);
    assert_int_equal(wr_http_fields_add(&h, WR_STR("a"), WR_STR("")), -431);
    wr_http_fields_start(&h);
    assert_int_equal(wr_http_fields_add(&h, WR_STR("a"), (wr_str){value, WR_LIMIT_HTTP_HEAD - 32}), -431);
    value[0] = '/';
    wr_http_fields_start(&h);
    assert_int_equal(wr_http_fields_add(&h, WR_STR(":path"), (wr_str){value, WR_LIMIT_HTTP_TARGET}), 0);
    wr_http_fields_start(&h);
    assert_int_equal(wr_http_fields_add(&h, WR_STR(":path"), (wr_str){value, WR_LIMIT_HTTP_TARGET + 1}), -414);
}

static void encoding(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b, back;
    wr_buf_init(&b, 0);
    wr_buf_init(&back, 0);
    wr_http_encode(&b, WR_STR("a/b c=:@+%~-._\xc3\xa4\0z"), true);
    assert_string_equal(wr_buf_cstr(&b), "a/b%20c%3D%3A%40%2B%25~-._%C3%A4%00z");
    wr_buf_clear(&b);
    wr_http_encode(&b, WR_STR("a/b"), false);
    assert_string_equal(wr_buf_cstr(&b), "a%2Fb");
    wr_buf_clear(&b);
    char all[255];
    for (int i = 1; i < 256; i++) all[i - 1] = (char)i;
    wr_http_encode(&b, (wr_str){all, sizeof all}, false);
    assert_true(wr_http_decode(&back, wr_buf_view(&b), false));
    assert_true(wr_str_eq(wr_buf_view(&back), (wr_str){all, sizeof all}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(targets),
        cmocka_unit_test(header_rows),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(connection_rules),
        cmocka_unit_test(limits_of_the_head),
        cmocka_unit_test(reads_a_response),
        cmocka_unit_test(chunks),
        cmocka_unit_test(limits_of_chunks),
        cmocka_unit_test(decoding),
        cmocka_unit_test(queries),
        cmocka_unit_test(undone_leniently),
        cmocka_unit_test(reasons),
        cmocka_unit_test(encoding),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_fields_limits),
        cmocka_unit_test(test_fields_expect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
