/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - from a name to a lineage node, from its walk to a tree, and the ledger's figures to its runs. */
#include "stage/sustain/trace.h"

#include <ctype.h>
#include <math.h>

#include "base/clock.h"
#include "core/dataset.h"
#include "core/model.h"

typedef enum { ANY, DATA, MODEL, RUN, FILE_NODE, VIEW, PREDICTION } kind;
static const char *const prefixes[] = {"", "data:", "model:", "run:", "file:", "view:", "prediction:"};

/* ---- from a name to a node: each returns 1 = found, 0 = no such thing, < 0 error ---- */

static int found(int rc) { return rc == 0 ? 1 : rc == WEIR_ENOTFOUND ? 0 : rc; }

static int find_dataset(wr_node *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_delta_snapshot s;
    wr_err none;
    wr_str name = {ref, strcspn(ref, "@")};
    char *alone = wr_arena_strndup(a, name.p, name.n);
    if (!alone) return wr_err_nomem(err);
    if (!wr_name_ok(name) || !wr_dataset_exists(p, alone)) return 0;
    WR_TRY(wr_dataset_read(&s, p, ref, err));
    int rc = wr_lineage_find(out, a, p, "dataset", alone, s.version, NULL, &none);
    if (rc == WEIR_ENOTFOUND)
        rc = wr_lineage_find(out, a, p, "dataset", alone, -1, s.hash, &none); /* a version restored */
    if (rc == WEIR_ENOTFOUND)
        rc = wr_dataset_node(out, a, alone, &s) < 0 ? WEIR_ENOMEM : 0; /* written by somebody else */
    wr_delta_free(&s);
    if (rc < 0 && err) *err = none;
    return rc < 0 ? rc : 1;
}

static int find_model(wr_node *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_model_version v;
    int rc = found(wr_model_find(&v, a, p, ref, err));
    if (rc <= 0) return rc;
    if (wr_model_node(out, a, &v) < 0) return wr_err_nomem(err);
    wr_node known;
    rc = found(wr_lineage_find(&known, a, p, out->kind, out->name, out->version, out->hash, err));
    if (rc == 0) rc = found(wr_lineage_find(&known, a, p, "package", NULL, -1, out->hash, err));
    if (rc > 0) *out = known;
    return rc < 0 ? rc : 1;
}

static bool is_hex(const char *s)
{
    size_t n = 0;
    for (; isxdigit((unsigned char)s[n]); n++) {}
    return n >= 6 && n <= 64 && !s[n];
}

static int find_run(wr_node *out, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_run_row r;
    if (!is_hex(id) || strlen(id) > 32) return 0;
    int rc = found(wr_run_get(&r, a, p, id, err));
    if (rc <= 0) return rc;
    if (!r.id) return wr_err_nomem(err);
    rc = found(wr_lineage_find(out, a, p, "run", r.id, -1, NULL, err));
    if (rc == 0) *out = (wr_node){.kind = "run", .name = r.id, .hash = "", .version = -1, .created_us = r.started_us};
    return rc < 0 ? rc : 1;
}

static int find_named(wr_node *out, wr_arena *a, wr_project *p, const char *k, const char *name, wr_err *err)
{
    return found(wr_lineage_find(out, a, p, k, name, -1, NULL, err));
}

/* Tried in this order; a prefix leaves one. `want` of the caller is ANY without prefix. */
static int find_node(wr_node *out, wr_arena *a, wr_project *p, kind want, const char *name, wr_err *err)
{
    int rc = 0;
    if (want == ANY || want == DATA) rc = find_dataset(out, a, p, name, err);
    if (rc == 0 && (want == ANY || want == MODEL)) rc = find_model(out, a, p, name, err);
    if (rc == 0 && (want == ANY || want == FILE_NODE)) rc = find_named(out, a, p, "file", name, err);
    if (rc == 0 && (want == ANY || want == VIEW)) rc = find_named(out, a, p, "view", name, err);
    if (rc == 0 && (want == ANY || want == RUN)) rc = find_run(out, a, p, name, err);
    if (rc == 0 && want == ANY && is_hex(name)) rc = found(wr_lineage_find(out, a, p, NULL, NULL, -1, name, err));
    return rc;
}

/* ---- the tree ---- */

static void run_details(wr_trace_node *n, wr_arena *a, wr_project *p, const wr_footprint *ledger, size_t nledger)
{
    if (strcmp(n->node.kind, "run") != 0) return;
    int rc = wr_run_get(&n->run, a, p, n->node.name, NULL);
    if (rc < 0) n->run = (wr_run_row){0};
    n->code = n->run.code;
    for (size_t i = 0; i < nledger; i++) {
        if (strcmp(ledger[i].run_id, n->node.name) != 0) continue;
        n->costs++;
        n->wall_s += ledger[i].wall_s;
        n->energy_j += ledger[i].energy.energy_j;
        n->gco2e += ledger[i].gco2e;
    }
}

/* The walk's steps (breadth first) in the order of a tree (depth first); `first` and `next` chain children in their
 * order. */
static int order(wr_trace *out, wr_arena *a, const wr_lineage_step *step, size_t n, wr_err *err)
{
    const size_t NONE = SIZE_MAX;
    size_t *first = wr_arena_alloc(a, n * sizeof *first), *next = wr_arena_alloc(a, n * sizeof *next);
    size_t *up = wr_arena_alloc(a, n * sizeof *up), *at = wr_arena_alloc(a, n * sizeof *at);
    out->nodes = wr_arena_calloc(a, n, sizeof *out->nodes);
    if (!first || !next || !up || !at || !out->nodes) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) first[i] = next[i] = NONE;
    for (size_t i = n; i-- > 1;) { /* backwards, so that chains keep the walk's order */
        size_t parent = 0;
        while (parent < i && step[parent].node.id != step[i].from) parent++;
        WR_BUG_IF(parent == i);
        up[i] = parent;
        if (strcmp(step[i].node.kind, "code") == 0) continue;
        next[i] = first[parent];
        first[parent] = i;
    }
    for (size_t i = 0; i != NONE;) {
        at[i] = out->n;
        out->nodes[out->n++] = (wr_trace_node){
            .node = step[i].node, .parent = i ? at[up[i]] : 0, .depth = step[i].depth, .last = next[i] == NONE};
        if (first[i] != NONE) {
            i = first[i];
            continue;
        }
        while (i && next[i] == NONE) i = up[i];
        i = i ? next[i] : NONE;
    }
    return 0;
}

typedef struct {
    wr_lineage_step *at;
    size_t n;
} steps_made; /* of a version that is not in the lineage; n 0 = walk */

static int fill(wr_trace *out, wr_arena *a, wr_project *p, const wr_node *start, steps_made made,
                const wr_footprint *ledger, size_t nledger, wr_err *err)
{
    wr_lineage_step *steps, alone = {.node = *start};
    size_t n = 1;
    if (made.n && !out->down) {
        steps = made.at;
        n = made.n;
    } else if (!start->id) {
        steps = &alone;
    } else
        WR_TRY(wr_lineage_walk(&steps, &n, a, p, start->id, out->down ? WR_LINEAGE_CHILDREN : WR_LINEAGE_PARENTS, err));
    WR_TRY(order(out, a, steps, n, err));
    for (size_t i = 0; i < out->n; i++) {
        run_details(&out->nodes[i], a, p, ledger, nledger);
        out->runs += strcmp(out->nodes[i].node.kind, "run") == 0;
        out->energy_j += out->nodes[i].energy_j;
        out->gco2e += out->nodes[i].gco2e;
    }
    return 0;
}

/* ---- what a prediction cost ---- */

static void serving_cost(wr_trace_prediction *q, const wr_footprint *ledger, size_t n)
{
    double units = 0, joules = 0, grams = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(ledger[i].unit, "predictions") != 0 || strncmp(ledger[i].subject, "endpoint:", 9) != 0) continue;
        if (strcmp(ledger[i].subject + 9, q->endpoint) != 0) continue;
        units += ledger[i].units;
        joules += ledger[i].energy.energy_j;
        grams += ledger[i].gco2e;
    }
    q->serve_j = units > 0 ? joules / units : NAN;
    q->serve_g = units > 0 ? grams / units : NAN;
}

/* The training run is the one a package hangs on. */
static void making_cost(wr_trace_prediction *q, const wr_trace *t)
{
    q->train_j = q->train_g = q->chain_j = q->chain_g = NAN;
    if (!(q->served > 0) || t->down) return;
    q->chain_j = t->energy_j / q->served;
    q->chain_g = t->gco2e / q->served;
    for (size_t i = 1; i < t->n; i++) {
        const wr_trace_node *n = &t->nodes[i];
        if (!n->costs || strcmp(t->nodes[n->parent].node.kind, "package") != 0) continue;
        q->train_j = n->energy_j / q->served;
        q->train_g = n->gco2e / q->served;
        return;
    }
}

static int trace_prediction(wr_trace *out, wr_node *start, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    int rc = wr_trace_prediction_find(&out->prediction, a, p, id, err);
    if (rc <= 0) return rc;
    char *ref = wr_arena_printf(a, "%s@%lld", out->prediction->model, (long long)out->prediction->version);
    if (!ref) return wr_err_nomem(err);
    rc = find_model(start, a, p, ref, err);
    if (rc == 0)
        *start =
            (wr_node){.kind = "model", .name = out->prediction->model, .hash = "", .version = out->prediction->version};
    return rc < 0 ? rc : 1;
}

static int unknown(wr_arena *a, wr_project *p, const char *what, wr_err *err)
{
    char **names;
    size_t n;
    wr_str rest = wr_str_of(what), name = wr_str_cut(&rest, '@');
    int near = wr_dataset_list(&names, &n, a, p, NULL) < 0 ? -1 : wr_str_nearest(name, (const char *const *)names, n);
    const char *model = wr_model_nearest(a, p, name);
    wr_err_set(err, WEIR_ENOTFOUND, "nothing is known of \"%s\"", what);
    if (near < 0 && model) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", model);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(
        err, WEIR_ENOTFOUND,
        "a prediction id, DATASET@VERSION, MODEL@VERSION, a file, a view, a run id or a hash of 6 digits and more");
}

int wr_trace_make(wr_trace *out, wr_arena *a, wr_project *p, const char *what, bool down, wr_err *err)
{
    wr_node start = {0};
    wr_footprint *ledger;
    size_t nledger;
    kind want = ANY;
    steps_made made = {0};
    const char *name = what;
    *out = (wr_trace){.what = wr_arena_strdup(a, what), .down = down};
    for (kind k = DATA; k <= PREDICTION; k++) {
        if (!wr_str_starts(wr_str_of(what), prefixes[k])) continue;
        want = k;
        name = what + strlen(prefixes[k]);
    }
    wr_err why; /* what is not found on the way is no error */
    int rc = want == PREDICTION ? 0 : find_node(&start, a, p, want, name, &why);
    if (rc == 0 && (want == ANY || want == MODEL))
        rc = wr_trace_registered(&start, &made.at, &made.n, a, p, name, &why);
    if (rc == 0 && (want == ANY || want == PREDICTION)) rc = trace_prediction(out, &start, a, p, name, &why);
    if (rc < 0) {
        if (err) *err = why;
        return rc;
    }
    if (rc == 0) return wr_arena_failed(a) ? wr_err_nomem(err) : unknown(a, p, what, err);
    WR_TRY(wr_footprint_list(&ledger, &nledger, a, p, NULL, err));
    WR_TRY(fill(out, a, p, &start, made, ledger, nledger, err));
    if (out->prediction) {
        serving_cost(out->prediction, ledger, nledger);
        making_cost(out->prediction, out);
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* ---- JSON ---- */

static void ktime(wr_jsonw *w, const char *key, int64_t us)
{
    char text[WR_TIME_TEXT];
    wr_time_format(text, us);
    wr_jsonw_kstr(w, key, us > 0 ? text : NULL);
}

static void prediction_json(wr_jsonw *w, const wr_trace_prediction *q)
{
    wr_jsonw_key(w, "prediction");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "id", q->id);
    wr_jsonw_kstr(w, "endpoint", q->endpoint);
    wr_jsonw_kstr(w, "model", q->model);
    wr_jsonw_ki64(w, "version", q->version);
    ktime(w, "served", q->served_us);
    ktime(w, "event_time", q->event_us);
    wr_jsonw_kf64(w, "score", q->score);
    wr_jsonw_kf64(w, "label", q->has_label ? q->label : NAN);
    if (q->has_label) {
        ktime(w, "label_known", q->known_us);
        ktime(w, "label_received", q->received_us);
    }
    wr_jsonw_key(w, "values");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < q->nvalues; i++) wr_jsonw_kstr(w, q->values[i].name, q->values[i].text);
    wr_jsonw_end(w);
    wr_jsonw_kf64(w, "predictions_of_version", q->served);
    wr_jsonw_kf64(w, "own_j", q->own_j);
    wr_jsonw_kf64(w, "serving_j", q->serve_j);
    wr_jsonw_kf64(w, "serving_gco2e", q->serve_g);
    wr_jsonw_kf64(w, "training_j", q->train_j);
    wr_jsonw_kf64(w, "training_gco2e", q->train_g);
    wr_jsonw_kf64(w, "chain_j", q->chain_j);
    wr_jsonw_kf64(w, "chain_gco2e", q->chain_g);
    wr_jsonw_end(w);
}

static void run_json(wr_jsonw *w, const wr_trace_node *n)
{
    wr_jsonw_key(w, "run");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "kind", n->run.kind);
    wr_jsonw_kstr(w, "name", n->run.name);
    wr_jsonw_kstr(w, "command", n->run.command);
    wr_jsonw_kstr(w, "status", n->run.status);
    ktime(w, "started", n->run.started_us);
    ktime(w, "ended", n->run.ended_us);
    wr_jsonw_kstr(w, "code", n->code);
    wr_jsonw_kf64(w, "seconds", n->costs ? n->wall_s : NAN);
    wr_jsonw_kf64(w, "energy_j", n->costs ? n->energy_j : NAN);
    wr_jsonw_kf64(w, "gco2e", n->costs ? n->gco2e : NAN);
    wr_jsonw_end(w);
}

static void node_json(wr_jsonw *w, const wr_trace *t, size_t i)
{
    const wr_trace_node *n = &t->nodes[i];
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "kind", n->node.kind);
    wr_jsonw_kstr(w, "name", n->node.name);
    if (n->node.version >= 0) wr_jsonw_ki64(w, "version", n->node.version);
    if (n->node.hash && n->node.hash[0]) wr_jsonw_kstr(w, "hash", n->node.hash);
    if (i) wr_jsonw_ki64(w, t->down ? "made_from" : "led_to", (int64_t)n->parent);
    ktime(w, "created", n->node.created_us);
    if (n->run.id) run_json(w, n);
    wr_jsonw_end(w);
}

void wr_trace_json(wr_jsonw *w, const wr_trace *t)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "what", t->what);
    wr_jsonw_kstr(w, "direction", t->down ? "down" : "up");
    if (t->prediction) prediction_json(w, t->prediction);
    wr_jsonw_key(w, "nodes");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < t->n; i++) node_json(w, t, i);
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "runs", (int64_t)t->runs);
    wr_jsonw_kf64(w, "energy_j", t->energy_j);
    wr_jsonw_kf64(w, "gco2e", t->gco2e);
    wr_jsonw_end(w);
}
