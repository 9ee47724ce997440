/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_study.c - weir study list, show, delete, import, export: hyper-parameter studies of Optuna programs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "io/file.h"
#include "track/study_journal.h"

static int store(wr_cli *c, wr_track **t, wr_err *err)
{
    wr_project *p;
    WR_TRY(wr_cli_project(c, &p, err));
    return wr_project_track(t, p, err);
}

static int find(int64_t *out, wr_cli *c, wr_track *t, const char *name, wr_err *err)
{
    wr_study *all;
    size_t n;
    int rc = wr_study_find(out, t, wr_str_of(name), err);
    if (rc != WEIR_ENOTFOUND || wr_study_all(&all, &n, wr_cli_arena(c), t, NULL) < 0) return rc;
    const char **names = wr_arena_calloc(wr_cli_arena(c), n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++) names[i] = wr_arena_strndup(wr_cli_arena(c), all[i].name.p, all[i].name.n);
    int near = names && !wr_arena_failed(wr_cli_arena(c)) ? wr_str_nearest(wr_str_of(name), names, n) : -1;
    return near >= 0 ? wr_err_hint(err, rc, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, rc, "weir study list shows them");
}

static const char *directions_of(wr_cli *c, const wr_study *s)
{
    const char *text = "";
    for (size_t i = 0; text && i < s->nobjectives; i++)
        text =
            wr_arena_printf(wr_cli_arena(c), "%s%s%s", text, i ? ", " : "", s->maximize[i] ? "maximize" : "minimize");
    return text ? text : "";
}

/* The best finished trial of a study with one objective; NULL when there is none. */
static const wr_trial *best_of(const wr_study *s, const wr_trial *all, size_t n)
{
    const wr_trial *best = NULL;
    for (size_t i = 0; i < n && s->nobjectives == 1; i++) {
        if (all[i].state != WR_TRIAL_COMPLETE || all[i].nvalues != 1 || isnan(all[i].values[0])) continue;
        double a = all[i].values[0], b = best ? best->values[0] : 0;
        if (!best || (s->maximize[0] ? a > b : a < b)) best = &all[i];
    }
    return best;
}

static const char *values_of(wr_cli *c, const wr_trial *t)
{
    const char *text = t && t->nvalues ? "" : "-";
    for (size_t i = 0; t && text && i < t->nvalues; i++)
        text = wr_arena_printf(wr_cli_arena(c), "%s%s%.6g", text, i ? ", " : "", t->values[i]);
    return text ? text : "";
}

static size_t count_of(const wr_trial *all, size_t n, wr_trial_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += all[i].state == state;
    return count;
}

/* ---- list ---- */

static void list_json(wr_jsonw *w, const wr_study *s, const wr_trial *all, size_t n)
{
    const wr_trial *best = best_of(s, all, n);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", s->id);
    wr_jsonw_kslice(w, "name", s->name);
    wr_jsonw_key(w, "directions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < s->nobjectives; i++) wr_jsonw_cstr(w, s->maximize[i] ? "maximize" : "minimize");
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "trials", (int64_t)n);
    wr_jsonw_key(w, "states");
    wr_jsonw_obj(w);
    for (int state = 0; state <= WR_TRIAL_WAITING; state++)
        wr_jsonw_ki64(w, wr_trial_state_name((wr_trial_state)state), (int64_t)count_of(all, n, (wr_trial_state)state));
    wr_jsonw_end(w);
    if (best) wr_jsonw_ki64(w, "best_trial", best->number);
    if (best) wr_jsonw_kf64(w, "best_value", best->values[0]);
    wr_jsonw_end(w);
}

static int run_list(wr_cli *c, wr_err *err)
{
    wr_track *t;
    wr_study *all;
    size_t n;
    WR_TRY(store(c, &t, err));
    WR_TRY(wr_study_all(&all, &n, wr_cli_arena(c), t, err));
    wr_table *table =
        wr_table_new(c, "STUDY", ">TRIALS", ">COMPLETE", ">PRUNED", ">FAIL", ">RUNNING", "DIRECTION", ">BEST", NULL);
    wr_jsonw_arr(wr_cli_jsonw(c));
    for (size_t i = 0; i < n; i++) {
        wr_trial *trials;
        size_t ntrials;
        WR_TRY(wr_study_trials(&trials, &ntrials, wr_cli_arena(c), t, all[i].id, -1, NULL, 0, err));
        list_json(wr_cli_jsonw(c), &all[i], trials, ntrials);
        wr_table_cell(table, "%.*s", WR_STR_FMT(all[i].name));
        wr_table_cell(table, "%zu", ntrials);
        wr_table_cell(table, "%zu", count_of(trials, ntrials, WR_TRIAL_COMPLETE));
        wr_table_cell(table, "%zu", count_of(trials, ntrials, WR_TRIAL_PRUNED));
        wr_table_cell(table, "%zu", count_of(trials, ntrials, WR_TRIAL_FAIL));
        wr_table_cell(table, "%zu", count_of(trials, ntrials, WR_TRIAL_RUNNING));
        wr_table_cell(table, "%s", directions_of(c, &all[i]));
        wr_table_cell(table, "%s", values_of(c, best_of(&all[i], trials, ntrials)));
    }
    wr_jsonw_end(wr_cli_jsonw(c));
    if (n) wr_table_print(table);
    else
        wr_say(c, "no studies yet: optuna.storages.GrpcStorageProxy(host=\"127.0.0.1\", port=8080) uses weir up as its "
                  "storage");
    return 0;
}

const wr_cmd wr_cmd_study_list = {"study list",
                                  "hyper-parameter studies and their best values",
                                  "",
                                  0,
                                  0,
                                  NULL,
                                  0,
                                  "Studies are made by Optuna programs that use weir up as their storage, or imported.",
                                  "  weir study list",
                                  run_list};

/* ---- show ---- */

static const wr_cmd_arg show_args[] = {{"limit", 'n', WR_ARG_INT, "N", "at most so many trials, the newest", "20"}};

/* A parameter as a person reads it: the choice of a categorical, else the number. */
static const char *param_text(wr_cli *c, const wr_trial_param *p)
{
    const char *text = NULL;
    yyjson_doc *doc = yyjson_read(p->distribution.p, p->distribution.n, YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *root = yyjson_doc_get_root(doc), *at = yyjson_obj_get(root, "attributes");
    yyjson_val *choices = yyjson_obj_get(at ? at : root, "choices");
    yyjson_val *choice = p->value >= 0 && p->value < 1e6 ? yyjson_arr_get(choices, (size_t)p->value) : NULL;
    if (yyjson_is_str(choice)) text = wr_arena_strdup(wr_cli_arena(c), yyjson_get_str(choice));
    else if (yyjson_is_null(choice)) text = "None";
    else if (yyjson_is_bool(choice)) text = yyjson_get_bool(choice) ? "True" : "False";
    else text = wr_arena_printf(wr_cli_arena(c), "%.6g", choice ? yyjson_get_num(choice) : p->value);
    yyjson_doc_free(doc);
    return text ? text : "";
}

static const char *params_of(wr_cli *c, const wr_trial *t)
{
    const char *text = "";
    for (size_t i = 0; text && i < t->nparams; i++)
        text = wr_arena_printf(wr_cli_arena(c), "%s%s%.*s=%s", text, i ? " " : "", WR_STR_FMT(t->params[i].name),
                               param_text(c, &t->params[i]));
    return text ? text : "";
}

static void put_time(wr_jsonw *w, const char *key, int64_t us)
{
    char text[WR_TIME_TEXT];
    if (us == WR_TRIAL_NEVER) return;
    wr_time_format(text, us);
    wr_jsonw_kstr(w, key, text);
}

static void trial_json(wr_cli *c, const wr_trial *t)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "number", t->number);
    wr_jsonw_kstr(w, "state", wr_trial_state_name(t->state));
    wr_jsonw_key(w, "values");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < t->nvalues; i++) wr_jsonw_f64(w, t->values[i]);
    wr_jsonw_end(w);
    put_time(w, "start", t->start_us);
    put_time(w, "end", t->end_us);
    wr_jsonw_key(w, "params");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < t->nparams; i++) {
        const char *name = wr_arena_strndup(wr_cli_arena(c), t->params[i].name.p, t->params[i].name.n);
        wr_jsonw_kstr(w, name ? name : "", param_text(c, &t->params[i]));
    }
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "intermediate_values", (int64_t)t->nsteps);
    wr_jsonw_end(w);
}

static void print_trials(wr_cli *c, const wr_trial *all, size_t n)
{
    wr_table *table = wr_table_new(c, ">TRIAL", "STATE", ">VALUE", ">TOOK", "PARAMS", NULL);
    for (size_t i = 0; i < n; i++) {
        char took[WR_NUM_TEXT] = "-";
        const wr_trial *t = &all[i];
        if (t->start_us != WR_TRIAL_NEVER && t->end_us != WR_TRIAL_NEVER)
            wr_fmt_seconds(took, (double)(t->end_us - t->start_us) / 1e6);
        wr_table_cell(table, "%lld", (long long)t->number);
        wr_table_cell(table, "%s", wr_trial_state_name(t->state));
        wr_table_cell(table, "%s", values_of(c, t));
        wr_table_cell(table, "%s", took);
        wr_table_cell(table, "%s", params_of(c, t));
    }
    wr_table_print(table);
}

static int run_show(wr_cli *c, wr_err *err)
{
    wr_track *t;
    wr_study s;
    wr_trial *all;
    int64_t id, limit = wr_cli_int(c, "limit");
    size_t n;
    WR_TRY(store(c, &t, err));
    WR_TRY(find(&id, c, t, wr_cli_arg(c, 0), err));
    WR_TRY(wr_study_get(&s, wr_cli_arena(c), t, id, err));
    WR_TRY(wr_study_trials(&all, &n, wr_cli_arena(c), t, id, -1, NULL, 0, err));
    const wr_trial *best = best_of(&s, all, n);
    size_t shown = limit >= 0 && (uint64_t)limit < n ? (size_t)limit : n;
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "study");
    list_json(w, &s, all, n);
    wr_jsonw_key(w, "trials");
    wr_jsonw_arr(w);
    for (size_t i = n - shown; i < n; i++) trial_json(c, &all[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_say(c, "%.*s: %zu trials, %s", WR_STR_FMT(s.name), n, directions_of(c, &s));
    if (best)
        wr_say(c, "best: trial %lld, %s with %s", (long long)best->number, values_of(c, best), params_of(c, best));
    if (shown) print_trials(c, all + n - shown, shown);
    return 0;
}

const wr_cmd wr_cmd_study_show = {"study show",
                                  "the trials of a study",
                                  "STUDY",
                                  1,
                                  1,
                                  show_args,
                                  sizeof show_args / sizeof *show_args,
                                  "Shows the best trial of a study with one objective, and the newest trials.",
                                  "  weir study show tpe-delay --limit 5",
                                  run_show};

/* ---- delete ---- */

static const wr_cmd_arg delete_args[] = {{"dry-run", 0, WR_ARG_FLAG, NULL, "only say what would go", NULL}};

static int in_write(wr_track *t, void *arg, wr_err *err) { return wr_study_delete(t, *(int64_t *)arg, err); }

static int run_delete(wr_cli *c, wr_err *err)
{
    wr_track *t;
    wr_study s;
    int64_t id;
    bool dry = wr_cli_flag(c, "dry-run");
    WR_TRY(store(c, &t, err));
    WR_TRY(find(&id, c, t, wr_cli_arg(c, 0), err));
    WR_TRY(wr_study_get(&s, wr_cli_arena(c), t, id, err));
    if (!dry) WR_TRY(wr_track_write(t, in_write, &id, err));
    wr_say(c, "%s study %.*s with %lld trials", dry ? "would delete" : "deleted", WR_STR_FMT(s.name),
           (long long)s.ntrials);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "study", s.name);
    wr_jsonw_ki64(w, "trials", s.ntrials);
    wr_jsonw_kbool(w, "deleted", !dry);
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_study_delete = {"study delete",
                                    "delete a study and its trials",
                                    "STUDY",
                                    1,
                                    1,
                                    delete_args,
                                    sizeof delete_args / sizeof *delete_args,
                                    "There is no way back; weir study export keeps a copy.",
                                    "  weir study delete tpe-delay --dry-run",
                                    run_delete};

/* ---- import, export ---- */

static int run_import(wr_cli *c, wr_err *err)
{
    wr_track *t;
    wr_journal_counts n;
    WR_AUTOBUF wr_buf text = {0};
    const char *path = wr_cli_arg(c, 0);
    WR_TRY(store(c, &t, err));
    WR_TRY(wr_file_read(&text, path, WR_STUDY_JOURNAL_MAX, err));
    WR_TRY(wr_study_import(&n, t, wr_buf_view(&text), path, err));
    wr_say(c, "%lld studies with %lld trials from %lld lines", (long long)n.studies, (long long)n.trials,
           (long long)n.lines);
    if (n.ignored) wr_say(c, "%lld lines had no effect, as for Optuna", (long long)n.ignored);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "studies", n.studies);
    wr_jsonw_ki64(w, "trials", n.trials);
    wr_jsonw_ki64(w, "lines", n.lines);
    wr_jsonw_ki64(w, "ignored", n.ignored);
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_study_import = {
    "study import",
    "read Optuna's journal file",
    "FILE",
    1,
    1,
    NULL,
    0,
    "FILE is what optuna.storages.journal.JournalFileBackend wrote. All of it is imported or nothing;\n"
    "a study whose name is here already is an error.",
    "  weir study import optuna_journal_storage.log",
    run_import};

/* Ids of the studies named, or of all. */
static int chosen(wr_cli *c, wr_track *t, int64_t **out, size_t *n, wr_err *err)
{
    wr_study *all;
    int names = wr_cli_nargs(c) - 1;
    WR_TRY(wr_study_all(&all, n, wr_cli_arena(c), t, err));
    if (names > 0) *n = (size_t)names;
    *out = wr_arena_calloc(wr_cli_arena(c), *n + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        if (names > 0) WR_TRY(find(&(*out)[i], c, t, wr_cli_arg(c, (int)i + 1), err));
        else (*out)[i] = all[i].id;
    }
    return 0;
}

static int run_export(wr_cli *c, wr_err *err)
{
    wr_track *t;
    int64_t *ids;
    size_t n;
    WR_AUTOBUF wr_buf text = {0};
    const char *path = wr_cli_arg(c, 0);
    WR_TRY(store(c, &t, err));
    WR_TRY(chosen(c, t, &ids, &n, err));
    WR_TRY(wr_study_export(&text, t, ids, n, err));
    int rc = wr_file_create(path, wr_buf_view(&text), err);
    if (rc == WEIR_EEXIST)
        wr_err_hint(err, rc, "a journal that programs may be using is not overwritten; choose another name");
    if (rc < 0) return rc;
    wr_say(c, "%zu studies written to %s", n, path);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "studies", (int64_t)n);
    wr_jsonw_kstr(w, "file", path);
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_study_export = {
    "study export",
    "write a journal file that Optuna opens",
    "FILE [STUDY...]",
    1,
    -1,
    NULL,
    0,
    "Writes all studies, or those named, for optuna.storages.journal.JournalFileBackend.",
    "  weir study export studies.log tpe-delay",
    run_export};
