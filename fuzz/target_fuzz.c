/* SPDX-License-Identifier: Apache-2.0 */
/* target_fuzz.c - any bytes as the target of a feasibility study: refused with words, or a profile within its bounds
 * whose JSON is JSON. */
#include <stdint.h>
#include <stdlib.h>

#include "stage/study/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(64 << 20);
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_feasibility_target t;
    wr_err err = {0};
    wr_jsonw w;
    if (!a) return 0;
    if (wr_feasibility_target_parse(&t, a, (wr_str){(const char *)data, size}, "input", &err) < 0) {
        if (!err.msg[0] || !err.code) abort();
        return 0;
    }
    if (t.concurrency < 1 || t.concurrency > 256 || !(t.memory_share > 0 && t.memory_share <= 1) || t.p99_us < 0)
        abort();
    wr_jsonw_init(&w, &b, 0);
    wr_feasibility_target_json(&w, &t);
    if (b.failed || wr_json_parse(&j, wr_buf_view(&b), "json", &err) < 0) abort();
    return 0;
}
