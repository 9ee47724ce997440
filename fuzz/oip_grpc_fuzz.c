/* SPDX-License-Identifier: Apache-2.0 */
/* oip_grpc_fuzz.c - hostile messages of the protocol of serving over gRPC: an answer that is a message, or a status
 * with a text; each model is given back, what reaches a model is whole.
 *
 * The first line is the path, what follows the message. Path "config": the rest is JSON of a configuration that a model
 * has.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "codec/protobuf.h"
#include "wire/oip/grpc.h"
#include "wire/oip/oip_checked_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static wr_str oip_grpc_json;

static int oip_grpc_config(void *ctx, wr_str *json, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    (void)ctx, (void)m, (void)a, (void)err;
    *json = oip_grpc_json;
    return 0;
}

static void oip_grpc_check(const wr_oip_grpc_response *out)
{
    wr_pb r;
    wr_pb_field f;
    oip_require(out->status >= WR_GRPC_OK && out->status <= WR_GRPC_UNAUTHENTICATED);
    oip_require((out->status == WR_GRPC_OK) == !out->text[0]);
    oip_require(wr_str_utf8(wr_str_of(out->text)));
    if (out->status != WR_GRPC_OK) oip_require(out->body->n == 0);
    wr_pb_init(&r, wr_buf_view(out->body));
    while (wr_pb_next(&r, &f)) {}
    oip_require(wr_pb_end(&r, "answer", NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static wr_oip *o;
    wr_oip_ops ops = oip_ops;
    wr_str rest = {(const char *)data, n}, name;
    wr_oip_grpc_request in = {.path = wr_str_cut(&rest, '\n')};
    wr_log_level level = wr_log_get_level();
    WR_AUTOBUF wr_buf body = {0};
    wr_oip_grpc_response out = {.body = &body};
    wr_arena *a = wr_arena_new((size_t)256 << 20);
    if (!o && wr_oip_new(&o, &(wr_oip_opt){.server_version = "1"}, NULL) < 0)
        abort(); /* without shared memory: names of others' objects */
    if (!a) return 0;
    in.message = rest.p ? rest : (wr_str){"", 0};
    fake.ready = true;
    ops.infer = oip_checked;
    if (wr_str_is(in.path, "config")) {
        oip_grpc_json = in.message;
        ops.config = oip_grpc_config;
        in.path = WR_STR(WR_OIP_GRPC_PATH "/ModelConfig");
        in.message = WR_STR("\n\6simple");
    }
    (void)wr_oip_grpc_is_open(in.path);
    (void)wr_oip_grpc_controls(&name, in.path, in.message);
    wr_oip_grpc(&out, o, &in, &ops, a);
    oip_require(fake.held == 0);
    oip_grpc_check(&out);
    wr_arena_free(a);
    wr_log_set_level(level);
    return 0;
}
