/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.c - a command, its run, and what is kept of its surroundings. */
#include "flow/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/os.h"
#include "base/vec.h"
#include "codec/json.h"
#include "core/lineage.h"
#include "core/run.h"
#include "core/up.h"
#include "io/file.h"
#include "io/meter.h"
#include "io/proc.h"
#include "track/run.h"

enum { DIFF_MAX = 8 << 20, OUTPUT_MAX = 64 << 20, INPUTS_MAX = 64, SLICE_MS = 200, GRACE_MS = 10000 };

typedef struct {
    wr_arena *a;
    wr_project *p;
    const wr_wrap_opt *opt;
    wr_wrap_result *out;
    wr_meter *meter;
    wr_carbon carbon;
} wrap;

/* ---- what surrounds it ---- */

/* Output of a command, cut at `max`; empty when it fails. */
static void output_of(wr_buf *out, const char *cwd, const char *const *argv, size_t max)
{
    char log[] = "/tmp/weir-wrap-XXXXXX";
    int fd = mkstemp(log);
    if (fd < 0) return;
    close(fd);
    wr_proc_opt opt = {.argv = argv, .cwd = cwd, .log = log};
    wr_proc_result r = {0};
    if (wr_proc_run(&r, &opt, NULL) < 0 || r.exit_code != 0 || wr_file_read(out, log, max, NULL) < 0) wr_buf_clear(out);
    remove(log);
}

static bool is_seed(const char *name, size_t n)
{
    static const char *const names[] = {"PYTHONHASHSEED", "SEED", "RANDOM_SEED", "PL_GLOBAL_SEED"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (wr_str_is((wr_str){name, n}, names[i])) return true;
    return false;
}

/* Values of the environment are no business of a record, which others read: names of what steers programs, values of
 * seeds alone. */
static void put_environment(wr_buf *b, const wrap *w)
{
    extern char **environ;
    struct utsname u;
    char cwd[4096];
    wr_jsonw j;
    wr_jsonw_init(&j, b, 2);
    wr_jsonw_obj(&j);
    wr_jsonw_kstr(&j, "command", w->opt->command);
    wr_jsonw_kstr(&j, "directory", getcwd(cwd, sizeof cwd) ? cwd : "");
    wr_jsonw_kstr(&j, "host", wr_os_hostname());
    if (uname(&u) == 0) {
        wr_jsonw_kstr(&j, "system", u.sysname);
        wr_jsonw_kstr(&j, "release", u.release);
        wr_jsonw_kstr(&j, "machine", u.machine);
    }
    wr_jsonw_ki64(&j, "processors", wr_os_cpus());
    wr_jsonw_ki64(&j, "memory_bytes", (int64_t)wr_os_memory());
    wr_jsonw_kstr(&j, "weir", WEIR_VERSION);
    wr_jsonw_key(&j, "seeds");
    wr_jsonw_obj(&j);
    for (char **e = environ; *e; e++) {
        size_t n = strcspn(*e, "=");
        if (!is_seed(*e, n)) continue;
        wr_jsonw_key(&j, wr_arena_strndup(w->a, *e, n));
        wr_jsonw_cstr(&j, (*e)[n] == '=' ? *e + n + 1 : "");
    }
    wr_jsonw_end(&j);
    wr_jsonw_key(&j, "variables");
    wr_jsonw_arr(&j);
    for (char **e = environ; *e; e++) wr_jsonw_str(&j, (wr_str){*e, strcspn(*e, "=")});
    wr_jsonw_end(&j);
    wr_jsonw_end(&j);
}

static void keep_file(wrap *w, const char *root, const char *name, wr_str content)
{
    wr_artifacts *store;
    wr_err err = {0};
    const char *prefix = "mlflow-artifacts:/";
    if (!content.n || strncmp(root, prefix, strlen(prefix)) != 0)
        return; /* another store's folder is its clients' business */
    char *path = wr_arena_printf(w->a, "%s/weir/%s", root + strlen(prefix), name);
    int rc = path ? wr_project_artifacts(&store, w->p, NULL, &err) : wr_err_nomem(&err);
    if (rc == 0) rc = wr_artifacts_put(store, wr_str_of(path), content, NULL, &err);
    if (rc < 0) wr_warn("\"%s\" is not kept with the run: %s", name, err.msg);
}

static const char *artifact_root(wrap *w)
{
    wr_track *t;
    wr_track_run r;
    if (wr_project_track(&t, w->p, NULL) < 0 || wr_track_run_get(&r, w->a, t, wr_str_of(w->out->run_id), NULL) < 0)
        return "";
    return r.artifact_uri.p;
}

static void keep_surroundings(wrap *w)
{
    static const char *const diff[] = {"git", "diff", "--no-color", "--no-ext-diff", "HEAD", NULL};
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, DIFF_MAX);
    const char *root = artifact_root(w);
    output_of(&b, NULL, diff, DIFF_MAX);
    keep_file(w, root, "git.diff", wr_buf_view(&b));
    wr_buf_clear(&b);
    put_environment(&b, w);
    keep_file(w, root, "environment.json", wr_buf_view(&b));
}

/* ---- inputs ---- */

/* Files that the command line names, by content. */
static int find_inputs(wr_node *out, size_t *n, wrap *w, wr_err *err)
{
    struct stat st;
    *n = 0;
    for (const char *const *arg = w->opt->argv; *arg && *n < INPUTS_MAX; arg++) {
        const char *eq = strchr(*arg, '='), *path = **arg == '-' && eq ? eq + 1 : *arg; /* --data=FILE */
        char hash[WR_SHA256_HEX];
        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (arg == w->opt->argv && (st.st_mode & S_IXUSR))) continue;
        if (wr_file_sha256(hash, path, NULL) < 0) continue;
        out[(*n)++] = (wr_node){
            .kind = "file", .name = wr_arena_strdup(w->a, path), .hash = wr_arena_strdup(w->a, hash), .version = -1};
    }
    return wr_arena_failed(w->a) ? wr_err_nomem(err) : 0;
}

typedef struct {
    wrap *w;
    wr_node *inputs;
    size_t n;
} inputs_arg;

static int inputs_fn(wr_track *t, void *arg, wr_err *err)
{
    inputs_arg *in = arg;
    wr_track_run r;
    wr_node run = {.kind = "run", .name = in->w->out->run_id, .hash = "", .version = -1};
    wr_node code = {.kind = "code", .name = wr_run_code_version(in->w->p), .hash = "", .version = -1};
    WR_TRY(wr_track_run_get(&r, in->w->a, t, wr_str_of(in->w->out->run_id), err));
    WR_TRY(wr_lineage_put(wr_track_db(t), &run, &code, in->w->out->run_id, err));
    for (size_t i = 0; i < in->n; i++) {
        wr_track_dataset d = {.name = wr_str_fit(wr_str_of(in->inputs[i].name), 500),
                              .digest = wr_str_sub(wr_str_of(in->inputs[i].hash), 0, 32),
                              .source_type = WR_STR("local"),
                              .source = wr_str_of(in->inputs[i].name)};
        WR_TRY(wr_lineage_put(wr_track_db(t), &run, &in->inputs[i], in->w->out->run_id, err));
        WR_TRY(wr_track_run_add_input(t, &r, &d, err));
    }
    return 0;
}

static int record_inputs(wrap *w, wr_err *err)
{
    wr_node inputs[INPUTS_MAX];
    inputs_arg arg = {w, inputs, 0};
    wr_track *t;
    WR_TRY(find_inputs(inputs, &arg.n, w, err));
    WR_TRY(wr_project_track(&t, w->p, err));
    return wr_track_write(t, inputs_fn, &arg, err);
}

/* ---- the command ---- */

static int start(wr_proc **out, wrap *w, wr_err *err)
{
    wr_up up;
    const char *logs;
    WR_TRY(wr_project_state(&logs, w->p, "logs", true, err));
    w->out->log = wr_arena_printf(w->a, "%s/%s.log", logs, w->out->run_id);
    const char *env[6] = {wr_arena_printf(w->a, "WEIR_RUN_ID=%s", w->out->run_id),
                          wr_arena_printf(w->a, "MLFLOW_RUN_ID=%s", w->out->run_id),
                          wr_arena_printf(w->a, "WEIR_ROOT=%s", wr_project_root(w->p))};
    if (!getenv("MLFLOW_TRACKING_URI") && wr_up_find(&up, w->a, w->p, NULL) == 0)
        env[3] = wr_arena_printf(w->a, "MLFLOW_TRACKING_URI=%s", up.url);
    if (!w->out->log || wr_arena_failed(w->a)) return wr_err_nomem(err);
    wr_proc_opt opt = {.argv = w->opt->argv, .env = env, .log = w->out->log, .tee = true};
    return wr_proc_start(out, &opt, err);
}

static int await(wr_proc *proc, const wrap *w, wr_proc_result *res, wr_err *err)
{
    for (;;) {
        if (w->opt->stop && *w->opt->stop) {
            wr_proc_stop(proc, GRACE_MS, res);
            return 0;
        }
        int rc = wr_proc_wait(proc, res, SLICE_MS, err);
        if (rc != 0) return rc < 0 ? rc : 0;
    }
}

static int run_command(wrap *w, wr_err *err)
{
    wr_meter_mark before, after;
    wr_proc *proc;
    wr_proc_result res = {0};
    wr_run_usage use = {.t0_us = wr_clock_wall_us()};
    wr_meter_read(w->meter, &before);
    int rc = start(&proc, w, err);
    if (rc == 0) rc = await(proc, w, &res, err);
    else res.exit_code = 127;
    wr_meter_read(w->meter, &after);
    wr_meter_energy(w->meter, &before, &after, res.cpu_s, &use.energy);
    use.wall_s = res.wall_s;
    use.cpu_s = res.cpu_s;
    use.max_rss = (double)res.max_rss;
    use.read_bytes = (double)res.read_bytes;
    use.write_bytes = (double)res.write_bytes;
    use.exit_code = res.exit_code;
    use.t1_us = wr_clock_wall_us();
    use.gco2e = use.energy.energy_j / 3.6e6 * w->carbon.pue * w->carbon.g_per_kwh;
    w->out->exit_code = res.exit_code;
    w->out->wall_s = use.wall_s;
    w->out->cpu_s = use.cpu_s;
    w->out->energy_j = use.energy.energy_j;
    w->out->gco2e = use.gco2e;
    wr_err closing = {0};
    if (wr_run_close_stage(w->p, w->out->run_id, "command", &use, &closing) < 0)
        wr_warn("the run is not closed: %s", closing.msg);
    return rc;
}

static void keep_output(wrap *w)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, OUTPUT_MAX);
    if (w->out->log && wr_file_read(&b, w->out->log, OUTPUT_MAX, NULL) == 0)
        keep_file(w, artifact_root(w), "output.log", wr_buf_view(&b));
}

int wr_wrap_run(wr_wrap_result *out, wr_arena *a, wr_project *p, const wr_wrap_opt *opt, wr_err *err)
{
    wrap w = {.a = a, .p = p, .opt = opt, .out = out};
    wr_err other = {0};
    *out = (wr_wrap_result){0};
    WR_TRY(wr_carbon_of(&w.carbon, p, err));
    WR_TRY(wr_run_open_command(out->run_id, p, opt->experiment, opt->name ? opt->name : wr_path_base(opt->argv[0]),
                               opt->command, err));
    WR_TRY(wr_meter_open(&w.meter, NULL, err));
    if (record_inputs(&w, &other) < 0) wr_warn("the run's inputs are not recorded: %s", other.msg);
    keep_surroundings(&w);
    int rc = run_command(&w, err);
    wr_meter_close(w.meter);
    keep_output(&w);
    return rc;
}
