/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - a run is collected in memory and written in one transaction at its end; only its start is written at once, so
 * that a run that was killed stays visible as "running". */
#include "core/run_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/vec.h"
#include "codec/json.h"

typedef struct {
    const char *key, *text;
    double number;
} item;

struct wr_run {
    wr_arena *arena;
    wr_project *project;
    char id[33];
    bool joined; /* the runner made it and meters the process */
    const char *kind, *activity, *name;
    WR_VEC(item) params;
    WR_VEC(item) metrics;
    WR_VEC(wr_node) inputs;
    WR_VEC(wr_node) outputs;
    double units;
    const char *unit;
    wr_meter *meter;
    wr_meter_mark mark;
    int64_t t0_us, t0_ns;
    double cpu0_s;
    bool failed; /* out of memory while collecting */
    int rc;
    const char *error;
    int64_t ended_us;
};

/* ---- start ---- */

/* Is there a run to join? An id inherited from the runner of another project means nothing here. */
static bool is_started(wr_project *p, const char *id)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_run_row row;
    return id && strlen(id) == 32 && a && wr_run_get(&row, a, p, id, NULL) == 0;
}

int wr_run_begin(wr_run **out, wr_project *p, const wr_run_opt *opt, wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_run *r = a ? wr_arena_calloc(a, 1, sizeof *r) : NULL;
    if (!r) {
        wr_arena_free(a);
        return wr_err_nomem(err);
    }
    r->arena = a;
    r->project = p;
    r->kind = wr_arena_strdup(a, opt->kind);
    r->activity = wr_arena_strdup(a, opt->activity ? opt->activity : "other");
    r->name = wr_arena_strdup(a, opt->name ? opt->name : "");
    r->t0_us = wr_clock_wall_us();
    r->t0_ns = wr_clock_mono_ns();
    r->cpu0_s = wr_clock_cpu_s();
    const char *id = getenv("WEIR_RUN_ID");
    wr_carbon carbon;
    int rc = wr_carbon_of(&carbon, p, err); /* a mistake in weir.yaml shows before the work, not after it */
    if (rc == 0 && is_started(p, id)) {
        memcpy(r->id, id, 33);
        r->joined = true;
    } else if (rc == 0) {
        rc = wr_meter_open(&r->meter, NULL, err);
        if (rc == 0) wr_meter_read(r->meter, &r->mark);
        if (rc == 0) rc = wr_run_record_start(r->id, p, NULL, opt->kind, r->name, opt->command, err);
    }
    if (rc < 0) {
        wr_meter_close(r->meter);
        wr_arena_free(a);
        return rc;
    }
    *out = r;
    return 0;
}

const char *wr_run_id(const wr_run *r) { return r->id; }

/* ---- collecting ---- */

void wr_run_param(wr_run *r, const char *key, const char *value)
{
    item i = {wr_arena_strdup(r->arena, key), wr_arena_strdup(r->arena, value ? value : ""), 0};
    if (wr_vec_push(&r->params, i) < 0) r->failed = true;
}

void wr_run_metric(wr_run *r, const char *key, double value)
{
    item i = {wr_arena_strdup(r->arena, key), NULL, value};
    if (wr_vec_push(&r->metrics, i) < 0) r->failed = true;
}

void wr_run_units(wr_run *r, double units, const char *unit)
{
    r->units = units;
    r->unit = wr_arena_strdup(r->arena, unit);
}

static wr_node copy_node(wr_arena *a, const wr_node *n)
{
    wr_node c = *n;
    c.kind = wr_arena_strdup(a, n->kind);
    c.name = wr_arena_strdup(a, n->name);
    c.hash = wr_arena_strdup(a, n->hash ? n->hash : "");
    c.detail = wr_arena_strdup(a, n->detail);
    return c;
}

void wr_run_input(wr_run *r, const wr_node *node)
{
    if (wr_vec_push(&r->inputs, copy_node(r->arena, node)) < 0) r->failed = true;
}

void wr_run_output(wr_run *r, const wr_node *node)
{
    if (wr_vec_push(&r->outputs, copy_node(r->arena, node)) < 0) r->failed = true;
}

/* ---- end ---- */

static int run_detail(wr_buf *b, const wr_run *r)
{
    wr_jsonw w;
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "kind", r->kind);
    wr_jsonw_kstr(&w, "name", r->name);
    wr_jsonw_end(&w);
    return b->failed ? WEIR_ENOMEM : 0;
}

/* Every output came from this run, the run from its inputs and from the code. */
static int write_lineage(wr_db *db, const wr_run *r, wr_err *err)
{
    wr_node run = {.kind = "run", .name = r->id, .hash = "", .version = -1};
    wr_node code = {.kind = "code", .name = wr_run_code_version(r->project), .hash = "", .version = -1};
    WR_AUTOBUF wr_buf detail;
    wr_buf_init(&detail, 0);
    if (!r->inputs.n && !r->outputs.n) return 0;
    if (run_detail(&detail, r) < 0) return wr_err_nomem(err);
    run.detail = wr_buf_cstr(&detail);
    WR_TRY(wr_lineage_put(db, &run, &code, r->id, err));
    for (size_t i = 0; i < r->inputs.n; i++) WR_TRY(wr_lineage_put(db, &run, &r->inputs.at[i], r->id, err));
    for (size_t i = 0; i < r->outputs.n; i++) WR_TRY(wr_lineage_put(db, &r->outputs.at[i], &run, r->id, err));
    return 0;
}

static int write_items(wr_track *t, wr_track_run *to, const wr_run *r, wr_err *err)
{
    int64_t now = wr_track_now_ms();
    wr_metric_run run = {to->id, to->experiment, to->start_ms};
    for (size_t i = 0; i < r->params.n; i++)
        WR_TRY(wr_run_record_param(t, to, r->params.at[i].key, r->params.at[i].text, err));
    for (size_t i = 0; i < r->metrics.n; i++) {
        wr_track_point p = {wr_run_record_key(r->arena, r->metrics.at[i].key), r->metrics.at[i].number, 0, now};
        if (!p.key.p) return wr_err_nomem(err);
        WR_TRY(wr_metric_put(t, &run, &p, 1, err));
    }
    return 0;
}

static int end_fn(wr_track *t, void *arg, wr_err *err)
{
    wr_run *r = arg;
    wr_track_run to;
    if (r->rc == 0 || r->rc == WEIR_ENO) WR_TRY(write_lineage(wr_track_db(t), r, err));
    WR_TRY(wr_track_run_get(&to, r->arena, t, wr_str_of(r->id), err));
    WR_TRY(write_items(t, &to, r, err));
    if (r->error) WR_TRY(wr_run_record_error(t, &to, r->error, err));
    if (r->joined) return 0; /* the runner writes the status */
    return wr_run_record_status(t, &to, r->rc == 0 ? "finished" : r->rc == WEIR_ENO ? "refused" : "failed", err);
}

static int write_footprint(wr_run *r, wr_err *err)
{
    struct rusage use;
    wr_meter_mark now;
    wr_footprint f = {.t0_us = r->t0_us,
                      .t1_us = wr_clock_wall_us(),
                      .stage = r->kind,
                      .activity = r->activity,
                      .run_id = r->id,
                      .subject = r->name,
                      .units = r->units,
                      .unit = r->unit ? r->unit : ""};
    getrusage(RUSAGE_SELF, &use);
    wr_meter_read(r->meter, &now);
    f.wall_s = (double)(wr_clock_mono_ns() - r->t0_ns) / 1e9;
    f.cpu_s = wr_clock_cpu_s() - r->cpu0_s;
    f.max_rss = (double)use.ru_maxrss * 1024;
    f.read_bytes = (double)use.ru_inblock * 512;
    f.write_bytes = (double)use.ru_oublock * 512;
    wr_meter_energy(r->meter, &r->mark, &now, f.cpu_s, &f.energy);
    return wr_footprint_add(r->project, &f, err);
}

static int finish(wr_run *r, wr_err *err)
{
    wr_track *t;
    if (r->failed || wr_arena_failed(r->arena)) return wr_err_nomem(err);
    WR_TRY(wr_project_track(&t, r->project, err));
    wr_run_code_version(r->project); /* may start git: not while the writer waits */
    WR_TRY(wr_track_write(t, end_fn, r, err));
    return r->joined ? 0 : write_footprint(r, err);
}

int wr_run_end(wr_run *r, int rc, const wr_err *why, wr_err *err)
{
    r->rc = rc;
    r->error = rc < 0 && why && why->msg[0] ? why->msg : NULL;
    int end = finish(r, err);
    wr_meter_close(r->meter);
    wr_vec_fini(&r->params);
    wr_vec_fini(&r->metrics);
    wr_vec_fini(&r->inputs);
    wr_vec_fini(&r->outputs);
    wr_arena_free(r->arena);
    return end;
}

/* ---- the runner's side ---- */

int wr_run_open_stage(char id[33], wr_project *p, const char *stage, const char *command, wr_err *err)
{
    return wr_run_record_start(id, p, NULL, "stage", stage, command, err);
}

int wr_run_open_command(char id[33], wr_project *p, const char *experiment, const char *name, const char *command,
                        wr_err *err)
{
    return wr_run_record_start(id, p, experiment, "command", name, command, err);
}

typedef struct {
    const char *id;
    const wr_run_usage *use;
    wr_arena *arena;
} close_arg;

/* What a run cost stands among its metrics, so that runs can be sorted by it. */
static int write_use(wr_track *t, const wr_track_run *to, const wr_run_usage *use, wr_err *err)
{
    wr_metric_run run = {to->id, to->experiment, to->start_ms};
    int64_t now = wr_track_now_ms();
    const wr_track_point points[] = {{WR_STR("weir.wall_s"), use->wall_s, 0, now},
                                     {WR_STR("weir.cpu_s"), use->cpu_s, 0, now},
                                     {WR_STR("weir.max_rss_bytes"), use->max_rss, 0, now},
                                     {WR_STR("weir.energy_j"), use->energy.energy_j, 0, now},
                                     {WR_STR("weir.gco2e"), use->gco2e, 0, now}};
    return wr_metric_put(t, &run, points, sizeof points / sizeof *points, err);
}

/* The process may have said why it failed; if not, its exit code has to do. */
static int close_fn(wr_track *t, void *arg, wr_err *err)
{
    close_arg *a = arg;
    wr_track_run to;
    char why[48];
    int code = a->use->exit_code;
    snprintf(why, sizeof why, "exit code %d", code);
    WR_TRY(wr_track_run_get(&to, a->arena, t, wr_str_of(a->id), err));
    WR_TRY(write_use(t, &to, a->use, err));
    WR_TRY(wr_run_record_status(t, &to, code == 0 ? "finished" : code == 1 ? "refused" : "failed", err));
    return wr_run_record_exit(t, &to, code == 0 ? NULL : why, err);
}

int wr_run_close_stage(wr_project *p, const char *id, const char *stage, const wr_run_usage *use, wr_err *err)
{
    WR_AUTOARENA wr_arena *arena = wr_arena_new(0);
    wr_track *t;
    close_arg a = {id, use, arena};
    wr_footprint f = {.t0_us = use->t0_us,
                      .t1_us = use->t1_us,
                      .stage = stage,
                      .activity = "other",
                      .run_id = id,
                      .subject = "",
                      .unit = "run",
                      .units = 1,
                      .wall_s = use->wall_s,
                      .cpu_s = use->cpu_s,
                      .max_rss = use->max_rss,
                      .read_bytes = use->read_bytes,
                      .write_bytes = use->write_bytes,
                      .energy = use->energy};
    if (!arena) return wr_err_nomem(err);
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_track_write(t, close_fn, &a, err));
    return wr_footprint_add(p, &f, err);
}
