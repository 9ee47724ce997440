/* SPDX-License-Identifier: Apache-2.0 */
/* search_test.c - searches of runs against a slow and obvious twin: all runs in memory, the filter's tree evaluated on
 * each, sorted by comparing what the order names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "io/file.h"
#include "store/pg_testing.h"
#include "track/order.h"
#include "track/schema.h"
#include "track/search.h"
#include "track/search_run.h"
#include "track/track_inside.h"

static char top[256];
static wr_db *db;
static wr_track *t;
static wr_rng rng;

static size_t below(size_t n) { return (size_t)wr_rng_below(&rng, n); }
static bool chance(size_t percent) { return below(100) < percent; }

static int open_store(const char *path)
{
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    wr_err err = {0};
    if (wr_db_open(&db, path, &opt, &err) < 0 || wr_track_open(&t, db, &(wr_track_opt){0}, &err) < 0) {
        print_error("%s: %s\n", err.msg, err.detail);
        return -1;
    }
    return 0;
}

static bool postgres;

static int setup(void **state)
{
    char path[300];
    const char *tmp = getenv("TMPDIR"), *seed = getenv("WEIR_TEST_SEED");
    (void)state;
    snprintf(top, sizeof top, "%s/weir-search-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top)) return -1;
    snprintf(path, sizeof path, "%s/db.sqlite", top);
    if (wr_pg_testing_wanted(path, sizeof path) < 0) return -1;
    postgres = strncmp(path, "postgres", 8) == 0;
    wr_rng_init(&rng, seed ? strtoull(seed, NULL, 10) : 7);
    return open_store(path);
}

static int teardown(void **state)
{
    (void)state;
    wr_track_close(t);
    wr_db_close(db);
    return wr_file_remove_tree(top, NULL);
}

/* ---- the twin's runs ---- */

enum { EXPERIMENTS = 4, PARAMS = 3, TAGS = 3, METRICS = 3, MOST = 1000 };
static const char *const param_keys[] = {"lr", "model", "a b.c"},
                         *const tag_keys[] = {"team", "mlflow.user",
                                              "gr\xc3\xb6\xc3\x9f"
                                              "e"},
                         *const metric_keys[] = {"loss", "val/acc", "m.x"};
static const char *const texts[] = {
    "0.1", "1e-3", "3",   "-2.5", "",   "a",  "A", "a%", "abc", "aBC", "b_c", "it's", "\xc3\xa9t\xc3\xa9",
    "x y", "10",   "nan", "1e5",  ".5", "5.", "+1"};
static const double numbers[] = {0, 1, -1, 0.5, 0.5, 2, 1e300, -3.25, 1e-5};
static const char *const names[] = {"calm-otter", "Run 1", "run 1", "x", "deep%run"}, *const users[] = {"ann", "bob",
                                                                                                        ""};
enum { TEXTS = sizeof texts / sizeof *texts, NUMBERS = sizeof numbers / sizeof *numbers };

typedef struct {
    int64_t id, experiment, start, end; /* end -1 = none */
    char uuid[33], uri[40];
    const char *name, *user, *params[PARAMS], *tags[TAGS], *dataset[2], *context[2]; /* NULL: none */
    double metrics[METRICS], before[METRICS]; /* the latest point, and one that came before it */
    bool has[METRICS], deleted;
    int status;
} twin;
static twin runs[MOST];
static size_t nruns;

static const char *some_text(void) { return texts[below(TEXTS)]; }

static twin make_run(void)
{
    twin r = {.experiment = (int64_t)below(EXPERIMENTS), .start = 1000 + (int64_t)below(40), .end = -1};
    for (size_t i = 0; i < 32; i++) r.uuid[i] = "0123456789abcdef"[below(16)];
    if (chance(60)) r.end = r.start + (int64_t)below(10);
    r.name = names[below(5)];
    r.user = users[below(3)];
    snprintf(r.uri, sizeof r.uri, "mlflow-artifacts:/%d", (int)below(9));
    r.status = 1 + (int)below(5);
    r.deleted = chance(15);
    for (size_t i = 0; i < PARAMS; i++) r.params[i] = chance(70) ? some_text() : NULL;
    for (size_t i = 0; i < TAGS; i++) r.tags[i] = chance(70) ? some_text() : NULL;
    for (size_t i = 0; i < METRICS; i++) {
        r.has[i] = chance(i == 0 ? 90 : 50);
        size_t way = below(12);
        r.metrics[i] = way == 0   ? NAN
                       : way == 1 ? INFINITY
                       : way == 2 ? -INFINITY
                       : way < 6  ? wr_rng_f64(&rng)
                                  : numbers[below(NUMBERS)];
    }
    for (size_t i = 0; i < METRICS; i++)
        r.before[i] = chance(50) ? r.metrics[i] : chance(20) ? NAN : numbers[below(NUMBERS)];
    for (size_t i = 0; i < 2; i++) r.dataset[i] = chance(25) ? (i ? "iris" : "mnist") : NULL;
    for (size_t i = 0; i < 2; i++) r.context[i] = r.dataset[i] && chance(70) ? (chance(50) ? "train" : "eval") : NULL;
    return r;
}

static int put_pair(const char *table, int64_t run, const char *key, const char *value, wr_err *err)
{
    char sql[128];
    int64_t k;
    WR_TRY(wr_track_key_make(&k, t, wr_str_of(key), err));
    snprintf(sql, sizeof sql, "INSERT INTO %s (run, key, value) VALUES (?, ?, ?)", table);
    return wr_track_exec(t, err, sql, "iis", run, k, wr_str_of(value));
}

static int put_run(wr_track *track, void *arg, wr_err *err)
{
    twin *r = arg;
    (void)track;
    WR_TRY(wr_track_number(&r->id, 0, t, err,
                           "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri)"
                           " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
                           "sissiis", wr_str_of(r->uuid), r->experiment, wr_str_of(r->name), wr_str_of(r->user),
                           (int64_t)r->status, r->start, wr_str_of(r->uri)));
    if (r->end >= 0)
        WR_TRY(wr_track_exec(t, err, "UPDATE track_runs SET end_ms = ? WHERE id = ?", "ii", r->end, r->id));
    if (r->deleted) WR_TRY(wr_track_exec(t, err, "UPDATE track_runs SET deleted_ms = 1 WHERE id = ?", "i", r->id));
    for (size_t i = 0; i < PARAMS; i++)
        if (r->params[i]) WR_TRY(put_pair("track_params", r->id, param_keys[i], r->params[i], err));
    for (size_t i = 0; i < TAGS; i++)
        if (r->tags[i]) WR_TRY(put_pair("track_tags", r->id, tag_keys[i], r->tags[i], err));
    for (size_t i = 0; i < METRICS; i++) {
        wr_track_point p[] = {{.key = wr_str_of(metric_keys[i]), .value = r->before[i], .step = 0, .time_ms = 9},
                              {.key = wr_str_of(metric_keys[i]), .value = r->metrics[i], .step = 1, .time_ms = 5}};
        if (r->has[i]) WR_TRY(wr_metric_put(t, &(wr_metric_run){r->id, r->experiment, r->start}, p, 2, err));
    }
    for (size_t i = 0; i < 2; i++) {
        wr_track_item tag = {WR_STR("mlflow.data.context"), wr_str_of(r->context[i])};
        wr_track_dataset d = {.name = wr_str_of(r->dataset[i]),
                              .digest = i ? WR_STR("d1") : WR_STR("d0"),
                              .source_type = WR_STR("local"),
                              .source = WR_STR("s"),
                              .tags = &tag,
                              .ntags = r->context[i] != NULL};
        wr_track_run run = {.id = r->id, .experiment = r->experiment};
        if (r->dataset[i]) WR_TRY(wr_track_run_add_input(t, &run, &d, err));
    }
    return 0;
}

static int put_experiments(wr_track *track, void *arg, wr_err *err)
{
    int64_t id;
    for (int i = 1; i < EXPERIMENTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%d", i);
        WR_TRY(wr_experiment_create(&id, track, wr_str_of(name), (wr_str){0}, NULL, 0, err));
    }
    (void)arg;
    return 0;
}

static int put_runs(wr_track *track, void *arg, wr_err *err)
{
    for (size_t i = 0, n = *(size_t *)arg; i < n; i++, nruns++) {
        runs[nruns] = make_run();
        WR_TRY(put_run(track, &runs[nruns], err));
    }
    return 0;
}

static void must(int rc, const wr_err *err)
{
    if (rc < 0) fail_msg("%s: %s", err->msg, err->detail);
}

static void add_runs(size_t n)
{
    wr_err err = {0};
    assert_true(nruns + n <= MOST);
    must(wr_track_write(t, put_runs, &n, &err), &err);
}

static void fill(size_t n)
{
    wr_err err = {0};
    nruns = 0;
    must(wr_track_write(t, put_experiments, NULL, &err), &err);
    add_runs(n);
}

/* ---- the twin's evaluation ---- */

typedef struct {
    bool text, number, nan;
    const char *s;
    double f;
} operand;

static int index_of(const char *const *keys, int n, wr_str key)
{
    for (int i = 0; i < n; i++)
        if (wr_str_is(key, keys[i])) return i;
    return -1;
}

static operand of_text(const char *s) { return (operand){.text = s != NULL, .s = s}; }
static operand of_number(double f) { return (operand){.number = !isnan(f), .nan = isnan(f), .f = f}; }

/* min and max pass over NaN; a series of nothing else has none */
static operand of_series(const char *function, double before, double latest)
{
    if (!function || strcmp(function, "last") == 0) return of_number(latest);
    double f = strcmp(function, "min") == 0 ? fmin(before, latest) : fmax(before, latest);
    return isnan(f) ? (operand){0} : of_number(f);
}

static operand attribute(const twin *r, wr_str key)
{
    if (wr_str_is(key, "run_id")) return of_text(r->uuid);
    if (wr_str_is(key, "run_name")) return of_text(r->name);
    if (wr_str_is(key, "user_id")) return of_text(r->user);
    if (wr_str_is(key, "status")) return of_text(wr_run_status_name(r->status));
    if (wr_str_is(key, "artifact_uri")) return of_text(r->uri);
    if (wr_str_is(key, "start_time")) return of_number((double)r->start);
    return r->end < 0 ? (operand){0} : of_number((double)r->end);
}

/* Values of a field: none, one, or two of datasets. */
static size_t operands(operand out[2], const twin *r, const wr_filter_clause *c)
{
    const char *entity = c->entity->names;
    int i;
    out[0] = out[1] = (operand){0};
    if (strncmp(entity, "attribute", 9) == 0) {
        out[0] = attribute(r, c->key);
    } else if (strncmp(entity, "metric", 6) == 0) {
        i = index_of(metric_keys, METRICS, c->key);
        if (i >= 0 && r->has[i]) out[0] = of_series(c->entity->function, r->before[i], r->metrics[i]);
    } else if (strncmp(entity, "param", 5) == 0) {
        i = index_of(param_keys, PARAMS, c->key);
        if (i >= 0) out[0] = of_text(r->params[i]);
    } else if (strncmp(entity, "tag", 3) == 0) {
        i = index_of(tag_keys, TAGS, c->key);
        if (i >= 0) out[0] = of_text(r->tags[i]);
    } else {
        size_t n = 0;
        for (i = 0; i < 2; i++) {
            if (!r->dataset[i]) continue;
            out[n] = of_text(wr_str_is(c->key, "name")     ? r->dataset[i]
                             : wr_str_is(c->key, "digest") ? (i ? "d1" : "d0")
                                                           : r->context[i]);
            n += out[n].text;
        }
        return n;
    }
    return out[0].text || out[0].number || out[0].nan;
}

static bool like(const char *s, const char *p, bool fold)
{
    if (!*p) return !*s;
    if (*p == '%') return like(s, p + 1, fold) || (*s && like(s + 1, p, fold));
    if (!*s) return false;
    if (*p == '_') {
        s++;
        while ((*s & 0xc0) == 0x80) s++;
        return like(s, p + 1, fold);
    }
    char x = *s, y = *p;
    if (fold && x >= 'A' && x <= 'Z') x += 32;
    if (fold && y >= 'A' && y <= 'Z') y += 32;
    return x == y && like(s + 1, p + 1, fold);
}

static bool rlike(const char *s, const char *p)
{
    regex_t re;
    assert_int_equal(regcomp(&re, p, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&re, s, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

static bool passes(unsigned op, double c) /* c: the sign of a comparison; NaN when there is none */
{
    return op == WR_OP_EQ   ? c == 0
           : op == WR_OP_NE ? c != 0
           : op == WR_OP_LT ? c < 0
           : op == WR_OP_LE ? c <= 0
           : op == WR_OP_GT ? c > 0
                            : c >= 0;
}

static double compare(const operand *x, const wr_filter_value *v)
{
    if (!v->number) return wr_str_cmp(wr_str_of(x->s), v->text);
    return x->nan ? NAN : x->f < v->f ? -1 : x->f > v->f ? 1 : 0;
}

static bool holds(operand x, const wr_filter_clause *c)
{
    const wr_filter_value *v = c->values;
    bool in = false;
    char *end;
    if (v->number && x.text) { /* a text as a number, if it is one */
        double f = strtod(x.s, &end);
        if (end == x.s || *end || !isfinite(f)) return false;
        x = of_number(f);
    }
    if (c->op & (WR_OPS_NUMBER)) return passes(c->op, compare(&x, v));
    if (c->op & (WR_OP_BETWEEN | WR_OP_NOT_BETWEEN))
        return (compare(&x, &v[0]) >= 0 && compare(&x, &v[1]) <= 0) == (c->op == WR_OP_BETWEEN);
    for (size_t i = 0; c->op & WR_OPS_IN && i < c->nvalues; i++) in |= compare(&x, &v[i]) == 0;
    if (c->op & WR_OPS_IN) return in == (c->op == WR_OP_IN);
    if (c->op & (WR_OP_RLIKE | WR_OP_NOT_RLIKE)) return rlike(x.s, v->text.p) == (c->op == WR_OP_RLIKE);
    if (c->op & (WR_OP_LIKE | WR_OP_NOT_LIKE)) return like(x.s, v->text.p, false) == (c->op == WR_OP_LIKE);
    return like(x.s, v->text.p, true) == (c->op == WR_OP_ILIKE);
}

static bool matches(const twin *r, const wr_filter_node *n)
{
    operand x[2];
    if (n->kind == WR_FILTER_NOT) return !matches(r, n->kids[0]);
    if (n->kind != WR_FILTER_CLAUSE) {
        for (size_t i = 0; i < n->nkids; i++)
            if (matches(r, n->kids[i]) == (n->kind == WR_FILTER_OR)) return n->kind == WR_FILTER_OR;
        return n->kind == WR_FILTER_AND;
    }
    size_t count = operands(x, r, &n->clause);
    if (n->clause.op == WR_OP_IS_NULL) return count == 0;
    if (n->clause.op == WR_OP_NOT_NULL) return count > 0;
    for (size_t i = 0; i < count; i++)
        if (holds(x[i], &n->clause)) return true;
    return false;
}

static const wr_order_item *sort_items;
static size_t sort_count;

static int by_order(const void *a, const void *b)
{
    const twin *r = *(const twin *const *)a, *s = *(const twin *const *)b;
    for (size_t i = 0; i < sort_count; i++) {
        operand x[2], y[2];
        bool here = operands(x, r, &sort_items[i].at) > 0, there = operands(y, s, &sort_items[i].at) > 0;
        int px = !here ? 2 : x[0].nan ? 1 : 0, py = !there ? 2 : y[0].nan ? 1 : 0, c;
        if (px != py) return px - py;
        if (px) continue;
        c = x[0].text ? strcmp(x[0].s, y[0].s) : (x[0].f > y[0].f) - (x[0].f < y[0].f);
        if (c) return sort_items[i].desc ? -c : c;
    }
    return 0;
}

typedef struct {
    const int64_t *experiments;
    size_t n;
    wr_view_type view;
    const char *filter;
    wr_str order[4];
    size_t norder;
} query;

/* What the search should give, of the first `count` runs. */
static size_t expect(const twin **out, wr_arena *a, const query *q, size_t count)
{
    static const char *const ties[] = {"start_time DESC", "run_id ASC", NULL};
    wr_filter f;
    wr_order_item *sort;
    wr_err err = {0};
    size_t n = 0;
    must(wr_filter_parse(&f, a, &wr_run_noun, wr_str_of(q->filter), &err), &err);
    must(wr_search_order(&sort, &sort_count, a, &wr_run_noun, q->order, q->norder, NULL, ties, &err), &err);
    sort_items = sort;
    for (size_t i = 0; i < count; i++) {
        bool in = false;
        for (size_t k = 0; k < q->n; k++) in |= q->experiments[k] == runs[i].experiment;
        if (!in || (q->view == WR_VIEW_ACTIVE && runs[i].deleted) || (q->view == WR_VIEW_DELETED && !runs[i].deleted))
            continue;
        if (!f.root || matches(&runs[i], f.root)) out[n++] = &runs[i];
    }
    qsort(out, n, sizeof *out, by_order);
    return n;
}

/* ---- random queries ---- */

static void random_value(wr_buf *b, bool text)
{
    if (text) wr_buf_printf(b, "\"%s\"", some_text());
    else if (chance(50)) wr_buf_printf(b, "%g", numbers[below(6)]);
    else wr_buf_printf(b, "%.3f", wr_rng_f64(&rng));
}

static void random_text_test(wr_buf *b)
{
    static const char *const ops[] = {"=", "=", "=", "!=", "LIKE", "ilike", "NOT LIKE", "NOT ILIKE"};
    static const char *const patterns[] = {"a%", "%b%", "_", "A_C", "%", "", "x y", "%\xc3\xa9", "R%1", "FIN%"};
    size_t way = below(10);
    if (way < 4) {
        wr_buf_printf(b, " %s ", ops[below(4)]);
        random_value(b, true);
    } else if (way < 6) {
        wr_buf_printf(b, " %s '%s'", ops[4 + below(4)], patterns[below(10)]);
    } else if (way < 8) {
        wr_buf_str(b, chance(50) ? " IN (" : " NOT IN (");
        for (size_t i = 0, n = 1 + below(3); i < n; i++) {
            if (i) wr_buf_str(b, ", ");
            random_value(b, true);
        }
        wr_buf_str(b, ")");
    } else if (way == 8) {
        wr_buf_str(b, chance(50) ? " RLIKE '^[a-c]'" : " NOT RLIKE 'b|1$'");
    } else {
        wr_buf_str(b, chance(50) ? " BETWEEN '1' AND 'a~'" : " NOT BETWEEN '1' AND 'a~'");
    }
}

static void random_number_test(wr_buf *b)
{
    static const char *const ops[] = {"=", "!=", "<", "<=", ">", ">="};
    size_t way = below(10);
    if (way < 8) {
        wr_buf_printf(b, " %s ", ops[below(6)]);
        random_value(b, false);
    } else if (way == 8) {
        wr_buf_str(b, chance(50) ? " BETWEEN 0 AND 1" : " NOT BETWEEN 0 AND 1");
    } else {
        wr_buf_str(b, chance(50) ? " IN (0.5, 2)" : " NOT IN (1, 0.5)");
    }
}

static void random_clause(wr_buf *b)
{
    static const char *const attributes[] = {"run_name", "attr.user_id", "status", "run.artifact_uri"};
    static const char *const functions[] = {"min", "MAX", "last"};
    static const char *const datasets[] = {"dataset.name", "datasets.digest", "dataset.context"};
    size_t way = below(12);
    if (way < 3) wr_buf_printf(b, "params.`%s`", param_keys[below(PARAMS)]);
    else if (way < 5) wr_buf_printf(b, "tag.\"%s\"", tag_keys[below(TAGS)]);
    else if (way < 8 && chance(25))
        wr_buf_printf(b, "%s(metrics.`%s`)", functions[below(3)], metric_keys[below(METRICS)]);
    else if (way < 8) wr_buf_printf(b, "metrics.`%s`", metric_keys[below(METRICS)]);
    else if (way < 9) wr_buf_str(b, attributes[below(4)]);
    else if (way < 10) wr_buf_str(b, datasets[below(3)]);
    else if (way < 11) wr_buf_str(b, chance(50) ? "start_time" : "end_time");
    if (way == 11) {
        wr_buf_printf(b, "run_id %s ('%s', '%s', 'none')", chance(70) ? "IN" : "NOT IN", runs[below(nruns)].uuid,
                      runs[below(nruns)].uuid);
        return;
    }
    if (way == 10) {
        wr_buf_printf(b, " %s %d", chance(50) ? "<" : ">=", 1000 + (int)below(50));
        return;
    }
    if (way != 9 && chance(10)) {
        wr_buf_str(b, chance(50) ? " IS NULL" : " IS NOT NULL");
        return;
    }
    bool number = (way >= 5 && way < 8) || (way < 5 && chance(25));
    if (number) random_number_test(b);
    else random_text_test(b);
}

static void random_filter(wr_buf *b, int depth)
{
    size_t n = depth == 0 ? below(4) : 1 + below(3);
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_str(b, depth % 2 ? " OR " : " AND ");
        if (depth < 2 && chance(15)) {
            wr_buf_str(b, chance(40) ? "NOT (" : "(");
            random_filter(b, depth + 1);
            wr_buf_str(b, ")");
        } else {
            random_clause(b);
        }
    }
}

static void random_order(wr_arena *a, query *q)
{
    q->norder = below(10) < 3 ? 0 : 1 + below(2);
    for (size_t i = 0; i < q->norder; i++) {
        const char *way = chance(50) ? " DESC" : chance(50) ? " ASC" : "";
        size_t what = below(10);
        static const char *const functions[] = {"min", "MAX ", "last"};
        if (i && what < 8) what = 8 - i; /* fields named twice are refused */
        if (what < 4 && chance(30)) {
            q->order[i] = wr_str_of(
                wr_arena_printf(a, "%s(metrics.`%s` )%s", functions[below(3)], metric_keys[below(METRICS)], way));
            continue;
        }
        q->order[i] = wr_str_of(what < 4   ? wr_arena_printf(a, "metrics.`%s`%s", metric_keys[below(METRICS)], way)
                                : what < 5 ? wr_arena_printf(a, "params.`%s`%s", param_keys[below(PARAMS)], way)
                                : what < 6 ? wr_arena_printf(a, "tags.`%s`%s", tag_keys[below(TAGS)], way)
                                : what < 7 ? wr_arena_printf(a, "start_time%s", way)
                                : what < 8 ? wr_arena_printf(a, "attribute.end_time%s", way)
                                : what < 9 ? wr_arena_printf(a, "status%s", way)
                                           : wr_arena_printf(a, "run_id%s", way));
    }
    if (q->norder == 2 && wr_str_eq(wr_str_cut(&(wr_str){q->order[0].p, q->order[0].n}, ' '),
                                    wr_str_cut(&(wr_str){q->order[1].p, q->order[1].n}, ' ')))
        q->norder = 1;
}

/* ---- comparing ---- */

static bool same_run(const wr_track_run *got, const twin *want)
{
    return got->id == want->id && wr_str_is(got->uuid, want->uuid) && wr_str_is(got->name, want->name) &&
           got->status == want->status && got->start_ms == want->start && got->end_ms == want->end &&
           (got->deleted_ms >= 0) == want->deleted;
}

static wr_run_plan last_plan;

static void report(const query *q, size_t at)
{
    print_error("filter: %s\n", q->filter);
    for (size_t i = 0; i < q->norder; i++) print_error("order: %s\n", q->order[i].p);
    fail_msg("%zu experiments, view %d, plan %d: differs at row %zu", q->n, q->view, (int)last_plan, at);
}

/* All pages, each by another plan; between them runs come in when `insert` says so: those are passed over. */
static void check(wr_arena *a, const query *q, size_t page, bool insert)
{
    const twin *want[MOST];
    size_t count = nruns, n = expect(want, a, q, count), at = 0, pages = 0;
    wr_run_search_opt opt = {.experiments = q->experiments,
                             .nexperiments = q->n,
                             .view = q->view,
                             .filter = wr_str_of(q->filter),
                             .order = q->order,
                             .norder = q->norder,
                             .max = page};
    do {
        wr_track_run *got;
        size_t ngot;
        wr_err err = {0};
        opt.plan = last_plan = (wr_run_plan)below(WR_RUN_PLAN_TIGHT + 1);
        must(wr_track_run_search(&got, &ngot, &opt.token, a, t, &opt, &err), &err);
        assert_true(ngot <= page && (ngot == page || !opt.token.p));
        for (size_t i = 0; i < ngot; i++) {
            if (got[i].id > runs[count - 1].id) continue;
            if (at >= n || !same_run(&got[i], want[at])) {
                print_error("got run %ld of %zu, start %ld; ", (long)got[i].id, ngot, (long)got[i].start_ms);
                if (at < n)
                    print_error("expected run %ld of %zu, start %ld\n", (long)want[at]->id, n, (long)want[at]->start);
                report(q, at);
            }
            at++;
        }
        if (insert && nruns + 3 < MOST && pages++ % 2 == 0) add_runs(1);
    } while (opt.token.p);
    if (at != n) print_error("%zu expected\n", n);
    if (at != n) report(q, at);
}

static void random_searches(size_t n, bool insert)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf filter = {0};
    static const int64_t all[] = {0, 1, 2, 3, 2, 77};
    for (size_t i = 0; i < n; i++) {
        query q = {.experiments = all + below(4),
                   .view = chance(70)   ? WR_VIEW_ACTIVE
                           : chance(50) ? WR_VIEW_ALL
                                        : WR_VIEW_DELETED};
        q.n = 1 + below((size_t)(all + 6 - q.experiments));
        wr_arena_clear(a);
        wr_buf_clear(&filter);
        random_filter(&filter, 0);
        q.filter = wr_buf_cstr(&filter);
        random_order(a, &q);
        check(a, &q, chance(20) ? 1000 : 1 + below(60), insert);
    }
}

static void searches_as_the_twin(void **state)
{
    (void)state;
    fill(400);
    random_searches(postgres ? 150 : 400, false);
}

static void pages_stay_while_runs_come_in(void **state)
{
    (void)state;
    fill(250);
    random_searches(postgres ? 30 : 100, true);
}

/* ---- work ---- */

enum { CROWD = 4000 };

typedef struct {
    int64_t experiment;
    size_t first;
} crowd;

/* Runs with two random metrics, one of few values, a param of a hundred values, tags on parts of them. */
static int put_crowd(wr_track *track, void *arg, wr_err *err)
{
    const crowd *c = arg;
    int64_t keys[3];
    static const char *const metrics[] = {"m0", "m1", "epoch"};
    for (int i = 0; i < 3; i++) WR_TRY(wr_track_key_make(&keys[i], track, wr_str_of(metrics[i]), err));
    for (size_t i = 0; i < CROWD; i++) {
        char uuid[33], text[16];
        int64_t run;
        double values[] = {wr_rng_f64(&rng), wr_rng_f64(&rng), (double)(i % 3)};
        snprintf(uuid, sizeof uuid, "%032zx", c->first + i);
        WR_TRY(wr_track_number(
            &run, 0, t, err,
            "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, end_ms, artifact_uri)"
            " VALUES (?, ?, 'x', 'ann', 3, ?, ?, 'x') RETURNING id",
            "siii", wr_str_of(uuid), c->experiment, (int64_t)i, (int64_t)(i + below(CROWD))));
        for (int k = 0; k < 3; k++)
            WR_TRY(
                wr_track_exec(t, err,
                              "INSERT INTO track_metrics (run, key, value, step, time_ms, experiment, start_ms, tail)"
                              " VALUES (?, ?, ?, 0, 0, ?, ?, -1)",
                              "iifii", run, keys[k], values[k], c->experiment, (int64_t)i));
        snprintf(text, sizeof text, "%zu", below(100));
        WR_TRY(put_pair("track_params", run, "p1", text, err));
        WR_TRY(put_pair("track_tags", run, "half", i % 2 ? "odd" : "even", err));
        WR_TRY(put_pair("track_tags", run, "age", i < CROWD / 4 ? "old" : i >= CROWD - 30 ? "new" : "some", err));
        if (values[0] < 0.3) WR_TRY(put_pair("track_tags", run, "low", "yes", err));
    }
    return 0;
}

static int put_two_experiments(wr_track *track, void *arg, wr_err *err)
{
    WR_TRY(put_experiments(track, arg, err));
    WR_TRY(put_crowd(track, &(crowd){0, 0}, err));
    return put_crowd(track, &(crowd){1, CROWD}, err);
}

/* What a search of experiments 0 and 1, or of 0 alone, costs by a plan; `sum` tells pages apart. */
static int64_t work_of(wr_arena *a, const char *filter, const char *order, size_t experiments, wr_run_plan plan,
                       uint64_t *sum)
{
    static const int64_t both[] = {0, 1};
    wr_str item = wr_str_of(order), next;
    wr_run_search_opt opt = {.experiments = both,
                             .nexperiments = experiments,
                             .filter = wr_str_of(filter),
                             .order = &item,
                             .norder = 1,
                             .max = 40,
                             .plan = plan};
    wr_track_run *got;
    wr_err err = {0};
    size_t n;
    int64_t before = wr_db_work();
    must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
    *sum = n;
    for (size_t i = 0; i < n; i++) *sum = *sum * 31 + (uint64_t)got[i].id;
    return wr_db_work() - before;
}

/* The plan that is taken visits no more than a few times what the best one does, wherever the rows that pass may be. */
static void plans_are_chosen_well(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const char *const filters[] = {"metrics.m1 > 0.5 AND params.p1 = '7'",
                                          "params.p1 = '7'",
                                          "metrics.m1 > 0.98",
                                          "metrics.m1 > 0.2",
                                          "tags.half = 'odd'",
                                          "tags.age = 'old'",
                                          "tags.age = 'new'",
                                          "tags.half = 'odd' AND tags.age = 'old'",
                                          "tags.low = 'yes'",
                                          "metrics.epoch = 2",
                                          "tags.low = 'yes' AND tags.half = 'even'",
                                          "metrics.m0 < 0.3 AND metrics.m1 < 0.5",
                                          "tags.low IS NOT NULL AND params.p1 != '7'"};
    static const char *const orders[] = {"metrics.m0 DESC", "metrics.m0", "metrics.epoch", "metrics.epoch DESC",
                                         "start_time DESC", "start_time", "params.p1",     "end_time"};
    wr_err err = {0};
    if (postgres) return;
    must(wr_track_write(t, put_two_experiments, NULL, &err), &err);
    for (size_t f = 0; f < sizeof filters / sizeof *filters; f++)
        for (size_t o = 0; o < sizeof orders / sizeof *orders; o++)
            for (size_t n = 1; n <= 2; n++) {
                int64_t best = INT64_MAX, work[4];
                uint64_t sum, page;
                wr_arena_clear(a);
                work[0] = work_of(a, filters[f], orders[o], n, WR_RUN_PLAN_BEST, &page);
                for (int plan = 1; plan < 4; plan++) {
                    work[plan] = work_of(a, filters[f], orders[o], n, (wr_run_plan)plan, &sum);
                    assert_int_equal(sum, page);
                    if (plan == WR_RUN_PLAN_WALK)
                        work[plan] *= 4; /* a row that is driven takes so many steps of a visit */
                    if (work[plan] < best) best = work[plan];
                }
                if (work[0] > 2 * best + 60000)
                    fail_msg("%s by %s in %zu: %ld steps, the best plan takes %ld", filters[f], orders[o], n,
                             (long)work[0], (long)best);
            }
}

/* The search that took 30,000 steps or 430,000, as a sample of a random order happened to fall out. */
static void two_filters_cost_little_whatever_was_written(void **state)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_err err = {0};
    if (postgres) return;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t page;
        if (seed > 1) assert_true(teardown(state) == 0 && setup(state) == 0);
        wr_rng_init(&rng, seed);
        must(wr_track_write(t, put_two_experiments, NULL, &err), &err);
        assert_true(work_of(a, "metrics.m1 > 0.5 AND params.p1 = '7'", "metrics.m0 DESC", 1, WR_RUN_PLAN_BEST, &page) <
                    20000);
    }
}

/* ---- loading ---- */

static void same_items(const wr_track_item *got, size_t n, const char *const *keys, const char *const *values,
                       int count)
{
    size_t want = 0;
    for (int i = 0; i < count; i++) want += values[i] != NULL;
    assert_int_equal(n, want);
    for (size_t i = 0; i < n; i++) {
        int k = index_of(keys, count, got[i].key);
        assert_true(k >= 0 && wr_str_is(got[i].value, values[k]));
        if (i) assert_true(wr_str_cmp(got[i - 1].key, got[i].key) < 0);
    }
}

static void same_metrics(const wr_track_run *got, const twin *want)
{
    size_t n = 0;
    for (int i = 0; i < METRICS; i++) n += want->has[i];
    assert_int_equal(got->nmetrics, n);
    for (size_t i = 0; i < n; i++) {
        int k = index_of(metric_keys, METRICS, got->metrics[i].key);
        assert_true(k >= 0 && want->has[k]);
        double x = got->metrics[i].value, y = want->metrics[k];
        assert_true(x == y || (isnan(x) && isnan(y)));
    }
}

static const twin *twin_of(int64_t id)
{
    for (size_t i = 0; i < nruns; i++)
        if (runs[i].id == id) return &runs[i];
    return NULL;
}

static void loads_what_runs_have(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const int64_t all[] = {0, 1, 2, 3};
    const wr_str order[] = {WR_STR("params.lr")};
    wr_run_search_opt opt = {.experiments = all,
                             .nexperiments = 4,
                             .view = WR_VIEW_ALL,
                             .max = 1000,
                             .order = order,
                             .norder = 1,
                             .load = {.parts = WR_RUN_EVERYTHING}};
    wr_track_run *got;
    size_t n;
    wr_str next;
    wr_err err = {0};
    fill(300);
    must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
    assert_int_equal(n, 300);
    for (size_t i = 0; i < n; i++) {
        const twin *want = twin_of(got[i].id);
        same_items(got[i].params, got[i].nparams, param_keys, want->params, PARAMS);
        same_items(got[i].tags, got[i].ntags, tag_keys, want->tags, TAGS);
        same_metrics(&got[i], want);
        assert_int_equal(got[i].ninputs, (want->dataset[0] != NULL) + (want->dataset[1] != NULL));
    }
}

static void loads_only_the_keys_that_are_named(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const int64_t all[] = {0, 1, 2, 3};
    const wr_str lr[] = {WR_STR("lr")}, metric[] = {WR_STR("m.x"), WR_STR("nothing")};
    wr_run_search_opt opt = {
        .experiments = all,
        .nexperiments = 4,
        .view = WR_VIEW_ALL,
        .max = 1000,
        .load = {
            .parts = WR_RUN_PARAMS | WR_RUN_METRICS, .params = lr, .nparams = 1, .metrics = metric, .nmetrics = 2}};
    wr_track_run *got;
    size_t n;
    wr_str next;
    wr_err err = {0};
    fill(100);
    must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
    for (size_t i = 0; i < n; i++) {
        const twin *want = twin_of(got[i].id);
        same_items(got[i].params, got[i].nparams, param_keys, want->params, 1);
        assert_int_equal(got[i].nmetrics, want->has[2]);
        assert_true(got[i].ntags == 0 && got[i].ninputs == 0);
    }
}

/* Points that are in the metric log alone, in filters, orders, extremes and what is loaded. */
static void points_in_the_log_are_found(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const int64_t all[] = {0, 1, 2, 3};
    const wr_str order[] = {WR_STR("metrics.fresh DESC")};
    char log[300];
    const twin *active[3];
    size_t nactive = 0;
    wr_track_run *got;
    size_t n;
    wr_str next;
    wr_err err = {0};
    if (postgres) return; /* several servers share the records: there is no log */
    fill(20);
    for (size_t i = 0; i < nruns && nactive < 3; i++)
        if (!runs[i].deleted) active[nactive++] = &runs[i];
    assert_int_equal(nactive, 3);
    wr_track_close(t);
    snprintf(log, sizeof log, "%s/log", top);
    must(wr_track_open(&t, db, &(wr_track_opt){.log = log}, &err), &err);
    for (int i = 0; i < 3; i++) {
        wr_track_point p[] = {{.key = WR_STR("fresh"), .value = 10 + i, .step = 1, .time_ms = 1},
                              {.key = WR_STR("fresh"), .value = i, .step = 2, .time_ms = 2}};
        must(wr_metric_append(t, wr_str_of(active[i]->uuid), p, 2, &err), &err);
    }
    must(wr_metric_commit(t, &err), &err);
    static const struct {
        const char *filter;
        size_t n;
    } cases[] = {{"metrics.fresh >= 1", 2},
                 {"metrics.fresh > 5", 0},
                 {"max(metrics.fresh) >= 11", 2},
                 {"min(metrics.fresh) = 0", 1}};
    for (size_t i = 0; i < 4; i++) {
        wr_run_search_opt opt = {.experiments = all,
                                 .nexperiments = 4,
                                 .view = WR_VIEW_ALL,
                                 .max = 100,
                                 .filter = wr_str_of(cases[i].filter)};
        must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
        assert_int_equal(n, cases[i].n);
    }
    const wr_str least[] = {WR_STR("min(metrics.fresh) DESC")};
    wr_run_search_opt by_least = {.experiments = all, .nexperiments = 4, .max = 3, .order = least, .norder = 1};
    must(wr_track_run_search(&got, &n, &next, a, t, &by_least, &err), &err);
    for (int i = 0; i < 3; i++) assert_true(got[i].id == active[2 - i]->id);
    wr_track_point later = {.key = WR_STR("fresh"), .value = 7, .step = 3, .time_ms = 3};
    must(wr_metric_append(t, wr_str_of(active[0]->uuid), &later, 1, &err), &err);
    must(wr_metric_commit(t, &err), &err);
    wr_run_search_opt opt = {.experiments = all,
                             .nexperiments = 4,
                             .view = WR_VIEW_ALL,
                             .max = 100,
                             .order = order,
                             .norder = 1,
                             .load = {.parts = WR_RUN_METRICS}};
    must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
    assert_int_equal(n, 20);
    assert_true(got[0].id == active[0]->id && got[1].id == active[2]->id && got[2].id == active[1]->id);
    for (size_t i = 0; i < got[0].nmetrics; i++)
        if (wr_str_is(got[0].metrics[i].key, "fresh")) assert_true(got[0].metrics[i].value == 7);
}

static int put_old_series(wr_track *track, void *arg, wr_err *err)
{
    int64_t key, run;
    (void)arg;
    WR_TRY(wr_track_key_make(&key, track, WR_STR("old"), err));
    for (int i = 0; i < 3; i++) { /* 0: chunks; 1: the latest value alone; 2: NaN alone */
        char uuid[33];
        snprintf(uuid, sizeof uuid, "%032d", i);
        WR_TRY(
            wr_track_number(&run, 0, track, err,
                            "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri)"
                            " VALUES (?, 0, 'x', 'x', 1, ?, 'x') RETURNING id",
                            "si", wr_str_of(uuid), (int64_t)i));
        WR_TRY(wr_track_exec(track, err,
                             "INSERT INTO track_metrics (run, key, value, step, time_ms, experiment, start_ms, tail)"
                             " VALUES (?, ?, ?, 0, 0, 0, ?, ?)",
                             "iifii", run, key, i == 2 ? NAN : 5.0, (int64_t)i, i ? (int64_t)-1 : (int64_t)1));
        for (int64_t seq = 0; seq < 2 && i == 0; seq++)
            WR_TRY(wr_track_exec(
                track, err,
                "INSERT INTO track_chunks (run, key, seq, n, min_step, max_step, stride, min_ms, max_ms, min_value,"
                " max_value, data) VALUES (?, ?, ?, 2, 0, 1, 1, 0, 0, ?, ?, '')",
                "iiiff", run, key, seq, seq ? 2.0 : 3.0, seq ? 6.0 : 9.0));
    }
    return 0;
}

/* Records from before the extremes of a series had columns of their own. */
static void extremes_of_older_records_are_found(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int before = 0;
    while (wr_track_migrations[before] != wr_track_schema_extremes) before++;
    const wr_db_opt old = {.migrations = wr_track_migrations, .n = before};
    static const struct {
        const char *filter, *order, *runs; /* by their start */
    } cases[] = {
        {"", "max(metrics.old) DESC", "012"},         {"", "min(metrics.old) DESC", "102"},
        {"max(metrics.old) > 5", "start_time", "0"},  {"min(metrics.old) = 5", "start_time", "1"},
        {"max(metrics.old) IS NULL", "user_id", "2"}, {"min(metrics.old) BETWEEN 2 AND 5", "start_time", "01"}};
    static const int64_t zero = 0;
    char path[WR_PG_TESTING_URL + 300];
    wr_err err = {0};
    wr_track_close(t);
    wr_db_close(db);
    snprintf(path, sizeof path, "%s/old.sqlite", top);
    assert_int_equal(wr_pg_testing_wanted(path, sizeof path), 0);
    must(wr_db_open(&db, path, &old, &err), &err);
    must(wr_track_open(&t, db, &(wr_track_opt){0}, &err), &err);
    must(wr_track_write(t, put_old_series, NULL, &err), &err);
    wr_track_close(t);
    wr_db_close(db);
    assert_int_equal(open_store(path), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str order = wr_str_of(cases[i].order), next;
        wr_run_search_opt opt = {.experiments = &zero,
                                 .nexperiments = 1,
                                 .max = 9,
                                 .filter = wr_str_of(cases[i].filter),
                                 .order = &order,
                                 .norder = 1};
        wr_track_run *got;
        size_t n;
        must(wr_track_run_search(&got, &n, &next, a, t, &opt, &err), &err);
        assert_int_equal(n, strlen(cases[i].runs));
        for (size_t k = 0; k < n; k++) assert_int_equal(got[k].start_ms, cases[i].runs[k] - '0');
    }
}

/* ---- tokens and errors ---- */

static int search_code(wr_arena *a, const char *filter, const char *order, wr_str token, size_t *n, wr_str *next)
{
    static const int64_t all[] = {0, 1, 2, 3};
    const wr_str items[] = {wr_str_of(order)};
    wr_track_run *got;
    wr_err err = {0};
    wr_run_search_opt opt = {.experiments = all,
                             .nexperiments = 4,
                             .view = WR_VIEW_ALL,
                             .max = 10,
                             .filter = wr_str_of(filter),
                             .token = token,
                             .order = items,
                             .norder = order != NULL};
    return wr_track_run_search(&got, n, next, a, t, &opt, &err);
}

static void tokens_belong_to_their_search(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str token, next;
    size_t n;
    fill(50);
    assert_int_equal(search_code(a, "", NULL, (wr_str){0}, &n, &token), 0);
    assert_true(n == 10 && token.p);
    assert_int_equal(search_code(a, "", NULL, token, &n, &next), 0);
    assert_int_equal(search_code(a, "metrics.loss > 0", NULL, token, &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "", "max(metrics.loss)", (wr_str){0}, &n, &next), 0);
    assert_int_equal(search_code(a, "", "max(metrics.loss)", next, &n, &next), 0);
    assert_int_equal(search_code(a, "", "metrics.loss", next, &n, &next), WEIR_EINVAL);
    static const char *const unknown[] = {
        "max(params.lr)",     "count(metrics.loss)",    "max(metrics.loss",       "max()",
        "max(metrics.loss))", "max(metrics.loss) down", "max(last(metrics.loss))"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(search_code(a, "", unknown[i], (wr_str){0}, &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "", "start_time ASC", token, &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "", NULL, WR_STR("eyJvZmZzZXQiOiA0NX0="), &n, &next), 0); /* {"offset": 45} */
    assert_true(n == 5 && !next.p);
    assert_int_equal(search_code(a, "", NULL, WR_STR("eyJvZmZzZXQiOiA5OX0="), &n, &next), 0);
    assert_true(n == 0 && !next.p);
    assert_int_equal(search_code(a, "", NULL, wr_page_offset(a, 100001), &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "", NULL, WR_STR("nonsense"), &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "nothing = 1", NULL, (wr_str){0}, &n, &next), WEIR_EINVAL);
    assert_int_equal(search_code(a, "", "nothing", (wr_str){0}, &n, &next), WEIR_EINVAL);
}

/* Sort values of the wrong type would reach the database. */
static void forged_tokens_are_refused(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const char *const orders[] = {"metrics.loss", "params.lr", "end_time", "run_name"};
    size_t n;
    wr_str token, next;
    fill(50);
    for (size_t o = 0; o < 4; o++) {
        assert_int_equal(search_code(a, "", orders[o], (wr_str){0}, &n, &token), 0);
        for (size_t i = 0; i < token.n; i++)
            for (const char *c = "AQgw_9"; *c; c++) {
                char *copy = wr_arena_dup(a, token.p, token.n);
                copy[i] = *c;
                int rc = search_code(a, "", orders[o], (wr_str){copy, token.n}, &n, &next);
                assert_true(rc == 0 || rc == WEIR_EINVAL);
            }
    }
}

static void a_thousand_clauses_are_searched(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b = {0};
    size_t n;
    wr_str next;
    fill(20);
    for (int i = 0; i < 1000; i++) wr_buf_printf(&b, "%sparams.lr != 'x%d'", i ? " AND " : "", i);
    assert_int_equal(search_code(a, wr_buf_cstr(&b), NULL, (wr_str){0}, &n, &next), 0);
    assert_true(n > 0);
    wr_buf_clear(&b);
    wr_buf_str(&b, "params.lr IN (");
    for (int i = 0; i < 9000; i++) wr_buf_printf(&b, "%s'%d'", i ? "," : "", i);
    wr_buf_str(&b, ")");
    assert_int_equal(search_code(a, wr_buf_cstr(&b), "metrics.loss", (wr_str){0}, &n, &next), 0);
}

/* ---- experiments and datasets ---- */

static int make_experiments(wr_track *track, void *arg, wr_err *err)
{
    static const char *const names_of[] = {"zeta", "alpha", "Alpha 2", "beta_1", "gone"};
    int64_t id;
    (void)arg;
    for (int i = 0; i < 5; i++) {
        wr_track_item tags[] = {{WR_STR("team"), i % 2 ? WR_STR("red") : WR_STR("blue")},
                                {WR_STR("n"), wr_str_of(i ? "1" : "10")}};
        WR_TRY(wr_experiment_create(&id, track, wr_str_of(names_of[i]), (wr_str){0}, tags, i == 3 ? 1 : 2, err));
        WR_TRY(wr_track_exec(track, err, "UPDATE experiments SET created_ms = ?, updated_ms = ? WHERE id = ?", "iii",
                             (int64_t)(100 + i / 2), (int64_t)(200 - i), id));
        if (i == 4) WR_TRY(wr_experiment_delete(track, id, err));
    }
    return 0;
}

/* Ids found, as text, over pages of two. */
static const char *found(wr_arena *a, const char *filter, const char *order, wr_view_type view)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_str items[2] = {wr_str_of(order)};
    wr_experiment_search_opt opt = {
        .view = view, .filter = wr_str_of(filter), .order = items, .norder = order != NULL, .max = 2};
    do {
        wr_experiment *e;
        size_t n;
        wr_err err = {0};
        must(wr_experiment_search(&e, &n, &opt.token, a, t, &opt, &err), &err);
        assert_true(n <= 2);
        for (size_t i = 0; i < n; i++) wr_buf_printf(&b, "%lld ", (long long)e[i].id);
        for (size_t i = 0; i < n; i++) assert_int_equal(e[i].ntags, e[i].id == 0 ? 0 : e[i].id == 4 ? 1 : 2);
    } while (opt.token.p);
    return wr_arena_strdup(a, wr_buf_cstr(&b));
}

static void experiments_are_found(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_err err = {0};
    must(wr_track_write(t, make_experiments, NULL, &err), &err);
    static const struct {
        const char *filter, *order;
        wr_view_type view;
        const char *ids;
    } cases[] = {
        {"", NULL, WR_VIEW_ACTIVE, "3 4 1 2 0 "}, /* creation_time DESC, experiment_id ASC */
        {"", NULL, WR_VIEW_DELETED, "5 "},
        {"", "creation_time ASC", WR_VIEW_ALL, "0 2 1 4 3 5 "}, /* ties: experiment_id DESC */
        {"", "name", WR_VIEW_ACTIVE, "3 0 2 4 1 "},             /* by bytes */
        {"", "experiment_id DESC", WR_VIEW_ALL, "5 4 3 2 1 0 "},
        {"", "last_update_time", WR_VIEW_ACTIVE, "0 4 3 2 1 "},
        {"name LIKE 'a%'", NULL, WR_VIEW_ALL, "2 "},
        {"name ILIKE 'a%'", "name", WR_VIEW_ALL, "3 2 "},
        {"name IN ('zeta', 'gone')", NULL, WR_VIEW_ALL, "5 1 "},
        {"tags.team = 'red'", NULL, WR_VIEW_ACTIVE, "4 2 "},
        {"tags.team != 'red'", NULL, WR_VIEW_ALL, "5 3 1 "}, /* not the one without tags */
        {"NOT tags.team = 'red'", NULL, WR_VIEW_ALL, "5 3 1 0 "},
        {"tags.n IS NULL", NULL, WR_VIEW_ALL, "4 0 "},
        {"tags.n IS NOT NULL AND creation_time >= 101", NULL, WR_VIEW_ALL, "5 3 "},
        {"experiment_id IN ('1', '4', 'x') OR experiment_id = '0'", "experiment_id", WR_VIEW_ALL, "0 1 4 "},
        {"experiment_id > 2", "experiment_id", WR_VIEW_ALL, "3 4 5 "},
        {"creation_time BETWEEN 100 AND 101 AND name RLIKE '[0-9]$'", NULL, WR_VIEW_ALL, "3 4 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = found(a, cases[i].filter, cases[i].order, cases[i].view);
        if (strcmp(got, cases[i].ids) != 0)
            fail_msg("%s by %s: %s", cases[i].filter, cases[i].order ? cases[i].order : "default", got);
    }
}

static void datasets_are_summed_up(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const int64_t ids[] = {0, 2};
    wr_track_dataset_summary *d;
    size_t n;
    wr_err err = {0};
    fill(200);
    must(wr_track_dataset_search(&d, &n, a, t, ids, 2, 1000, &err), &err);
    bool seen[EXPERIMENTS][2][3] = {0}; /* contexts: none, train, eval */
    size_t want = 0;
    for (size_t r = 0; r < nruns; r++)
        for (int k = 0; k < 2; k++) {
            bool *one = &seen[runs[r].experiment][k][!runs[r].context[k] ? 0 : runs[r].context[k][0] == 't' ? 1 : 2];
            if (runs[r].experiment % 2 || !runs[r].dataset[k] || *one) continue;
            *one = true;
            want++;
        }
    assert_int_equal(n, want);
    for (size_t i = 0; i < n; i++) {
        bool there = false;
        for (size_t r = 0; r < nruns; r++)
            for (int k = 0; k < 2; k++)
                there |= runs[r].experiment == d[i].experiment && runs[r].dataset[k] &&
                         wr_str_is(d[i].name, runs[r].dataset[k]) &&
                         (d[i].context.p ? runs[r].context[k] && wr_str_is(d[i].context, runs[r].context[k])
                                         : !runs[r].context[k]);
        assert_true(there);
    }
    must(wr_track_dataset_search(&d, &n, a, t, ids, 2, 5, &err), &err);
    assert_int_equal(n, 5);
    must(wr_track_dataset_search(&d, &n, a, t, ids, 0, 5, &err), &err);
    assert_int_equal(n, 0);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(searches_as_the_twin),
        STORE_TEST(pages_stay_while_runs_come_in),
        STORE_TEST(plans_are_chosen_well),
        STORE_TEST(two_filters_cost_little_whatever_was_written),
        STORE_TEST(loads_what_runs_have),
        STORE_TEST(loads_only_the_keys_that_are_named),
        STORE_TEST(points_in_the_log_are_found),
        STORE_TEST(extremes_of_older_records_are_found),
        STORE_TEST(tokens_belong_to_their_search),
        STORE_TEST(forged_tokens_are_refused),
        STORE_TEST(a_thousand_clauses_are_searched),
        STORE_TEST(experiments_are_found),
        STORE_TEST(datasets_are_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
