/* SPDX-License-Identifier: Apache-2.0 */
/* oip_fuzz.c - hostile requests of all protocols of serving, and hostile records of the serving log: an answer or an
 * error, never more.
 *
 * A first byte 'r': a record of some type. Else a request: the line "METHOD PATH[?QUERY]", lines "NAME: VALUE" of
 * headers, an empty line, the body. Held up to it: the answer is JSON where it says so, the header's length is that of
 * the JSON, each model is given back; tensors that reach a model are whole, aligned, named once, their strings and
 * shapes true.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/inflate.h"
#include "stage/predlog/predlog.h"
#include "wire/oip/oip_checked_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- requests ---- */

static void oip_header(wr_oip_request *in, wr_str name, wr_str value)
{
    if (wr_str_is(name, "length")) in->header_length = value;
    else if (wr_str_is(name, "type")) in->content_type = value;
    else if (wr_str_is(name, "accept")) in->accept_encoding = value;
    else if (wr_str_is(name, "endpoint")) in->endpoint = value;
}

static wr_oip_request oip_parse(wr_str text)
{
    wr_oip_request in = {0};
    wr_str line = wr_str_cut(&text, '\n');
    in.method = wr_str_cut(&line, ' ');
    in.path = wr_str_cut(&line, '?');
    in.query = line;
    if (!in.path.p) in.path = (wr_str){"", 0};
    while (text.p && (line = wr_str_cut(&text, '\n')).n) {
        wr_str name = wr_str_cut(&line, ':');
        oip_header(&in, name, line.p ? wr_str_trim(line) : (wr_str){"", 0});
    }
    in.body = text.p ? text : (wr_str){"", 0};
    return in;
}

static void oip_check_answer(const wr_oip_response *out)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf plain = {0};
    wr_str text = wr_buf_view(out->body);
    const char *coding = strstr(out->headers, "Content-Encoding: "),
               *length = strstr(out->headers, "Inference-Header-Content-Length: ");
    oip_require(out->status == 200 || (out->status >= 400 && out->status <= 501) || out->status == 503);
    if (coding) {
        oip_require(wr_inflate(&plain, text, coding[18] == 'g' ? WR_CODING_GZIP : WR_CODING_DEFLATE, (size_t)1 << 30,
                               NULL) == 0);
        text = wr_buf_view(&plain);
    }
    if (length) {
        size_t json = strtoul(length + 33, NULL, 10);
        oip_require(json <= text.n);
        text.n = json;
    }
    if (strcmp(out->type, "text/plain") == 0 || !text.n || text.p[0] == '\n') return;
    int rc = wr_json_parse_lenient(&j, text, NULL);
    oip_require(rc == 0 ||
                rc == WEIR_ELIMIT); /* outputs may be nested deeper than our reader goes: not by these models */
    if (out->status != 200) oip_require(yyjson_obj_get(j.root, "error") || yyjson_obj_get(j.root, "message"));
}

static bool oip_answer(wr_oip_response *out, const wr_oip_request *in)
{
    static wr_oip *o;
    wr_oip_ops ops = oip_ops;
    wr_arena *a = wr_arena_new((size_t)256 << 20);
    if (!o && wr_oip_new(&o, &(wr_oip_opt){.server_version = "1"}, NULL) < 0)
        abort(); /* without shared memory: names of others' objects */
    if (!a) return false;
    fake.ready = true;
    ops.infer = oip_checked;
    wr_oip_rest(out, o, in, &ops, a);
    oip_require(fake.held == 0);
    wr_arena_free(a);
    return true;
}

/* What was read before makes no difference: the table is that of all inputs so far. */
static void oip_request(wr_str text)
{
    static wr_oip_alike *seen;
    wr_oip_request in = oip_parse(text);
    WR_AUTOBUF wr_buf body = {0}, again = {0};
    wr_oip_response out = {.body = &body}, out_again = {.body = &again};
    (void)wr_oip_knows(in.path);
    if (!oip_answer(&out, &in)) return;
    oip_check_answer(&out);
    if (!seen) seen = wr_oip_alike_new();
    in.alike = seen;
    for (int i = 0; i < 2 && (wr_str_ends(in.path, "/infer") || wr_str_ends(in.path, "/explain")); i++) {
        wr_buf_clear(&again);
        if (!oip_answer(&out_again, &in)) return;
        oip_require(out_again.status == out.status && strcmp(out_again.headers, out.headers) == 0);
        oip_require(wr_str_eq(wr_buf_view(&again), wr_buf_view(&body)));
    }
}

/* ---- records ---- */

static void oip_record(wr_str payload)
{
    wr_predlog_prediction p;
    wr_predlog_label l;
    wr_predlog_event e;
    wr_str name;
    uint64_t view;
    wr_arena *a = wr_arena_new((size_t)64 << 20);
    if (!a) return;
    if (wr_predlog_get_prediction(&p, a, payload, NULL) == 0)
        oip_require(wr_predlog_peek(&name, &view, WR_PREDLOG_PREDICTION, payload, NULL) == 0);
    if (wr_predlog_get_label(&l, payload, NULL) == 0) {
        wr_buf b = {0}; /* what is read is written as the same bytes */
        wr_predlog_put_label(&b, &l);
        oip_require(wr_str_eq(wr_buf_view(&b), payload));
        wr_buf_fini(&b);
    }
    (void)wr_predlog_get_event(&e, a, payload, NULL);
    wr_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    wr_str text = {(const char *)data, n};
    if (n && data[0] == 'r') oip_record(wr_str_sub(text, 1, n));
    else oip_request(text);
    return 0;
}
