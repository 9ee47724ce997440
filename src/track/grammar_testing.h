/* SPDX-License-Identifier: Apache-2.0 */
/* grammar_testing.h - tests of nouns' tables against what MLflow's own parser said (tests/mlflow/grammar, see README.md
 * there).
 *
 * A line binds unless its verdict is "error" or its source "beyond". Accepted: our parse is the same, and has nothing
 * that we call an extension. Rejected: we reject it too, or it has an extension that the noun names. */
#pragma once
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/json.h"
#include "io/file.h"
#include "track/filter.h"
#include "track/order.h"

typedef struct {
    const char *root; /* WEIR_SOURCE_DIR */
    const char *file; /* "runs" */
    const wr_filter_noun *noun;
    unsigned extensions; /* reasons for which more is taken than MLflow takes */
    /* keys that MLflow's parse shows as others, as when an attribute is kept as a tag */
    bool (*same_key)(const wr_filter_clause *c, const char *type, const char *key);
    bool keeps_quotes; /* MLflow takes "text" with its quotes here, which is a defect */
} wr_grammar;

typedef struct {
    wr_str expression, verdict, parse, source;
} wr_grammar_line;

static inline bool wr_grammar_next(wr_grammar_line *out, wr_str *rest)
{
    while (rest->p && rest->n) {
        wr_str line = wr_str_cut(rest, '\n');
        if (line.n == 0 || line.p[0] == '#') {
            if (line.n < 2 || line.p[1] == ' ') continue;
        }
        out->expression = wr_str_cut(&line, '\t');
        out->verdict = wr_str_cut(&line, '\t');
        out->parse = wr_str_cut(&line, '\t');
        out->source = line;
        return true;
    }
    return false;
}

static int wr_grammar_failures;
static inline void wr_grammar_fail(const wr_grammar *g, const wr_grammar_line *l, const char *what)
{
    print_error("%s: %s: %.*s\n  MLflow: %.*s %.*s\n", g->file, what, WR_STR_FMT(l->expression), WR_STR_FMT(l->verdict),
                WR_STR_FMT(l->parse));
    wr_grammar_failures++;
}

static inline wr_str wr_grammar_unquote(const wr_grammar *g, wr_str s)
{
    return g->keeps_quotes && s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? wr_str_sub(s, 1, s.n - 1) : s;
}

static inline wr_str wr_grammar_text(yyjson_val *v) { return (wr_str){yyjson_get_str(v), yyjson_get_len(v)}; }

static inline bool wr_grammar_value(const wr_grammar *g, const wr_filter_value *v, yyjson_val *want)
{
    if (yyjson_is_str(want) && v->number)
        return isinf(v->f) && wr_str_is(wr_grammar_text(want), v->f > 0 ? "inf" : "-inf");
    if (yyjson_is_num(want)) return v->number && (v->f == yyjson_get_num(want));
    return yyjson_is_str(want) && !v->number && wr_str_eq(v->text, wr_grammar_unquote(g, wr_grammar_text(want)));
}

/* In lists MLflow reads texts as Python does: 'a''b' is ab there, and a backslash begins an escape. Here texts are as
 * everywhere else. */
static inline bool wr_grammar_python(const wr_filter_value *v)
{
    return memchr(v->text.p, '\\', v->text.n) || memmem(v->text.p, v->text.n, "''", 2);
}

static inline bool wr_grammar_clause(const wr_grammar *g, const wr_filter_clause *c, yyjson_val *want)
{
    const char *type = yyjson_get_str(yyjson_obj_get(want, "type"));
    yyjson_val *value = yyjson_obj_get(want, "value"), *v;
    wr_str key = wr_grammar_unquote(g, wr_grammar_text(yyjson_obj_get(want, "key"))),
           entity = wr_str_of(c->entity->names);
    size_t i, n;
    if (!g->same_key || !g->same_key(c, type, key.p)) {
        if (!wr_str_eq(wr_str_cut(&entity, '|'), wr_str_of(type)) || !wr_str_eq(c->key, key)) return false;
    }
    if (strcmp(wr_filter_op_name(c->op), yyjson_get_str(yyjson_obj_get(want, "comparator"))) != 0) return false;
    if (yyjson_is_null(value)) return c->nvalues == 0;
    if (!yyjson_is_arr(value)) return c->nvalues == 1 && wr_grammar_value(g, &c->values[0], value);
    if (c->nvalues != yyjson_arr_size(value)) return false;
    yyjson_arr_foreach(value, i, n,
                       v) if (!wr_grammar_python(&c->values[i]) && !wr_grammar_value(g, &c->values[i], v)) return false;
    return true;
}

static inline bool wr_grammar_same(const wr_grammar *g, const wr_filter *f, wr_str parse)
{
    WR_AUTOJSON wr_json j = {0};
    assert_int_equal(wr_json_parse(&j, parse, "parse", NULL), 0);
    size_t n = !f->root ? 0 : f->root->kind == WR_FILTER_AND ? f->root->nkids : 1;
    if (yyjson_arr_size(j.root) != n) return false;
    for (size_t i = 0; i < n; i++) {
        const wr_filter_node *node = f->root->kind == WR_FILTER_AND ? f->root->kids[i] : f->root;
        if (node->kind != WR_FILTER_CLAUSE || !wr_grammar_clause(g, &node->clause, yyjson_arr_get(j.root, i)))
            return false;
    }
    return true;
}

/* Some lines MLflow takes by accident: `beside` has those that are none of ours, up to NULL. */
static inline bool wr_grammar_listed(const char *const *beside, wr_str expression)
{
    for (; beside && *beside; beside++)
        if (wr_str_is(expression, *beside)) return true;
    return false;
}

static inline void wr_grammar_check(const wr_grammar *g, const char *const *beside)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text = {0};
    char path[300];
    wr_grammar_line l;
    size_t accepted = 0, rejected = 0;
    wr_grammar_failures = 0;
    snprintf(path, sizeof path, "%s/tests/mlflow/grammar/%s.tsv", g->root, g->file);
    assert_int_equal(wr_file_read(&text, path, 16 << 20, NULL), 0);
    for (wr_str rest = wr_buf_view(&text); wr_grammar_next(&l, &rest);) {
        wr_filter f;
        wr_err err = {0};
        wr_arena_clear(a);
        int rc = wr_filter_parse(&f, a, g->noun, l.expression, &err);
        if (rc < 0) assert_int_equal(rc, WEIR_EINVAL);
        if (rc < 0) assert_true(err.msg[0]);
        /* the engines have no \b in common with Python (store/db_match.h) */
        if (rc < 0 && strstr(err.msg, "Invalid regular expression")) continue;
        if (wr_str_is(l.verdict, "error") || wr_str_is(l.source, "beyond") || wr_grammar_listed(beside, l.expression))
            continue;
        if (wr_str_is(l.verdict, "reject")) {
            if (rc == 0 && !(f.extensions & (g->extensions | WR_FILTER_EXT_QUOTE | WR_FILTER_EXT_JOIN)))
                wr_grammar_fail(g, &l, "taken");
            rejected += rc < 0;
        } else {
            if (rc < 0) print_error("%s\n", err.msg);
            if (rc < 0) wr_grammar_fail(g, &l, "refused");
            if (rc < 0) continue;
            if (f.extensions & ~(unsigned)(WR_FILTER_EXT_CASE | WR_FILTER_EXT_QUOTE | WR_FILTER_EXT_JOIN))
                wr_grammar_fail(g, &l, "called an extension");
            if (!(f.extensions & WR_FILTER_EXT_JOIN) && !wr_grammar_same(g, &f, l.parse))
                wr_grammar_fail(g, &l, "parsed otherwise");
            accepted++;
        }
    }
    assert_int_equal(wr_grammar_failures, 0);
    assert_true(accepted > 100 && rejected > 100); /* the table was there */
}

/* The same of order_by: order_FILE.tsv. */
static inline void wr_grammar_check_order(const wr_grammar *g)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text = {0};
    char path[300];
    wr_grammar_line l;
    size_t accepted = 0, rejected = 0;
    wr_grammar_failures = 0;
    snprintf(path, sizeof path, "%s/tests/mlflow/grammar/order_%s.tsv", g->root, g->file);
    assert_int_equal(wr_file_read(&text, path, 16 << 20, NULL), 0);
    for (wr_str rest = wr_buf_view(&text); wr_grammar_next(&l, &rest);) {
        WR_AUTOJSON wr_json j = {0};
        wr_order_item *item;
        wr_err err = {0};
        size_t n;
        wr_arena_clear(a);
        int rc = wr_order_parse(&item, &n, a, g->noun, &l.expression, 1, &err);
        if (rc < 0) assert_int_equal(rc, WEIR_EINVAL);
        if (wr_str_is(l.verdict, "error") || wr_str_ends(l.expression, " ")) continue;
        if (wr_str_is(l.verdict, "reject")) {
            if (rc == 0) wr_grammar_fail(g, &l, "taken");
            rejected += rc < 0;
            continue;
        }
        accepted++;
        if (rc < 0) wr_grammar_fail(g, &l, "refused");
        if (rc < 0) continue;
        assert_int_equal(wr_json_parse(&j, l.parse, "parse", NULL), 0);
        const char *type = yyjson_get_str(yyjson_obj_get(j.root, "type"));
        wr_str key = wr_grammar_text(yyjson_obj_get(j.root, "key")), entity = wr_str_of(item->at.entity->names);
        bool same = g->same_key && g->same_key(&item->at, type, key.p);
        same = same || (wr_str_eq(wr_str_cut(&entity, '|'), wr_str_of(type)) && wr_str_eq(item->at.key, key));
        if (!same || item->desc == yyjson_is_true(yyjson_obj_get(j.root, "ascending")))
            wr_grammar_fail(g, &l, "parsed otherwise");
    }
    assert_int_equal(wr_grammar_failures, 0);
    assert_true(accepted > 5 && rejected > 20);
}
