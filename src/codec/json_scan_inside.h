/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan_inside.h - characters and digits, for json_scan.c and json_floats.c only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

static inline bool digit(char c) { return c >= '0' && c <= '9'; }
static inline bool white(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline bool of_number(char c) { return digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

/* Eight digits as bytes, the last one on top: pairs, then pairs of those, each by one multiplication (D. Lemire,
 * "Quickly parsing eight digits", 2018). */
static inline uint64_t eight_digits(uint64_t values)
{
    values = values * 2561 >> 8;
    values = (values & 0x00ff00ff00ff00ffu) * 6553601 >> 16;
    return (values & 0x0000ffff0000ffffu) * 42949672960001u >> 32;
}
