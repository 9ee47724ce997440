/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_parse.h - documents of GraphQL (October 2021) that execute: operations with variables, selections, aliases,
 * arguments, directives and fragments. No type definitions. All of it is in the caller's arena; names are slices of the
 * text, strings are decoded. */
#pragma once
#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"

enum { WR_GRAPHQL_TEXT = 64 << 10, WR_GRAPHQL_NESTING = 64 };

typedef enum {
    WR_GRAPHQL_VARIABLE, /* text: its name */
    WR_GRAPHQL_NUMBER,   /* text: a number of JSON */
    WR_GRAPHQL_STRING,
    WR_GRAPHQL_WORD, /* true, false, null, a name of an enum */
    WR_GRAPHQL_LIST,
    WR_GRAPHQL_OBJECT,
} wr_graphql_kind;

typedef struct wr_graphql_value {
    wr_graphql_kind kind;
    wr_str name; /* of an argument, of a field of an object */
    wr_str text;
    struct wr_graphql_value *first, *next; /* first: what a list or an object holds */
} wr_graphql_value;

typedef struct wr_graphql_directive {
    wr_str name;
    wr_graphql_value *arguments;
    struct wr_graphql_directive *next;
} wr_graphql_directive;

typedef enum { WR_GRAPHQL_FIELD, WR_GRAPHQL_SPREAD, WR_GRAPHQL_INLINE } wr_graphql_select;

typedef struct wr_graphql_selection {
    wr_graphql_select kind;
    wr_str alias, name; /* alias p NULL: none; name: of the field or of the fragment */
    wr_graphql_value *arguments;
    wr_graphql_directive *directives;
    struct wr_graphql_selection *first, *next; /* first: what is selected of it */
} wr_graphql_selection;

typedef struct wr_graphql_variable {
    wr_str name;
    bool required; /* its type ends with ! */
    wr_graphql_value *otherwise;
    struct wr_graphql_variable *next;
} wr_graphql_variable;

/* An operation ("query", "mutation") or a fragment ("fragment"). */
typedef struct wr_graphql_part {
    wr_str type, name; /* name p NULL: none */
    wr_graphql_variable *variables;
    wr_graphql_selection *first;
    bool busy; /* for those who walk: inside of it, to notice circles */
    struct wr_graphql_part *next;
} wr_graphql_part;

/* WEIR_EPARSE "Syntax Error: ..." with line and column, WEIR_ELIMIT. At least one part. */
int wr_graphql_parse(wr_graphql_part **out, wr_arena *a, wr_str text, wr_err *err);
