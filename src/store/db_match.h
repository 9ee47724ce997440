/* SPDX-License-Identifier: Apache-2.0 */
/* db_match.h - the pattern matching of SQL's wr_like, wr_ilike and wr_rlike, as plain functions.
 *
 * LIKE: '%' is any text, '_' one character (UTF-8); there is no escape character. Folding is of A-Z and a-z only, as
 * PostgreSQL's ILIKE folds in collation "C".
 * Regular expressions are the part that PostgreSQL's and Python's have in common, and mean what they mean in
 * PostgreSQL: literals  .  [a-z] [^a-z] [[:alpha:]]  ^ $ (ends of the text)  ( ) (?: )  |  * + ? {m} {m,} {m,n} (also
 * lazy) \d \D \w \W \s \S (ASCII)  \t \n \r \f \v  \ before punctuation No back references, no look-around. '.' matches
 * every character. The match is a search: anchor it to compare wholly. Time is O(text x pattern) whatever the pattern:
 * a set of states walks the text once, nothing backtracks.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

bool wr_match_like(wr_str text, wr_str pattern, bool fold);

typedef struct wr_regex wr_regex;
/* WEIR_EINVAL with the place when it is no such expression, WEIR_ELIMIT when it is too large. Used by one thread at a
 * time. */
int wr_regex_new(wr_regex **out, wr_str pattern, wr_err *err);
void wr_regex_free(wr_regex *r);
bool wr_regex_find(wr_regex *r, wr_str text);
