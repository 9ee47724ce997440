/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - one search of a noun. */
#include "track/search.h"

#include <math.h>
#include <stdio.h>

#include "base/hash.h"

void wr_sql_append(wr_sql *q, const wr_sql *more)
{
    wr_buf_slice(&q->text, wr_buf_view(&more->text));
    for (size_t i = 0; i < more->values.n; i++) wr_sql_bind(q, &more->values.at[i]);
    if (more->failed || more->text.failed) q->failed = true;
}

/* ---- order ---- */

static int order_add(wr_order_item *items, size_t *n, wr_arena *a, const wr_filter_noun *noun, const char *const *texts,
                     wr_err *err)
{
    for (size_t given = *n; texts && *texts; texts++) {
        WR_TRY(wr_order_item_parse(&items[*n], a, noun, wr_str_of(*texts), err));
        bool there = false;
        for (size_t i = 0; i < given; i++) there |= wr_order_same(&items[i], &items[*n]);
        *n += !there;
    }
    return 0;
}

int wr_search_order(wr_order_item **out, size_t *n, wr_arena *a, const wr_filter_noun *noun, const wr_str *order,
                    size_t norder, const char *const *defaults, const char *const *ties, wr_err *err)
{
    wr_order_item *given, *items = wr_arena_calloc(a, WR_PAGE_KEYS, sizeof *items);
    size_t ngiven;
    if (!items) return wr_err_nomem(err);
    WR_TRY(wr_order_parse(&given, &ngiven, a, noun, order, norder, err));
    if (ngiven) memcpy(items, given, ngiven * sizeof *items);
    *n = ngiven;
    if (ngiven == 0) WR_TRY(order_add(items, n, a, noun, defaults, err));
    WR_TRY(order_add(items, n, a, noun, ties, err));
    *out = items;
    return 0;
}

static void named(wr_sql *q, const char *before, size_t i, const char *behind)
{
    wr_sql_add(q, before);
    wr_sql_int(q, (int64_t)i);
    wr_sql_add(q, behind);
}

/* Aliases of filters are f0, f1, ...; of sorts o0, o1, ... */
static void template(wr_sql *q, const char *text, size_t i)
{
    for (; *text; text++) {
        if (*text == '$' && text[1] == '$') wr_buf_char(&q->text, *text++);
        else if (*text == '$') named(q, "o", i, "");
        else wr_buf_char(&q->text, *text);
    }
}

/* The table's link with o-aliases; false: nothing has the key */
static int link_of(wr_sql *q, wr_track *t, const wr_filter_clause *c, size_t i, wr_err *err)
{
    int64_t id = 0;
    if (c->field->key == WR_KEY_INTERNED) WR_TRY(wr_track_key_find(&id, t, c->key, err));
    template(q, c->field->link, i);
    if (!strchr(c->field->link, '?')) return 0;
    if (c->field->key == WR_KEY_INTERNED) wr_sql_bind(q, &(wr_sql_value){.kind = 'i', .i = id});
    else wr_sql_bind(q, &(wr_sql_value){.kind = 's', .s = c->key});
    return 0;
}

void wr_search_value(wr_sql *q, const wr_order_item *sort, size_t i, bool names)
{
    const wr_filter_field *f = sort[i].at.field;
    if (names) named(q, "v", i, "");
    else template(q, f->sort ? f->sort : f->column, i);
}

static void phase(wr_sql *q, const wr_order_item *sort, size_t i, bool names)
{
    const wr_filter_field *f = sort[i].at.field;
    if (names) {
        named(q, "p", i, "");
        return;
    }
    wr_sql_add(q, "CASE WHEN ");
    wr_search_value(q, sort, i, false);
    wr_sql_add(q, " IS NOT NULL THEN 0 ");
    if (f->table && f->nan) named(q, "WHEN o", i, ".key IS NOT NULL THEN 1 ");
    wr_sql_add(q, "ELSE 2 END");
}

int wr_search_sort_columns(wr_sql *columns, wr_sql *joins, wr_track *t, const wr_order_item *sort, size_t first,
                           size_t n, wr_err *err)
{
    for (size_t i = first; i < n; i++) {
        const wr_filter_field *f = sort[i].at.field;
        wr_sql_add(columns, ", ");
        if (f->always) wr_sql_add(columns, "0");
        else phase(columns, sort, i, false);
        named(columns, " AS p", i, ", ");
        wr_search_value(columns, sort, i, false);
        named(columns, " AS v", i, "");
        if (!f->table) continue;
        wr_sql_add(joins, " LEFT JOIN ");
        template(joins, f->table, i);
        wr_sql_add(joins, " ON ");
        WR_TRY(link_of(joins, t, &sort[i].at, i, err));
    }
    return 0;
}

void wr_search_order_by(wr_sql *q, const wr_order_item *sort, size_t first, size_t n, bool names)
{
    for (size_t i = first; i < n; i++) {
        if (i > first) wr_sql_add(q, ", ");
        if (!sort[i].at.field->always) {
            phase(q, sort, i, names);
            wr_sql_add(q, ", ");
        }
        wr_search_value(q, sort, i, names);
        if (sort[i].desc) wr_sql_add(q, " DESC");
    }
}

/* value behind `key`, or equal and REST; opens parentheses that the caller closes */
static void behind_value(wr_sql *q, const wr_order_item *sort, size_t i, const wr_page_key *key, bool last, bool names)
{
    wr_sql_add(q, "(");
    wr_search_value(q, sort, i, names);
    wr_sql_add(q, sort[i].desc ? " < " : " > ");
    wr_sql_val(q, &key->value);
    if (last) return;
    wr_sql_add(q, " OR (");
    wr_search_value(q, sort, i, names);
    wr_sql_add(q, " = ");
    wr_sql_val(q, &key->value);
    wr_sql_add(q, " AND ");
}

/* phase behind, or equal and (value behind, or equal and (the next item ...)) */
void wr_search_behind(wr_sql *q, const wr_order_item *sort, size_t first, size_t n, const wr_page *page, bool names)
{
    size_t open = 0;
    for (size_t i = first; i < n; i++) {
        const wr_page_key *k = &page->keys[i];
        bool last = i + 1 == n;
        if (!sort[i].at.field->always) {
            wr_sql_add(q, "(");
            phase(q, sort, i, names);
            wr_sql_add(q, " > ");
            wr_sql_int(q, k->phase);
            wr_sql_add(q, " OR (");
            phase(q, sort, i, names);
            wr_sql_add(q, " = ");
            wr_sql_int(q, k->phase);
            wr_sql_add(q, " AND ");
            open += 2;
        }
        if (k->phase == 0) {
            behind_value(q, sort, i, k, last, names);
            open += last ? 1 : 2;
        } else if (last) {
            wr_sql_add(q, "1 = 0");
        }
    }
    while (open--) wr_sql_add(q, ")");
}

static bool textual(const wr_filter_field *f) { return f->ops != 0 && !f->sort; }

void wr_search_keys(wr_page_key *out, wr_arena *a, wr_stmt *row, int at, const wr_order_item *sort, size_t n)
{
    for (size_t i = 0; i < n; i++, at += 2) {
        const wr_filter_field *f = sort[i].at.field;
        wr_page_key *k = &out[i];
        *k = (wr_page_key){.phase = (int)wr_stmt_i64(row, at)};
        if (k->phase) continue;
        if (textual(f)) {
            k->value = (wr_sql_value){.kind = 's', .s = wr_arena_str(a, wr_stmt_str(row, at + 1))};
        } else if (f->nan || f->real) {
            k->value = (wr_sql_value){.kind = 'f', .f = wr_stmt_f64(row, at + 1)};
        } else {
            k->value = (wr_sql_value){.kind = 'i', .i = wr_stmt_i64(row, at + 1)};
        }
    }
}

int wr_search_page(wr_page *out, wr_arena *a, wr_str token, uint64_t query, const wr_order_item *sort, size_t n,
                   wr_err *err)
{
    WR_TRY(wr_page_read(out, a, token, query, n, err));
    for (size_t i = 0; i < out->nkeys; i++) {
        const wr_filter_field *f = sort[i].at.field;
        const wr_page_key *k = &out->keys[i];
        char kind = textual(f) ? 's' : f->nan || f->real ? 'f' : 'i';
        bool wrong = k->phase == 0 ? k->value.kind != kind : f->always || (k->phase == 1 && !f->nan);
        if (wrong) return wr_err_set(err, WEIR_EINVAL, "Invalid page token, it is damaged");
    }
    return 0;
}

static uint64_t mix(uint64_t h, wr_str s) { return wr_hash64(s.p ? s.p : "", s.n, wr_hash64(&s.n, sizeof s.n, h)); }

uint64_t wr_search_hash(const wr_filter_noun *noun, wr_str filter, const wr_order_item *sort, size_t n,
                        const wr_sql *scope)
{
    uint64_t h = mix(mix(1, wr_str_of(noun->name)), wr_str_trim(filter));
    for (size_t i = 0; i < n; i++) {
        h = mix(mix(h, wr_str_of(sort[i].at.entity->names)), sort[i].at.key);
        if (sort[i].at.entity->function) h = mix(h, wr_str_of(sort[i].at.entity->function));
        h = wr_hash64(&sort[i].desc, 1, h);
    }
    h = mix(h, wr_buf_view(&scope->text));
    for (size_t i = 0; i < scope->values.n; i++) {
        const wr_sql_value *v = &scope->values.at[i];
        h = wr_hash64(&v->i, sizeof v->i, wr_hash64(&v->f, sizeof v->f, mix(h, v->s)));
    }
    return h;
}

/* ---- the search ---- */

static int statement(wr_sql *q, wr_search *s, const wr_filter *filter, const wr_page *page, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    int alias = 0;
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->track, s->sort, 0, s->nsort, err));
    wr_sql_add(q, "SELECT * FROM (SELECT ");
    wr_sql_add(q, s->columns);
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM ");
    wr_sql_add(q, s->from);
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE ");
    if (s->scope.text.n) {
        wr_sql_add(q, "(");
        wr_sql_append(q, &s->scope);
        wr_sql_add(q, ") AND ");
    }
    WR_TRY(wr_filter_sql(q, s->track, filter, &alias, err));
    wr_sql_add(q, ") q");
    if (page->nkeys) {
        wr_sql_add(q, " WHERE ");
        wr_search_behind(q, s->sort, 0, s->nsort, page, true);
    }
    wr_sql_add(q, " ORDER BY ");
    wr_search_order_by(q, s->sort, 0, s->nsort, true);
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)s->max + 1);
    if (page->offset) {
        wr_sql_add(q, " OFFSET ");
        wr_sql_i64(q, page->offset);
    }
    return 0;
}

static int sorted(wr_search *s, wr_err *err)
{
    if (!s->items)
        return wr_search_order(&s->sort, &s->nsort, s->arena, s->noun, s->order, s->norder, s->defaults, s->ties, err);
    wr_order_item *items = wr_arena_calloc(s->arena, WR_PAGE_KEYS, sizeof *items);
    if (!items) return wr_err_nomem(err);
    if (s->norder > WR_ORDER_ITEMS)
        return wr_err_set(err, WEIR_EINVAL, "Invalid order_by: more than %d items", WR_ORDER_ITEMS);
    memcpy(items, s->items, s->norder * sizeof *items);
    s->sort = items;
    s->nsort = s->norder;
    return order_add(items, &s->nsort, s->arena, s->noun, s->ties, err);
}

int wr_search_begin(wr_search *s, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_filter filter;
    wr_page page;
    s->arena = a;
    s->track = t;
    s->row = NULL;
    s->given = 0;
    s->next = (wr_str){0};
    WR_TRY(wr_filter_parse(&filter, a, s->noun, s->filter, err));
    WR_TRY(sorted(s, err));
    s->query = wr_search_hash(s->noun, s->filter, s->sort, s->nsort, &s->scope);
    WR_TRY(wr_search_page(&page, a, s->token, s->query, s->sort, s->nsort, err));
    WR_TRY(statement(&q, s, &filter, &page, err));
    return wr_sql_prepare(&s->row, t, &q, err);
}

/* The token is made of the last row that is given, before the row behind it says whether it is needed. */
int wr_search_next(wr_search *s, wr_err *err)
{
    wr_page_key keys[WR_PAGE_KEYS];
    if (s->given == s->max) {
        if (s->max) wr_search_keys(keys, s->arena, s->row, s->ncolumns, s->sort, s->nsort);
        int rc = wr_step(s->row, err);
        if (rc > 0 && s->max) s->next = wr_page_token(s->arena, s->query, keys, s->nsort);
        return rc < 0 ? rc : 0;
    }
    int rc = wr_step(s->row, err);
    if (rc > 0) s->given++;
    return rc;
}

int wr_search_end(wr_search *s, int rc, wr_str *next, wr_err *err)
{
    if (s->row) wr_stmt_done(s->row);
    s->row = NULL;
    wr_sql_fini(&s->scope);
    *next = s->next;
    if (rc >= 0 && wr_arena_failed(s->arena)) return wr_err_nomem(err);
    return rc < 0 ? rc : 0;
}
