/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - the search language, and the table by which a noun says what a search may name of it.
 *
 *   filter = { and } { OR { and } } ;                    and = { AND | term } ;      (AND between terms may be left
 * out) term   = NOT term | "(" filter ")" | clause ; clause = ident op value | ident [NOT] (LIKE | ILIKE | RLIKE) text
 * | ident [NOT] IN list | ident [NOT] BETWEEN v AND v | ident IS [NOT] NULL ; ident  = [ entity "." ] key | function
 * "(" entity "." key ")" ;   key = bare | `any` | "any" list   = "(" value { "," value } [","] ")" ;         value =
 * number | 'text' | "text"
 *
 * All that MLflow's parser takes means here what it means there; what goes beyond it is noted in wr_filter.extensions.
 * A row without the key fails every comparison, `!=` too; NOT turns a failed comparison around. LIKE heeds case, ILIKE
 * does not, both know % and _ and no escape. Two quotes inside a text stay two quotes, as in MLflow. Texts compare by
 * bytes. NaN passes `!=` alone.
 * Limits: WR_FILTER_* below. Errors: WEIR_EINVAL with MLflow's texts (INVALID_PARAMETER_VALUE on the wire).
 *
 * A noun's table, in the noun's own file:
 *
 *   static const wr_filter_field attributes[] = {
 *       {.names = "name", .ops = WR_OPS_TEXT, .more = WR_OPS_MORE, .column = "m.name", .order = true},
 *       {.names = "creation_timestamp|timestamp", .number_ops = WR_OPS_NUMBER, .column = "m.created_ms", .order =
 * true}, {0}}; static const wr_filter_field tags[] = {
 *       {.names = "mlflow.prompt.is_prompt", .ops = WR_OPS_TEXT, .column = "coalesce((SELECT x.value FROM ...),
 * 'false')"},
 *       {.names = "*", .ops = WR_OPS_TEXT, .more = WR_OPS_MORE | WR_OP_IS_NULL | WR_OP_NOT_NULL,
 *        .table = "model_tags $", .link = "$.model = m.id AND $.key = ?", .column = "$.value"},
 *       {0}};
 *   static const wr_filter_entity entities[] = {
 *       {.names = "attribute|attributes", .bare = true, .fields = attributes}, {.names = "tag|tags", .fields = tags},
 * {0}}; const wr_filter_noun wr_model_noun = {.name = "registered model", .entities = entities};
 */
#pragma once
#include "base/arena.h"
#include "track/sql.h"

enum {
    WR_FILTER_LENGTH = 64 << 10, /* bytes of a filter */
    WR_FILTER_DEPTH = 64,        /* parentheses and NOTs */
    WR_FILTER_CLAUSES = 1000,
};

/* ---- operators ---- */

enum {
    WR_OP_EQ = 1 << 0,
    WR_OP_NE = 1 << 1,
    WR_OP_LT = 1 << 2,
    WR_OP_LE = 1 << 3,
    WR_OP_GT = 1 << 4,
    WR_OP_GE = 1 << 5,
    WR_OP_LIKE = 1 << 6,
    WR_OP_ILIKE = 1 << 7,
    WR_OP_RLIKE = 1 << 8,
    WR_OP_IN = 1 << 9,
    WR_OP_NOT_IN = 1 << 10,
    WR_OP_IS_NULL = 1 << 11,
    WR_OP_NOT_NULL = 1 << 12,
    WR_OP_BETWEEN = 1 << 13,
    WR_OP_NOT_BETWEEN = 1 << 14,
    WR_OP_NOT_LIKE = 1 << 15,
    WR_OP_NOT_ILIKE = 1 << 16,
    WR_OP_NOT_RLIKE = 1 << 17,

    /* usual sets */
    WR_OPS_TEXT = WR_OP_EQ | WR_OP_NE | WR_OP_LIKE | WR_OP_ILIKE,
    WR_OPS_IN = WR_OP_IN | WR_OP_NOT_IN,
    WR_OPS_NULL = WR_OP_IS_NULL | WR_OP_NOT_NULL,
    WR_OPS_NUMBER = WR_OP_EQ | WR_OP_NE | WR_OP_LT | WR_OP_LE | WR_OP_GT | WR_OP_GE,
    /* What we add to every text and to every number. Not < and > of texts: whoever writes params.lr < '0.1' means the
     * number. */
    WR_OPS_MORE = WR_OPS_IN | WR_OPS_NULL | WR_OP_RLIKE | WR_OP_BETWEEN | WR_OP_NOT_BETWEEN | WR_OP_NOT_LIKE |
                  WR_OP_NOT_ILIKE | WR_OP_NOT_RLIKE,
    WR_OPS_NUMBER_MORE = WR_OPS_IN | WR_OPS_NULL | WR_OP_BETWEEN | WR_OP_NOT_BETWEEN,
};
const char *wr_filter_op_name(unsigned op); /* "NOT IN" */

/* ---- the table ---- */

typedef struct wr_filter_clause wr_filter_clause;
typedef enum {
    WR_KEY_TEXT,
    WR_KEY_INTERNED
} wr_filter_key; /* what `?` in a link is: the key, or its id in track_keys */

/* One key, or all keys, of an entity. SQL texts: `$` is the alias of this use ("f3"), so that two clauses do not meet, `$$` a dollar;
 * they come from the table and never from a user.
 * Without `table` a field is an expression over the noun's own row, NULL = missing. With it the field is in another
 * table: the row has it when SELECT 1 FROM table WHERE link finds one, and a comparison holds when it holds for one of
 * the rows found. */
typedef struct {
    const char
        *names; /* spellings, '|' between, the first is shown; "*" = any key; "attributes.*" = any with that prefix */
    unsigned ops, number_ops;   /* with texts and with numbers, as MLflow has them */
    unsigned more, number_more; /* and what we add */
    bool integers;              /* numbers must be whole, 1e3 is none */
    bool order;                 /* may stand in order_by */
    bool always;                /* the column is never NULL */
    bool nan;                   /* NULL in a row of `table` is NaN, not missing */
    bool real;                  /* numbers with a fraction; `nan` says so too */
    wr_filter_key key;
    const char *table, *link, *column;
    const char *sort;   /* a number that order_by takes instead of the column; NULL = column */
    const char *number; /* the expression compared with numbers; NULL = column */
    /* Overrides all of it: writes one condition in parentheses that is true or false, never NULL. `alias` is unused so
     * far. */
    int (*write)(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err);
    int tag; /* for the owner */
} wr_filter_field;

typedef struct {
    const char *names;             /* spellings, '|' between */
    bool bare;                     /* keys without an entity belong here */
    const char *function;          /* NULL, or keys are written FUNCTION(entity.key) */
    bool names_key;                /* errors about an operator name the key, as MLflow's do for spans */
    const wr_filter_field *fields; /* up to one without names */
} wr_filter_entity;

typedef struct {
    const char *name;                 /* "run" */
    const wr_filter_entity *entities; /* up to one without names; the first `names` of each are listed in errors */
} wr_filter_noun;

/* ---- parsing ---- */

typedef struct {
    bool number, whole; /* whole: `i` is exact */
    int64_t i;
    double f;
    wr_str text; /* without quotes; of a number as it was written */
} wr_filter_value;

struct wr_filter_clause {
    const wr_filter_entity *entity;
    const wr_filter_field *field;
    wr_str key; /* unquoted; of "attributes.*" without the prefix; of a fixed key its first spelling */
    unsigned op;
    const wr_filter_value *values; /* NULL test: none; BETWEEN: two; lists: one or more; all numbers or all texts */
    size_t nvalues;
};

typedef enum { WR_FILTER_CLAUSE, WR_FILTER_AND, WR_FILTER_OR, WR_FILTER_NOT } wr_filter_kind;
typedef struct wr_filter_node {
    wr_filter_kind kind;
    wr_filter_clause clause;
    struct wr_filter_node **kids; /* AND, OR: any number (none: true, false); NOT: one */
    size_t nkids;
} wr_filter_node;

/* What a filter has that MLflow would refuse. */
enum {
    WR_FILTER_EXT_OR = 1 << 0,     /* OR, NOT, parentheses */
    WR_FILTER_EXT_OP = 1 << 1,     /* an operator MLflow lacks, or lacks for this key */
    WR_FILTER_EXT_NUMBER = 1 << 2, /* a number where MLflow wants a text */
    WR_FILTER_EXT_FUNCTION = 1 << 3,
    WR_FILTER_EXT_CASE = 1 << 4,  /* `like` where MLflow wants LIKE */
    WR_FILTER_EXT_QUOTE = 1 << 5, /* quotes where MLflow wants none, or none where it wants them */
    WR_FILTER_EXT_JOIN = 1 << 6,  /* AND left out: MLflow takes it mostly, and by accident */
};

typedef struct {
    const wr_filter_noun *noun;
    const wr_filter_node *root; /* NULL: everything */
    unsigned extensions;
} wr_filter;

/* In arena `a`; texts are copied into it. An empty filter is fine. */
int wr_filter_parse(wr_filter *out, wr_arena *a, const wr_filter_noun *noun, wr_str text, wr_err *err);
/* Does it name this field? */
bool wr_filter_names(const wr_filter *f, const wr_filter_field *field);
/* Bytes of the identifier that `s` starts with; 0 = none. */
size_t wr_filter_word(wr_str s);
/* Looks up "entity.key" as order_by writes it, of a function if there is one. */
int wr_filter_ident(wr_filter_clause *out, wr_arena *a, const wr_filter_noun *noun, wr_str function, wr_str text,
                    wr_err *err);

/* ---- SQL ---- */

/* Appends the condition in parentheses: true or false, never NULL. `alias` counts the aliases used. */
int wr_filter_sql(wr_sql *q, wr_track *t, const wr_filter *f, int *alias, wr_err *err);
/* The same for one node. */
int wr_filter_node_sql(wr_sql *q, wr_track *t, const wr_filter_node *n, int *alias, wr_err *err);
/* Helpers for `write`: `op` and values behind an expression ("x.value = ?"), the text of a template with its alias. */
void wr_filter_compare(wr_sql *q, const char *expression, int alias, const wr_filter_clause *c);
void wr_filter_template(wr_sql *q, const char *text, int alias);
/* The link of a field with a table, its key bound. 1, or 0 and nothing when the key was never used. */
int wr_filter_link(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err);
