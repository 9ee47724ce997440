/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan_inside.h - kinds of characters, for json_scan.c and json_floats.c only. */
#pragma once
#include <stdbool.h>

static inline bool digit(char c) { return c >= '0' && c <= '9'; }
static inline bool white(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline bool of_number(char c) { return digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }
