/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan.h - JSON (RFC 8259) read in one pass, value by value, without a tree: for requests whose bulk goes elsewhere (tensors).
 *
 *   wr_jscan s; wr_jscan_init(&s, text, arena, &err);
 *   bool first; wr_str key;
 *   WR_TRY(wr_jscan_open(&s, '{', &first));
 *   while ((rc = wr_jscan_member(&s, &first, &key)) == 1) ... read or skip one value
 *
 * Every function first skips white space. Strings without escapes are slices of the text, others are in the arena; they are valid UTF-8.
 * Numbers are exact: the nearest double, whole numbers of 64 bits as such. Nesting that is skipped is limited to WR_LIMIT_TENSOR_DEPTH,
 * without recursion. Errors: WEIR_EPARSE with the byte where it stands ("JSON at byte 17: ..."), WEIR_ENOMEM.
 * Nothing behind the text's end is read; the text need not end in NUL.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct wr_jscan {
    const char *at, *end;             /* what is left; a byte that can stand in a number is never the last one */
    const char *text;
    wr_arena *arena;
    wr_err *err;                      /* may be NULL */
} wr_jscan;

typedef struct {
    bool whole;                       /* magnitude and minus are exact; else real */
    bool minus;
    uint64_t magnitude;
    double real;                      /* always the nearest double */
} wr_jnumber;

void wr_jscan_init(wr_jscan *s, wr_str text, wr_arena *a, wr_err *err);
/* Next byte that is no white space, not taken; 0 at the end. What it begins: one of [ { " t f n - 0..9, or it is wrong. */
char wr_jscan_peek(wr_jscan *s);
int wr_jscan_fail(const wr_jscan *s, const char *what);       /* WEIR_EPARSE at this place */

int wr_jscan_open(wr_jscan *s, char bracket, bool *first);    /* takes '{' or '['; sets *first */
int wr_jscan_member(wr_jscan *s, bool *first, wr_str *key);   /* 1: a value follows; 0: the object ended */
int wr_jscan_item(wr_jscan *s, bool *first);                  /* 1: a value follows; 0: the list ended */

int wr_jscan_str(wr_jscan *s, wr_str *out);                   /* p is never NULL */
int wr_jscan_number(wr_jscan *s, wr_jnumber *out);
/* The same for a number that begins at *at, for loops over many of them: true moves *at behind it; false means nothing (take the other one).
 * *at and end are those of a wr_jscan. */
bool wr_jscan_quick(wr_jnumber *out, const char **at, const char *end);
bool wr_jscan_quick_real(double *out, const char **at, const char *end); /* -0 is -0.0 */
/* Numbers of a list as the floats, the doubles nearest to them, with commas between: from the one that begins here (no white space, not the end), at most n.
 * Returns how many it took; it stands right behind the last of these. They are fewer than there are, even none, where one is far from usual:
 * wr_jscan_number takes that, or tells what is wrong. What is behind the taken ones in `out` may have been written. */
size_t wr_jscan_floats(wr_jscan *s, float *out, size_t n);
size_t wr_jscan_doubles(wr_jscan *s, double *out, size_t n);
/* A text read as this double may be nearer to another float than to the double's: it is in the middle of two, or near zero. */
bool wr_jscan_between_floats(double v);
extern bool wr_jscan_plain;           /* for tests: these two read the portable way */
bool wr_jscan_word(wr_jscan *s, const char *word);            /* takes it when it is next: "null", "true", "NaN" */
int wr_jscan_skip(wr_jscan *s, wr_str *raw);                  /* any value, also NaN and Infinity; raw (may be NULL) its text */
int wr_jscan_end(wr_jscan *s);                                /* nothing but white space is left */
