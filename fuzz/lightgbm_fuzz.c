/* SPDX-License-Identifier: Apache-2.0 */
/* lightgbm_fuzz.c - model files of LightGBM, text, of hostile origin: refused with an error, or answered the same by every kernel. */
#include <stdint.h>

#include "forest_fuzz.h"
#include "predict/forest_predictor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_predictor *p = NULL;
    wr_err err = {0};
    int rc = wr_lightgbm_read(&p, (wr_str){(const char *)data, size}, size % 2 ? "lightgbm.sklearn.Classifier" : NULL, "model", &err);
    if (rc < 0 ? p || !err.msg[0] || err.code != rc : !p) abort();
    if (!p) return 0;
    fuzz_answers(p);
    wr_predictor_free(p);
    return 0;
}
