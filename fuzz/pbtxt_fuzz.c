/* SPDX-License-Identifier: Apache-2.0 */
/* pbtxt_fuzz.c - any bytes as a config.pbtxt: what it becomes is JSON that our own reader takes, and as a model's
 * configuration it is read or refused. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/json.h"
#include "predict/config.h"
#include "predict/pbtxt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pbtxt_config(wr_str json)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOCONFIG wr_config c = {0};
    wr_err err = {0};
    if (!a) return;
    if (wr_config_parse(&c, a, json, "input", &err) < 0) {
        if (!err.msg[0] || !err.code) abort();
        return;
    }
    if (c.c.max_batch < 0 || c.c.instances < 1 || c.latest < 1) abort();
    for (size_t i = 0; i < c.nin; i++)
        if (c.in[i].ndims >= WR_TENSOR_DIMS) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOBUF wr_buf out = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    wr_str text = {(const char *)data, size};
    if (wr_pbtxt_to_json(&out, text, "input", &err) < 0) {
        if (!err.msg[0] || !err.code) abort();
    } else {
        if (wr_json_parse(&j, wr_buf_view(&out), "json", &err) < 0 || !yyjson_is_obj(j.root)) abort();
        pbtxt_config(wr_buf_view(&out));
    }
    pbtxt_config(text); /* as config.json */
    return 0;
}
