/* SPDX-License-Identifier: Apache-2.0 */
/* filter_fuzz.c - a filter, an order and a page token, a line each (the whole input is tried as a filter too). A filter
 * that is taken keeps the limits, and its SQL has as many marks as values and no text of the input outside of them. */
#include <stdint.h>
#include <stdlib.h>

#include "track/order.h"
#include "track/page.h"
#include "track/search_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void filter_require(bool ok)
{
    if (!ok) abort();
}

static size_t filter_clauses(const wr_filter_node *n, int depth)
{
    size_t sum = n->kind == WR_FILTER_CLAUSE;
    filter_require(depth <= 2 * WR_FILTER_DEPTH + 2);
    if (sum) filter_require(n->clause.field && n->clause.op && n->clause.key.p);
    for (size_t i = 0; i < n->nkids; i++) sum += filter_clauses(n->kids[i], depth + 1);
    return sum;
}

/* What the table of experiments and this room write into SQL. */
static void filter_check_sql(const wr_filter *f)
{
    WR_AUTOSQL wr_sql q = {0};
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789 .,=<>()?";
    int alias = 0;
    size_t marks = 0;
    long open = 0;
    filter_require(wr_filter_sql(&q, NULL, f, &alias, NULL) == 0); /* no key of experiments is interned */
    wr_str text = wr_buf_view(&q.text);
    for (size_t i = 0; i < text.n; i++) {
        filter_require(text.p[i] && strchr(allowed, text.p[i]));
        marks += text.p[i] == '?';
        open += (text.p[i] == '(') - (text.p[i] == ')');
        filter_require(open >= 0);
    }
    filter_require(open == 0 && marks == q.values.n);
}

static void filter_try(wr_arena *a, const wr_filter_noun *noun, wr_str text)
{
    wr_filter f;
    wr_err err = {0};
    int rc = wr_filter_parse(&f, a, noun, text, &err);
    if (rc < 0) {
        filter_require(rc == WEIR_EINVAL && err.msg[0] && wr_str_utf8(wr_str_of(err.msg)));
        return;
    }
    filter_require(!f.root || filter_clauses(f.root, 0) <= WR_FILTER_CLAUSES);
    if (noun == &wr_experiment_noun) filter_check_sql(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(64 << 20);
    wr_str all = {(const char *)data, size}, rest = all, line = wr_str_cut(&rest, '\n'), token;
    wr_order_item *items;
    wr_page page;
    size_t n;
    if (!a) return 0;
    filter_try(a, &wr_run_noun, all);
    filter_try(a, &wr_run_noun, line);
    filter_try(a, &wr_experiment_noun, line);
    line = rest.p ? wr_str_cut(&rest, '\n') : line;
    (void)wr_order_parse(&items, &n, a, &wr_run_noun, &line, 1, NULL);
    token = rest.p ? wr_str_cut(&rest, '\n') : line;
    for (size_t keys = 0; keys < 4; keys++)
        if (wr_page_read(&page, a, token, 0, keys, NULL) == 0) filter_require(page.nkeys == keys || page.nkeys == 0);
    return 0;
}
