/* SPDX-License-Identifier: Apache-2.0 */
/* inflate_fuzz.c - any bytes as a packed body: never more than allowed comes out, and what comes out under a cap comes
 * out the same under a larger one. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inflate_require(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t caps[] = {100, 100000};
    for (int coding = WR_CODING_GZIP; coding <= WR_CODING_DEFLATE; coding++) {
        WR_AUTOBUF wr_buf little = {0}, much = {0};
        wr_buf *out[2] = {&little, &much};
        int rc[2];
        for (int i = 0; i < 2; i++) {
            wr_err err = {0};
            rc[i] = wr_inflate(out[i], (wr_str){(const char *)data, size}, (wr_coding)coding, caps[i], &err);
            inflate_require(rc[i] == 0 || ((rc[i] == WEIR_EPARSE || rc[i] == WEIR_ELIMIT) && err.msg[0]));
            inflate_require(out[i]->n <= caps[i] + (rc[i] == WEIR_ELIMIT));
        }
        inflate_require(rc[0] != 0 || (rc[1] == 0 && wr_str_eq(wr_buf_view(&little), wr_buf_view(&much))));
    }
    return 0;
}
