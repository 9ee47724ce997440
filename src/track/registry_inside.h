/* SPDX-License-Identifier: Apache-2.0 */
/* registry_inside.h - what the registry_*.c files share. */
#pragma once
#include "track/filter.h"
#include "track/registry.h"
#include "track/track_inside.h"
#include "track/webhook.h"

#define WR_REGISTERED_DELETED "Deleted_Internal"

/* Columns and tables of a version and of a model, as wr_registered_read_*() takes them. */
#define WR_VERSION_COLUMNS                                                                                             \
    "v.id, v.model, m.name, v.version, v.stage, v.source, v.storage, v.run_id, v.run_link, v.description, v.user_id, " \
    "v.model_id, v.package, v.created_ms, v.updated_ms"
enum { WR_VERSION_NCOLUMNS = 15 };
#define WR_VERSION_FROM  " FROM registered_versions v JOIN registered_models m ON m.id = v.model "
#define WR_MODEL_COLUMNS "m.id, m.name, m.description, m.created_ms, m.updated_ms"
enum { WR_MODEL_NCOLUMNS = 5 };

/* What a search may name of them. */
extern const wr_filter_noun wr_registered_model_noun, wr_registered_version_noun;

wr_registered_version wr_registered_version_row(wr_arena *a, wr_stmt *s);
wr_registered_model wr_registered_model_row(wr_arena *a, wr_stmt *s);
/* All rows of `s`, which is taken over; then tags and aliases of each. */
int wr_registered_version_rows(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, wr_stmt *s,
                               wr_err *err);
int wr_registered_version_load(wr_registered_version *v, size_t n, wr_arena *a, wr_track *t, wr_err *err);
/* Tags, aliases and latest versions. */
int wr_registered_model_load(wr_registered_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err);

/* The model of that name without what load fills. WEIR_ENOTFOUND. */
int wr_registered_model_find(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err);
int wr_registered_tag_check(wr_str key, wr_str value, wr_err *err);

/* Tell webhooks, in the write that makes it true. Whether it is news of a prompt the model's tags say, or `data`'s when
 * something is made. */
typedef enum {
    WR_NEWS_MODEL,
    WR_NEWS_MODEL_TAG,
    WR_NEWS_VERSION,
    WR_NEWS_VERSION_TAG,
    WR_NEWS_ALIAS
} wr_registered_news;
int wr_registered_tell(wr_track *t, int64_t model, wr_registered_news news, const char *action,
                       const wr_webhook_data *data, wr_err *err);
wr_str wr_registered_number(char out[24], int64_t version); /* as text */
