/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - a run is collected in memory and written in one transaction at its end; only its start is written at once, so
 * that a run that was killed stays visible as "running". */
#include "core/run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/vec.h"
#include "codec/json.h"
#include "io/file.h"
#include "io/proc.h"

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

/* ---- code version ---- */

/* First line of what the command says; "" when it fails. */
static void git_line(char *out, size_t size, const char *root, const char *const *argv)
{
    char log[] = "/tmp/weir-git-XXXXXX";
    int fd = mkstemp(log);
    out[0] = 0;
    if (fd < 0) return;
    close(fd);
    wr_proc_opt opt = {.argv = argv, .cwd = root, .log = log};
    wr_proc_result r = {0};
    FILE *f = wr_proc_run(&r, &opt, NULL) == 0 && r.exit_code == 0 ? fopen(log, "r") : NULL;
    if (f && !fgets(out, (int)size, f)) out[0] = 0;
    out[strcspn(out, "\n")] = 0;
    if (f) fclose(f);
    remove(log);
}

static void find_version(char *out, size_t size, const char *root)
{
    static const char *const head[] = {"git", "rev-parse", "HEAD", NULL};
    static const char *const status[] = {"git", "status", "--porcelain", "--untracked-files=no", NULL};
    char commit[72], dirty[64];
    const char *inherited = getenv("WEIR_CODE_VERSION");
    if (inherited && inherited[0]) {
        snprintf(out, size, "%s", inherited);
        return;
    }
    git_line(commit, sizeof commit, root, head);
    if (strlen(commit) == 40 || strlen(commit) == 64) { /* SHA-1, SHA-256 */
        git_line(dirty, sizeof dirty, root, status);
        snprintf(out, size, "git:%s%s", commit, dirty[0] ? "+dirty" : "");
    } else {
        snprintf(out, size, "weir:%s", WEIR_VERSION);
    }
}

const char *wr_run_code_version(wr_project *p)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards version until it is set */
    static char version[128];                                 /* of this process's project; computed once */
    pthread_mutex_lock(&mutex);
    if (!version[0]) find_version(version, sizeof version, wr_project_root(p));
    pthread_mutex_unlock(&mutex);
    return version;
}

/* ---- start ---- */

typedef struct {
    const char *id, *kind, *name, *command, *code;
    int64_t at_us;
} start_arg;

static int start_fn(wr_db *db, void *arg, wr_err *err)
{
    start_arg *a = arg;
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s,
                         "INSERT INTO runs (id, kind, name, command, status, code, host, started_us) VALUES (?, ?, ?, "
                         "?, 'running', ?, ?, ?)",
                         err));
    wr_bind_cstr(s, 1, a->id);
    wr_bind_cstr(s, 2, a->kind);
    wr_bind_cstr(s, 3, a->name);
    wr_bind_cstr(s, 4, a->command);
    wr_bind_cstr(s, 5, a->code);
    wr_bind_cstr(s, 6, wr_os_hostname());
    wr_bind_i64(s, 7, a->at_us);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static void new_id(char out[33])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[16];
    wr_os_random(raw, sizeof raw);
    for (int i = 0; i < 16; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[32] = 0;
}

static int write_start(wr_project *p, const char *id, const char *kind, const char *name, const char *command,
                       wr_err *err)
{
    wr_db *db;
    start_arg a = {id, kind, name ? name : "", command ? command : "", wr_run_code_version(p), wr_clock_wall_us()};
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, start_fn, &a, err);
}

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
        new_id(r->id);
        rc = wr_meter_open(&r->meter, NULL, err);
        if (rc == 0) wr_meter_read(r->meter, &r->mark);
        if (rc == 0) rc = write_start(p, r->id, opt->kind, r->name, opt->command, err);
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

static int write_items(wr_db *db, const wr_run *r, const item *items, size_t n, const char *sql, wr_err *err)
{
    wr_stmt *s;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < n; i++) {
        WR_TRY(wr_db_prepare(db, &s, sql, err));
        wr_bind_cstr(s, 1, r->id);
        wr_bind_cstr(s, 2, items[i].key);
        if (items[i].text) wr_bind_cstr(s, 3, items[i].text);
        else wr_bind_f64(s, 3, items[i].number);
        rc = wr_step(s, err);
        wr_stmt_done(s);
    }
    return rc < 0 ? rc : 0;
}

static int write_status(wr_db *db, const char *id, const char *status, const char *error, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "UPDATE runs SET status = ?, error = coalesce(?, error), ended_us = ? WHERE id = ?",
                         err));
    wr_bind_cstr(s, 1, status);
    wr_bind_cstr(s, 2, error);
    wr_bind_i64(s, 3, wr_clock_wall_us());
    wr_bind_cstr(s, 4, id);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

/* What a joined run says of itself: the runner only sees an exit code. */
static int write_error(wr_db *db, const char *id, const char *error, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "UPDATE runs SET error = ? WHERE id = ?", err));
    wr_bind_cstr(s, 1, error);
    wr_bind_cstr(s, 2, id);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

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

static int end_fn(wr_db *db, void *arg, wr_err *err)
{
    wr_run *r = arg;
    if (r->rc == 0 || r->rc == WEIR_ENO) WR_TRY(write_lineage(db, r, err));
    WR_TRY(write_items(
        db, r, r->params.at, r->params.n,
        "INSERT INTO run_params (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        err));
    WR_TRY(write_items(
        db, r, r->metrics.at, r->metrics.n,
        "INSERT INTO run_metrics (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        err));
    if (r->joined) return r->error ? write_error(db, r->id, r->error, err) : 0; /* the runner writes the status */
    return write_status(db, r->id, r->rc == 0 ? "finished" : r->rc == WEIR_ENO ? "refused" : "failed", r->error, err);
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
    wr_db *db;
    if (r->failed || wr_arena_failed(r->arena)) return wr_err_nomem(err);
    WR_TRY(wr_project_db(&db, r->project, err));
    wr_run_code_version(r->project); /* may start git: not while the writer waits */
    WR_TRY(wr_db_write(db, end_fn, r, err));
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
    new_id(id);
    return write_start(p, id, "stage", stage, command, err);
}

typedef struct {
    const char *id;
    const wr_run_usage *use;
} close_arg;

/* The process may have said why it failed (write_error); if not, its exit code has to do. */
static int close_fn(wr_db *db, void *arg, wr_err *err)
{
    close_arg *a = arg;
    wr_stmt *s;
    char why[48];
    int code = a->use->exit_code;
    snprintf(why, sizeof why, "exit code %d", code);
    WR_TRY(write_status(db, a->id, code == 0 ? "finished" : code == 1 ? "refused" : "failed", NULL, err));
    WR_TRY(wr_db_prepare(
        db, &s, "UPDATE runs SET error = CASE WHEN ?1 = 0 THEN NULL ELSE coalesce(error, ?2) END WHERE id = ?3", err));
    wr_bind_i64(s, 1, code);
    wr_bind_cstr(s, 2, why);
    wr_bind_cstr(s, 3, a->id);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_run_close_stage(wr_project *p, const char *id, const char *stage, const wr_run_usage *use, wr_err *err)
{
    wr_db *db;
    close_arg a = {id, use};
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
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_write(db, close_fn, &a, err));
    return wr_footprint_add(p, &f, err);
}

/* ---- reading ---- */

static wr_run_row read_run(wr_arena *a, wr_stmt *s)
{
    return (wr_run_row){.id = (char *)wr_arena_str(a, wr_stmt_str(s, 0)).p,
                        .kind = (char *)wr_arena_str(a, wr_stmt_str(s, 1)).p,
                        .name = (char *)wr_arena_str(a, wr_stmt_str(s, 2)).p,
                        .command = (char *)wr_arena_str(a, wr_stmt_str(s, 3)).p,
                        .status = (char *)wr_arena_str(a, wr_stmt_str(s, 4)).p,
                        .error = (char *)wr_arena_str(a, wr_stmt_str(s, 5)).p,
                        .started_us = wr_stmt_i64(s, 6),
                        .ended_us = wr_stmt_i64(s, 7)};
}

#define RUN_COLUMNS "SELECT id, kind, name, command, status, error, started_us, ended_us FROM runs "

int wr_run_list(wr_run_row **out, size_t *n, wr_arena *a, wr_project *p, size_t limit, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_run_row) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, RUN_COLUMNS "ORDER BY started_us DESC LIMIT ?", err));
    wr_bind_i64(s, 1, limit ? (int64_t)limit : -1);
    while ((rc = wr_step(s, err)) > 0)
        if (wr_vec_push(&rows, read_run(a, s)) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    wr_stmt_done(s);
    *n = rows.n;
    *out = wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at);
    wr_vec_fini(&rows);
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    return rc;
}

int wr_run_get(wr_run_row *out, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    if (!id[0]) return wr_err_set(err, WEIR_EINVAL, "the id of a run is empty");
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, RUN_COLUMNS "WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", err));
    wr_bind_cstr(s, 1, id);
    int rc = wr_step(s, err), more = 0;
    if (rc > 0) *out = read_run(a, s);
    if (rc > 0) more = wr_step(s, err);
    wr_stmt_done(s);
    if (rc < 0 || more < 0) return rc < 0 ? rc : more;
    if (more) {
        wr_err_set(err, WEIR_EINVAL, "more than one run begins with \"%s\"", id);
        return wr_err_hint(err, WEIR_EINVAL, "give more digits; weir runs list shows them");
    }
    if (rc == 0) {
        wr_err_set(err, WEIR_ENOTFOUND, "no run \"%s\"", id);
        return wr_err_hint(err, WEIR_ENOTFOUND, "weir runs list shows them; the first digits are enough");
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int read_items(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, const char *sql,
                      wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_run_item) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, sql, err));
    wr_bind_cstr(s, 1, id);
    while ((rc = wr_step(s, err)) > 0) {
        wr_run_item i = {(char *)wr_arena_str(a, wr_stmt_str(s, 0)).p, (char *)wr_arena_str(a, wr_stmt_str(s, 1)).p,
                         wr_stmt_f64(s, 1)};
        if (wr_vec_push(&rows, i) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    }
    wr_stmt_done(s);
    *n = rows.n;
    *out = wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at);
    wr_vec_fini(&rows);
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    return rc;
}

int wr_run_params(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    return read_items(out, n, a, p, id, "SELECT key, value FROM run_params WHERE run = ? ORDER BY key", err);
}

int wr_run_metrics(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    return read_items(out, n, a, p, id, "SELECT key, value FROM run_metrics WHERE run = ? ORDER BY key", err);
}
