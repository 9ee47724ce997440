/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - weir.lock as text and back. */
#include "flow/lock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/vec.h"
#include "codec/yaml.h"
#include "io/file.h"

enum { MAX_LOCK = 64 << 20, MAX_REFS = 1 << 20 };
static const char schema[] = "1.0";

/* ---- reading ---- */

static int hint(int rc, wr_err *err)
{
    return wr_err_hint(err, rc,
                       "take it from version control, or remove it: what the run cache holds is not run again");
}

static int read_ref(wr_lock_ref *out, const wr_yaml *y, wr_err *err)
{
    static const char *const keys[] = {"path", "hash", "version", NULL};
    wr_str path, hash;
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_EINVAL, err, "expected {path, hash}");
    WR_TRY(wr_yaml_known(y, "weir.lock", keys, err));
    WR_TRY(wr_yaml_get_str(&path, y, "path", "", err));
    WR_TRY(wr_yaml_get_str(&hash, y, "hash", "", err));
    WR_TRY(wr_yaml_get_i64(&out->version, y, "version", -1, err));
    if (!path.n || hash.n != WR_SHA256_HEX - 1)
        return wr_yaml_error(y, WEIR_EINVAL, err, "path or hash is missing or damaged");
    out->path = path.p;
    memcpy(out->hash, hash.p, hash.n);
    out->hash[hash.n] = 0;
    return 0;
}

static int read_refs(wr_lock_ref **out, size_t *n, wr_arena *a, const wr_yaml *list, wr_err *err)
{
    *n = 0;
    *out = NULL;
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ) return wr_yaml_error(list, WEIR_EINVAL, err, "expected a list");
    *out = wr_arena_calloc(a, list->n ? list->n : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (*n = 0; *n < list->n; ++*n) WR_TRY(read_ref(&(*out)[*n], list->items[*n], err));
    return 0;
}

static int read_cmd(const char **out, wr_arena *a, const wr_yaml *cmd, const wr_yaml *at, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    if (!cmd || cmd->kind == WR_YAML_MAP) return wr_yaml_error(cmd ? cmd : at, WEIR_EINVAL, err, "cmd is missing");
    if (cmd->kind == WR_YAML_SCALAR) {
        *out = cmd->text.p;
        return 0;
    }
    for (size_t i = 0; i < cmd->n; i++) {
        wr_str line;
        WR_TRY(wr_yaml_str(&line, cmd->items[i], "cmd", err));
        wr_buf_printf(&text, "%s%s", i ? "\n" : "", line.p);
    }
    *out = text.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&text));
    return *out ? 0 : wr_err_nomem(err);
}

static int read_params(wr_lock_stage *s, wr_arena *a, const wr_yaml *files, wr_err *err)
{
    size_t n = 0;
    if (wr_yaml_null(files)) return 0;
    if (files->kind != WR_YAML_MAP) return wr_yaml_error(files, WEIR_EINVAL, err, "params is a map of files");
    for (size_t f = 0; f < files->n; f++) n += files->items[f]->n;
    s->params = wr_arena_calloc(a, n ? n : 1, sizeof *s->params);
    if (!s->params) return wr_err_nomem(err);
    for (size_t f = 0; f < files->n; f++) {
        const wr_yaml *keys = files->items[f];
        if (keys->kind != WR_YAML_MAP) return wr_yaml_error(keys, WEIR_EINVAL, err, "params of a file are a map");
        for (size_t k = 0; k < keys->n; k++) {
            WR_AUTOBUF wr_buf json = {0};
            wr_yaml_to_json(&json, keys->items[k]);
            const char *value = json.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&json));
            if (!value) return wr_err_nomem(err);
            s->params[s->nparams++] = (wr_lock_param){files->keys[f]->text.p, keys->keys[k]->text.p, value};
        }
    }
    return 0;
}

static int read_stage(wr_lock_file *l, const wr_yaml *key, const wr_yaml *y, wr_err *err)
{
    static const char *const keys[] = {"cmd", "deps", "params", "outs", NULL};
    wr_lock_stage *s = wr_arena_calloc(l->arena, 1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_EINVAL, err, "stage \"%s\" is not a map", key->text.p);
    WR_TRY(wr_yaml_known(y, "weir.lock", keys, err));
    s->name = key->text.p;
    WR_TRY(read_cmd(&s->cmd, l->arena, wr_yaml_get(y, "cmd"), y, err));
    WR_TRY(read_refs(&s->deps, &s->ndeps, l->arena, wr_yaml_get(y, "deps"), err));
    WR_TRY(read_refs(&s->outs, &s->nouts, l->arena, wr_yaml_get(y, "outs"), err));
    WR_TRY(read_params(s, l->arena, wr_yaml_get(y, "params"), err));
    return wr_map_put(&l->stages, key->text, s) < 0 ? wr_err_nomem(err) : 0;
}

static int read_file(wr_lock_file *l, const wr_yaml *y, wr_err *err)
{
    static const char *const keys[] = {"schema", "stages", NULL};
    const wr_yaml *stages = wr_yaml_get(y, "stages");
    wr_str version;
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_EPARSE, err, "not a lock file");
    if (y->n == 0) return 0;
    WR_TRY(wr_yaml_get_str(&version, y, "schema", "", err));
    if (!wr_str_is(version, schema)) {
        const wr_yaml *at = wr_yaml_get(y, "schema");
        return wr_yaml_error(
            at ? at : y, at ? WEIR_EUNSUPPORTED : WEIR_EPARSE, err,
            at ? "schema \"%.40s\" is not known; is it from a newer weir?" : "not a lock file: no schema%s", version.p);
    }
    WR_TRY(wr_yaml_known(y, "weir.lock", keys, err));
    if (wr_yaml_null(stages)) return 0;
    if (stages->kind != WR_YAML_MAP) return wr_yaml_error(stages, WEIR_EINVAL, err, "stages is a map");
    for (size_t i = 0; i < stages->n; i++) WR_TRY(read_stage(l, stages->keys[i], stages->items[i], err));
    return 0;
}

int wr_lock_file_open(wr_lock_file *out, const char *root, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    *out = (wr_lock_file){.arena = wr_arena_new(0)};
    const char *path = out->arena ? wr_path_join(out->arena, root, "weir.lock") : NULL;
    wr_yaml *y;
    if (!path) return wr_err_nomem(err);
    if (!wr_file_exists(path)) return 0;
    WR_TRY(wr_file_read(&text, path, MAX_LOCK, err));
    wr_str copy = wr_arena_str(out->arena, wr_buf_view(&text));
    if (!copy.p) return wr_err_nomem(err);
    int rc = wr_yaml_parse(&y, out->arena, copy, "weir.lock", err);
    if (rc == 0) rc = read_file(out, y, err);
    return rc < 0 ? hint(rc, err) : 0;
}

void wr_lock_file_close(wr_lock_file *l)
{
    wr_map_fini(&l->stages);
    wr_arena_free(l->arena);
    l->arena = NULL;
}

const wr_lock_stage *wr_lock_file_get(const wr_lock_file *l, const char *name)
{
    return wr_map_get(&l->stages, wr_str_of(name));
}

/* ---- changing ---- */

static wr_lock_ref *copy_refs(wr_arena *a, const wr_lock_ref *refs, size_t n)
{
    wr_lock_ref *c = wr_arena_calloc(a, n ? n : 1, sizeof *c);
    for (size_t i = 0; c && i < n; i++) {
        c[i] = refs[i];
        c[i].path = wr_arena_strdup(a, refs[i].path);
    }
    return c;
}

int wr_lock_file_put(wr_lock_file *l, const wr_lock_stage *s, wr_err *err)
{
    wr_arena *a = l->arena;
    wr_lock_stage *c = wr_arena_calloc(a, 1, sizeof *c);
    if (!c) return wr_err_nomem(err);
    *c = *s;
    c->name = wr_arena_strdup(a, s->name);
    c->cmd = wr_arena_strdup(a, s->cmd);
    c->deps = copy_refs(a, s->deps, s->ndeps);
    c->outs = copy_refs(a, s->outs, s->nouts);
    c->params = wr_arena_calloc(a, s->nparams ? s->nparams : 1, sizeof *c->params);
    for (size_t i = 0; c->params && i < s->nparams; i++)
        c->params[i] = (wr_lock_param){wr_arena_strdup(a, s->params[i].file), wr_arena_strdup(a, s->params[i].key),
                                       wr_arena_strdup(a, s->params[i].value)};
    if (wr_arena_failed(a)) return wr_err_nomem(err);
    return wr_map_put(&l->stages, wr_str_of(c->name), c) < 0 ? wr_err_nomem(err) : 0;
}

/* ---- writing ---- */

/* Must the text be quoted to be read back as text by any YAML reader? Single letters beyond this are safe and readable.
 */
static bool plain_ok(const char *s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    if (!*s || strchr(" -?:,[]{}#&*!|>'\"%@`~<=.", *s)) return false;
    size_t n = strlen(s);
    if (s[n - 1] == ' ' || s[n - 1] == ':') return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wr_str_ieq(wr_str_of(s), words[i])) return false;
    if (strspn(s, "0123456789eE+-_.:xXoTZ ") == n) return false; /* may be a number, a date or a time */
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7f) return false;
        if ((s[i] == ':' && s[i + 1] == ' ') || (s[i] == '#' && s[i - 1] == ' ')) return false;
    }
    return true;
}

/* Characters that need an escape in double quotes: how many bytes, and what to write. 0 = none. */
static size_t escape_of(char out[8], const char *s)
{
    unsigned char c = (unsigned char)*s;
    const char *fixed = c == '\n'                            ? "\\n"
                        : c == '\t'                          ? "\\t"
                        : strncmp(s, "\xc2\x85", 2) == 0     ? "\\N" /* what YAML 1.1 takes for line breaks */
                        : strncmp(s, "\xe2\x80\xa8", 3) == 0 ? "\\L"
                        : strncmp(s, "\xe2\x80\xa9", 3) == 0 ? "\\P"
                                                             : NULL;
    if (fixed) snprintf(out, 8, "%s", fixed);
    else if (c < 0x20 || c == 0x7f) snprintf(out, 8, "\\x%02x", (unsigned)c);
    else return 0;
    return c == 0xc2 ? 2 : c == 0xe2 ? 3 : 1;
}

static void put_quoted(wr_buf *out, const char *s)
{
    char esc[8];
    bool escapes = false;
    for (const char *c = s; *c; c++) escapes |= escape_of(esc, c) > 0;
    wr_buf_char(out, escapes ? '"' : '\'');
    while (*s) {
        size_t n = escape_of(esc, s);
        if (n) wr_buf_str(out, esc);
        else if (escapes && (*s == '"' || *s == '\\')) wr_buf_printf(out, "\\%c", *s);
        else if (!escapes && *s == '\'') wr_buf_str(out, "''");
        else wr_buf_char(out, *s);
        s += n ? n : 1;
    }
    wr_buf_char(out, escapes ? '"' : '\'');
}

static void put_text(wr_buf *out, const char *s)
{
    if (plain_ok(s)) wr_buf_str(out, s);
    else put_quoted(out, s);
}

static void put_refs(wr_buf *out, const char *section, const wr_lock_ref *refs, size_t n)
{
    if (!n) return;
    wr_buf_printf(out, "    %s:\n", section);
    for (size_t i = 0; i < n; i++) {
        wr_buf_str(out, "    - path: ");
        put_text(out, refs[i].path);
        wr_buf_str(out, "\n      hash: ");
        put_text(out, refs[i].hash);
        wr_buf_char(out, '\n');
        if (refs[i].version >= 0) wr_buf_printf(out, "      version: %lld\n", (long long)refs[i].version);
    }
}

static void put_params(wr_buf *out, const wr_lock_stage *s)
{
    const char *file = NULL;
    if (s->nparams) wr_buf_str(out, "    params:\n");
    for (size_t i = 0; i < s->nparams; i++) {
        if (!file || strcmp(file, s->params[i].file) != 0) {
            file = s->params[i].file;
            wr_buf_str(out, "      ");
            put_text(out, file);
            wr_buf_str(out, ":\n");
        }
        wr_buf_str(out, "        ");
        put_text(out, s->params[i].key);
        wr_buf_printf(out, ": %s\n", s->params[i].value); /* JSON is YAML */
    }
}

static void put_stage(wr_buf *out, const wr_lock_stage *s)
{
    wr_str rest = wr_str_of(s->cmd);
    bool many = strchr(s->cmd, '\n') != NULL;
    wr_buf_str(out, "  ");
    put_text(out, s->name);
    wr_buf_str(out, many ? ":\n    cmd:\n" : ":\n    cmd: ");
    while (rest.p) {
        wr_str line = wr_str_cut(&rest, '\n');
        WR_AUTOBUF wr_buf copy = {0};
        wr_buf_slice(&copy, line);
        if (copy.failed) out->failed = true;
        if (many) wr_buf_str(out, "    - ");
        put_text(out, wr_buf_cstr(&copy));
        wr_buf_char(out, '\n');
    }
    put_refs(out, "deps", s->deps, s->ndeps);
    put_params(out, s);
    put_refs(out, "outs", s->outs, s->nouts);
}

static int by_name(const void *x, const void *y)
{
    return strcmp((*(const wr_lock_stage *const *)x)->name, (*(const wr_lock_stage *const *)y)->name);
}

int wr_lock_file_save(const wr_lock_file *l, const char *root, const wr_map *keep, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text = {0};
    const wr_lock_stage **sorted = a ? wr_arena_calloc(a, l->stages.n + 1, sizeof *sorted) : NULL;
    const char *path = a ? wr_path_join(a, root, "weir.lock") : NULL;
    size_t n = 0;
    if (!sorted || !path) return wr_err_nomem(err);
    for (size_t i = 0; i < l->stages.n; i++)
        if (!keep || wr_map_find(keep, l->stages.at[i].key) >= 0) sorted[n++] = l->stages.at[i].value;
    qsort(sorted, n, sizeof *sorted, by_name);
    wr_buf_printf(&text,
                  "# Written by weir run: what each stage was when it last succeeded. Keep it under version control.\n"
                  "schema: '%s'\nstages:\n",
                  schema);
    for (size_t i = 0; i < n; i++) put_stage(&text, sorted[i]);
    if (text.failed) return wr_err_nomem(err);
    return wr_file_write(path, wr_buf_view(&text), err);
}
