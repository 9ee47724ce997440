/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - `registry:` of weir.yaml. */
#include "core/policy.h"

#include "core/feasibility.h"
#include "core/signing.h"
#include "track/registry_policy.h"

static int read_reports(wr_registered_policy *out, wr_arena *a, const wr_yaml *n, wr_err *err)
{
    if (wr_yaml_null(n)) return 0;
    if (n->kind != WR_YAML_SEQ) return wr_yaml_error(n, WEIR_ETYPE, err, "requires is a list of reports");
    wr_str *reports = wr_arena_calloc(a, n->n + 1, sizeof *reports);
    if (!reports) return wr_err_nomem(err);
    for (size_t i = 0; i < n->n; i++) {
        WR_TRY(wr_yaml_str(&reports[i], n->items[i], "report", err));
        if (!wr_name_ok(reports[i]))
            return wr_yaml_error(n->items[i], WEIR_EINVAL, err, "\"%s\" is not the name of a report", reports[i].p);
    }
    out->reports = reports;
    out->nreports = n->n;
    return 0;
}

static int read_policy(wr_registered_policy *out, wr_arena *a, const wr_yaml *n, wr_err *err)
{
    static const char *const known[] = {"alias", "stage", "model", "requires", "role", NULL};
    wr_str stage;
    if (n->kind != WR_YAML_MAP) return wr_yaml_error(n, WEIR_ETYPE, err, "a policy is a map");
    WR_TRY(wr_yaml_known(n, "a policy", known, err));
    WR_TRY(wr_yaml_get_str(&out->alias, n, "alias", NULL, err));
    WR_TRY(wr_yaml_get_str(&out->stage, n, "stage", NULL, err));
    WR_TRY(wr_yaml_get_str(&out->model, n, "model", NULL, err));
    WR_TRY(wr_yaml_get_str(&out->role, n, "role", NULL, err));
    WR_TRY(read_reports(out, a, wr_yaml_get(n, "requires"), err));
    if (!out->alias.n == !out->stage.n)
        return wr_yaml_error(n, WEIR_EINVAL, err, "a policy names an alias or a stage, one of them");
    if (out->stage.n && wr_registered_stage(&stage, out->stage, NULL) < 0)
        return wr_yaml_error(wr_yaml_get(n, "stage"), WEIR_EINVAL, err,
                             "\"%s\" is not a stage: None, Staging, Production or Archived", out->stage.p);
    if (!out->nreports && !out->role.n)
        return wr_yaml_error(n, WEIR_EINVAL, err, "a policy asks for reports, for a role, or both");
    return 0;
}

enum { PLACES = 3 }; /* of `require`: any alias, and two stages */

static int read_require(wr_registered_policy *out, size_t *n, const wr_yaml *require, wr_err *err)
{
    static const wr_str report = {WR_SIGNATURE_REPORT, sizeof WR_SIGNATURE_REPORT - 1};
    wr_str what;
    if (wr_yaml_null(require)) return 0;
    WR_TRY(wr_yaml_str(&what, require, "require", err));
    if (!wr_str_eq(what, report))
        return wr_yaml_error(require, WEIR_EINVAL, err, "\"%s\" cannot be required of all: signature can", what.p);
    out[(*n)++] = (wr_registered_policy){.alias = WR_STR("*"), .reports = &report, .nreports = 1};
    out[(*n)++] = (wr_registered_policy){.stage = WR_STR("Staging"), .reports = &report, .nreports = 1};
    out[(*n)++] = (wr_registered_policy){.stage = WR_STR("Production"), .reports = &report, .nreports = 1};
    return 0;
}

/* The files are read when they are needed. */
static int check_trust(const wr_yaml *trust, wr_err *err)
{
    wr_str file;
    if (wr_yaml_null(trust)) return 0;
    if (trust->kind != WR_YAML_SEQ) return wr_yaml_str(&file, trust, "trust", err);
    for (size_t i = 0; i < trust->n; i++) WR_TRY(wr_yaml_str(&file, trust->items[i], "trust", err));
    return 0;
}

static int judge(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err)
{
    WR_TRY(wr_feasibility_judge(ctx, v, report, err));
    return wr_signing_judge(ctx, v, report, err);
}

int wr_policy_config(wr_project *p, wr_track *t, const wr_yaml *config, wr_err *err)
{
    static const char *const known[] = {"policies", "require", "trust", "target", NULL};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const wr_yaml *section = wr_yaml_get(config, "registry"), *list;
    wr_str target;
    size_t n = 0;
    if (!a) return wr_err_nomem(err);
    if (wr_yaml_null(section)) return 0;
    WR_TRY(wr_yaml_known(section, "registry", known, err));
    list = wr_yaml_get(section, "policies");
    if (!wr_yaml_null(list) && list->kind != WR_YAML_SEQ)
        return wr_yaml_error(list, WEIR_ETYPE, err, "policies is a list");
    size_t policies = wr_yaml_null(list) ? 0 : list->n;
    wr_registered_policy *all = wr_arena_calloc(a, policies + PLACES, sizeof *all);
    if (!all) return wr_err_nomem(err);
    for (size_t i = 0; i < policies; i++) WR_TRY(read_policy(&all[n++], a, list->items[i], err));
    WR_TRY(read_require(all, &n, wr_yaml_get(section, "require"), err));
    WR_TRY(check_trust(wr_yaml_get(section, "trust"), err));
    WR_TRY(wr_yaml_get_str(&target, section, "target", NULL, err));
    wr_registered_judge_set(t, judge, p);
    return wr_registered_policies_set(t, all, n, err);
}
