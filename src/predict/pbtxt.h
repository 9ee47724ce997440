/* SPDX-License-Identifier: Apache-2.0 */
/* pbtxt.h - Protocol Buffers' text format (protobuf.dev, "Text Format Language") as Triton's config.pbtxt has it, turned into the JSON of
 * the same message.
 *
 *   name: "simple"  max_batch_size: 8           {"name":"simple","max_batch_size":8,
 *   input [ { name: "X" dims: [ 16 ] } ]   ->    "input":[{"name":"X","dims":[16]}],
 *   parameters { key: "a" value { string_value: "b" } }    "parameters":{"a":{"string_value":"b"}}}
 *
 * The schema is known as far as it changes the form: which fields of a model configuration are repeated and which are maps. Names of enums
 * become strings; fields that nobody knows are kept. Strings in both quotes, escapes, adjacent strings; numbers decimal, hexadecimal, octal,
 * floating; messages in {} and <>; lists; comments. Extensions and Any ("[a.b]") are refused.
 * Caps: WR_LIMIT_PBTXT_*. Errors: WEIR_EPARSE "WHAT:LINE:COLUMN: ...", WEIR_ELIMIT.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* Appends one JSON object. */
int wr_pbtxt_to_json(wr_buf *out, wr_str text, const char *what, wr_err *err);
