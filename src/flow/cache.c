/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - entries of the run cache. */
#include "flow/cache.h"

#include <stdio.h>

#include "codec/json.h"
#include "io/file.h"

enum { MAX_ENTRY = 64 << 20 };

bool wr_cache_able(const wr_stage *s)
{
    if (!s->nouts || (!s->ndeps && !s->nparams) || s->always_changed) return false;
    for (size_t i = 0; i < s->nouts; i++)
        if (s->outs[i].persist || !s->outs[i].cache) return false;
    return true;
}

int wr_cache_key(char out[WR_SHA256_HEX], const wr_stage *s, const wr_lock_stage *state, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_arr(&w);
    wr_jsonw_cstr(&w, "weir run cache 1");
    wr_jsonw_cstr(&w, s->cmd);
    wr_jsonw_cstr(&w, s->wdir);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < state->ndeps; i++) {
        wr_jsonw_cstr(&w, state->deps[i].path);
        wr_jsonw_cstr(&w, state->deps[i].hash);
    }
    wr_jsonw_end(&w);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < state->nparams; i++) {
        wr_jsonw_cstr(&w, state->params[i].file);
        wr_jsonw_cstr(&w, state->params[i].key);
        wr_jsonw_cstr(&w, state->params[i].value);
    }
    wr_jsonw_end(&w);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < s->nouts; i++) wr_jsonw_cstr(&w, s->outs[i].ref);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    if (text.failed) return wr_err_nomem(err);
    wr_sha256_of(text.p, text.n, out);
    return 0;
}

static int entry_path(const char **out, wr_arena *a, wr_project *p, const char *key, bool make, wr_err *err)
{
    char name[96];
    const char *dir;
    snprintf(name, sizeof name, "cache/runs/%.2s", key);
    WR_TRY(wr_project_state(&dir, p, name, make, err));
    *out = wr_path_join(a, dir, key);
    return *out ? 0 : wr_err_nomem(err);
}

static bool read_out(wr_lock_ref *out, const wr_ref *declared, yyjson_val *v)
{
    const char *path = yyjson_get_str(yyjson_obj_get(v, "path")), *hash = yyjson_get_str(yyjson_obj_get(v, "hash"));
    if (!path || !hash || strcmp(path, declared->ref) != 0 || strlen(hash) != WR_SHA256_HEX - 1) return false;
    out->path = declared->ref;
    memcpy(out->hash, hash, WR_SHA256_HEX);
    yyjson_val *version = yyjson_obj_get(v, "version");
    out->version = yyjson_is_int(version) ? yyjson_get_sint(version) : -1;
    return true;
}

static bool read_entry(wr_lock_ref *out, const wr_stage *s, yyjson_val *root)
{
    yyjson_val *list = yyjson_obj_get(root, "outs");
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) != s->nouts) return false;
    for (size_t i = 0; i < s->nouts; i++)
        if (!read_out(&out[i], &s->outs[i], yyjson_arr_get(list, i))) return false;
    return true;
}

int wr_cache_get(wr_lock_ref **outs, wr_arena *a, wr_project *p, const wr_stage *s, const char *key, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    WR_AUTOJSON wr_json j = {0};
    const char *path;
    WR_TRY(entry_path(&path, a, p, key, false, err));
    if (!wr_file_exists(path)) return 0;
    int rc = wr_file_read(&text, path, MAX_ENTRY, NULL);
    if (rc == 0) rc = wr_json_parse(&j, wr_buf_view(&text), path, NULL);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    *outs = wr_arena_calloc(a, s->nouts + 1, sizeof **outs);
    if (!*outs) return wr_err_nomem(err);
    return rc == 0 && read_entry(*outs, s, j.root);
}

int wr_cache_put(wr_project *p, const wr_stage *s, const char *key, const wr_lock_ref *outs, const char *run,
                 wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    const char *path;
    if (!a) return wr_err_nomem(err);
    WR_TRY(entry_path(&path, a, p, key, true, err));
    wr_jsonw_init(&w, &text, 1);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "stage", s->name);
    wr_jsonw_kstr(&w, "run", run);
    wr_jsonw_key(&w, "outs");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < s->nouts; i++) {
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "path", outs[i].path);
        wr_jsonw_kstr(&w, "hash", outs[i].hash);
        if (outs[i].version >= 0) wr_jsonw_ki64(&w, "version", outs[i].version);
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    wr_buf_char(&text, '\n');
    if (text.failed) return wr_err_nomem(err);
    return wr_file_write(path, wr_buf_view(&text), err);
}
