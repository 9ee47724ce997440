/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_backup.c - weir backup: a copy of the project's state while it is in use, and the check of one. */
#include "cli/commands.h"
#include "core/backup.h"

static void progress(void *arg, const char *what, double fraction) { wr_progress(arg, what, fraction); }

typedef struct {
    wr_cli *c;
    wr_jsonw *w;
} problems;

static void problem(void *arg, const char *text)
{
    problems *p = arg;
    wr_say(p->c, "%s", text);
    wr_jsonw_cstr(p->w, text);
}

static int verify(wr_cli *c, const char *dir, wr_err *err)
{
    wr_backup_check k;
    wr_jsonw *w = wr_cli_jsonw(c);
    problems p = {c, w};
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "problems");
    wr_jsonw_arr(w);
    int rc = wr_backup_verify(&k, dir, problem, &p, err);
    if (rc < 0) return rc;
    wr_jsonw_end(w);
    wr_jsonw_kbool(w, "records", k.records);
    wr_jsonw_ki64(w, "objects", k.objects);
    wr_jsonw_ki64(w, "artifacts", k.artifacts);
    wr_jsonw_ki64(w, "tables", k.tables);
    wr_jsonw_ki64(w, "table_files", k.table_files);
    wr_jsonw_ki64(w, "log_records", k.log_records);
    wr_jsonw_end(w);
    wr_say(c, "%s, %lld objects, %lld artifacts, %lld tables with %lld files, %lld records in logs",
           k.records ? "records" : "no records", (long long)k.objects, (long long)k.artifacts, (long long)k.tables,
           (long long)k.table_files, (long long)k.log_records);
    if (!k.problems) return 0;
    return wr_err_set(err, WEIR_ENO, "\"%s\" has %lld problem%s", dir, (long long)k.problems,
                      k.problems == 1 ? "" : "s");
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_backup_report r;
    wr_artifacts *artifacts;
    const char *dir = wr_cli_arg(c, 0);
    if (wr_cli_flag(c, "verify")) return verify(c, dir, err);
    WR_TRY(wr_cli_project(c, &p, err));
    wr_backup_opt opt = {.to = dir,
                         .copy = wr_cli_flag(c, "copy"),
                         .files_only = wr_cli_flag(c, "files-only"),
                         .progress = progress,
                         .arg = c};
    int rc = wr_backup(&r, p, &opt, err);
    wr_progress_end(c);
    if (rc < 0) return rc;
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "backup", dir);
    wr_jsonw_ki64(w, "files", r.files);
    wr_jsonw_ki64(w, "linked", r.linked);
    wr_jsonw_ki64(w, "bytes", r.bytes);
    wr_jsonw_end(w);
    wr_say(c, "%s: %lld files, %lld of them links; %.1f MB copied", dir, (long long)r.files, (long long)r.linked,
           (double)r.bytes / 1e6);
    if (wr_project_artifacts(&artifacts, p, NULL, NULL) == 0 && strcmp(wr_artifacts_kind(artifacts), "objects") != 0)
        wr_say(c, "artifacts are kept elsewhere (%s) and are not part of it", wr_artifacts_kind(artifacts));
    return 0;
}

static const wr_cmd_arg args[] = {
    {"verify", 0, WR_ARG_FLAG, NULL, "read DIR, a backup, and say whether it is whole", NULL},
    {"copy", 0, WR_ARG_FLAG, NULL, "copy objects too instead of linking them", NULL},
    {"files-only", 0, WR_ARG_FLAG, NULL, "without the records, when they are in PostgreSQL", NULL},
};

const wr_cmd wr_cmd_backup = {
    "backup",
    "copy everything the project keeps, while it is in use",
    "DIR",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "DIR is made; it holds all that was acknowledged before the backup began, and can stand in the\n"
    "place of .weir: stop the server, move .weir away, copy DIR there. Content that never changes is\n"
    "linked when DIR is on the same disk; a copy of DIR elsewhere is whole by itself.\n"
    "With --verify the exit code is 1 when something is missing or damaged.",
    "  # every night\n  weir backup /backup/weir/$(date +%F)\n  # is it good?\n  weir backup --verify "
    "/backup/weir/2026-01-31",
    run};
