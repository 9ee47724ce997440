/* SPDX-License-Identifier: Apache-2.0 */
/* search_run_names.c - what a search may name of a run. */
#include <stdio.h>

#include "track/search_run_inside.h"

/* As many digits as cannot overflow when they are cast. */
#define NUMERIC   "'^[-+]?([0-9]{1,200}([.][0-9]{0,100})?|[.][0-9]{1,100})([eE][-+]?[0-9]{1,2})?$$'"
#define AS_NUMBER "CASE WHEN wr_rlike($.value, " NUMERIC ") THEN CAST($.value AS REAL) END"

const wr_filter_field wr_run_search_attributes[] = {
    {.names = "run_id",
     .ops = WR_OPS_TEXT | WR_OPS_IN,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.uuid"},
    {.names = "run_name|run name|Run name|Run Name",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.name"},
    {.names = "user_id", .ops = WR_OPS_TEXT, .more = WR_OPS_MORE, .order = true, .always = true, .column = "r.user_id"},
    {.names = "status",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "CASE r.status WHEN 1 THEN 'RUNNING' WHEN 2 THEN 'SCHEDULED' WHEN 3 THEN 'FINISHED' WHEN 4 THEN 'FAILED'"
               " ELSE 'KILLED' END"},
    {.names = "artifact_uri",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.artifact_uri"},
    {.names = "start_time|created|Created",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .order = true,
     .always = true,
     .column = "r.start_ms"},
    {.names = "end_time",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .order = true,
     .column = "r.end_ms"},
    {0}};

const wr_filter_field wr_run_search_metrics[] = {{.names = "*",
                                                  .number_ops = WR_OPS_NUMBER,
                                                  .number_more = WR_OPS_NUMBER_MORE,
                                                  .order = true,
                                                  .nan = true,
                                                  .key = WR_KEY_INTERNED,
                                                  .table = "track_metrics $",
                                                  .link = "$.run = r.id AND $.key = ?",
                                                  .column = "$.value"},
                                                 {0}};
/* The least and the greatest of a series. A series of NaN alone has none: its row is there, but they are missing. */
static int write_extreme(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    char expression[160];
    int64_t key;
    WR_TRY(wr_track_key_find(&key, t, c->key, err));
    snprintf(expression, sizeof expression,
             "(SELECT f%d.%s FROM track_metrics f%d WHERE f%d.run = r.id AND f%d.key = %lld)", alias,
             c->field->column + 2, alias, alias, alias, (long long)key);
    wr_sql_add(q, "(CASE WHEN ");
    wr_filter_compare(q, expression, alias, c);
    wr_sql_add(q, " THEN 1 ELSE 0 END = 1)");
    return 0;
}

#define EXTREME(expression)                                                                                            \
    {                                                                                                                  \
        {.names = "*",                                                                                                 \
         .number_ops = WR_OPS_NUMBER,                                                                                  \
         .number_more = WR_OPS_NUMBER_MORE,                                                                            \
         .order = true,                                                                                                \
         .real = true,                                                                                                 \
         .key = WR_KEY_INTERNED,                                                                                       \
         .table = "track_metrics $",                                                                                   \
         .link = "$.run = r.id AND $.key = ?",                                                                         \
         .column = expression,                                                                                         \
         .write = write_extreme},                                                                                      \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
const wr_filter_field wr_run_search_least[] = EXTREME("$.min_value"), wr_run_search_greatest[] = EXTREME("$.max_value");
const wr_filter_field wr_run_search_params[] = {{.names = "*",
                                                 .ops = WR_OPS_TEXT | WR_OPS_NULL,
                                                 .more = WR_OPS_MORE,
                                                 .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                                 .order = true,
                                                 .key = WR_KEY_INTERNED,
                                                 .table = "track_params $",
                                                 .link = "$.run = r.id AND $.key = ?",
                                                 .column = "$.value",
                                                 .number = AS_NUMBER},
                                                {0}};
const wr_filter_field wr_run_search_tags[] = {{.names = "*",
                                               .ops = WR_OPS_TEXT | WR_OPS_NULL,
                                               .more = WR_OPS_MORE,
                                               .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                               .order = true,
                                               .key = WR_KEY_INTERNED,
                                               .table = "track_tags $",
                                               .link = "$.run = r.id AND $.key = ?",
                                               .column = "$.value",
                                               .number = AS_NUMBER},
                                              {0}};
#define DATASET(name, what)                                                                                            \
    {                                                                                                                  \
        .names = name, .ops = WR_OPS_TEXT | WR_OPS_IN, .more = WR_OPS_MORE & ~WR_OPS_NULL,                             \
        .table = "track_inputs $ JOIN track_datasets $d ON $d.id = $.dataset", .link = "$.run = r.id", .column = what  \
    }
static const wr_filter_field datasets[] = {
    DATASET("name", "$d.name"), DATASET("digest", "$d.digest"), DATASET("context", "$.context"), {0}};

static const wr_filter_entity entities[] = {
    {.names = "metric|metrics", .fields = wr_run_search_metrics},
    {.names = "parameter|parameters|param|params", .fields = wr_run_search_params},
    {.names = "tag|tags", .fields = wr_run_search_tags},
    {.names = "attribute|attributes|attr|run", .bare = true, .fields = wr_run_search_attributes},
    {.names = "dataset|datasets", .fields = datasets},
    {.names = "metric|metrics", .function = "min", .fields = wr_run_search_least},
    {.names = "metric|metrics", .function = "max", .fields = wr_run_search_greatest},
    {.names = "metric|metrics", .function = "last", .fields = wr_run_search_metrics},
    {0}};
const wr_filter_noun wr_run_noun = {.name = "run", .entities = entities};
