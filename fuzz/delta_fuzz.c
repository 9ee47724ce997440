/* SPDX-License-Identifier: Apache-2.0 */
/* delta_fuzz.c - the text of a Delta commit: two commits in a row, split at the first NUL byte. */
#include "store/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_str rest = {(const char *)data, size};
    wr_delta_snapshot s = {0};
    for (int64_t version = 0; rest.p && version < 2; version++) {
        wr_err err = {0};
        wr_str text = version == 0 ? wr_str_cut(&rest, 0) : rest;
        int rc = wr_delta_apply(&s, text, version, &err);
        if (rc != err.code || (rc < 0 && !err.msg[0])) __builtin_trap();
        if (rc < 0) break;
        int64_t rows = 0;
        for (size_t i = 0; i < s.nfiles; i++) { /* what a snapshot promises */
            if (!s.files[i].path || !s.files[i].sha256) __builtin_trap();
            if (s.files[i].rows > 0 && __builtin_add_overflow(rows, s.files[i].rows, &rows)) break;
        }
        if (s.rows >= 0 && s.rows != rows) __builtin_trap();
    }
    wr_delta_free(&s);
    return 0;
}
