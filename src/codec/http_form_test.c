/* SPDX-License-Identifier: Apache-2.0 */
/* http_form_test.c - a head that is compared is what the parser makes of it, or is not taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/http.h"

#define INFER "POST /v2/models/m/infer?a=b HTTP/1.1\r\nHost: a:80\r\n"

static void same_str(wr_str a, wr_str b)
{
    assert_ptr_equal(a.p, b.p);
    assert_int_equal(a.n, b.n);
}

static void same_head(const wr_http_head *a, const wr_http_head *b)
{
    same_str(a->method, b->method);
    same_str(a->target, b->target);
    same_str(a->path, b->path);
    same_str(a->query, b->query);
    assert_int_equal(a->minor, b->minor);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->has_length, b->has_length);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_int_equal(a->chunked, b->chunked);
    assert_int_equal(a->expect_continue, b->expect_continue);
    assert_int_equal(a->nheaders, b->nheaders);
    for (size_t i = 0; i < a->nheaders; i++) {
        same_str(a->headers[i].name, b->headers[i].name);
        same_str(a->headers[i].value, b->headers[i].value);
    }
}

/* Parsed and kept. */
static void learn(wr_http_forms *t, unsigned *hint, const char *text)
{
    wr_http_head h;
    size_t scanned = 0;
    assert_int_equal(wr_http_parse_request(&h, wr_str_of(text), &scanned), 1);
    wr_http_forms_keep(t, hint, &h, wr_str_of(text));
}

/* In a block of its own, so that a look behind its end is seen. Was it taken? Then as the parser has it. */
static bool takes(wr_http_forms *t, unsigned *hint, wr_str text)
{
    wr_http_head alike, parsed;
    size_t scanned = 0;
    char *copy = malloc(text.n + 1);
    assert_non_null(copy);
    memcpy(copy, text.p, text.n);
    char *exact = realloc(copy, text.n ? text.n : 1);
    text.p = exact ? exact : copy;
    bool taken = wr_http_forms_read(&alike, t, hint, text);
    if (taken) {
        assert_int_equal(wr_http_parse_request(&parsed, text, &scanned), 1);
        same_head(&alike, &parsed);
    }
    free((char *)text.p);
    return taken;
}

static bool takes_text(wr_http_forms *t, const char *text)
{
    unsigned hint = 0;
    return takes(t, &hint, wr_str_of(text));
}

static void takes_other_lengths(void **state)
{
    (void)state;
    wr_http_forms *t = wr_http_forms_new();
    unsigned hint = 0;
    assert_non_null(t);
    assert_false(takes_text(t, INFER "Content-Length: 5\r\n\r\nhello"));
    learn(t, &hint, INFER "Content-Length: 5\r\nX-After: y\r\nEmpty:\r\n\r\nhello");
    assert_true(takes_text(t, INFER "Content-Length: 5\r\nX-After: y\r\nEmpty:\r\n\r\nhello"));
    assert_true(takes_text(t, INFER "Content-Length: 0\r\nX-After: y\r\nEmpty:\r\n\r\n"));
    assert_true(takes_text(t, INFER "Content-Length: 00012345\r\nX-After: y\r\nEmpty:\r\n\r\n"));
    assert_true(takes_text(t, INFER "Content-Length: 123456789012345678\r\nX-After: y\r\nEmpty:\r\n\r\n"));
    static const char *const others[] = {
        INFER "Content-Length: 1234567890123456789\r\nX-After: y\r\nEmpty:\r\n\r\n", /* what the parser refuses, too */
        INFER "Content-Length: \r\nX-After: y\r\nEmpty:\r\n\r\n",
        INFER "Content-Length: -5\r\nX-After: y\r\nEmpty:\r\n\r\n",
        INFER "Content-Length: 5 \r\nX-After: y\r\nEmpty:\r\n\r\n",
        INFER "Content-Length: 5\r\nX-After: z\r\nEmpty:\r\n\r\n",
        INFER "Content-Length: 5\r\nX-After: y\r\nEmpty:\r\n",
        INFER "Content-Length: 5\r\nX-After: y\r\nEmpty:\r\nTransfer-Encoding: chunked\r\n\r\n",
        INFER "content-length: 5\r\nX-After: y\r\nEmpty:\r\n\r\n",
        "",
        INFER};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (takes_text(t, others[i])) fail_msg("taken: %s", others[i]);
    learn(t, &hint, INFER "Content-Length: 12345\r\nX-Last: z\r\n\r\n");
    assert_true(takes_text(t, INFER "Content-Length: 6\r\nX-Last: z\r\n\r\n")); /* what follows comes nearer */
    wr_http_forms_free(t);
}

static void takes_heads_of_all_kinds(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /p HTTP/1.0\r\n\r\n",
        "\r\nGET /lead?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /e HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://h/abs HTTP/1.1\r\nHost: a\r\n\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        wr_http_forms *t = wr_http_forms_new();
        unsigned hint = 0;
        learn(t, &hint, heads[i]);
        if (!takes(t, &hint, wr_str_of(heads[i]))) fail_msg("not taken: %s", heads[i]);
        for (size_t n = 0; n < strlen(heads[i]); n++) assert_false(takes(t, &hint, (wr_str){heads[i], n}));
        wr_http_forms_free(t);
    }
    wr_http_forms *t = wr_http_forms_new();
    unsigned hint = 0;
    learn(t, &hint, "GET http://h HTTP/1.1\r\nHost: a\r\n\r\n"); /* its path stands nowhere in it */
    assert_false(takes_text(t, "GET http://h HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (int i = 0; i < 20; i++) { /* also where another one was before */
        char text[100];
        snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
        learn(t, &hint, text);
    }
    for (int i = 0; i < 8; i++) learn(t, &hint, "GET http://h HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(takes(t, &hint, (wr_str){"\0\0\0\0\r\n\r\n", 8}));
    assert_false(takes_text(t, "GET /19 HTTP/1.1\r\nHost: a\r\n\r\n"));
    wr_http_forms_free(t);
}

/* Each byte of a head as each other one: taken only if the parser takes it, and as it does. */
static void changed_bytes(void **state)
{
    (void)state;
    static const char text[] = INFER "Content-Length: 57\r\nAccept: */*\r\n\r\n";
    wr_http_forms *t = wr_http_forms_new();
    unsigned hint = 0;
    char changed[sizeof text];
    size_t taken = 0;
    learn(t, &hint, text);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        memcpy(changed, text, sizeof text);
        for (int c = 0; c < 256; c++) {
            changed[i] = (char)c;
            taken += takes(t, &hint, (wr_str){changed, sizeof text - 1});
        }
    }
    assert_int_equal(taken, sizeof text - 1 + 9 + 9); /* itself each time, and two digits */
    wr_http_forms_free(t);
}

static void keeps_what_is_of_use(void **state)
{
    (void)state;
    wr_http_forms *t = wr_http_forms_new();
    unsigned hint = 0;
    char text[200];
    learn(t, &hint, INFER "Content-Length: 5\r\n\r\n");
    for (int i = 0; i < 20; i++) assert_true(takes_text(t, INFER "Content-Length: 6\r\n\r\n"));
    for (int i = 0; i < 60; i++) { /* others that come once */
        snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
        learn(t, &hint, text);
    }
    assert_true(takes_text(t, INFER "Content-Length: 6\r\n\r\n"));
    assert_false(takes_text(t, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (int i = 0; i < 4000; i++) { /* the one that is of no use any more goes at last */
        snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
        learn(t, &hint, text);
    }
    assert_false(takes_text(t, INFER "Content-Length: 6\r\n\r\n"));
    wr_http_forms_free(t);
    wr_http_forms_free(NULL);
}

static void too_large_ones_are_left(void **state)
{
    (void)state;
    wr_http_forms *t = wr_http_forms_new();
    unsigned hint = 0;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for (int i = 0; i < 800; i++) wr_buf_char(&b, 'x');
    wr_buf_str(&b, "\r\n\r\n");
    learn(t, &hint, b.p);
    assert_false(takes_text(t, b.p));
    wr_buf_clear(&b);
    wr_buf_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 30; i++) wr_buf_str(&b, "X: y\r\n");
    wr_buf_str(&b, "\r\n");
    learn(t, &hint, b.p);
    assert_false(takes_text(t, b.p));
    wr_http_forms_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_other_lengths),     cmocka_unit_test(takes_heads_of_all_kinds),
        cmocka_unit_test(changed_bytes),           cmocka_unit_test(keeps_what_is_of_use),
        cmocka_unit_test(too_large_ones_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
