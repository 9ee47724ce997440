/* SPDX-License-Identifier: Apache-2.0 */
/* run_inputs.c - datasets that a run read, logged models that it read or made. */
#include "codec/json.h"
#include "track/run.h"
#include "track/track_inside.h"

enum { NAME = 500, DIGEST = 36, SOURCE = 65535, SCHEMA = 1048575, PROFILE = 16777215, TAG_KEY = 255, TAG_VALUE = 500 };

/* ---- datasets ---- */

static int check_dataset(const wr_track_dataset *d, wr_err *err)
{
    WR_TRY(wr_track_length_check(d->name, NAME, "name", err));
    WR_TRY(wr_track_length_check(d->digest, DIGEST, "digest", err));
    WR_TRY(wr_track_length_check(d->source, SOURCE, "source", err));
    WR_TRY(wr_track_length_check(d->schema, SCHEMA, "schema", err));
    WR_TRY(wr_track_length_check(d->profile, PROFILE, "profile", err));
    for (size_t i = 0; i < d->ntags; i++) {
        WR_TRY(wr_track_length_check(d->tags[i].key, TAG_KEY, "key", err));
        WR_TRY(wr_track_length_check(d->tags[i].value, TAG_VALUE, "value", err));
    }
    return 0;
}

static void tags_json(wr_buf *out, const wr_track_dataset *d)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < d->ntags; i++) {
        wr_jsonw_obj(&w);
        wr_jsonw_kslice(&w, "key", d->tags[i].key);
        wr_jsonw_kslice(&w, "value", d->tags[i].value);
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
}

int wr_track_run_add_input(wr_track *t, const wr_track_run *r, const wr_track_dataset *d, wr_err *err)
{
    int64_t id;
    wr_str context = {NULL, 0};
    WR_AUTOBUF wr_buf tags;
    wr_buf_init(&tags, 0);
    WR_TRY(check_dataset(d, err));
    WR_TRY(wr_track_number(&id, 0, t, err,
                           "SELECT id FROM track_datasets WHERE experiment = ? AND name = ? AND digest = ?", "iss",
                           r->experiment, d->name, d->digest));
    if (!id)
        WR_TRY(wr_track_number(
            &id, 0, t, err,
            "INSERT INTO track_datasets (experiment, name, digest, source_type, source, schema, profile)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            "issssss", r->experiment, d->name, d->digest, d->source_type, d->source, d->schema, d->profile));
    for (size_t i = 0; i < d->ntags; i++)
        if (wr_str_is(d->tags[i].key, "mlflow.data.context")) context = d->tags[i].value;
    tags_json(&tags, d);
    if (tags.failed) return wr_err_nomem(err);
    int rc = wr_track_exec(t, err,
                           "INSERT INTO track_inputs (run, dataset, tags, context) VALUES (?, ?, ?, ?) ON CONFLICT "
                           "(run, dataset) DO NOTHING",
                           "iiss", r->id, id, wr_buf_view(&tags), context);
    return rc < 0 ? rc : 0;
}

static int read_tags(wr_track_dataset *d, wr_arena *a, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    size_t i, max;
    WR_TRY(wr_json_parse(&j, text, "tags of an input", err));
    d->tags = wr_arena_calloc(a, yyjson_arr_size(j.root) + 1, sizeof *d->tags);
    if (!d->tags) return wr_err_nomem(err);
    yyjson_arr_foreach(j.root, i, max, v)
    {
        yyjson_val *key = yyjson_obj_get(v, "key"), *value = yyjson_obj_get(v, "value");
        if (!yyjson_is_str(key) || !yyjson_is_str(value)) continue;
        d->tags[d->ntags++] = (wr_track_item){wr_arena_str(a, (wr_str){yyjson_get_str(key), yyjson_get_len(key)}),
                                              wr_arena_str(a, (wr_str){yyjson_get_str(value), yyjson_get_len(value)})};
    }
    return 0;
}

static int load_datasets(wr_track_run *r, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_VEC(wr_track_dataset) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(
        &s, t, err,
        "SELECT d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags FROM track_inputs i"
        " JOIN track_datasets d ON d.id = i.dataset WHERE i.run = ? ORDER BY d.id",
        "i", r->id));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_dataset d = {.name = wr_arena_str(a, wr_stmt_str(s, 0)),
                              .digest = wr_arena_str(a, wr_stmt_str(s, 1)),
                              .source_type = wr_arena_str(a, wr_stmt_str(s, 2)),
                              .source = wr_arena_str(a, wr_stmt_str(s, 3)),
                              .schema = wr_stmt_text(a, s, 4),
                              .profile = wr_stmt_text(a, s, 5)};
        rc = read_tags(&d, a, wr_stmt_str(s, 6), err);
        if (rc == 0) rc = wr_vec_add(&rows, d, err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&r->inputs, &r->ninputs, a, &rows, rc, err);
}

/* ---- logged models ---- */

int wr_track_run_add_model(wr_track *t, const wr_track_run *r, bool output, wr_str model_id, int64_t step, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO track_run_models (run, output, model_id, step) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT (run, output, model_id) DO UPDATE SET step = excluded.step",
                           "iisi", r->id, (int64_t)output, model_id, step);
    return rc < 0 ? rc : 0;
}

static int load_models(wr_track_model_ref **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, bool output,
                       wr_err *err)
{
    WR_VEC(wr_track_model_ref) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT model_id, step FROM track_run_models WHERE run = ? AND output = ? ORDER BY model_id",
                          "ii", run, (int64_t)output));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_model_ref m = {wr_arena_str(a, wr_stmt_str(s, 0)), wr_stmt_i64(s, 1)};
        if ((rc = wr_vec_add(&rows, m, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_track_run_load_inputs(wr_track_run *r, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_TRY(load_datasets(r, a, t, err));
    WR_TRY(load_models(&r->input_models, &r->ninput_models, a, t, r->id, false, err));
    WR_TRY(load_models(&r->output_models, &r->noutput_models, a, t, r->id, true, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
