/* SPDX-License-Identifier: Apache-2.0 */
/* match_fuzz.c - pattern, newline, text through LIKE and the regular expressions of SQL's wr_like and wr_rlike. */
#include <stdint.h>
#include <stdlib.h>

#include "store/db_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_require(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096) return 0;
    wr_str text = {(const char *)data, size}, pattern = wr_str_cut(&text, '\n');
    if (!text.p) text = WR_STR("");
    if (wr_match_like(text, pattern, false)) match_require(wr_match_like(text, pattern, true));
    if (pattern.n == 0) match_require(wr_match_like(text, pattern, false) == (text.n == 0));
    wr_regex *r = NULL;
    wr_err err = {0};
    int rc = wr_regex_new(&r, pattern, &err);
    if (rc < 0) {
        match_require(err.code == rc && err.msg[0]);
        return 0;
    }
    bool found = wr_regex_find(r, text);
    match_require(wr_regex_find(r, text) == found);
    wr_regex_free(r);
    return 0;
}
