/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_testing.h - for tests only: what clients of the tracking server asked for and were told, and whether the
 * server still has it.
 *
 * A chapter is what one client did to things nobody else touches: an experiment, a run, a registered model, files,
 * traces. It asks for one change after another, each with its number. What a change makes carries the number (a metric
 * point as its step, a param as its name, ...), so that what is found says whose it is, and what nobody asked for is
 * found out. Two kinds of change:
 *
 *   made once   points, batches, params, tags, datasets, versions, traces: acknowledged = all of it is there;
 *               asked for without an answer, or answered 503 or 507 = all of it is there, or nothing
 *   written over  tags, state, alias, files (a register): the last acknowledged value, or one that was asked for after
 * it
 */
#pragma once
#include "server/server_testing.h"

#include "base/rng.h"

typedef enum {
    DO_EXPERIMENT,
    DO_RUN,
    DO_MODEL, /* first of all, until they are acknowledged */
    DO_METRIC,
    DO_BATCH,
    DO_MIXED,
    DO_PARAM,
    DO_TAG,
    DO_INPUT,
    DO_TRACE,
    DO_VERSION, /* made once, in any order */
    DO_RETAG,
    DO_UNTAG,
    DO_UPDATE,
    DO_DELETE,
    DO_RESTORE,
    DO_ALIAS,
    DO_FILE, /* written over */
    DO_KINDS
} ledger_kind;

typedef enum { OP_UNKNOWN, OP_ACKED, OP_REFUSED } ledger_state; /* refused: 503 or 507, so not promised */

enum { OPS_MAX = 600, MAYBE_MAX = 12, METRIC_KEYS = 4, SHARED_TAGS = 2, FILES = 2, NOTHING = -1 };

typedef struct {
    uint8_t kind, state;
    uint16_t size; /* points of a batch; number of an acknowledged version */
    uint64_t points;
    uint8_t items; /* what the check has found of it: bits */
} ledger_op;

typedef struct {
    int acked, maybe[MAYBE_MAX], n;
} ledger_register;

typedef struct {
    int writer, life, nops, nacked, nrefused;
    int experiment, model; /* the operations that made them, or NOTHING */
    bool run, well;        /* well: the last answer was 200 */
    char run_id[33], experiment_id[24];
    ledger_op ops[OPS_MAX];
    ledger_register shared[SHARED_TAGS], file[FILES], status, deleted, alias;
    char trouble[400]; /* first wrong answer */
} chapter;

#define WRONG(c, ...)                                                                                                  \
    do {                                                                                                               \
        if (!(c)->trouble[0]) snprintf((c)->trouble, sizeof(c)->trouble, __VA_ARGS__);                                 \
    } while (0)

static inline void chapter_init(chapter *c, int writer, int life)
{
    memset(c, 0, sizeof *c);
    c->writer = writer;
    c->life = life;
    c->experiment = c->model = c->status.acked = c->alias.acked = NOTHING;
    for (int i = 0; i < SHARED_TAGS; i++) c->shared[i].acked = NOTHING;
    for (int i = 0; i < FILES; i++) c->file[i].acked = NOTHING;
    snprintf(c->run_id, sizeof c->run_id, "%032llx", (unsigned long long)(0xabc000000000 + life * 1000 + writer));
}

/* ---- registers ---- */

static inline void register_ask(ledger_register *r, int value)
{
    for (int i = 0; i < r->n; i++)
        if (r->maybe[i] == value) return;
    r->maybe[r->n++] = value;
}

static inline void register_ack(ledger_register *r, int value)
{
    r->acked = value;
    r->n = 0;
}

static inline bool register_may_be(const ledger_register *r, int value)
{
    if (r->acked == value) return true;
    for (int i = 0; i < r->n; i++)
        if (r->maybe[i] == value) return true;
    return false;
}

static inline ledger_register *register_of(chapter *c, const ledger_op *op)
{
    switch (op->kind) {
    case DO_RETAG:
    case DO_UNTAG:
        return &c->shared[op->size % SHARED_TAGS];
    case DO_UPDATE:
        return &c->status;
    case DO_DELETE:
    case DO_RESTORE:
        return &c->deleted;
    case DO_ALIAS:
        return &c->alias;
    case DO_FILE:
        return &c->file[op->size % FILES];
    default:
        return NULL;
    }
}

/* What the operation writes into its register. */
static inline int value_of(const ledger_op *op, int number)
{
    if (op->kind == DO_UNTAG) return NOTHING;
    if (op->kind == DO_DELETE || op->kind == DO_RESTORE) return op->kind == DO_DELETE;
    return op->kind == DO_ALIAS ? op->size : number;
}

/* ---- asking ---- */

static inline double point_value(int number, int key, int j) { return number * 1000.0 + key * 100 + j + 0.25; }

/* The bytes that file operation `number` writes. */
static inline void file_bytes(wr_buf *out, const chapter *c, int number)
{
    wr_rng r;
    wr_rng_init(&r, (uint64_t)c->writer << 40 | (uint64_t)c->life << 20 | (uint64_t)number);
    wr_buf_clear(out);
    for (size_t left = 1 + wr_rng_below(&r, 3000); left; left--) wr_buf_char(out, (char)wr_rng_below(&r, 256));
}

static inline void put_points(wr_buf *b, int number, int n)
{
    wr_buf_str(b, "\"metrics\":[");
    for (int i = 0; i < n; i++)
        wr_buf_printf(b, "%s{\"key\":\"m%d\",\"value\":%.2f,\"timestamp\":%d,\"step\":%d}", i ? "," : "",
                      i % METRIC_KEYS, point_value(number, i % METRIC_KEYS, i / METRIC_KEYS),
                      number * 100 + i / METRIC_KEYS, number);
    wr_buf_str(b, "]");
}

static inline void put_spans(wr_buf *b, const chapter *c, int number)
{
    wr_buf_str(b, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[");
    for (int i = 0; i < 3; i++)
        wr_buf_printf(b,
                      "%s{\"traceId\":\"%08x%08x%016x\",\"spanId\":\"%016x\",\"parentSpanId\":\"%s\",\"name\":\"s%d\","
                      "\"startTimeUnixNano\":\"%d000000\",\"endTimeUnixNano\":\"%d000000\"}",
                      i ? "," : "", c->life + 1, c->writer + 1, number + 1, i + 1, i ? "0000000000000001" : "", i,
                      1000 + number, 1001 + number + i);
    wr_buf_str(b, "]}]}]}");
}

/* Path under /api/2.0/mlflow/ and body of what goes to a run. */
static inline const char *put_of_run(wr_buf *b, const chapter *c, const ledger_op *op, int number)
{
    static const char *const status[] = {"FINISHED", "FAILED", "KILLED"};
    wr_buf_printf(b, "{\"run_id\":\"%s\",", c->run_id);
    switch (op->kind) {
    case DO_METRIC:
        wr_buf_printf(b, "\"key\":\"m0\",\"value\":%.2f,\"timestamp\":%d,\"step\":%d}", point_value(number, 0, 0),
                      number * 100, number);
        return "runs/log-metric";
    case DO_BATCH:
        put_points(b, number, op->size);
        wr_buf_str(b, "}");
        return "runs/log-batch";
    case DO_MIXED:
        put_points(b, number, op->size);
        for (int i = 0; i < 2; i++)
            wr_buf_printf(b, ",\"%s\":[{\"key\":\"%c%d_0\",\"value\":\"v%d\"},{\"key\":\"%c%d_1\",\"value\":\"v%d\"}]",
                          i ? "tags" : "params", "pt"[i], number, number, "pt"[i], number, number);
        wr_buf_str(b, "}");
        return "runs/log-batch";
    case DO_PARAM:
    case DO_TAG:
        wr_buf_printf(b, "\"key\":\"%c%d_0\",\"value\":\"v%d\"}", op->kind == DO_PARAM ? 'p' : 't', number, number);
        return op->kind == DO_PARAM ? "runs/log-parameter" : "runs/set-tag";
    case DO_INPUT:
        wr_buf_printf(b,
                      "\"datasets\":[{\"tags\":[{\"key\":\"k\",\"value\":\"v%d\"}],\"dataset\":{\"name\":\"d%d_0\","
                      "\"digest\":\"x%d\",\"source_type\":\"local\",\"source\":\"s\"}}]}",
                      number, number, number);
        return "runs/log-inputs";
    case DO_RETAG:
        wr_buf_printf(b, "\"key\":\"shared%d\",\"value\":\"%d\"}", op->size % SHARED_TAGS, number);
        return "runs/set-tag";
    case DO_UNTAG:
        wr_buf_printf(b, "\"key\":\"shared%d\"}", op->size % SHARED_TAGS);
        return "runs/delete-tag";
    case DO_UPDATE:
        wr_buf_printf(b, "\"status\":\"%s\",\"end_time\":%d}", status[number % 3], number);
        return "runs/update";
    default:
        b->p[b->n - 1] = '}';
        return op->kind == DO_DELETE ? "runs/delete" : "runs/restore";
    }
}

/* The same for the rest. */
static inline const char *put_of_others(wr_buf *b, const chapter *c, const ledger_op *op, int number)
{
    char model[60];
    snprintf(model, sizeof model, "m-%d-%d-%d", c->writer, c->life, c->model);
    switch (op->kind) {
    case DO_EXPERIMENT:
        wr_buf_printf(b, "{\"name\":\"e-%d-%d-%d\"}", c->writer, c->life, number);
        return "experiments/create";
    case DO_RUN:
        wr_buf_printf(b, "{\"experiment_id\":\"%s\",\"run_id\":\"%s\",\"start_time\":1,\"run_name\":\"r\"}",
                      c->experiment_id, c->run_id);
        return "runs/create";
    case DO_MODEL:
        wr_buf_printf(b, "{\"name\":\"m-%d-%d-%d\"}", c->writer, c->life, number);
        return "registered-models/create";
    case DO_VERSION:
        wr_buf_printf(b, "{\"name\":\"%s\",\"source\":\"s3://bucket/%d\"}", model, number);
        return "model-versions/create";
    default:
        wr_buf_printf(b, "{\"name\":\"%s\",\"alias\":\"best\",\"version\":\"%d\"}", model, op->size);
        return "registered-models/alias";
    }
}

/* Queues the operation on the connection; false when that is gone. */
static inline bool chapter_send(chapter *c, wr_http_client *h, wr_buf *b, int number)
{
    char target[200], type[120];
    const ledger_op *op = &c->ops[number];
    const char *method = "POST", *as = NULL;
    wr_buf_clear(b);
    if (op->kind == DO_FILE) {
        file_bytes(b, c, number);
        snprintf(target, sizeof target, "/api/2.0/mlflow-artifacts/artifacts/%d/%d/f%d", c->life, c->writer,
                 op->size % FILES);
        method = "PUT";
        as = "application/octet-stream";
    } else if (op->kind == DO_TRACE) {
        put_spans(b, c, number);
        snprintf(target, sizeof target, "/v1/traces");
        snprintf(type, sizeof type, "application/json\r\nX-Mlflow-Experiment-Id: %s", c->experiment_id);
        as = type;
    } else {
        bool other = op->kind <= DO_MODEL || op->kind == DO_VERSION || op->kind == DO_ALIAS;
        const char *path = other ? put_of_others(b, c, op, number) : put_of_run(b, c, op, number);
        snprintf(target, sizeof target, "/api/2.0/mlflow/%s", path);
    }
    return wr_http_client_send(h, method, target, as, wr_buf_view(b), NULL) == 0;
}

/* ---- choosing ---- */

static inline bool certain(const ledger_register *r, int value) { return r->n == 0 && r->acked == value; }

/* An alias goes to a version that is known to be there, a tag is taken away where one is. */
static inline void choose_over(ledger_op *op, const chapter *c, wr_rng *r)
{
    static const uint8_t kinds[] = {DO_RETAG, DO_RETAG, DO_UNTAG, DO_UPDATE, DO_DELETE, DO_ALIAS, DO_FILE, DO_FILE};
    op->kind = kinds[wr_rng_below(r, sizeof kinds)];
    if (op->kind == DO_UNTAG) {
        const ledger_register *tag = &c->shared[op->size % SHARED_TAGS];
        if (tag->n || tag->acked == NOTHING) op->kind = DO_RETAG;
    }
    if (op->kind != DO_ALIAS) return;
    int of = (int)wr_rng_below(r, (uint64_t)c->nops);
    while (of < c->nops && !(c->ops[of].kind == DO_VERSION && c->ops[of].state == OP_ACKED)) of++;
    if (of == c->nops) op->kind = DO_FILE;
    else op->size = c->ops[of].size;
}

/* The next operation, noted as asked for. Several at once (`once`) are of kinds whose order says nothing. -1: no room.
 */
static inline int chapter_next(chapter *c, wr_rng *r, bool once)
{
    static const uint8_t kinds[] = {DO_METRIC, DO_METRIC, DO_METRIC, DO_METRIC, DO_BATCH, DO_BATCH, DO_BATCH,
                                    DO_MIXED,  DO_MIXED,  DO_PARAM,  DO_TAG,    DO_INPUT, DO_TRACE, DO_VERSION};
    if (c->nops == OPS_MAX) return -1;
    ledger_op *op = &c->ops[c->nops];
    *op = (ledger_op){.kind = kinds[wr_rng_below(r, sizeof kinds)], .size = (uint16_t)(1 + wr_rng_below(r, 40))};
    if (c->experiment == NOTHING) op->kind = DO_EXPERIMENT;
    else if (!c->run) op->kind = DO_RUN;
    else if (c->model == NOTHING) op->kind = DO_MODEL;
    else if (!once && !certain(&c->deleted, false)) op->kind = DO_RESTORE;
    else if (!once && wr_rng_below(r, 3) == 0) choose_over(op, c, r);
    ledger_register *over = register_of(c, op);
    if (over && over->n == MAYBE_MAX) { /* nothing was acknowledged for long */
        op->kind = DO_METRIC;
        over = NULL;
    }
    if (over) register_ask(over, value_of(op, c->nops));
    return c->nops++;
}

/* ---- being told ---- */

static inline void take_text(char *out, size_t size, wr_str reply, const char *pointer)
{
    WR_AUTOJSON wr_json j = {0};
    const char *text = NULL;
    if (wr_json_parse(&j, reply, "answer", NULL) == 0) text = yyjson_get_str(yyjson_ptr_get(j.root, pointer));
    snprintf(out, size, "%s", text ? text : "");
}

static inline void chapter_told(chapter *c, int number, int status, wr_str reply)
{
    char text[24];
    ledger_op *op = &c->ops[number];
    ledger_register *over = register_of(c, op);
    c->well = status == 200;
    if (status == 503 || status == 507) { /* not promised */
        c->nrefused++;
        op->state = OP_REFUSED;
        take_text(text, sizeof text, reply, "/error_code");
        if (strcmp(text, "TEMPORARILY_UNAVAILABLE") != 0 && strcmp(text, "RESOURCE_EXHAUSTED") != 0)
            WRONG(c, "kind %d answered %d: %.*s", op->kind, status, WR_STR_FMT(wr_str_fit(reply, 250)));
        return;
    }
    if (status != 200) {
        WRONG(c, "kind %d answered %d: %.*s", op->kind, status, WR_STR_FMT(wr_str_fit(reply, 250)));
        return;
    }
    op->state = OP_ACKED;
    c->nacked++;
    if (over) register_ack(over, value_of(op, number));
    if (op->kind == DO_EXPERIMENT) {
        c->experiment = number;
        take_text(c->experiment_id, sizeof c->experiment_id, reply, "/experiment_id");
    }
    if (op->kind == DO_RUN) c->run = true;
    if (op->kind == DO_MODEL) c->model = number;
    if (op->kind != DO_VERSION) return;
    take_text(text, sizeof text, reply, "/model_version/version");
    op->size = (uint16_t)strtol(text, NULL, 10);
}

/* ---- is it still there? ---- */

static inline int ask(wr_json *out, chapter *c, wr_http_client *h, const char *target)
{
    wr_str reply;
    int status = call(h, "GET", target, "", &reply);
    *out = (wr_json){0};
    if (status != 200 && status != 404) WRONG(c, "%s answered %d", target, status);
    else if (status == 200 && wr_json_parse(out, reply, "answer", NULL) < 0) WRONG(c, "%s: no JSON", target);
    return status;
}

static inline const char *text_at(yyjson_val *v, const char *name)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, name));
    return s ? s : "";
}

/* "p17_1": bit 1 of what operation 17 has to show; what is there is what was asked for. */
static inline void found_item(chapter *c, const char *name, const char *value, char letter, int shift)
{
    int number = -1, part = -1;
    char as[8], want[16];
    if (sscanf(name, "%1[a-z]%d_%d", as, &number, &part) != 3 || as[0] != letter || number < 0 || number >= c->nops ||
        part < 0 || part > 1) {
        WRONG(c, "there is a \"%s\" that nobody asked for", name);
        return;
    }
    snprintf(want, sizeof want, "v%d", number);
    if (value && strcmp(value, want) != 0) WRONG(c, "\"%s\" is \"%s\"", name, value);
    c->ops[number].items |= (uint8_t)(1 << (shift + part));
}

static inline void check_register(chapter *c, const ledger_register *r, int value, const char *what)
{
    if (!register_may_be(r, value)) WRONG(c, "%s is %d, acknowledged was %d", what, value, r->acked);
}

static inline void check_tags(chapter *c, yyjson_val *tags)
{
    int shared[SHARED_TAGS] = {NOTHING, NOTHING}, which;
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(tags, i, n, v)
    {
        const char *key = text_at(v, "key"), *value = text_at(v, "value");
        if (strncmp(key, "mlflow.", 7) == 0) continue;
        if (sscanf(key, "shared%d", &which) == 1) shared[which % SHARED_TAGS] = (int)strtol(value, NULL, 10);
        else found_item(c, key, value, 't', 2);
    }
    for (int k = 0; k < SHARED_TAGS; k++) check_register(c, &c->shared[k], shared[k], "a tag");
}

static inline void check_info(chapter *c, yyjson_val *info)
{
    static const char *const status[] = {"FINISHED", "FAILED", "KILLED"};
    yyjson_val *end = yyjson_obj_get(info, "end_time");
    int number = end ? (int)yyjson_get_sint(end) : NOTHING;
    check_register(c, &c->status, number, "the end");
    if (strcmp(text_at(info, "status"), number < 0 ? "RUNNING" : status[number % 3]) != 0)
        WRONG(c, "status %s with end %d", text_at(info, "status"), number);
    check_register(c, &c->deleted, strcmp(text_at(info, "lifecycle_stage"), "deleted") == 0, "deleted");
}

/* Does (step, time) come after the latest so far? */
static inline bool later(int step, int time, const int latest[2])
{
    return step > latest[0] || (step == latest[0] && time > latest[1]);
}

static inline void check_history(chapter *c, wr_http_client *h, int key, yyjson_val *metrics)
{
    char target[200], name[16];
    int latest[2] = {-1, -1};
    yyjson_val *m;
    size_t i, n;
    WR_AUTOJSON wr_json j = {0};
    snprintf(name, sizeof name, "m%d", key);
    snprintf(target, sizeof target, "/api/2.0/mlflow/metrics/get-history?run_id=%s&metric_key=%s&max_results=25000",
             c->run_id, name);
    ask(&j, c, h, target);
    yyjson_arr_foreach(yyjson_obj_get(j.root, "metrics"), i, n, m)
    {
        int64_t step = yyjson_get_sint(yyjson_obj_get(m, "step")),
                time = yyjson_get_sint(yyjson_obj_get(m, "timestamp"));
        int64_t part = time - step * 100;
        if (step < 0 || step >= c->nops || part < 0 || part > 15 ||
            yyjson_get_num(yyjson_obj_get(m, "value")) != point_value((int)step, key, (int)part)) {
            WRONG(c, "%s has a point (%lld, %lld) that nobody sent", name, (long long)step, (long long)time);
            return;
        }
        uint64_t bit = UINT64_C(1) << (part * METRIC_KEYS + key);
        if (c->ops[step].points & bit) WRONG(c, "%s has step %lld twice", name, (long long)step);
        c->ops[step].points |= bit;
        if (later((int)step, (int)time, latest)) {
            latest[0] = (int)step;
            latest[1] = (int)time;
        }
    }
    yyjson_arr_foreach(metrics, i, n, m)
    {
        if (strcmp(text_at(m, "key"), name) != 0) continue;
        if (yyjson_get_sint(yyjson_obj_get(m, "step")) != latest[0] ||
            yyjson_get_sint(yyjson_obj_get(m, "timestamp")) != latest[1])
            WRONG(c, "the latest %s is not the last of its history", name);
        latest[0] = -1;
    }
    if (latest[0] >= 0) WRONG(c, "%s has a history and no latest value", name);
}

static inline void check_run(chapter *c, wr_http_client *h)
{
    char target[200];
    yyjson_val *v, *run;
    size_t i, n;
    WR_AUTOJSON wr_json j = {0};
    snprintf(target, sizeof target, "/api/2.0/mlflow/runs/get?run_id=%s", c->run_id);
    if (ask(&j, c, h, target) == 404) {
        if (c->run) WRONG(c, "the run is gone");
        return;
    }
    run = yyjson_obj_get(j.root, "run");
    check_info(c, yyjson_obj_get(run, "info"));
    yyjson_arr_foreach(yyjson_ptr_get(run, "/data/params"), i, n, v)
        found_item(c, text_at(v, "key"), text_at(v, "value"), 'p', 0);
    check_tags(c, yyjson_ptr_get(run, "/data/tags"));
    yyjson_arr_foreach(yyjson_ptr_get(run, "/inputs/dataset_inputs"), i, n, v)
    {
        const char *name = text_at(yyjson_obj_get(v, "dataset"), "name");
        found_item(c, name, text_at(yyjson_arr_get_first(yyjson_obj_get(v, "tags")), "value"), 'd', 4);
    }
    for (int key = 0; key < METRIC_KEYS; key++) check_history(c, h, key, yyjson_ptr_get(run, "/data/metrics"));
}

/* Versions from 1 on without a gap, those acknowledged under the number that was told. */
static inline void check_model(chapter *c, wr_http_client *h)
{
    char target[300];
    static const char versions[] = "/api/2.0/mlflow/model-versions/search?max_results=10000&filter=name%3D%27";
    yyjson_val *v, *list;
    size_t i, n;
    WR_AUTOJSON wr_json j = {0}, all = {0};
    uint64_t seen[OPS_MAX / 64 + 1] = {0};
    if (c->model == NOTHING) return;
    snprintf(target, sizeof target, "/api/2.0/mlflow/registered-models/get?name=m-%d-%d-%d", c->writer, c->life,
             c->model);
    if (ask(&j, c, h, target) == 404) WRONG(c, "the model is gone");
    yyjson_val *alias = yyjson_arr_get_first(yyjson_ptr_get(j.root, "/registered_model/aliases"));
    check_register(c, &c->alias, alias ? (int)strtol(text_at(alias, "version"), NULL, 10) : NOTHING, "the alias");
    snprintf(target, sizeof target, "%sm-%d-%d-%d%%27", versions, c->writer, c->life, c->model);
    ask(&all, c, h, target);
    list = yyjson_obj_get(all.root, "model_versions");
    yyjson_arr_foreach(list, i, n, v)
    {
        int number = -1;
        long version = strtol(text_at(v, "version"), NULL, 10);
        if (sscanf(text_at(v, "source"), "s3://bucket/%d", &number) != 1 || number < 0 || number >= c->nops ||
            c->ops[number].kind != DO_VERSION || version < 1 || (size_t)version > n ||
            (seen[version / 64] >> version % 64 & 1)) {
            WRONG(c, "version %ld of %zu with source \"%s\"", version, n, text_at(v, "source"));
            return;
        }
        seen[version / 64] |= UINT64_C(1) << version % 64;
        if (c->ops[number].state == OP_ACKED && c->ops[number].size != version)
            WRONG(c, "version %d is now version %ld", c->ops[number].size, version);
        c->ops[number].size = (uint16_t)version;
        c->ops[number].items |= 1;
    }
}

static inline void check_files(chapter *c, wr_http_client *h, wr_buf *b)
{
    char target[200];
    wr_str reply;
    for (int k = 0; k < FILES; k++) {
        const ledger_register *r = &c->file[k];
        snprintf(target, sizeof target, "/api/2.0/mlflow-artifacts/artifacts/%d/%d/f%d", c->life, c->writer, k);
        int status = call(h, "GET", target, "", &reply);
        bool fits = status == 404 && register_may_be(r, NOTHING);
        for (int i = -1; status == 200 && i < r->n && !fits; i++) {
            int number = i < 0 ? r->acked : r->maybe[i];
            if (number == NOTHING) continue;
            file_bytes(b, c, number);
            fits = wr_str_eq(reply, wr_buf_view(b));
        }
        if (!fits)
            WRONG(c, "file %d: status %d, %zu bytes: %.*s", k, status, reply.n, status == 200 ? 0 : 300, reply.p);
    }
}

static inline void check_trace(chapter *c, wr_http_client *h, int number)
{
    char target[200];
    WR_AUTOJSON wr_json j = {0};
    snprintf(target, sizeof target, "/api/3.0/mlflow/traces/get?trace_id=tr-%08x%08x%016x", c->life + 1, c->writer + 1,
             number + 1);
    if (ask(&j, c, h, target) == 404) return;
    size_t n = yyjson_arr_size(yyjson_ptr_get(j.root, "/trace/spans"));
    if (n != 3) WRONG(c, "trace %d has %zu spans", number, n);
    c->ops[number].items |= 1;
}

static inline void check_experiment(chapter *c, wr_http_client *h, int number)
{
    char target[200];
    WR_AUTOJSON wr_json j = {0};
    snprintf(target, sizeof target, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=e-%d-%d-%d", c->writer,
             c->life, number);
    if (ask(&j, c, h, target) == 404) return;
    yyjson_val *id = yyjson_ptr_get(j.root, "/experiment/experiment_id");
    if (number == c->experiment && strcmp(yyjson_get_str(id) ? yyjson_get_str(id) : "", c->experiment_id) != 0)
        WRONG(c, "experiment %s has another id now", c->experiment_id);
    c->ops[number].items |= 1;
}

/* Everything that operation has to show. */
static inline void whole(const ledger_op *op, uint64_t *points, uint8_t *items)
{
    static const uint8_t shows[DO_KINDS] = {[DO_EXPERIMENT] = 1, [DO_MIXED] = 15, [DO_PARAM] = 1,  [DO_TAG] = 4,
                                            [DO_INPUT] = 16,     [DO_TRACE] = 1,  [DO_VERSION] = 1};
    int n = op->kind == DO_METRIC ? 1 : op->kind == DO_BATCH || op->kind == DO_MIXED ? op->size : 0;
    *items = shows[op->kind];
    *points = n ? UINT64_MAX >> (64 - n) : 0;
}

static inline void check_op(chapter *c, int number)
{
    ledger_op *op = &c->ops[number];
    uint64_t points;
    uint8_t items;
    whole(op, &points, &items);
    bool all = op->points == points && op->items == items, none = !op->points && !op->items;
    if (op->state == OP_ACKED && !all)
        WRONG(c, "operation %d (kind %d) was acknowledged: points %llx of %llx, items %x of %x", number, op->kind,
              (unsigned long long)op->points, (unsigned long long)points, op->items, items);
    if (!all && !none)
        WRONG(c, "operation %d (kind %d) is torn: points %llx of %llx, items %x of %x", number, op->kind,
              (unsigned long long)op->points, (unsigned long long)points, op->items, items);
    /* Once seen it stays, but for a metric that was refused: readers see it until the server ends. */
    if (all && !none && op->state == OP_UNKNOWN) op->state = OP_ACKED;
}

/* Reads all that the chapter made; what is wrong is in its `trouble`. */
static inline void chapter_check(chapter *c, wr_http_client *h, wr_buf *b)
{
    for (int i = 0; i < c->nops; i++) {
        c->ops[i].points = c->ops[i].items = 0;
        if (c->ops[i].kind == DO_TRACE) check_trace(c, h, i);
        if (c->ops[i].kind == DO_EXPERIMENT) check_experiment(c, h, i);
    }
    check_run(c, h);
    check_model(c, h);
    check_files(c, h, b);
    for (int i = 0; i < c->nops; i++) check_op(c, i);
}
