/* SPDX-License-Identifier: Apache-2.0 */
/* ubjson.h - Universal Binary JSON, draft 12, as model files of XGBoost are written: read into the same values as JSON.
 *
 * Taken: null, booleans, integers, float32 and float64, strings, characters, no-ops, arrays and objects with and without a type or a count.
 * Refused: high-precision numbers; arrays of a type without bytes ([$Z#...), which cost nothing to write and much to read; text that is not
 * UTF-8. Depth at most WR_LIMIT_JSON_DEPTH, values at most WR_LIMIT_UBJSON_VALUES.
 */
#pragma once
#include "codec/json.h"

/* All of `bytes`, which need not outlive the result. WEIR_EPARSE "what: byte 17: ...", WEIR_ELIMIT, WEIR_ENOMEM. wr_json_free frees it, also
 * after failure. */
int wr_ubjson_parse(wr_json *out, wr_str bytes, const char *what, wr_err *err);
