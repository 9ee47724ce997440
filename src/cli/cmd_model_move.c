/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_move.c - weir model promote, rollback, alias: where an alias points. */
#include "base/num.h"
#include "cli/commands.h"
#include "cli/model_facts.h"
#include "core/run.h"
#include "core/signing.h"

static int version_number(int64_t *out, const char *text, const char *command, const char *name, wr_err *err)
{
    if (wr_num_i64(out, wr_str_of(text), NULL) == 0 && *out > 0) return 0;
    wr_err_set(err, WEIR_EUSAGE, "weir model %s: \"%s\" is not a version number", command, text);
    return wr_err_hint(err, WEIR_EUSAGE, "weir model list %s shows them", name);
}

/* A report that is missing, and how to give it; what else a policy says has its own hint. */
static int refused(const wr_model_move *m, int rc, wr_err *err)
{
    const char *missing = rc == WEIR_ENO && err ? strstr(err->msg, "reports are missing") : NULL;
    long long version = m->version > 0 ? m->version : m->was;
    if (!missing) return rc;
    if (strstr(missing, ": " WR_SIGNATURE_REPORT))
        return wr_err_hint(err, rc, "weir model sign %s@%lld --key FILE signs it", m->name, version);
    return wr_err_hint(err, rc, "weir model report %s %lld KIND FILE keeps a report of it", m->name, version);
}

static int do_move(wr_model_move *m, wr_cli *c, wr_project *p, wr_run *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(c);
    wr_registered_version v = {0};
    wr_run_param(r, "alias", m->alias);
    WR_TRY(refused(m, wr_model_move_alias(m, p, err), err));
    if (m->version) {
        char *ref = wr_arena_printf(a, "%s@%lld", m->name, (long long)m->version);
        if (!ref) return wr_err_nomem(err);
        WR_TRY(wr_model_registered(&v, a, p, ref, err));
        wr_node node = {.kind = "model", .name = m->name, .hash = v.package.n ? v.package.p : "", .version = v.version};
        wr_run_input(r, &node);
    }
    return wr_model_announce(p, m, v.package.n ? v.package.p : NULL, err);
}

static void tell(wr_cli *c, const wr_model_move *m, const char *now)
{
    const char *would = m->dry_run ? "would be " : "is ";
    if (!m->version) wr_say(c, "%s@%s %sno more (it is version %lld)", m->name, m->alias, would, (long long)m->was);
    else wr_say(c, "%s@%s %sversion %lld %s", m->name, m->alias, would, (long long)m->version, now);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", m->name);
    if (m->version) wr_jsonw_ki64(w, "version", m->version);
    wr_jsonw_kstr(w, "alias", m->alias);
    if (m->was) wr_jsonw_ki64(w, "previous", m->was);
    if (m->dry_run) wr_jsonw_kbool(w, "dry_run", true);
    wr_jsonw_end(w);
}

/* The whole of it: a run around the move, unless nothing is to change. */
static int move(wr_model_move *m, wr_cli *c, const char *now, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    m->dry_run = wr_cli_flag(c, "dry-run");
    if (m->dry_run) {
        WR_TRY(refused(m, wr_model_move_alias(m, p, err), err));
    } else {
        wr_run_opt opt = {"promote", "deployment", m->name, wr_cli_command_line(c)};
        WR_TRY(wr_run_begin(&r, p, &opt, err));
        int rc = do_move(m, c, p, r, err);
        int rc_end = wr_run_end(r, rc, err, &end);
        if (rc == 0 && rc_end < 0 && err) *err = end;
        if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    }
    tell(c, m, now);
    return 0;
}

#define DRY_RUN                                                                                                        \
    {                                                                                                                  \
        "dry-run", 'n', WR_ARG_FLAG, NULL, "check it, with policies; change nothing", NULL                             \
    }

/* ---- promote ---- */

static const wr_cmd_arg promote_args[] = {
    {"to", 't', WR_ARG_TEXT, "ALIAS", "the alias to move (default: champion)", NULL},
    {"alias", 'a', WR_ARG_TEXT, "ALIAS", "the same", NULL},
    DRY_RUN,
};

static int run_promote(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_registered_version v;
    const char *alias = wr_cli_text(c, wr_cli_has(c, "to") ? "to" : "alias");
    wr_model_move m = {.name = wr_cli_arg(c, 0), .alias = alias ? alias : "champion"};
    if (wr_cli_nargs(c) == 2) {
        WR_TRY(version_number(&m.version, wr_cli_arg(c, 1), "promote", m.name, err));
    } else {
        WR_TRY(wr_cli_project(c, &p, err));
        if (!strpbrk(m.name, "@/")) {
            wr_err_set(err, WEIR_EUSAGE, "weir model promote: which version of \"%s\"?", m.name);
            return wr_err_hint(err, WEIR_EUSAGE, "weir model promote %s@VERSION; weir model list %s shows them", m.name,
                               m.name);
        }
        WR_TRY(wr_model_registered(&v, wr_cli_arena(c), p, m.name, err));
        m.name = v.name.p;
        m.version = v.version;
    }
    return move(&m, c, "now", err);
}

const wr_cmd wr_cmd_model_promote = {
    "model promote",
    "let an alias point at a version",
    "MODEL@VERSION | MODEL VERSION",
    1,
    2,
    promote_args,
    sizeof promote_args / sizeof *promote_args,
    "A running server follows the alias within a second, without failing a request. Policies of\n"
    "weir.yaml are asked: when a report is missing the exit code is 1. An alias may stand in the\n"
    "place of the version.",
    "  # version 3 is in use from now on\n  weir model promote delay@3 --to champion\n"
    "  # may the challenger?\n  weir model promote delay@challenger --to champion --dry-run",
    run_promote};

/* ---- rollback ---- */

static const wr_cmd_arg rollback_args[] = {
    {"alias", 'a', WR_ARG_TEXT, "ALIAS", "the alias to move back", "champion"},
    DRY_RUN,
};

static int run_rollback(wr_cli *c, wr_err *err)
{
    wr_model_move m = {.name = wr_cli_arg(c, 0), .alias = wr_cli_text(c, "alias"), .version = WR_MODEL_BACK};
    return move(&m, c, "again", err);
}

const wr_cmd wr_cmd_model_rollback = {
    "model rollback",
    "let an alias point where it pointed before",
    "MODEL",
    1,
    1,
    rollback_args,
    sizeof rollback_args / sizeof *rollback_args,
    "Again goes further back; weir model show MODEL shows where it was. Policies of weir.yaml are\n"
    "asked as for any move; a running server follows within a second.",
    "  # what would it be?\n  weir model rollback delay --dry-run\n  weir model rollback delay --alias champion",
    run_rollback};

/* ---- alias ---- */

static const wr_cmd_arg alias_args[] = {
    {"delete", 'd', WR_ARG_FLAG, NULL, "take the alias away", NULL},
    DRY_RUN,
};

static int run_alias(wr_cli *c, wr_err *err)
{
    wr_model_move m = {.name = wr_cli_arg(c, 0), .alias = wr_cli_arg(c, 1), .version = WR_MODEL_AWAY};
    bool away = wr_cli_flag(c, "delete");
    if (away == (wr_cli_nargs(c) == 3))
        return wr_err_set(err, WEIR_EUSAGE, "weir model alias: a version, or --delete%s", away ? ", not both" : "");
    if (!away) WR_TRY(version_number(&m.version, wr_cli_arg(c, 2), "alias", m.name, err));
    return move(&m, c, "now", err);
}

const wr_cmd wr_cmd_model_alias = {
    "model alias",
    "give a version an alias, or take an alias away",
    "MODEL ALIAS [VERSION]",
    2,
    3,
    alias_args,
    sizeof alias_args / sizeof *alias_args,
    "An endpoint whose alias is taken away goes on with the version it has, and says so.",
    "  weir model alias delay challenger 4\n  weir model alias delay challenger --delete",
    run_alias};
