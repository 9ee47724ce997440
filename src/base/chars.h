/* SPDX-License-Identifier: Apache-2.0 */
/* chars.h - single characters: what a hexadecimal digit is worth, a code point as UTF-8. */
#pragma once
#include <stdint.h>

#include "base/str.h"

/* 0 to 15, of either case; -1 when it is none. */
int wr_hex_digit(char c);
/* The bytes of `c` (at most 0x10ffff) into `out`, without a NUL; returns how many, 1 to 4. */
size_t wr_utf8_put(char out[4], uint32_t c);
void wr_buf_utf8(wr_buf *out, uint32_t c);
