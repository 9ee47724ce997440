/* SPDX-License-Identifier: Apache-2.0 */
/* json_fuzz.c - any bytes through the JSON reader; what it takes is written out, read again and written once more: the
 * two texts must be equal, plain and indented. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void json_require(bool ok)
{
    if (!ok) abort();
}

static void json_write(wr_buf *out, const wr_json *j, int indent)
{
    wr_jsonw w;
    wr_buf_init(out, 0);
    wr_jsonw_init(&w, out, indent);
    wr_jsonw_val(&w, j->root);
    json_require(!out->failed && w.depth == 0);
}

static void json_round_trip(const wr_json *first, int indent)
{
    WR_AUTOJSON wr_json second = {0};
    WR_AUTOBUF wr_buf once = {0}, twice = {0};
    json_write(&once, first, indent);
    json_require(wr_json_parse(&second, wr_buf_view(&once), "again", NULL) == 0);
    json_write(&twice, &second, indent);
    json_require(wr_str_eq(wr_buf_view(&once), wr_buf_view(&twice)));
}

static void json_getters(yyjson_val *root)
{
    wr_err err;
    wr_str s;
    int64_t i;
    double d;
    bool b;
    wr_json_str_or(&s, root, "a", "x", &err);
    wr_json_i64_or(&i, root, "a", 1, &err);
    wr_json_f64_or(&d, root, "a", 1, &err);
    wr_json_bool_or(&b, root, "a", true, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    int rc = wr_json_parse(&j, (wr_str){(const char *)data, size}, "input", &err);
    if (rc < 0) {
        json_require(!j.doc && err.code == rc && err.msg[0]);
        return 0;
    }
    json_getters(j.root);
    json_round_trip(&j, 0);
    json_round_trip(&j, 2);
    return 0;
}
