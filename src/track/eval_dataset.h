/* SPDX-License-Identifier: Apache-2.0 */
/* eval_dataset.h - evaluation datasets: named lists of records (inputs, and what is expected of them), tied to any
 * number of experiments. Not the datasets that runs read (run.h).
 *
 * A record is known by its inputs: one that comes with the same inputs again is merged into the one that is there. The
 * schema names the fields seen so far with the type they had first; it only grows. The digest changes with the records.
 * Parts of records are kept as JSON texts. */
#pragma once
#include "codec/json.h"
#include "track/track.h"

enum {
    WR_EVAL_UPSERT = 100000,       /* records at once */
    WR_EVAL_PART = 8 << 20,        /* bytes of one part of a record */
    WR_EVAL_FIELDS = 1000,         /* fields of one part of the schema */
    WR_EVAL_MERGED = 256,          /* fields of the expectations and of the tags of a record */
    WR_EVAL_TAGS = 1000,           /* tags given at once */
    WR_EVAL_EXPERIMENTS = 10000,   /* experiments given at once */
    WR_EVAL_PAGE = 50000,          /* records or datasets of a page */
    WR_EVAL_PAGE_BYTES = 32 << 20, /* a page of records ends when it has so many */
};

typedef struct {
    int64_t id;
    wr_str uuid, name, digest, schema, created_by, updated_by; /* p NULL: none */
    int64_t records, created_ms, updated_ms;
    wr_track_item *tags; /* by key */
    size_t ntags;
    int64_t *experiments; /* as they were added */
    size_t nexperiments;
} wr_eval_dataset;

typedef struct {
    int64_t id;
    wr_str uuid, inputs, outputs, expectations, tags, source, source_id, source_type, created_by, updated_by;
    int64_t created_ms, updated_ms;
} wr_eval_record;

typedef struct {
    wr_str filter, token;
    const wr_str *order;
    size_t norder;
    const int64_t *experiments; /* those of one of them; none: all */
    size_t nexperiments, max;
} wr_eval_search_opt;

/* In a write. WEIR_ENOTFOUND for an experiment that is not there. */
int wr_eval_dataset_create(wr_eval_dataset *out, wr_arena *a, wr_track *t, wr_str name, const wr_track_item *tags,
                           size_t ntags, const int64_t *experiments, size_t nexperiments, wr_err *err);
/* WEIR_ENOTFOUND. */
int wr_eval_dataset_get(wr_eval_dataset *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
/* Its experiments alone; none for a dataset that is not there. */
int wr_eval_dataset_experiments(int64_t **out, size_t *n, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
int wr_eval_dataset_search(wr_eval_dataset **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                           const wr_eval_search_opt *opt, wr_err *err);
/* In a write. What is not there needs no deleting. */
int wr_eval_dataset_delete(wr_track *t, wr_str uuid, wr_err *err);
int wr_eval_dataset_set_tags(wr_track *t, wr_str uuid, const wr_track_item *tags, size_t n, wr_err *err);
int wr_eval_dataset_delete_tag(wr_track *t, wr_str uuid, wr_str key, wr_err *err);
int wr_eval_dataset_add_experiments(wr_track *t, wr_str uuid, const int64_t *ids, size_t n, wr_err *err);
int wr_eval_dataset_remove_experiments(wr_track *t, wr_str uuid, const int64_t *ids, size_t n, wr_err *err);
/* In a write: what names an experiment that is gone for good. */
int wr_eval_dataset_purge_experiment(wr_track *t, int64_t experiment, wr_err *err);

/* In a write. `records` is an array of {inputs, outputs, expectations, tags, source: {source_type, source_data}}. */
int wr_eval_records_upsert(size_t *inserted, size_t *updated, wr_track *t, wr_str uuid, yyjson_val *records,
                           wr_err *err);
int wr_eval_records_delete(size_t *deleted, wr_track *t, wr_str uuid, const wr_str *ids, size_t n, wr_err *err);
/* In the order they came in. An empty `next`: that was the last page. */
int wr_eval_records_list(wr_eval_record **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, wr_str uuid,
                         int64_t max, wr_str token, wr_err *err);
