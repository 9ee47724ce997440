/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - gate files and their judgement. */
#include "stage/model/gate.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "codec/yaml.h"
#include "io/file.h"

static const char *const file_keys[] = {"rules", NULL};
static const char *const rule_keys[] = {"metric", "at_least", "at_most", "better_than", "by", NULL};

static int unknown_metric(const wr_yaml *y, wr_str name, wr_err *err)
{
    const char *names[64];
    size_t n, k = 0;
    const wr_metric *all = wr_metrics(&n);
    const wr_yaml *at = wr_yaml_get(y, "metric");
    for (; k < n && k < 64; k++) names[k] = all[k].name;
    wr_yaml_error(at ? at : y, WEIR_EINVAL, err, name.n ? "unknown metric \"%.*s\"" : "the rule names no metric%.*s",
                  WR_STR_FMT(name));
    int near = wr_str_nearest(name, names, k);
    return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", names[near]) : WEIR_EINVAL;
}

static int find_metric(wr_gate_rule *out, const wr_yaml *y, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_yaml_get_str(&name, y, "metric", "", err));
    out->metric = wr_metric_find(name.p);
    return out->metric ? 0 : unknown_metric(y, name, err);
}

static int read_rule(wr_gate_rule *out, const wr_yaml *y, wr_err *err)
{
    const wr_yaml *least = wr_yaml_get(y, "at_least"), *most = wr_yaml_get(y, "at_most"),
                  *better = wr_yaml_get(y, "better_than");
    wr_str than;
    WR_TRY(wr_yaml_known(y, "rule", rule_keys, err));
    WR_TRY(find_metric(out, y, err));
    out->line = y->line;
    if (!!least + !!most + !!better != 1)
        return wr_yaml_error(y, WEIR_EINVAL, err, "a rule has one of at_least, at_most, better_than");
    const wr_yaml *by = wr_yaml_get(y, "by");
    if (by && !better) return wr_yaml_error(by, WEIR_EINVAL, err, "by goes with better_than");
    out->kind = least ? WR_GATE_AT_LEAST : most ? WR_GATE_AT_MOST : WR_GATE_BETTER;
    if (!better) return wr_yaml_f64(&out->value, least ? least : most, least ? "at_least" : "at_most", err);
    WR_TRY(wr_yaml_str(&than, better, "better_than", err));
    out->baseline = wr_str_is(than, "baseline");
    if (!out->baseline && !wr_str_is(than, "against"))
        return wr_yaml_error(better, WEIR_EINVAL, err, "better_than is baseline or against");
    WR_TRY(wr_yaml_get_f64(&out->value, y, "by", 0, err));
    return out->value >= 0 ? 0 : wr_yaml_error(by, WEIR_EINVAL, err, "by is 0 or more");
}

int wr_gate_load(wr_gate *out, wr_arena *a, const char *path, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_yaml *y;
    wr_buf_init(&text, 0);
    memset(out, 0, sizeof *out);
    WR_TRY(wr_file_read(&text, wr_path_join(a, dir, path), WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_yaml_parse(&y, a, wr_arena_str(a, wr_buf_view(&text)), path, err));
    WR_TRY(wr_yaml_known(y, "gate", file_keys, err));
    const wr_yaml *rules = wr_yaml_get(y, "rules");
    if (!rules || rules->kind != WR_YAML_SEQ || !rules->n)
        return wr_yaml_error(y, WEIR_EINVAL, err, "a gate has a list of rules");
    out->rules = wr_arena_calloc(a, rules->n, sizeof *out->rules);
    out->path = wr_arena_strdup(a, path);
    if (!out->rules || !out->path) return wr_err_nomem(err);
    for (; out->n < rules->n; out->n++) WR_TRY(read_rule(&out->rules[out->n], rules->items[out->n], err));
    return 0;
}

static void judge_bound(wr_gate_result *out, const wr_gate_rule *r, double own)
{
    bool least = r->kind == WR_GATE_AT_LEAST;
    out->state = (least ? own >= r->value : own <= r->value) ? WR_GATE_PASSED : WR_GATE_FAILED;
    snprintf(out->text, sizeof out->text, "%s %.5g %s %.5g", r->metric->name, own, least ? "at least" : "at most",
             r->value);
}

void wr_gate_judge(wr_gate_result *out, const wr_gate_rule *r, const double *own, const double *against,
                   const double *baseline)
{
    size_t n;
    size_t at = (size_t)(r->metric - wr_metrics(&n));
    const double *other = r->baseline ? baseline : against;
    const char *who = r->baseline ? "baseline" : "against";
    if (r->kind != WR_GATE_BETTER) {
        judge_bound(out, r, own[at]);
        return;
    }
    if (!other) {
        out->state = WR_GATE_SKIPPED;
        snprintf(out->text, sizeof out->text, "%s better than %s: there is none yet", r->metric->name, who);
        return;
    }
    double gain = r->metric->bigger_is_better ? own[at] - other[at] : other[at] - own[at];
    out->state = gain >= r->value && gain > 0 ? WR_GATE_PASSED : WR_GATE_FAILED;
    snprintf(out->text, sizeof out->text, "%s %.5g better than %s %.5g by %.5g (needs %.5g)", r->metric->name, own[at],
             who, other[at], gain, r->value);
}
