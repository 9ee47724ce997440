/* SPDX-License-Identifier: Apache-2.0 */
/* delta_schema.c - schemaString: {"type":"struct","fields":[{"name","type","nullable","metadata"}]}. */
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/delta_inside.h"

/* A nested type is kept as the text of its object. */
static int read_type(char **out, wr_arena *a, yyjson_val *field, wr_err *err)
{
    yyjson_val *type = yyjson_obj_get(field, "type");
    if (yyjson_is_str(type)) {
        *out = wr_arena_strndup(a, yyjson_get_str(type), yyjson_get_len(type));
    } else if (yyjson_is_obj(type)) {
        WR_AUTOBUF wr_buf text;
        wr_jsonw w;
        wr_buf_init(&text, WR_LIMIT_DELTA_LINE);
        wr_jsonw_init(&w, &text, 0);
        wr_jsonw_val(&w, type);
        *out = text.failed ? NULL : wr_arena_strndup(a, wr_buf_cstr(&text), text.n);
    } else {
        return wr_err_set(err, WEIR_ECORRUPT, "a column of the schema has no type");
    }
    return *out ? 0 : wr_err_nomem(err);
}

/* Rules on a column that a writer must obey, by name; NULL when there is none. */
static const char *rule_of(yyjson_val *field)
{
    static const char *const rules[] = {"delta.invariants", "delta.generationExpression", "delta.identity.start",
                                        "delta.identity.step"};
    yyjson_val *metadata = yyjson_obj_get(field, "metadata");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (yyjson_obj_get(metadata, rules[i])) return rules[i];
    }
    return NULL;
}

static int read_field(wr_delta_field *out, char **unwritable, wr_arena *a, yyjson_val *field, wr_err *err)
{
    if (!yyjson_is_obj(field)) return wr_err_set(err, WEIR_ECORRUPT, "a column of the schema is not an object");
    wr_str name;
    WR_TRY(wr_json_str(&name, field, "name", err));
    WR_TRY(wr_json_bool_or(&out->nullable, field, "nullable", true, err));
    WR_TRY(read_type(&out->type, a, field, err));
    out->name = wr_arena_strndup(a, name.p, name.n);
    if (!out->name) return wr_err_nomem(err);
    const char *rule = rule_of(field);
    if (rule && !*unwritable) *unwritable = wr_arena_printf(a, "column \"%.120s\" has the rule %s", out->name, rule);
    return 0;
}

int wr_delta_schema_read(wr_delta_field **out, size_t *n, char **unwritable, wr_arena *a, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *list;
    wr_str type;
    WR_TRY(wr_json_parse(&j, text, "schemaString", err));
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_ECORRUPT, "schemaString is not an object");
    WR_TRY(wr_json_str(&type, j.root, "type", err));
    if (!wr_str_is(type, "struct")) return wr_err_set(err, WEIR_ECORRUPT, "schemaString is not a struct");
    WR_TRY(wr_json_arr(&list, j.root, "fields", err));
    size_t count = yyjson_arr_size(list);
    if (count > WR_LIMIT_DELTA_COLUMNS)
        return wr_err_set(err, WEIR_ELIMIT, "table has %zu columns, at most %d are handled", count,
                          WR_LIMIT_DELTA_COLUMNS);
    wr_delta_field *fields = wr_arena_calloc(a, count, sizeof *fields);
    if (!fields) return wr_err_nomem(err);
    *unwritable = NULL;
    size_t i, max;
    yyjson_val *field;
    yyjson_arr_foreach(list, i, max, field) { WR_TRY(read_field(&fields[i], unwritable, a, field, err)); }
    *out = fields;
    *n = count;
    return 0;
}

void wr_delta_schema_write(wr_buf *out, const wr_delta_field *fields, size_t n)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "type", "struct");
    wr_jsonw_key(&w, "fields");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "name", fields[i].name);
        wr_jsonw_key(&w, "type");
        if (fields[i].type[0] == '{') wr_jsonw_raw(&w, wr_str_of(fields[i].type));
        else wr_jsonw_cstr(&w, fields[i].type);
        wr_jsonw_kbool(&w, "nullable", fields[i].nullable);
        wr_jsonw_key(&w, "metadata");
        wr_jsonw_obj(&w);
        wr_jsonw_end(&w);
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
}

static int compare_names(const void *a, const void *b) { return strcasecmp(*(char *const *)a, *(char *const *)b); }

int wr_delta_schema_check(const wr_delta_field *fields, size_t n, wr_err *err)
{
    if (n > WR_LIMIT_DELTA_COLUMNS)
        return wr_err_set(err, WEIR_ELIMIT, "%zu columns, at most %d are handled", n, WR_LIMIT_DELTA_COLUMNS);
    WR_AUTOFREE char **names = wr_calloc(n, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        names[i] = fields[i].name;
        if (!names[i] || !*names[i] || !fields[i].type || !*fields[i].type)
            return wr_err_set(err, WEIR_EINVAL, "column %zu has no name or no type", i + 1);
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (strcasecmp(names[i - 1], names[i]) == 0)
            return wr_err_set(err, WEIR_EINVAL, "columns \"%.120s\" and \"%.120s\" cannot be told apart", names[i - 1],
                              names[i]);
    }
    return 0;
}
