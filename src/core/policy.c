/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - `registry:` of weir.yaml. */
#include "core/policy.h"

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

int wr_policy_config(wr_track *t, const wr_yaml *config, wr_err *err)
{
    static const char *const known[] = {"policies", NULL};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const wr_yaml *section = wr_yaml_get(config, "registry"), *list;
    if (!a) return wr_err_nomem(err);
    if (wr_yaml_null(section)) return 0;
    WR_TRY(wr_yaml_known(section, "registry", known, err));
    list = wr_yaml_get(section, "policies");
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ) return wr_yaml_error(list, WEIR_ETYPE, err, "policies is a list");
    wr_registered_policy *all = wr_arena_calloc(a, list->n + 1, sizeof *all);
    if (!all) return wr_err_nomem(err);
    for (size_t i = 0; i < list->n; i++) WR_TRY(read_policy(&all[i], a, list->items[i], err));
    return wr_registered_policies_set(t, all, list->n, err);
}
