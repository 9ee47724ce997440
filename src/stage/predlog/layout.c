/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - names and values of columns. */
#include "stage/predlog/layout.h"

#include <math.h>
#include <strings.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "codec/json.h"
#include "io/file.h"

size_t wr_layout_width(const wr_tensor *t, bool rowwise)
{
    size_t n = 1;
    for (int d = rowwise; d < t->ndims; d++) n *= (size_t)t->shape[d];
    return n;
}

static uint64_t add(uint64_t h, wr_str s) { return wr_hash64(s.p, s.n, h + s.n); }

static uint64_t add_tensors(uint64_t h, const wr_tensor *t, size_t n, bool rowwise)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t facts[2] = {t[i].type, wr_layout_width(&t[i], rowwise)};
        h = wr_hash64(facts, sizeof facts, add(h, t[i].name));
    }
    return h;
}

uint64_t wr_layout_id(const wr_tensor *in, size_t nin, const wr_tensor *out, size_t nout, bool rowwise,
                      const char *const *features, size_t nfeatures)
{
    uint64_t h = add_tensors(nin + (rowwise ? 1000000 : 0), in, nin, rowwise);
    h = add_tensors(h, out, nout, rowwise);
    for (size_t i = 0; i < nfeatures; i++) h = add(h, wr_str_of(features[i]));
    return h;
}

/* ---- names ---- */

wr_type wr_layout_type(const wr_tensor *t)
{
    switch (t->type) {
    case WR_TENSOR_BOOL:
        return WR_BOOL;
    case WR_TENSOR_FP16:
    case WR_TENSOR_BF16:
    case WR_TENSOR_FP32:
        return WR_F32;
    case WR_TENSOR_FP64:
    case WR_TENSOR_UINT64:
        return WR_F64;
    case WR_TENSOR_BYTES:
        return WR_TEXT;
    default:
        return WR_I64;
    }
}

typedef struct {
    wr_layout *out;
    wr_arena *arena;
    wr_map seen; /* names in lower case */
} maker;

static int claim(maker *m, const char *name)
{
    char *low = wr_arena_strdup(m->arena, name);
    if (!low) return WEIR_ENOMEM;
    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
    wr_str key = {low, strlen(low)};
    if (wr_map_find(&m->seen, key) >= 0) return 1;
    return wr_map_put(&m->seen, key, m) < 0 ? WEIR_ENOMEM : 0;
}

/* What the lake does not take in a name (core/dataset.c) becomes "_". */
static const char *lake_name(wr_arena *a, const char *name)
{
    char *s = name ? wr_arena_strdup(a, *name ? name : "_") : NULL;
    for (char *p = s; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\') *p = '_';
    return s;
}

static int add_column(maker *m, const char *name, wr_layout_column c, wr_err *err)
{
    name = lake_name(m->arena, name);
    int rc = name ? claim(m, name) : WEIR_ENOMEM;
    while (rc == 1) {
        name = wr_arena_printf(m->arena, "%s_", name);
        rc = name ? claim(m, name) : WEIR_ENOMEM;
    }
    if (rc < 0) return wr_err_nomem(err);
    c.name = name;
    m->out->columns[m->out->n++] = c;
    return 0;
}

static bool is_list(size_t width, size_t nfeatures)
{
    return width > (width == nfeatures ? (size_t)WR_LAYOUT_NAMED : (size_t)WR_LAYOUT_WIDE);
}

size_t wr_layout_count(const wr_tensor *in, size_t nin, const wr_tensor *out, size_t nout, bool rowwise,
                       size_t nfeatures)
{
    size_t n = 0;
    for (size_t i = 0; i < nin + nout; i++) {
        size_t width = wr_layout_width(i < nin ? &in[i] : &out[i - nin], rowwise);
        n += is_list(width, i == 0 && nin == 1 ? nfeatures : 0) ? 1 : width;
    }
    return n;
}

static int add_tensor(maker *m, const wr_tensor *t, int number, bool rowwise, const char *const *features,
                      size_t nfeatures, wr_err *err)
{
    size_t width = wr_layout_width(t, rowwise);
    char *name = wr_arena_strndup(m->arena, t->name.p, t->name.n);
    wr_layout_column c = {.type = wr_layout_type(t), .tensor = number};
    if (!name) return wr_err_nomem(err);
    if (is_list(width, nfeatures)) {
        c.list = true;
        c.type = WR_TEXT;
        return add_column(m, name, c, err);
    }
    for (c.at = 0; c.at < width; c.at++) {
        const char *as = nfeatures == width ? features[c.at] /* width 0 has none */
                         : width == 1       ? name
                                            : wr_arena_printf(m->arena, "%s_%zu", name, c.at);
        WR_TRY(add_column(m, as, c, err));
    }
    return 0;
}

static int make(maker *m, const wr_tensor *in, size_t nin, const wr_tensor *out, size_t nout, bool rowwise,
                const char *const *features, size_t nfeatures, wr_err *err)
{
    size_t most = wr_layout_count(in, nin, out, nout, rowwise, nfeatures);
    if (most > WR_LIMIT_DELTA_COLUMNS)
        return wr_err_set(err, WEIR_ELIMIT, "more than %d columns", WR_LIMIT_DELTA_COLUMNS);
    m->out->columns = wr_arena_alloc(m->arena, (most + 1) * sizeof *m->out->columns);
    if (!m->out->columns) return wr_err_nomem(err);
    for (size_t i = 0; i < nin + nout; i++) {
        const wr_tensor *t = i < nin ? &in[i] : &out[i - nin];
        bool named = i == 0 && nin == 1;
        WR_TRY(add_tensor(m, t, (int)i, rowwise, features, named ? nfeatures : 0, err));
    }
    return 0;
}

int wr_layout_make(wr_layout *out, wr_arena *a, const wr_tensor *in, size_t nin, const wr_tensor *tensors, size_t nout,
                   bool rowwise, const char *const *features, size_t nfeatures, const char *const *taken, size_t ntaken,
                   wr_err *err)
{
    maker m = {.out = out, .arena = a};
    int rc = 0;
    *out = (wr_layout){0};
    for (size_t i = 0; i < ntaken && rc == 0; i++)
        if (claim(&m, taken[i]) < 0) rc = wr_err_nomem(err);
    if (rc == 0) rc = make(&m, in, nin, tensors, nout, rowwise, features, nfeatures, err);
    wr_map_fini(&m.seen);
    return rc;
}

/* ---- values ---- */

static int put_list(wr_str *out, wr_arena *a, const wr_tensor *t, size_t row, bool rowwise)
{
    WR_AUTOBUF wr_buf b = {0};
    size_t width = wr_layout_width(t, rowwise), from = rowwise ? row * width : 0;
    wr_buf_char(&b, '[');
    for (size_t i = 0; i < width; i++) {
        if (i) wr_buf_char(&b, ',');
        wr_tensor_write_json_element(&b, t, from + i, false);
    }
    wr_buf_char(&b, ']');
    *out = wr_arena_str(a, wr_buf_view(&b));
    return b.failed || !out->p ? WEIR_ENOMEM : 0;
}

static int put_text(wr_col *c, size_t at, wr_str s, wr_err *err)
{
    if (!s.p) return wr_col_set_missing(c, at) < 0 ? wr_err_nomem(err) : 0;
    int rc = wr_col_code(c, s, &c->code[at]);
    return rc < 0 ? wr_err_set(err, rc, "column \"%s\": %s", c->name, wr_err_text(rc)) : 0;
}

int wr_layout_put(wr_col *c, size_t at, const wr_layout_column *lc, const wr_tensor *t, size_t row, bool rowwise,
                  wr_err *err)
{
    size_t i = (rowwise ? row * wr_layout_width(t, true) : 0) + lc->at;
    if (lc->list) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_str s;
        if (!a || put_list(&s, a, t, row, rowwise) < 0) return wr_err_nomem(err);
        return put_text(c, at, s, err);
    }
    if (c->type == WR_TEXT) return put_text(c, at, ((const wr_str *)t->data)[i], err);
    if (c->type == WR_BOOL) c->b[at] = ((const uint8_t *)t->data)[i] != 0;
    else if (c->type == WR_I64) c->i64[at] = wr_tensor_i64(t, i);
    else if (c->type == WR_F32) c->f32[at] = (float)wr_tensor_f64(t, i);
    else c->f64[at] = wr_tensor_f64(t, i);
    bool missing = (c->type == WR_F32 || c->type == WR_F64) && isnan(wr_tensor_f64(t, i));
    return missing && wr_col_set_missing(c, at) < 0 ? wr_err_nomem(err) : 0;
}

/* ---- names that tensors do not have ---- */

static char *path_of(wr_arena *a, const char *log_dir, uint64_t id)
{
    return wr_arena_printf(a, "%s/layouts/%016llx.json", log_dir, (unsigned long long)id);
}

int wr_layout_keep(const char *log_dir, uint64_t id, wr_str json, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path = a ? path_of(a, log_dir, id) : NULL, *dir = path ? wr_path_dir(a, path) : NULL;
    if (!dir) return wr_err_nomem(err);
    if (wr_file_exists(path)) return 0;
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, json, err);
}

int wr_layout_names(const char *const **names, size_t *n, wr_arena *a, const char *log_dir, uint64_t id, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf text = {0};
    yyjson_val *v;
    size_t i, max;
    const char *path = path_of(a, log_dir, id);
    *names = NULL;
    *n = 0;
    if (!path) return wr_err_nomem(err);
    if (!wr_file_exists(path)) return 0;
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_json_parse(&j, wr_buf_view(&text), path, err));
    size_t count = yyjson_arr_size(j.root);
    if (count > WR_LAYOUT_NAMES) return wr_err_set(err, WEIR_ECORRUPT, "\"%s\" has too many names", path);
    const char **list = wr_arena_calloc(a, count + 1, sizeof *list);
    if (!list) return wr_err_nomem(err);
    yyjson_arr_foreach(j.root, i, max, v)
    {
        list[i] = wr_arena_strdup(a, yyjson_is_str(v) ? yyjson_get_str(v) : "");
        if (!list[i]) return wr_err_nomem(err);
    }
    *names = list;
    *n = count;
    return 0;
}
