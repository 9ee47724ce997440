/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_fuzz.c - any bytes as a message; what can be read as one is written again, nested messages opened and
 * closed. The new bytes are at most as long, and written once more they stay the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROTOBUF_NESTED = 12 }; /* each level reads its bytes once more */

static void protobuf_require(bool ok)
{
    if (!ok) abort();
}

static bool protobuf_reads(wr_str bytes)
{
    wr_pb r;
    wr_pb_field f;
    wr_err err = {0};
    wr_pb_init(&r, bytes);
    while (wr_pb_next(&r, &f)) {
        protobuf_require(f.number >= 1 && f.number < 1 << 29);
        protobuf_require(f.type != WR_PB_LEN || (f.bytes.p >= bytes.p && f.bytes.p + f.bytes.n <= bytes.p + bytes.n));
    }
    int rc = wr_pb_end(&r, "input", &err);
    protobuf_require(rc == 0 ? r.p == r.end : (rc == WEIR_EPARSE || rc == WEIR_ELIMIT) && err.msg[0]);
    return rc == 0;
}

static void protobuf_write(wr_buf *out, wr_str bytes, int depth)
{
    wr_pb r;
    wr_pb_field f;
    wr_pb_init(&r, bytes);
    while (wr_pb_next(&r, &f)) {
        if (f.type == WR_PB_VARINT) {
            wr_pbw_u64(out, f.number, f.value);
        } else if (f.type == WR_PB_I64) {
            wr_pbw_f64(out, f.number, wr_pb_f64(&r, &f));
        } else if (f.type == WR_PB_I32) {
            wr_pbw_fixed32(out, f.number, wr_pb_fixed32(&r, &f));
        } else if (depth < PROTOBUF_NESTED && protobuf_reads(f.bytes)) {
            size_t at = wr_pbw_open(out, f.number);
            protobuf_write(out, f.bytes, depth + 1);
            wr_pbw_close(out, at);
        } else {
            wr_pbw_str(out, f.number, f.bytes);
        }
    }
    protobuf_require(!wr_pb_failed(&r));
}

/* Lists and maps of whatever there is: only that they end, and never fail without saying so. */
static void protobuf_lists(wr_str bytes)
{
    static const wr_pb_type types[] = {WR_PB_VARINT, WR_PB_I64, WR_PB_I32};
    for (size_t i = 0; i < 3; i++) {
        wr_pb r;
        wr_pb_field f, key, value;
        wr_pb_init(&r, bytes);
        while (wr_pb_next(&r, &f)) {
            wr_pb_list l;
            uint64_t v;
            size_t n = 0;
            wr_pb_list_of(&l, &r, &f, types[i]);
            while (wr_pb_list_next(&l, &v)) n++;
            protobuf_require(n <= f.bytes.n + 1);
            wr_pb_entry(&key, &value, &r, &f);
            wr_str s = wr_pb_str(&r, &key);
            protobuf_require(wr_str_utf8(s));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_str bytes = {(const char *)data, size};
    protobuf_lists(bytes);
    if (!protobuf_reads(bytes)) return 0;
    wr_buf once = {0}, twice = {0};
    protobuf_write(&once, bytes, 0);
    protobuf_require(!once.failed && once.n <= size);
    protobuf_write(&twice, wr_buf_view(&once), 0);
    protobuf_require(wr_str_eq(wr_buf_view(&once), wr_buf_view(&twice)));
    wr_buf_fini(&once);
    wr_buf_fini(&twice);
    return 0;
}
