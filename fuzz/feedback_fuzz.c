/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_fuzz.c - any bytes as a body of feedback: the first byte says which form. Refused with a reason, or items
 * that keep the limits. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "stage/predlog/feedback_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {"application/json", "application/x-ndjson", "text/csv",
                                    "application/cloudevents+json", "application/cloudevents-batch+json"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_feedback_item *items = NULL;
    wr_err err = {0};
    size_t n = 0;
    if (!a || !size) return 0;
    wr_feedback_form f = {.content_type = wr_str_of(types[(data[0] & 7) % 5]), .now_us = (int64_t)1 << 50};
    if (data[0] & 8) f.ce_version = WR_STR("1.0"), f.ce_subject = WR_STR("s");
    if (wr_feedback_read(&items, &n, (wr_str){(const char *)data + 1, size - 1}, &f, a, &err) < 0) {
        if (!err.msg[0] || !err.code) abort();
        return 0;
    }
    if (n > WR_LIMIT_LABELS) abort();
    for (size_t i = 0; i < n; i++) {
        if (!items[i].id.n || items[i].id.n > WR_LIMIT_ID) abort();
        if (items[i].text.p ? items[i].reward || !items[i].text.n : !isfinite(items[i].value)) abort();
    }
    return 0;
}
