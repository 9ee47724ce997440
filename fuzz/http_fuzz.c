/* SPDX-License-Identifier: Apache-2.0 */
/* http_fuzz.c - the HTTP parsers under hostile bytes: never outside the input, and never another answer when the bytes
 * come in other pieces (a request that can be cut so that it reads differently can be smuggled).
 *
 * The first byte of the input chooses the parser and the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codec/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 0x7f }; /* this first byte means HTTP/2 */
typedef int (*parse_head)(wr_http_head *out, wr_str data, size_t *scanned);

static void require(bool ok)
{
    if (!ok) abort();
}

static void inside(wr_str slice, wr_str all)
{
    require(slice.n == 0 || (slice.p >= all.p && slice.p + slice.n <= all.p + all.n) || wr_str_is(slice, "/"));
}

static void check_head(const wr_http_head *h, wr_str s)
{
    require(h->size >= 4 && h->size <= s.n && h->size <= WR_LIMIT_HTTP_HEAD);
    require(!(h->chunked && h->has_length) && (h->has_length || h->length == 0));
    inside(h->method, s);
    inside(h->target, s);
    inside(h->path, s);
    inside(h->query, s);
    require(h->nheaders <= WR_LIMIT_HTTP_HEADERS);
    for (size_t i = 0; i < h->nheaders; i++) {
        inside(h->headers[i].name, s);
        inside(h->headers[i].value, s);
        require(h->headers[i].name.n > 0);
        for (size_t k = 0; k < h->headers[i].value.n; k++) {
            unsigned char c = (unsigned char)h->headers[i].value.p[k];
            require(c == '\t' || (c >= ' ' && c != 0x7f));
        }
    }
}

static void fuzz_head(parse_head parse, wr_str s, size_t step)
{
    wr_http_head whole, part;
    size_t scanned = 0;
    int want = parse(&whole, s, &scanned), got = 0;
    if (want == 1) check_head(&whole, s);
    scanned = 0;
    for (size_t n = step; got == 0; n += step) {
        got = parse(&part, wr_str_sub(s, 0, n), &scanned);
        if (n >= s.n) break;
    }
    require(got == want || (got < 0 && want < 0)); /* both refused; which fault is found first may differ */
    if (want == 1) require(part.size == whole.size && part.length == whole.length && part.chunked == whole.chunked);
}

static void same_str(wr_str a, wr_str b) { require(a.p == b.p && a.n == b.n); }

static void same_head(const wr_http_head *a, const wr_http_head *b)
{
    same_str(a->method, b->method);
    same_str(a->target, b->target);
    same_str(a->path, b->path);
    same_str(a->query, b->query);
    require(a->minor == b->minor && a->size == b->size && a->length == b->length && a->has_length == b->has_length);
    require(a->keep_alive == b->keep_alive && a->chunked == b->chunked && a->expect_continue == b->expect_continue);
    require(a->nheaders == b->nheaders);
    for (size_t i = 0; i < a->nheaders; i++) {
        same_str(a->headers[i].name, b->headers[i].name);
        same_str(a->headers[i].value, b->headers[i].value);
    }
}

/* What is known of heads that were read makes no difference: those of all inputs so far, and this one's with each of
 * its bytes changed. */
static void fuzz_forms(wr_str s)
{
    static wr_http_forms *forms;
    static wr_http_head head, alike;
    size_t scanned = 0;
    unsigned hint = 0;
    if (!forms && !(forms = wr_http_forms_new())) return;
    bool known = wr_http_forms_read(&alike, forms, &hint, s);
    int rc = wr_http_parse_request(&head, s, &scanned);
    require(!known || rc == 1);
    if (known) same_head(&alike, &head);
    if (rc != 1) return;
    if (!known) wr_http_forms_keep(forms, &hint, &head, s);
    char *copy = malloc(head.size);
    if (!copy) return;
    wr_str changed = {copy, head.size};
    memcpy(copy, s.p, head.size);
    for (size_t i = 0; i < head.size && head.size < 512; i++) {
        copy[i] = (char)(s.p[i] ^ (1 << (i & 7)));
        scanned = 0;
        if (wr_http_forms_read(&alike, forms, &hint, changed)) {
            require(wr_http_parse_request(&head, changed, &scanned) == 1);
            same_head(&alike, &head);
        }
        copy[i] = s.p[i];
    }
    free(copy);
}

static int unchunk(wr_str s, size_t step, uint64_t *sum, size_t *used)
{
    wr_http_chunks c;
    wr_http_chunks_init(&c);
    *sum = *used = 0;
    while (*used < s.n && !c.done) {
        wr_str in = wr_str_sub(s, *used, *used + step), all = in, piece;
        int rc;
        while ((rc = wr_http_chunks_next(&c, &in, &piece)) == 1) {
            inside(piece, all);
            for (size_t i = 0; i < piece.n; i++) *sum = *sum * 31 + (unsigned char)piece.p[i];
        }
        if (rc < 0) return rc;
        require(in.n == 0 || c.done);
        *used += all.n - in.n;
    }
    return c.done;
}

static void fuzz_chunks(wr_str s, size_t step)
{
    uint64_t sum1, sum2;
    size_t used1, used2;
    int whole = unchunk(s, s.n + 1, &sum1, &used1), cut = unchunk(s, step, &sum2, &used2);
    require(whole == cut);
    if (whole >= 0) require(sum1 == sum2 && used1 == used2);
}

static void fuzz_query(wr_str s)
{
    wr_buf out;
    wr_buf_init(&out, 0);
    if (wr_http_decode(&out, s, true)) require(out.n <= s.n && (out.n == 0 || !memchr(out.p, 0, out.n)));
    (void)wr_http_query(&out, s, "a");
    wr_buf_fini(&out);
}

/* Lines "name:value" as the fields of an HTTP/2 request. What is taken must be the same request in HTTP/1.1: a proxy
 * between the two must not change who asks for what. */
static void fuzz_fields(wr_str s)
{
    static wr_http_head h, again;
    wr_buf text = {0};
    size_t scanned = 0;
    int rc = 0;
    wr_http_fields_start(&h);
    while (rc == 0 && s.p) {
        wr_str line = wr_str_cut(&s, '\n'), from = wr_str_sub(line, 1, line.n), rest = from;
        size_t n = 1 + wr_str_cut(&rest, ':').n;
        rc = wr_http_fields_add(&h, wr_str_sub(line, 0, n), wr_str_sub(line, n + 1, line.n));
    }
    if (rc == 0) rc = wr_http_fields_end(&h);
    require(rc == 0 || rc == -400 || rc == -414 || rc == -417 || rc == -431);
    if (rc < 0 || !wr_http_get(&h, "host").p) return; /* HTTP/1.1 cannot do without */
    wr_buf_printf(&text, "%.*s %.*s HTTP/1.1\r\n", WR_STR_FMT(h.method), WR_STR_FMT(h.target));
    for (size_t i = 0; i < h.nheaders; i++)
        wr_buf_printf(&text, "%.*s: %.*s\r\n", WR_STR_FMT(h.headers[i].name), WR_STR_FMT(h.headers[i].value));
    wr_buf_str(&text, "\r\n");
    require(!text.failed && wr_http_parse_request(&again, wr_buf_view(&text), &scanned) == 1);
    require(wr_str_eq(h.method, again.method) && wr_str_eq(h.path, again.path) && wr_str_eq(h.query, again.query));
    require(h.has_length == again.has_length && h.length == again.length && h.nheaders == again.nheaders &&
            !again.chunked);
    for (size_t i = 0; i < h.nheaders; i++) require(wr_str_eq(h.headers[i].value, again.headers[i].value));
    wr_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    wr_str s = {(const char *)data + 1, size - 1};
    size_t step = 1 + data[0] / 4;
    if (data[0] == FIELDS) {
        fuzz_fields(s);
        return 0;
    }
    switch (data[0] & 3) {
    case 0:
        fuzz_head(wr_http_parse_request, s, step);
        fuzz_forms(s);
        break;
    case 1:
        fuzz_head(wr_http_parse_response, s, step);
        break;
    case 2:
        fuzz_chunks(s, step);
        break;
    default:
        fuzz_query(s);
        break;
    }
    return 0;
}
