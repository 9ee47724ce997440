/* SPDX-License-Identifier: Apache-2.0 */
/* registry_policy.c - what must be true before a version gets an alias or goes to a stage. */
#include "track/registry_policy.h"

#include "track/registry_inside.h"

/* ---- keeping them ---- */

static int copy(wr_registered_policy *to, wr_arena *a, const wr_registered_policy *from, wr_err *err)
{
    wr_str *reports = wr_arena_calloc(a, from->nreports + 1, sizeof *reports);
    if (!reports) return wr_err_nomem(err);
    if (!from->alias.n == !from->stage.n)
        return wr_err_set(err, WEIR_EINVAL, "a policy of the registry names an alias or a stage, one of them");
    *to = *from;
    if (from->model.p) to->model = wr_arena_str(a, from->model);
    if (from->alias.p) to->alias = wr_arena_str(a, from->alias);
    if (from->role.p) to->role = wr_arena_str(a, from->role);
    if (from->stage.p) WR_TRY(wr_registered_stage(&to->stage, from->stage, err));
    for (size_t i = 0; i < from->nreports; i++) reports[i] = wr_arena_str(a, from->reports[i]);
    to->reports = reports;
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_registered_policies_set(wr_track *t, const wr_registered_policy *all, size_t n, wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_registered_policy *kept = a ? wr_arena_calloc(a, n + 1, sizeof *kept) : NULL;
    int rc = kept ? 0 : wr_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < n; i++) rc = copy(&kept[i], a, &all[i], err);
    if (rc < 0) {
        wr_arena_free(a);
        return rc;
    }
    wr_arena_free(t->policy_memory);
    t->policy_memory = a;
    t->policies = kept;
    t->npolicies = n;
    return 0;
}

/* ---- checking ---- */

static bool fits(const wr_registered_policy *p, wr_str model, wr_str alias, wr_str stage)
{
    if (p->model.n && !wr_str_is(p->model, "*") && !wr_str_eq(p->model, model)) return false;
    if (alias.p) return wr_str_is(p->alias, "*") || (p->alias.n && wr_str_eq(p->alias, alias));
    return p->stage.n && wr_str_eq(p->stage, stage);
}

static int check_role(const wr_registered_policy *p, wr_str model, const wr_registered_who *who, wr_err *err)
{
    wr_str place = p->alias.n ? p->alias : p->stage;
    if (!who || who->admin || !p->role.n) return 0;
    for (size_t i = 0; i < who->nroles; i++)
        if (wr_str_eq(who->roles[i], p->role)) return 0;
    wr_err_set(err, WEIR_EACCESS, "the %s \"%.*s\" of \"%.*s\" is moved by the role \"%.*s\"",
               p->alias.n ? "alias" : "stage", WR_STR_FMT(wr_str_fit(place, 60)), WR_STR_FMT(wr_str_fit(model, 80)),
               WR_STR_FMT(wr_str_fit(p->role, 60)));
    return wr_err_detail(err, WEIR_EACCESS, "user \"%.*s\" does not have it", WR_STR_FMT(wr_str_fit(who->name, 60)));
}

bool wr_registered_is_sha256(wr_str s)
{
    if (wr_str_starts(s, "sha256:")) s = wr_str_sub(s, 7, s.n);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))) return false;
    }
    return s.n == 64;
}

static bool has_report(const wr_registered_version *v, wr_str report)
{
    for (size_t i = 0; i < v->ntags; i++) {
        wr_str key = v->tags[i].key;
        if (!wr_str_starts(key, WR_REPORT_TAG)) continue;
        if (wr_str_eq(wr_str_sub(key, sizeof WR_REPORT_TAG - 1, key.n), report))
            return wr_registered_is_sha256(v->tags[i].value);
    }
    return false;
}

static int check_reports(const wr_registered_policy *p, const wr_registered_version *v, wr_str place, wr_err *err)
{
    WR_AUTOBUF wr_buf missing = {0};
    for (size_t i = 0; i < p->nreports; i++) {
        if (has_report(v, p->reports[i])) continue;
        if (missing.n) wr_buf_str(&missing, ", ");
        wr_buf_slice(&missing, p->reports[i]);
    }
    if (missing.failed) return wr_err_nomem(err);
    if (!missing.n) return 0;
    wr_err_set(err, WEIR_ENO, "version %lld of \"%.*s\" may not become \"%.*s\": reports are missing: %.*s",
               (long long)v->version, WR_STR_FMT(wr_str_fit(v->name, 80)), WR_STR_FMT(wr_str_fit(place, 60)),
               WR_STR_FMT(wr_str_fit(wr_buf_view(&missing), 100)));
    return wr_err_hint(err, WEIR_ENO,
                       "a report is the tag \"" WR_REPORT_TAG "NAME\" of the version with the report's "
                       "SHA-256");
}

static int judge_reports(wr_track *t, const wr_registered_policy *p, const wr_registered_version *v, wr_err *err)
{
    for (size_t i = 0; t->judge && i < p->nreports; i++) WR_TRY(t->judge(t->judge_ctx, v, p->reports[i], err));
    return 0;
}

void wr_registered_judge_set(wr_track *t, wr_registered_judge judge, void *ctx)
{
    t->judge = judge;
    t->judge_ctx = ctx;
}

bool wr_registered_policy_asks(wr_track *t, wr_str model, wr_str alias, wr_str stage, wr_str report)
{
    for (size_t i = 0; i < t->npolicies; i++) {
        const wr_registered_policy *p = &t->policies[i];
        if (!fits(p, model, alias, stage)) continue;
        for (size_t k = 0; k < p->nreports; k++)
            if (wr_str_eq(p->reports[k], report)) return true;
    }
    return false;
}

int wr_registered_policy_check(wr_track *t, const wr_registered_version *v, wr_str alias, wr_str stage,
                               const wr_registered_who *who, wr_err *err)
{
    for (size_t i = 0; i < t->npolicies; i++) {
        const wr_registered_policy *p = &t->policies[i];
        if (!fits(p, v->name, alias, stage)) continue;
        WR_TRY(check_role(p, v->name, who, err));
        WR_TRY(check_reports(p, v, alias.p ? alias : stage, err));
        WR_TRY(judge_reports(t, p, v, err));
    }
    return 0;
}

int wr_registered_policy_role(wr_track *t, wr_str model, wr_str alias, const wr_registered_who *who, wr_err *err)
{
    for (size_t i = 0; i < t->npolicies; i++)
        if (fits(&t->policies[i], model, alias, (wr_str){NULL, 0}))
            WR_TRY(check_role(&t->policies[i], model, who, err));
    return 0;
}
