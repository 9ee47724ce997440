/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_feature.c - weir feature build, weir feature materialize. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "core/feature_service.h"
#include "io/file.h"
#include "stage/model/feature.h"

/* The view named on the command line: a file, relative to the current folder, or that of a feature service. */
static int load_view(wr_view **v, wr_cli *c, wr_project *p, wr_err *err)
{
    const char *name = wr_cli_arg(c, 0), *path;
    const wr_feature_service *service = NULL;
    if (!wr_file_exists(name))
        WR_TRY(wr_feature_service_find(&service, &path, wr_cli_arena(c), p, wr_str_of(name), NULL, err));
    if (service && service->nviews > 1) {
        wr_err_set(err, WEIR_EINVAL, "feature service \"%s\" has %zu views", name, service->nviews);
        return wr_err_hint(err, WEIR_EINVAL, "name one's file; the first is %s", wr_path_base(path));
    }
    return wr_view_load(v, wr_cli_arena(c), service ? path : name, err);
}

static int print_built(wr_cli *c, const wr_view *v, const wr_feature_built *b)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT];
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", v->name);
    wr_jsonw_ki64(w, "version", b->written.version);
    wr_jsonw_ki64(w, "rows", (int64_t)b->rows);
    wr_jsonw_ki64(w, "events", (int64_t)b->events);
    wr_jsonw_ki64(w, "features", (int64_t)b->features);
    wr_jsonw_kf64(w, "label_share", b->label_share);
    wr_jsonw_kstr(w, "view", v->hash);
    wr_jsonw_end(w);
    wr_say(c, "%s version %lld: %s rows, %zu features, %s", v->name, (long long)b->written.version,
           wr_fmt_count(rows, (double)b->rows), b->features, wr_fmt_bytes(bytes, (double)b->written.bytes));
    if (!isnan(b->label_share)) wr_say(c, "label \"%s\": %.2f %% of rows", v->label, 100 * b->label_share);
    return 0;
}

static int run_build(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_view *v;
    wr_run *run;
    wr_feature_built b;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(load_view(&v, c, p, err));
    wr_run_opt opt = {"feature build", "data-preparation", v->name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&run, p, &opt, err));
    wr_progress(c, "building features", -1);
    int rc = wr_feature_build(&b, p, v, wr_cli_pool(c), run, err);
    int rc_end = wr_run_end(run, rc, err, &end);
    if (rc == 0 && rc_end < 0) {
        if (err) *err = end;
        return rc_end;
    }
    return rc < 0 ? rc : print_built(c, v, &b);
}

const wr_cmd wr_cmd_feature_build = {
    "feature build",
    "compute the features of a view, as of each row's time",
    "VIEW",
    1,
    1,
    NULL,
    0,
    "VIEW is a view's file or the name of a feature service of weir.yaml.\n"
    "Reads the view's source and events, computes each feature from what was known at the\n"
    "row's own time (point-in-time correct: an aggregate sees an event only from the moment\n"
    "it became known), and writes the dataset named by the view as a new version. The same\n"
    "code computes the features when the model is served.",
    "  # features.yaml says `name: flights_features`: a dataset of that name is written\n  weir feature build "
    "features.yaml\n"
    "  # look at it\n  weir data show flights_features --head 5",
    run_build};

static const wr_cmd_arg materialize_args[] = {
    {"until", 'u', WR_ARG_TIME, "TIME", "state as of this moment (default: now)", NULL},
    {"lookups", 0, WR_ARG_FLAG, NULL, "only the tables of lookups; a running server takes them up", NULL}};

static int run_materialize(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_view *v;
    wr_run *run;
    wr_feature_snapshot s;
    wr_err end = {0};
    char events[WR_NUM_TEXT], newest[WR_TIME_TEXT] = "none";
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(load_view(&v, c, p, err));
    int64_t until = wr_cli_has(c, "until") ? wr_cli_int(c, "until") : wr_clock_wall_us();
    wr_run_opt opt = {"feature materialize", "deployment", v->name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&run, p, &opt, err));
    int rc = wr_feature_materialize(&s, p, v, until, wr_cli_has(c, "lookups"), run, err);
    int rc_end = wr_run_end(run, rc, err, &end);
    if (rc < 0) return rc;
    if (rc_end < 0) {
        if (err) *err = end;
        return rc_end;
    }
    if (s.events) wr_time_format(newest, s.newest_us);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "view", v->name);
    wr_jsonw_ki64(w, "events", (int64_t)s.events);
    wr_jsonw_kstr(w, "newest", newest);
    wr_jsonw_ki64(w, "entities", (int64_t)s.entities);
    wr_jsonw_ki64(w, "lookup_rows", (int64_t)s.rows);
    wr_jsonw_ki64(w, "bytes", (int64_t)s.bytes);
    wr_jsonw_end(w);
    if (!wr_cli_has(c, "lookups"))
        wr_say(c, "online state of %s: %s events, newest %s", v->name, wr_fmt_count(events, (double)s.events), newest);
    if (v->nlookups)
        wr_say(c, "lookup tables of %s: %s entities, %s rows", v->name, wr_fmt_count(events, (double)s.entities),
               wr_fmt_count(newest, (double)s.rows));
    return 0;
}

const wr_cmd wr_cmd_feature_materialize = {
    "feature materialize",
    "write the online state from which the server starts",
    "VIEW",
    1,
    1,
    materialize_args,
    sizeof materialize_args / sizeof *materialize_args,
    "VIEW is a view's file or the name of a feature service of weir.yaml.\n"
    "The server keeps the sliding windows of a view in memory. This command makes their state\n"
    "as of a moment from the lake, so that the first request already finds its features,\n"
    "and writes the tables in which the columns of `lookup:` are found by key. With --lookups\n"
    "only these: do it whenever their datasets change; the server looks each second.",
    "  # start serving as if it were June 1st\n  weir feature materialize features.yaml --until 2001-06-01",
    run_materialize};
