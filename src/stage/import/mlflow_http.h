/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_http.h - what the mlflow_http*.c files share. Private to them.
 *
 * Lists come in pages, those of runs, logged models and traces an experiment at a time, those of versions a model at a
 * time; one page is kept. */
#pragma once
#include "base/vec.h"
#include "codec/json.h"
#include "io/fetch.h"
#include "stage/import/source.h"

typedef struct {
    wr_import_source source;
    wr_fetch *fetch;
    char *base;                  /* without a slash at the end */
    char *authorization;         /* a header, or NULL */
    wr_arena *kept;              /* what lives as long as the source: names of models */
    WR_VEC(int64_t) experiments; /* all there are, from the first walk */
    WR_VEC(wr_str) models;
    size_t nprompts; /* the last ones of models */
    bool answered;   /* once: it is worth waiting for */
    bool v3_traces, asked_traces;
    /* the walk under way */
    size_t group;
    bool open; /* a page of this group was asked for */
    wr_buf token;
    wr_json page;
    yyjson_arr_iter items;
} wr_mlflowhttp;

/* An answer of 200 parsed. 404: WEIR_ENOTFOUND; other refusals with the server's message. `body` p NULL = GET. */
int wr_mlflowhttp_ask(wr_json *out, wr_mlflowhttp *m, const char *path, wr_str body, wr_err *err);
void wr_mlflowhttp_encode(wr_buf *out, wr_str text, bool slashes); /* percent-encoded; slashes stay as they are */

wr_str wr_mlflowhttp_text(wr_arena *a, yyjson_val *obj, const char *key);      /* missing: p NULL */
wr_str wr_mlflowhttp_word(wr_arena *a, yyjson_val *obj, const char *key);      /* missing: "" */
int64_t wr_mlflowhttp_int(yyjson_val *obj, const char *key, int64_t fallback); /* also written as text */
double wr_mlflowhttp_number(yyjson_val *v);                                    /* "NaN", "Infinity" too */
int wr_mlflowhttp_items(wr_track_item **out, size_t *n, wr_arena *a, yyjson_val *list,
                        wr_err *err); /* [{key, value}] or {key: value} */

int wr_mlflowhttp_experiment(wr_experiment *out, wr_arena *a, yyjson_val *v, wr_err *err);
int wr_mlflowhttp_run(wr_track_run *out, wr_arena *a, yyjson_val *v, wr_err *err);
int wr_mlflowhttp_model(wr_registered_model *out, wr_arena *a, yyjson_val *v, wr_err *err);
int wr_mlflowhttp_version(wr_registered_version *out, wr_arena *a, yyjson_val *v, wr_err *err);
int wr_mlflowhttp_logged(wr_logged_model *out, wr_arena *a, yyjson_val *v, wr_err *err);
/* One of the list "spans". */
int wr_mlflowhttp_span(wr_span *out, wr_arena *a, yyjson_val *v, wr_err *err);
int wr_mlflowhttp_trace(wr_import_trace_row *out, wr_arena *a, wr_mlflowhttp *m, yyjson_val *v, wr_err *err);
