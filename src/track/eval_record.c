/* SPDX-License-Identifier: Apache-2.0 */
/* eval_record.c - records of evaluation datasets: merging, the schema they grow, pages of them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "track/eval_dataset_inside.h"
#include "track/run.h"
#include "track/track_inside.h"

enum { USER = 255, SOURCE_ID = 255 };
#define USER_TAG "mlflow.user"

/* ---- texts ---- */

/* As Python's json writes it: 1.0 stays 1.0, NaN stays NaN. NULL: {NULL,0}. */
static int text_of(wr_str *out, wr_arena *a, yyjson_val *v, const char *what, wr_err *err)
{
    size_t n;
    *out = (wr_str){NULL, 0};
    if (!v) return 0;
    char *text = yyjson_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, &n);
    if (!text) return wr_err_nomem(err);
    if (n <= WR_EVAL_PART) *out = wr_arena_str(a, (wr_str){text, n});
    free(text); /* NOLINT: yyjson's own allocator */
    if (n > WR_EVAL_PART)
        return wr_err_set(err, WEIR_ELIMIT, "the %s of a record are larger than %d MiB", what, WR_EVAL_PART >> 20);
    return out->p ? 0 : wr_err_nomem(err);
}

static int by_key(const void *x, const void *y)
{
    yyjson_val *a = *(yyjson_val *const *)x, *b = *(yyjson_val *const *)y;
    return wr_str_cmp((wr_str){yyjson_get_str(a), yyjson_get_len(a)}, (wr_str){yyjson_get_str(b), yyjson_get_len(b)});
}

/* The same bytes for the same value whatever the order of its keys; 1 and 1.0 differ. */
static void canonical(wr_jsonw *w, yyjson_val *v, wr_arena *a)
{
    size_t i, max, n = 0;
    yyjson_val *e, *value;
    char text[40];
    if (yyjson_is_arr(v)) {
        wr_jsonw_arr(w);
        yyjson_arr_foreach(v, i, max, e) canonical(w, e, a);
        wr_jsonw_end(w);
    } else if (yyjson_is_obj(v)) {
        yyjson_val **keys = wr_arena_alloc(a, (yyjson_obj_size(v) + 1) * sizeof *keys);
        wr_jsonw_obj(w);
        if (keys) {
            yyjson_obj_foreach(v, i, max, e, value) keys[n++] = e;
            qsort(keys, n, sizeof *keys, by_key);
        }
        for (i = 0; i < n; i++) {
            wr_jsonw_key(w, yyjson_get_str(keys[i]));
            canonical(w, yyjson_obj_iter_get_val(keys[i]), a);
        }
        wr_jsonw_end(w);
    } else if (yyjson_is_real(v)) {
        int len = snprintf(text, sizeof text, "%.17gf", yyjson_get_real(v));
        wr_jsonw_raw(w, (wr_str){text, (size_t)len});
    } else {
        wr_jsonw_val(w, v);
    }
}

static int hash_of(char out[WR_SHA256_HEX], wr_arena *a, yyjson_val *inputs, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 6 * (size_t)WR_EVAL_PART);
    wr_jsonw_init(&w, &b, 0);
    if (inputs) {
        canonical(&w, inputs, a);
    } else {
        wr_jsonw_obj(&w);
        wr_jsonw_end(&w);
    }
    if (wr_arena_failed(a) || b.failed) return wr_err_nomem(err);
    wr_sha256_of(b.p, b.n, out);
    return 0;
}

/* ---- the schema ---- */

typedef struct {
    wr_map parts[3];     /* inputs, outputs, expectations: name -> type */
    const char *outputs; /* the type of outputs that are no object */
    bool seen;
} schema;

static const char *const part_names[] = {"inputs", "outputs", "expectations"};

static void schema_fini(schema *s)
{
    for (int i = 0; i < 3; i++) wr_map_fini(&s->parts[i]);
}

static const char *type_of(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(v) ? "float" : "integer";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    default:
        return "null";
    }
}

/* A type as one of our constants, so that it outlives the text it came from. */
static const char *known_type(yyjson_val *v)
{
    static const char *const names[] = {"boolean", "float", "integer", "string", "array", "object", "null"};
    for (size_t i = 0; yyjson_is_str(v) && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], yyjson_get_str(v)) == 0) return names[i];
    return "unknown";
}

static int schema_add(wr_map *part, const char *what, yyjson_val *fields, bool types, wr_err *err)
{
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(fields, i, max, key, value)
    {
        wr_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (wr_map_find(part, name) >= 0) continue;
        if (part->n >= WR_EVAL_FIELDS)
            return wr_err_set(err, WEIR_EINVAL, "the %s of a dataset have more than %d fields", what, WR_EVAL_FIELDS);
        const char *type = types ? known_type(value) : type_of(value);
        if (wr_map_put(part, name, (void *)(uintptr_t)type) < 0) return wr_err_nomem(err);
    }
    return 0;
}

static int schema_load(schema *s, wr_track *t, int64_t id, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_stmt *q;
    WR_TRY(wr_track_query(&q, t, err, "SELECT schema FROM eval_datasets WHERE id = ?", "i", id));
    int rc = wr_step(q, err);
    if (rc > 0 && !wr_stmt_null(q, 0)) {
        s->seen = true;
        rc = wr_json_parse(&j, wr_stmt_str(q, 0), "the schema of the dataset", err);
    }
    wr_stmt_done(q);
    if (rc < 0) return rc;
    for (int i = 0; i < 3; i++) {
        yyjson_val *part = yyjson_obj_get(j.root, part_names[i]);
        if (yyjson_is_str(part)) s->outputs = known_type(part);
        WR_TRY(schema_add(&s->parts[i], part_names[i], part, true, err));
    }
    return 0;
}

static int schema_see(schema *s, yyjson_val *record, wr_err *err)
{
    s->seen = true;
    for (int i = 0; i < 3; i++) {
        yyjson_val *part = yyjson_obj_get(record, part_names[i]);
        if (yyjson_is_obj(part) && !(i == 1 && s->outputs))
            WR_TRY(schema_add(&s->parts[i], part_names[i], part, false, err));
        else if (i == 1 && part && !yyjson_is_null(part) && !yyjson_is_obj(part) && !s->outputs && !s->parts[1].n)
            s->outputs = type_of(part);
    }
    return 0;
}

static int schema_text(wr_str *out, wr_arena *a, const schema *s, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    *out = (wr_str){NULL, 0};
    if (!s->seen) return 0;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    for (int i = 0; i < 3; i++) {
        wr_jsonw_key(&w, part_names[i]);
        if (i == 1 && s->outputs) {
            wr_jsonw_cstr(&w, s->outputs);
            continue;
        }
        wr_jsonw_obj(&w);
        for (size_t k = 0; k < s->parts[i].n; k++) wr_jsonw_kstr(&w, s->parts[i].at[k].key.p, s->parts[i].at[k].value);
        wr_jsonw_end(&w);
    }
    wr_jsonw_kstr(&w, "version", "1.0");
    wr_jsonw_end(&w);
    if (b.failed) return wr_err_nomem(err);
    *out = wr_arena_str(a, wr_buf_view(&b));
    return out->p ? 0 : wr_err_nomem(err);
}

/* ---- one record ---- */

typedef struct {
    wr_track *t;
    wr_arena *a; /* of one record */
    int64_t dataset, now;
    char user[USER * 4 + 1]; /* the last one that a record named */
    bool named;
} upsert;

typedef struct {
    yyjson_val *inputs, *outputs, *expectations, *tags, *source;
    bool has_outputs;
    wr_str user;
} parts;

static int object_or_null(yyjson_val **out, yyjson_val *record, const char *name, size_t most, wr_err *err)
{
    yyjson_val *v = yyjson_obj_get(record, name);
    *out = NULL;
    if (!v || yyjson_is_null(v)) return 0;
    if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_EINVAL, "the \"%s\" of a record must be an object", name);
    if (yyjson_obj_size(v) > most)
        return wr_err_set(err, WEIR_EINVAL, "the \"%s\" of a record have more than %zu fields", name, most);
    *out = v;
    return 0;
}

static int read_parts(parts *p, yyjson_val *record, wr_err *err)
{
    *p = (parts){0};
    if (!yyjson_is_obj(record)) return wr_err_set(err, WEIR_EINVAL, "a record must be an object");
    WR_TRY(object_or_null(&p->inputs, record, "inputs", WR_EVAL_FIELDS, err));
    if (!p->inputs && yyjson_obj_get(record, "inputs")) return wr_err_set(err, WEIR_EINVAL, "inputs must be provided");
    p->outputs = yyjson_obj_get(record, "outputs");
    p->has_outputs = p->outputs != NULL;
    if (yyjson_is_null(p->outputs)) p->outputs = NULL;
    WR_TRY(object_or_null(&p->expectations, record, "expectations", WR_EVAL_MERGED, err));
    WR_TRY(object_or_null(&p->tags, record, "tags", WR_EVAL_MERGED, err));
    WR_TRY(object_or_null(&p->source, record, "source", 2, err));
    yyjson_val *user = yyjson_obj_get(p->tags, USER_TAG);
    if (yyjson_is_str(user)) p->user = (wr_str){yyjson_get_str(user), yyjson_get_len(user)};
    return wr_track_length_check(p->user, USER, "mlflow.user", err);
}

/* {source_type, source_data} checked, as it is kept; and its id. */
static int read_source(wr_eval_record *out, wr_arena *a, yyjson_val *source, wr_err *err)
{
    static const char *const types[] = {"UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"};
    WR_AUTOBUF wr_buf b = {0};
    yyjson_val *type = yyjson_obj_get(source, "source_type"), *data = yyjson_obj_get(source, "source_data");
    if (!source || !yyjson_obj_size(source)) return 0;
    wr_str name = {yyjson_is_str(type) ? yyjson_get_str(type) : "", yyjson_get_len(type)}, text;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (wr_str_ieq(name, types[i])) out->source_type = wr_str_of(types[i]);
    if (!out->source_type.p)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid dataset record source type: %.*s. Valid source types: ['UNSPECIFIED', 'TRACE', "
                          "'HUMAN', 'DOCUMENT', 'CODE']",
                          WR_STR_FMT(wr_str_fit(name, 60)));
    if (yyjson_is_null(data)) data = NULL;
    if (data && !yyjson_is_obj(data)) return wr_err_set(err, WEIR_EINVAL, "\"source_data\" must be an object");
    yyjson_val *id = yyjson_obj_get(data, wr_str_is(out->source_type, "TRACE") ? "trace_id" : "source_id");
    if (yyjson_is_str(id)) out->source_id = (wr_str){yyjson_get_str(id), yyjson_get_len(id)};
    WR_TRY(wr_track_length_check(out->source_id, SOURCE_ID, "source_id", err));
    WR_TRY(text_of(&text, a, data, "source", err));
    wr_buf_printf(&b, "{\"source_type\":\"%s\",\"source_data\":", out->source_type.p);
    wr_buf_slice(&b, text.p ? text : WR_STR("{}"));
    wr_buf_char(&b, '}');
    out->source = wr_arena_str(a, wr_buf_view(&b));
    return b.failed || !out->source.p ? wr_err_nomem(err) : 0;
}

static int insert(upsert *u, const parts *p, const char *hash, wr_err *err)
{
    char hex[33], uuid[37];
    wr_eval_record r = {0};
    wr_track_new_id(hex);
    snprintf(uuid, sizeof uuid, "dr-%s", hex);
    WR_TRY(text_of(&r.inputs, u->a, p->inputs, "inputs", err));
    WR_TRY(text_of(&r.outputs, u->a, p->outputs, "outputs", err));
    WR_TRY(text_of(&r.expectations, u->a, p->expectations, "expectations", err));
    WR_TRY(text_of(&r.tags, u->a, p->tags, "tags", err));
    WR_TRY(read_source(&r, u->a, p->source, err));
    int rc = wr_track_exec(
        u->t, err,
        "INSERT INTO eval_records (dataset, uuid, hash, inputs, outputs, expectations, tags, source, source_id, "
        "source_type, created_ms, updated_ms, created_by, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?)",
        "isssssssssiiss", u->dataset, wr_str_of(uuid), wr_str_of(hash), r.inputs.p ? r.inputs : WR_STR("{}"),
        p->has_outputs ? r.outputs : WR_STR("{}"), r.expectations, r.tags.p ? r.tags : WR_STR("{}"), r.source,
        r.source_id, r.source_type, u->now, u->now, p->user, p->user);
    return rc < 0 ? rc : 0;
}

/* The fields of `more` put over those of the object `text`. */
static int merged(wr_str *out, wr_arena *a, wr_str text, yyjson_val *more, const char *what, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    size_t i, max, n = 0;
    yyjson_val *key, *value;
    *out = text;
    if (!yyjson_obj_size(more)) return 0;
    if (!text.p) return text_of(out, a, more, what, err);
    WR_TRY(wr_json_parse_lenient(&j, text, err));
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_val_mut_copy(doc, j.root) : NULL;
    bool ok = root != NULL;
    yyjson_obj_foreach(more, i, max, key, value)
    {
        ok = ok && yyjson_mut_obj_put(root, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
    }
    char *made = ok ? yyjson_mut_val_write(root, YYJSON_WRITE_ALLOW_INF_AND_NAN, &n) : NULL;
    bool many = ok && yyjson_mut_obj_size(root) > WR_EVAL_MERGED;
    *out = made && n <= WR_EVAL_PART ? wr_arena_str(a, (wr_str){made, n}) : (wr_str){NULL, 0};
    free(made); /* NOLINT: yyjson's own allocator */
    yyjson_mut_doc_free(doc);
    if (many || n > WR_EVAL_PART)
        return wr_err_set(err, WEIR_EINVAL, "the %s of a record grow beyond %d fields or %d MiB", what, WR_EVAL_MERGED,
                          WR_EVAL_PART >> 20);
    return out->p ? 0 : wr_err_nomem(err);
}

static int merge(upsert *u, const parts *p, const wr_eval_record *old, wr_err *err)
{
    wr_str outputs = old->outputs, expectations, tags;
    if (p->has_outputs) WR_TRY(text_of(&outputs, u->a, p->outputs, "outputs", err));
    WR_TRY(merged(&expectations, u->a, old->expectations, p->expectations, "expectations", err));
    WR_TRY(merged(&tags, u->a, old->tags, p->tags, "tags", err));
    int rc = wr_track_exec(u->t, err,
                           "UPDATE eval_records SET outputs = ?, expectations = ?, tags = ?, updated_ms = ?, "
                           "updated_by = coalesce(?, updated_by) WHERE id = ?",
                           "sssisi", outputs, expectations, tags, u->now, p->user, old->id);
    return rc < 0 ? rc : 0;
}

/* 1 when it was there, 0 when it is new. */
static int upsert_one(upsert *u, yyjson_val *record, wr_err *err)
{
    char hash[WR_SHA256_HEX];
    wr_eval_record old = {0};
    parts p;
    wr_stmt *s;
    WR_TRY(read_parts(&p, record, err));
    WR_TRY(hash_of(hash, u->a, p.inputs, err));
    if (p.user.p) {
        snprintf(u->user, sizeof u->user, "%.*s", WR_STR_FMT(p.user));
        u->named = true;
    }
    WR_TRY(wr_track_query(&s, u->t, err,
                          "SELECT id, outputs, expectations, tags FROM eval_records WHERE dataset = ? AND hash = ?",
                          "is", u->dataset, wr_str_of(hash)));
    int rc = wr_step(s, err);
    if (rc > 0)
        old = (wr_eval_record){.id = wr_stmt_i64(s, 0),
                               .outputs = wr_stmt_text(u->a, s, 1),
                               .expectations = wr_stmt_text(u->a, s, 2),
                               .tags = wr_stmt_text(u->a, s, 3)};
    wr_stmt_done(s);
    if (rc < 0) return rc;
    if (!old.id) return insert(u, &p, hash, err);
    WR_TRY(merge(u, &p, &old, err));
    return 1;
}

/* ---- many records ---- */

static int upsert_all(size_t *inserted, size_t *updated, upsert *u, yyjson_val *records, wr_err *err)
{
    size_t i, max;
    yyjson_val *record;
    yyjson_arr_foreach(records, i, max, record)
    {
        int rc = upsert_one(u, record, err);
        if (rc < 0) return rc;
        ++*(rc ? updated : inserted);
        wr_arena_clear(u->a);
    }
    return 0;
}

static int grow_schema(wr_str *out, wr_arena *a, wr_track *t, int64_t id, yyjson_val *records, wr_err *err)
{
    schema s = {0};
    size_t i, max;
    yyjson_val *record;
    int rc = schema_load(&s, t, id, err);
    yyjson_arr_foreach(records, i, max, record) if (rc == 0) rc = schema_see(&s, record, err);
    if (rc == 0) rc = schema_text(out, a, &s, err);
    schema_fini(&s);
    return rc;
}

int wr_eval_records_upsert(size_t *inserted, size_t *updated, wr_track *t, wr_str uuid, yyjson_val *records,
                           wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    upsert u = {.t = t, .a = a, .now = wr_track_now_ms()};
    wr_str grown;
    *inserted = *updated = 0;
    if (!a) return wr_err_nomem(err);
    if (!yyjson_is_arr(records)) return wr_err_set(err, WEIR_EINVAL, "records must be a list");
    if (yyjson_arr_size(records) > WR_EVAL_UPSERT)
        return wr_err_set(err, WEIR_EINVAL, "at most %d records at once", WR_EVAL_UPSERT);
    WR_TRY(wr_eval_dataset_id(&u.dataset, t, uuid, err));
    WR_TRY(upsert_all(inserted, updated, &u, records, err));
    WR_TRY(grow_schema(&grown, a, t, u.dataset, records, err));
    return wr_eval_dataset_changed(t, u.dataset, grown, u.named ? wr_str_of(u.user) : (wr_str){NULL, 0}, err);
}

int wr_eval_records_delete(size_t *deleted, wr_track *t, wr_str uuid, const wr_str *ids, size_t n, wr_err *err)
{
    int64_t dataset;
    *deleted = 0;
    if (n > WR_EVAL_UPSERT) return wr_err_set(err, WEIR_EINVAL, "at most %d records at once", WR_EVAL_UPSERT);
    WR_TRY(wr_eval_dataset_id(&dataset, t, uuid, err));
    for (size_t i = 0; i < n; i++) {
        int rc = wr_track_exec(t, err, "DELETE FROM eval_records WHERE dataset = ? AND uuid = ? RETURNING 1", "is",
                               dataset, ids[i]);
        if (rc < 0) return rc;
        *deleted += (size_t)rc;
    }
    if (!*deleted) return 0;
    int rc = wr_track_exec(t, err, "UPDATE eval_datasets SET records = records - ? WHERE id = ?", "ii",
                           (int64_t)*deleted, dataset);
    return rc < 0 ? rc : 0;
}

static wr_eval_record row_of(wr_stmt *s, wr_arena *a)
{
    return (wr_eval_record){.id = wr_stmt_i64(s, 0),
                            .uuid = wr_stmt_text(a, s, 1),
                            .inputs = wr_stmt_text(a, s, 2),
                            .outputs = wr_stmt_text(a, s, 3),
                            .expectations = wr_stmt_text(a, s, 4),
                            .tags = wr_stmt_text(a, s, 5),
                            .source = wr_stmt_text(a, s, 6),
                            .source_id = wr_stmt_text(a, s, 7),
                            .source_type = wr_stmt_text(a, s, 8),
                            .created_ms = wr_stmt_i64(s, 9),
                            .updated_ms = wr_stmt_i64(s, 10),
                            .created_by = wr_stmt_text(a, s, 11),
                            .updated_by = wr_stmt_text(a, s, 12)};
}

static size_t bytes_of(const wr_eval_record *r)
{
    return r->inputs.n + r->outputs.n + r->expectations.n + r->tags.n + r->source.n;
}

/* Takes over `s`. `more`: there is another row behind the page. */
static int read_page(wr_eval_record **out, size_t *n, bool *more, wr_arena *a, wr_stmt *s, size_t max, wr_err *err)
{
    WR_VEC(wr_eval_record) rows = {0};
    size_t bytes = 0;
    int rc;
    *more = false;
    while ((rc = wr_step(s, err)) > 0) {
        if (rows.n == max || bytes > WR_EVAL_PAGE_BYTES) {
            *more = true;
            break;
        }
        if ((rc = wr_vec_add(&rows, row_of(s, a), err)) < 0) break;
        bytes += bytes_of(&rows.at[rows.n - 1]);
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* A token is the id of the last record that was given. */
int wr_eval_records_list(wr_eval_record **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, wr_str uuid,
                         int64_t max, wr_str token, wr_err *err)
{
    int64_t dataset, behind = 0;
    wr_stmt *s;
    bool more;
    *next = (wr_str){NULL, 0};
    if (max < 1 || max > WR_EVAL_PAGE)
        return wr_err_set(err, WEIR_EINVAL, "max_results must be between 1 and %d", WR_EVAL_PAGE);
    if (token.n && wr_num_i64(&behind, token, NULL) < 0)
        return wr_err_set(err, WEIR_EINVAL, "Invalid page token, could not decode it");
    WR_TRY(wr_eval_dataset_id(&dataset, t, uuid, err));
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT id, uuid, inputs, outputs, expectations, tags, source, source_id, source_type, "
                          "created_ms, updated_ms, created_by, updated_by FROM eval_records WHERE dataset = ? AND id "
                          "> ? ORDER BY id LIMIT ?",
                          "iii", dataset, behind, max + 1));
    WR_TRY(read_page(out, n, &more, a, s, (size_t)max, err));
    if (!more) return 0;
    char *text = wr_arena_printf(a, "%lld", (long long)(*out)[*n - 1].id);
    if (!text) return wr_err_nomem(err);
    *next = wr_str_of(text);
    return 0;
}
