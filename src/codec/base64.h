/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648, both alphabets. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

/* Appended. `url`: alphabet with '-' and '_', without padding; else '+', '/' and padding. */
void wr_base64_encode(wr_buf *out, wr_str data, bool url);
/* Takes both alphabets, with padding or without; false for anything else (and the bits that do not count must be 0). */
bool wr_base64_decode(wr_buf *out, wr_str text);
