/* SPDX-License-Identifier: Apache-2.0 */
/* scores.h - what an answer of tensors says of each row: a score and a class, whatever the model is, so that answers of different models can
 * be compared.
 *
 * Score: of the output "probability", else "probabilities", else the first one of floats: its only value, or the last one of a row (of two
 * classes: the second's). Class: of an output of whole numbers, booleans or bytes its first value (bytes by hash); else of several floats
 * a row the greatest; else whether the score reaches the threshold. Outputs whose rows cannot be counted say nothing.
 */
#pragma once
#include <stdint.h>
#include "codec/tensor.h"

typedef struct { double score; uint64_t klass; } wr_row_verdict; /* score NaN: unknown */
/* Of row `row` < rows. Neither output may have been asked for: then NaN and UINT64_MAX. */
wr_row_verdict wr_row_verdict_of(const wr_tensor *out, size_t nout, size_t rows, size_t row, double threshold);
