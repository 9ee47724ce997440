/* SPDX-License-Identifier: Apache-2.0 */
/* oip_fuzz.c - hostile inference requests and paths, and hostile records of the serving log: an answer or an error,
 * always valid JSON.
 *
 * The first byte chooses: a request body, a path (up to the first line feed) with a body behind it, or a log record of
 * some type.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codec/json.h"
#include "stage/deploy/predlog.h"
#include "wire/oip/oip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *const inputs[] = {"at", "km", "from"};
static const wr_type types[] = {WR_TS, WR_F64, WR_TEXT};

static bool ready(void *ctx) { return ctx == NULL; }

static int model(void *ctx, wr_oip_model *out, wr_str name, wr_arena *a, wr_err *err)
{
    (void)ctx;
    (void)a;
    if (!wr_str_is(name, "m")) return wr_err_set(err, WEIR_ENOTFOUND, "no endpoint");
    *out = (wr_oip_model){
        .name = WR_STR("m"), .version = WR_STR("1"), .ninputs = 3, .inputs = inputs, .types = types, .threshold = 0.5};
    return 0;
}

static void release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    (void)m;
}

/* Every cell is read, and what a cell promises holds. */
static int predict(void *ctx, const wr_oip_model *m, const wr_cell *cells, size_t n, double *scores, wr_str *ids,
                   wr_arena *a, wr_err *err)
{
    uint64_t sum = 0;
    (void)ctx;
    (void)a;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const wr_cell *c = cells + i * m->ninputs;
        WR_BUG_IF(!c[0].missing && c[0].ts == INT64_MIN);
        for (size_t k = 0; !c[2].missing && k < c[2].text.n; k++) sum += (unsigned char)c[2].text.p[k];
        scores[i] = c[1].missing ? (double)(sum % 7) / 7 : c[1].num;
        if (!ids[i].p) ids[i] = WR_STR("id");
    }
    return 0;
}

static void request(wr_str path, wr_str text)
{
    wr_oip_ops ops = {.server_version = "1", .ready = ready, .model = model, .release = release, .predict = predict};
    wr_oip_request in = {
        .method = wr_str_ends(path, "infer") ? WR_STR("POST") : WR_STR("GET"), .path = path, .body = text};
    wr_json j = {0};
    wr_buf body = {0};
    wr_oip_response out = {.body = &body};
    wr_arena *a = wr_arena_new((size_t)64 << 20);
    if (!a) return;
    wr_oip_handle(&out, &in, &ops, a);
    WR_BUG_IF(out.status != 500 && wr_json_parse(&j, wr_buf_view(&body), "answer", NULL) < 0);
    wr_json_free(&j);
    wr_buf_fini(&body);
    wr_arena_free(a);
}

static void record(wr_str payload)
{
    wr_predlog_prediction p;
    wr_predlog_label l;
    wr_predlog_event e;
    wr_str name;
    uint64_t view;
    wr_arena *a = wr_arena_new((size_t)64 << 20);
    if (!a) return;
    if (wr_predlog_get_prediction(&p, a, payload, NULL) == 0)
        WR_BUG_IF(wr_predlog_peek(&name, &view, WR_PREDLOG_PREDICTION, payload, NULL) < 0);
    if (wr_predlog_get_label(&l, payload, NULL) == 0) {
        wr_buf b = {0}; /* what is read is written as the same bytes */
        wr_predlog_put_label(&b, &l);
        WR_BUG_IF(!wr_str_eq(wr_buf_view(&b), payload));
        wr_buf_fini(&b);
    }
    (void)wr_predlog_get_event(&e, a, payload, NULL);
    wr_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    wr_str rest = {(const char *)data + 1, n - 1};
    if (data[0] == 'p') {
        wr_str path = wr_str_cut(&rest, '\n');
        request(path, rest.p ? rest : (wr_str){"", 0});
    } else if (data[0] == 'r') {
        record(rest);
    } else {
        request(WR_STR("/v2/models/m/infer"), rest);
    }
    return 0;
}
