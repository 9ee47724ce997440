/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_user.c - weir user add|list|remove|password|token|grant|audit: who may do what on a server with authentication. A
 * running server sees the change within a second. */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/os.h"
#include "cli/commands.h"
#include "track/experiment.h"
#include "track/registry.h"
#include "track/user.h"

enum { PASSWORD_LINE = 1100 };

/* ---- reading a password ---- */

static int read_line(char *out, size_t size, wr_err *err)
{
    if (!fgets(out, (int)size, stdin)) {
        wr_err_set(err, WEIR_EUSAGE, "there is no password on the standard input");
        return wr_err_hint(err, WEIR_EUSAGE, "pipe it in, or set WEIR_PASSWORD");
    }
    out[strcspn(out, "\r\n")] = 0;
    return 0;
}

static int ask(char *out, size_t size, const char *prompt, wr_err *err)
{
    struct termios old, quiet;
    fputs(prompt, stderr);
    fflush(stderr);
    bool tty = tcgetattr(0, &old) == 0;
    quiet = old;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    if (tty) tcsetattr(0, TCSAFLUSH, &quiet);
    int rc = read_line(out, size, err);
    if (tty) tcsetattr(0, TCSAFLUSH, &old);
    fputc('\n', stderr);
    return rc;
}

/* From WEIR_PASSWORD, a pipe, or typed twice; asked for only where there is a project that takes it. */
static int password(char out[PASSWORD_LINE], wr_cli *c, wr_err *err)
{
    wr_project *p;
    char again[PASSWORD_LINE];
    const char *env = getenv("WEIR_PASSWORD");
    WR_TRY(wr_cli_project(c, &p, err));
    if (env && env[0]) {
        if (snprintf(out, PASSWORD_LINE, "%s", env) >= PASSWORD_LINE)
            return wr_err_set(err, WEIR_EINVAL, "the password is too long");
        return 0;
    }
    if (!wr_os_tty(0)) return read_line(out, PASSWORD_LINE, err);
    WR_TRY(ask(out, PASSWORD_LINE, "password: ", err));
    WR_TRY(ask(again, sizeof again, "again: ", err));
    return strcmp(out, again) == 0 ? 0 : wr_err_set(err, WEIR_EUSAGE, "the two passwords differ");
}

/* ---- changes ---- */

typedef struct {
    wr_str user, password, name, type, id;
    bool admin;
    wr_permission permission;
    int64_t expires_ms;
    char token[WR_TOKEN_TEXT];
} change;

static void suggest_user(wr_cli *c, wr_track *t, wr_str name, wr_err *err)
{
    wr_users *u;
    if (wr_users_read(&u, t, NULL) < 0) return;
    size_t n = wr_users_count(u);
    const char **names = wr_arena_calloc(wr_cli_arena(c), n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++) names[i] = wr_users_at(u, i)->name.p;
    int near = names ? wr_str_nearest(name, names, n) : -1;
    if (!wr_users_find(u, name)) {
        if (near >= 0) wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
        else wr_err_hint(err, WEIR_ENOTFOUND, "weir user list shows them");
    }
    wr_users_free(u);
}

static int store(wr_track **out, wr_cli *c, wr_err *err)
{
    wr_project *p;
    WR_TRY(wr_cli_project(c, &p, err));
    return wr_project_track(out, p, err);
}

static int in_store(wr_cli *c, wr_track_fn fn, change *ch, wr_err *err)
{
    wr_track *t;
    WR_TRY(store(&t, c, err));
    int rc = wr_track_write(t, fn, ch, err);
    if (rc == WEIR_ENOTFOUND) suggest_user(c, t, ch->user, err);
    return rc;
}

static int add_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    int64_t id;
    return wr_user_create(&id, t, ch->user, ch->password, ch->admin, err);
}

static int run_add(wr_cli *c, wr_err *err)
{
    char text[PASSWORD_LINE];
    change ch = {.user = wr_str_of(wr_cli_arg(c, 0)), .admin = wr_cli_flag(c, "admin")};
    WR_TRY(password(text, c, err));
    ch.password = wr_str_of(text);
    WR_TRY(in_store(c, add_fn, &ch, err));
    wr_say(c, "added user %s%s", wr_cli_arg(c, 0), ch.admin ? ", an administrator" : "");
    return 0;
}

static int password_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    return wr_user_set_password(t, ch->user, ch->password, err);
}

static int run_password(wr_cli *c, wr_err *err)
{
    char text[PASSWORD_LINE];
    change ch = {.user = wr_str_of(wr_cli_arg(c, 0))};
    WR_TRY(password(text, c, err));
    ch.password = wr_str_of(text);
    WR_TRY(in_store(c, password_fn, &ch, err));
    wr_say(c, "user %s has a new password", wr_cli_arg(c, 0));
    return 0;
}

static int remove_fn(wr_track *t, void *arg, wr_err *err) { return wr_user_delete(t, ((change *)arg)->user, err); }

static int run_remove(wr_cli *c, wr_err *err)
{
    change ch = {.user = wr_str_of(wr_cli_arg(c, 0))};
    WR_TRY(in_store(c, remove_fn, &ch, err));
    wr_say(c, "removed user %s, with tokens and grants", wr_cli_arg(c, 0));
    return 0;
}

static int token_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    return wr_token_create(ch->token, t, ch->user, ch->name, ch->expires_ms, err);
}

static int token_gone_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    return wr_token_delete(t, ch->user, ch->name, err);
}

static int run_token(wr_cli *c, wr_err *err)
{
    change ch = {.user = wr_str_of(wr_cli_arg(c, 0)), .name = wr_str_of(wr_cli_arg(c, 1))};
    if (wr_cli_has(c, "expires")) ch.expires_ms = (wr_clock_wall_us() + wr_cli_int(c, "expires")) / 1000;
    if (wr_cli_flag(c, "revoke")) {
        WR_TRY(in_store(c, token_gone_fn, &ch, err));
        wr_say(c, "token %s of %s is void", wr_cli_arg(c, 1), wr_cli_arg(c, 0));
        return 0;
    }
    WR_TRY(in_store(c, token_fn, &ch, err));
    if (wr_cli_json(c)) {
        wr_jsonw *w = wr_cli_jsonw(c);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "token", ch.token);
        wr_jsonw_end(w);
        return 0;
    }
    wr_say(c, "%s", ch.token);
    fprintf(stderr, "this is shown once; use it as MLFLOW_TRACKING_TOKEN, or as the password\n");
    return 0;
}

static int grant_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    return wr_grant_set(t, ch->user, ch->type, ch->id, ch->permission, err);
}

/* A slip of the pen would grant nothing, and nobody would see it. */
static int check_resource(wr_cli *c, const change *ch, wr_err *err)
{
    static const char *const types[] = {"experiment", "model", "registered_model", "scorer", "endpoint"};
    enum { TYPES = sizeof types / sizeof *types };
    wr_track *t;
    wr_experiment e;
    wr_registered_model m;
    int64_t id;
    bool known = false;
    for (size_t i = 0; i < TYPES; i++) known = known || wr_str_is(ch->type, types[i]);
    if (!known) {
        int near = wr_str_nearest(ch->type, types, TYPES);
        wr_err_set(err, WEIR_EUSAGE, "\"%s\" is no kind of thing that permissions are on", wr_cli_arg(c, 1));
        if (near >= 0) return wr_err_hint(err, WEIR_EUSAGE, "did you mean \"%s\"?", types[near]);
        return wr_err_hint(err, WEIR_EUSAGE, "experiment, model, scorer or endpoint");
    }
    if (wr_str_is(ch->id, "*") || wr_str_is(ch->type, "scorer") || wr_str_is(ch->type, "endpoint")) return 0;
    WR_TRY(store(&t, c, err));
    if (wr_str_is(ch->type, "registered_model")) {
        int rc = wr_registered_model_get(&m, wr_cli_arena(c), t, ch->id, err);
        return rc == WEIR_ENOTFOUND ? wr_err_hint(err, rc, "weir model list shows them") : rc;
    }
    if (wr_num_i64(&id, ch->id, NULL) == 0 && wr_experiment_get(&e, wr_cli_arena(c), t, id, NULL) == 0) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "no experiment \"%s\"", wr_cli_arg(c, 2));
    if (wr_experiment_find(&e, wr_cli_arena(c), t, ch->id, NULL) == 0)
        return wr_err_hint(err, WEIR_ENOTFOUND, "the id of the experiment with this name is %lld", (long long)e.id);
    return wr_err_hint(err, WEIR_ENOTFOUND, "ID is the number of an experiment, or * for all");
}

static int run_grant(wr_cli *c, wr_err *err)
{
    change ch = {
        .user = wr_str_of(wr_cli_arg(c, 0)), .type = wr_str_of(wr_cli_arg(c, 1)), .id = wr_str_of(wr_cli_arg(c, 2))};
    if (wr_str_is(ch.type, "model")) ch.type = WR_STR("registered_model");
    WR_TRY(wr_permission_parse(&ch.permission, wr_str_of(wr_cli_arg(c, 3)), err));
    WR_TRY(check_resource(c, &ch, err));
    WR_TRY(in_store(c, grant_fn, &ch, err));
    wr_say(c, "%s has %s on %s %s", wr_cli_arg(c, 0), wr_cli_arg(c, 3), wr_cli_arg(c, 1), wr_cli_arg(c, 2));
    return 0;
}

/* ---- looking ---- */

static void put_user(wr_jsonw *w, const wr_user *u)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", u->name);
    wr_jsonw_kbool(w, "admin", u->admin);
    wr_jsonw_key(w, "grants");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < u->nroles; i++)
        for (size_t k = 0; k < u->roles[i]->ngrants; k++) {
            const wr_grant *g = &u->roles[i]->grants[k];
            wr_jsonw_obj(w);
            wr_jsonw_kslice(w, "role", u->roles[i]->name);
            wr_jsonw_kslice(w, "type", g->type);
            wr_jsonw_kslice(w, "resource", g->resource);
            wr_jsonw_kstr(w, "permission", wr_permission_name(g->permission));
            wr_jsonw_end(w);
        }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void list_table(wr_cli *c, const wr_users *u)
{
    wr_table *t = wr_table_new(c, "USER", "ADMIN", ">ROLES", ">GRANTS", NULL);
    for (size_t i = 0; i < wr_users_count(u); i++) {
        const wr_user *user = wr_users_at(u, i);
        size_t roles = 0, grants = 0;
        for (size_t k = 0; k < user->nroles; k++) {
            roles += !user->roles[k]->personal;
            grants += user->roles[k]->ngrants;
        }
        wr_table_cell(t, "%.*s", WR_STR_FMT(user->name));
        wr_table_cell(t, "%s", user->admin ? "yes" : "");
        wr_table_cell(t, "%zu", roles);
        wr_table_cell(t, "%zu", grants);
    }
    wr_table_print(t);
}

static int run_list(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    wr_users *u;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_users_read(&u, t, err));
    if (wr_cli_json(c)) {
        wr_jsonw *w = wr_cli_jsonw(c);
        wr_jsonw_arr(w);
        for (size_t i = 0; i < wr_users_count(u); i++) put_user(w, wr_users_at(u, i));
        wr_jsonw_end(w);
    } else if (wr_users_count(u)) list_table(c, u);
    else wr_say(c, "no users; weir user add NAME --admin makes the first");
    wr_users_free(u);
    return 0;
}

static int run_audit(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    wr_audit_row *rows;
    size_t n;
    char time[WR_TIME_TEXT];
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_audit_list(&rows, &n, wr_cli_arena(c), t, wr_cli_int(c, "after"), (size_t)wr_cli_int(c, "limit"), err));
    wr_jsonw *w = wr_cli_json(c) ? wr_cli_jsonw(c) : NULL;
    wr_table *table = w ? NULL : wr_table_new(c, ">NO", "TIME", "USER", "ACTION", "SUBJECT", "FROM", NULL);
    if (w) wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_time_format(time, rows[i].time_ms * 1000);
        if (w) {
            wr_jsonw_obj(w);
            wr_jsonw_ki64(w, "id", rows[i].id);
            wr_jsonw_kstr(w, "time", time);
            wr_jsonw_kslice(w, "user", rows[i].user);
            wr_jsonw_kslice(w, "action", rows[i].action);
            wr_jsonw_kslice(w, "subject", rows[i].subject);
            wr_jsonw_kslice(w, "from", rows[i].peer);
            wr_jsonw_end(w);
            continue;
        }
        wr_table_cell(table, "%lld", (long long)rows[i].id);
        wr_table_cell(table, "%s", time);
        wr_table_cell(table, "%.*s", WR_STR_FMT(rows[i].user));
        wr_table_cell(table, "%.*s", WR_STR_FMT(rows[i].action));
        wr_table_cell(table, "%.*s", WR_STR_FMT(rows[i].subject));
        wr_table_cell(table, "%.*s", WR_STR_FMT(rows[i].peer));
    }
    if (w) wr_jsonw_end(w);
    else if (n) wr_table_print(table);
    else wr_say(c, "nothing was changed by users yet");
    return 0;
}

/* ---- the commands ---- */

static const wr_cmd_arg add_args[] = {{"admin", 0, WR_ARG_FLAG, NULL, "may do everything", NULL}};
const wr_cmd wr_cmd_user_add = {
    "user add",
    "add a user of a server with authentication",
    "NAME",
    1,
    1,
    add_args,
    1,
    "The password (12 characters at least) comes from WEIR_PASSWORD, from a pipe, or is\nasked for.",
    "  # the first one\n  weir user add ada --admin",
    run_add};
const wr_cmd wr_cmd_user_list = {"user list", "list users with their roles and grants", "",      0, 0, NULL, 0,
                                 NULL,        "  # as a table\n  weir user list",       run_list};
const wr_cmd wr_cmd_user_remove = {"user remove",
                                   "remove a user, with tokens and grants",
                                   "NAME",
                                   1,
                                   1,
                                   NULL,
                                   0,
                                   NULL,
                                   "  # at once, also on a running server\n  weir user remove ada",
                                   run_remove};
const wr_cmd wr_cmd_user_password = {"user password",
                                     "give a user another password",
                                     "NAME",
                                     1,
                                     1,
                                     NULL,
                                     0,
                                     NULL,
                                     "  # asked for\n  weir user password ada",
                                     run_password};

static const wr_cmd_arg token_args[] = {
    {"expires", 0, WR_ARG_DURATION, "TIME", "how long it is good, such as 90d (default: for ever)", NULL},
    {"revoke", 0, WR_ARG_FLAG, NULL, "make it void instead", NULL}};
const wr_cmd wr_cmd_user_token = {
    "user token",
    "make a token for programs, or make one void",
    "NAME LABEL",
    2,
    2,
    token_args,
    2,
    "The token is printed once and kept as its hash. Clients send it as MLFLOW_TRACKING_TOKEN.",
    "  # for a training job\n  weir user token ada ci --expires 90d",
    run_token};
const wr_cmd wr_cmd_user_grant = {
    "user grant",
    "grant a user a permission on an experiment or a model",
    "NAME TYPE ID LEVEL",
    4,
    4,
    NULL,
    0,
    "TYPE is experiment, model, scorer or endpoint; ID the number of the experiment, the name of the model,\n"
    "EXPERIMENT/NAME of the scorer, or * for all;\n"
    "LEVEL one of READ, USE, EDIT, MANAGE, DENY.",
    "  # may change experiment 3\n  weir user grant ada experiment 3 EDIT",
    run_grant};

static const wr_cmd_arg audit_args[] = {{"limit", 'n', WR_ARG_INT, "N", "how many", "100"},
                                        {"after", 0, WR_ARG_INT, "NO", "only those after this number", "0"}};
const wr_cmd wr_cmd_user_audit = {
    "user audit", "show who changed what through the server",         "",       0, 0, audit_args, 2,
    NULL,         "  # oldest first\n  weir user audit --after 1000", run_audit};
