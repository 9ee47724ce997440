/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.c - reading and writing what a rollout is. */
#include "core/rollout.h"

#include <math.h>

#include "base/num.h"
#include "io/file.h"

const char *const wr_rollout_mode_names[] = {"split", "shadow", "switch", "bandit"};
const char *const wr_guard_names[] = {"errors", "p99", "drift", "reward", "joules"};

/* ---- values ---- */

/* "10%" or 0.1. */
static int number_of(double *out, const wr_yaml *n, const char *what, wr_err *err)
{
    wr_str s = n->text;
    bool percent = n->kind == WR_YAML_SCALAR && s.n > 1 && s.p[s.n - 1] == '%';
    if (percent) s.n--;
    if (n->kind != WR_YAML_SCALAR || wr_num_f64(out, s, NULL) < 0 || !isfinite(*out))
        return wr_yaml_error(n, WEIR_ETYPE, err, "%s is a number, such as 0.1 or 10%%", what);
    if (percent) *out /= 100;
    return 0;
}

static int get_number(double *out, const wr_yaml *map, const char *key, double fallback, double lo, double hi,
                      wr_err *err)
{
    const wr_yaml *n = wr_yaml_get(map, key);
    *out = fallback;
    if (wr_yaml_null(n)) return 0;
    WR_TRY(number_of(out, n, key, err));
    if (*out >= lo && *out <= hi) return 0;
    if (isinf(hi)) return wr_yaml_error(n, WEIR_EINVAL, err, "%s is at least %g", key, lo);
    return wr_yaml_error(n, WEIR_EINVAL, err, "%s is between %g and %g", key, lo, hi);
}

static int get_choice(size_t *out, const wr_yaml *map, const char *key, const char *const *names, size_t n, wr_err *err)
{
    const wr_yaml *v = wr_yaml_get(map, key);
    if (wr_yaml_null(v)) return 0;
    for (size_t i = 0; i < n && v->kind == WR_YAML_SCALAR; i++)
        if (wr_str_is(v->text, names[i])) {
            *out = i;
            return 0;
        }
    int near = v->kind == WR_YAML_SCALAR ? wr_str_nearest(v->text, names, n) : -1;
    wr_yaml_error(v, WEIR_EINVAL, err, "unknown %s \"%s\"", key, v->kind == WR_YAML_SCALAR ? v->text.p : "...");
    return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", names[near]) : WEIR_EINVAL;
}

/* No control characters (C0, DEL, C1) and what else YAML does not let stand in a text: a rollout is written as JSON and
 * read as YAML again. The text is UTF-8. */
static bool printable(wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t left = s.n - i;
        if (*p < 0x20 || *p == 0x7f) return false;
        if (*p == 0xc2 && left > 1 && p[1] < 0xa0) return false;
        if (*p == 0xe2 && left > 2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8) return false; /* ends of lines */
        if (*p == 0xef && left > 2 && ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe))) return false;
    }
    return true;
}

static int get_text(wr_str *out, const wr_yaml *map, const char *key, wr_err *err)
{
    WR_TRY(wr_yaml_get_str(out, map, key, "", err));
    if (printable(*out)) return 0;
    return wr_yaml_error(wr_yaml_get(map, key), WEIR_EINVAL, err, "%s has control characters", key);
}

static int is_map(const wr_yaml *n, const char *what, wr_err *err)
{
    return n->kind == WR_YAML_MAP ? 0 : wr_yaml_error(n, WEIR_ETYPE, err, "%s is a map", what);
}

/* ---- arms ---- */

static int read_arm(wr_rollout_arm *out, wr_arena *a, const char *root, const wr_yaml *name, const wr_yaml *at,
                    wr_err *err)
{
    static const char *const keys[] = {"model", "path", "weight", NULL};
    wr_str model, path;
    if (!wr_name_ok(name->text) || wr_str_is(name->text, "primary"))
        return wr_yaml_error(name, WEIR_EINVAL, err, "\"%s\" is not the name of an arm", name->text.p);
    WR_TRY(is_map(at, "an arm", err));
    WR_TRY(wr_yaml_known(at, "arm", keys, err));
    WR_TRY(get_text(&model, at, "model", err));
    WR_TRY(get_text(&path, at, "path", err));
    WR_TRY(get_number(&out->weight, at, "weight", 0, 0, 1, err));
    if (!model.n == !path.n)
        return wr_yaml_error(at, WEIR_EINVAL, err, "arm \"%s\" names %s", name->text.p,
                             model.n ? "a model and a path" : "no model");
    out->name = wr_arena_str(a, name->text).p;
    out->model = wr_arena_str(a, model).p;
    out->path = path.n ? wr_path_join(a, root, path.p) : NULL;
    return out->name && out->model && (!path.n || out->path) ? 0 : wr_err_nomem(err);
}

static int read_arms(wr_rollout_spec *out, wr_arena *a, const char *root, const wr_yaml *at, wr_err *err)
{
    const wr_yaml *arms = wr_yaml_get(at, "arms");
    double sum = 0;
    out->arms[0] = (wr_rollout_arm){.name = "primary", .model = ""};
    out->narms = 1;
    if (wr_yaml_null(arms) || (arms->kind == WR_YAML_MAP && !arms->n))
        return wr_yaml_error(at, WEIR_EINVAL, err, "a rollout has arms: {NAME: {model: NAME@ALIAS, weight: 10%%}}");
    WR_TRY(is_map(arms, "arms", err));
    if (arms->n >= WR_ROLLOUT_ARMS)
        return wr_yaml_error(arms, WEIR_ELIMIT, err, "at most %d arms beside the primary", WR_ROLLOUT_ARMS - 1);
    for (size_t i = 0; i < arms->n; i++) {
        WR_TRY(read_arm(&out->arms[out->narms], a, root, arms->keys[i], arms->items[i], err));
        sum += out->arms[out->narms++].weight;
    }
    if (sum > 1 + 1e-9) return wr_yaml_error(arms, WEIR_EINVAL, err, "the weights of the arms are more than 100%%");
    out->arms[0].weight = sum < 1 ? 1 - sum : 0;
    return 0;
}

static int read_sticky(wr_rollout_spec *out, wr_arena *a, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"header", "field", NULL};
    const wr_yaml *s = wr_yaml_get(at, "sticky");
    wr_str header, field, salt;
    WR_TRY(get_text(&salt, at, "salt", err));
    if (salt.n) out->salt = wr_arena_str(a, salt).p;
    if (wr_yaml_null(s)) return 0;
    WR_TRY(is_map(s, "sticky", err));
    WR_TRY(wr_yaml_known(s, "sticky", keys, err));
    WR_TRY(get_text(&header, s, "header", err));
    WR_TRY(get_text(&field, s, "field", err));
    if (!header.n == !field.n)
        return wr_yaml_error(s, WEIR_EINVAL, err, "sticky names a header or a field of the requests");
    if (header.n) out->header = wr_arena_str(a, header).p;
    else out->field = wr_arena_str(a, field).p;
    return out->header || out->field ? 0 : wr_err_nomem(err);
}

/* ---- guardrails ---- */

static int read_guard(wr_rollout_guard *out, wr_guard_kind kind, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"worse_by", "max", NULL}, *const drift_keys[] = {"max", NULL},
                             *const reward_keys[] = {"worse_by", "min", NULL};
    const char *limit = kind == WR_GUARD_REWARD ? "min" : "max";
    const wr_yaml *max = wr_yaml_get(at, limit);
    WR_TRY(is_map(at, wr_guard_names[kind], err));
    WR_TRY(wr_yaml_known(at, wr_guard_names[kind],
                         kind == WR_GUARD_DRIFT    ? drift_keys
                         : kind == WR_GUARD_REWARD ? reward_keys
                                                   : keys,
                         err));
    *out = (wr_rollout_guard){.on = true, .limit = NAN};
    WR_TRY(get_number(&out->worse_by, at, "worse_by", NAN, 0, kind == WR_GUARD_ERRORS ? 1 : INFINITY, err));
    if (kind == WR_GUARD_P99 && !wr_yaml_null(max)) {
        int64_t us;
        WR_TRY(wr_yaml_duration_us(&us, max, "max", err));
        out->limit = (double)us / 1e6;
    } else {
        double lo = kind == WR_GUARD_REWARD ? -INFINITY : 0;
        WR_TRY(get_number(&out->limit, at, limit, NAN, lo, kind == WR_GUARD_ERRORS ? 1 : INFINITY, err));
    }
    if (isnan(out->limit) && isnan(out->worse_by))
        return wr_yaml_error(at, WEIR_EINVAL, err, "guardrail %s says nothing: %s%s", wr_guard_names[kind],
                             kind == WR_GUARD_DRIFT ? "" : "worse_by or ", limit);
    return 0;
}

static int read_guards(wr_rollout_spec *out, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"errors", "p99", "drift", "reward", "joules", NULL};
    const wr_yaml *g = wr_yaml_get(at, "guardrails");
    if (wr_yaml_null(g)) {
        out->guards[WR_GUARD_ERRORS] = (wr_rollout_guard){true, 0.01, NAN};
        out->guards[WR_GUARD_P99] = (wr_rollout_guard){true, 0.5, NAN};
        return 0;
    }
    if (g->kind == WR_YAML_SCALAR && wr_str_is(g->text, "none")) return 0;
    if (g->kind != WR_YAML_MAP) return wr_yaml_error(g, WEIR_ETYPE, err, "guardrails is a map, or none");
    WR_TRY(wr_yaml_known(g, "guardrails", keys, err));
    for (int k = 0; k < WR_GUARDS; k++) {
        const wr_yaml *one = wr_yaml_get(g, wr_guard_names[k]);
        if (!wr_yaml_null(one)) WR_TRY(read_guard(&out->guards[k], (wr_guard_kind)k, one, err));
    }
    return 0;
}

/* ---- plan and bandit ---- */

static int read_steps(wr_rollout_spec *out, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"interval", "threshold", "step_weight", "max_weight", NULL};
    const wr_yaml *s = wr_yaml_get(at, "steps");
    if (s && s->kind == WR_YAML_SCALAR && wr_yaml_null(s)) s = NULL;
    out->steps = s != NULL;
    if (s) {
        WR_TRY(is_map(s, "steps", err));
        WR_TRY(wr_yaml_known(s, "steps", keys, err));
    }
    WR_TRY(wr_yaml_get_duration_us(&out->interval_us, s, "interval", 60 * 1000000LL, err));
    WR_TRY(wr_yaml_get_i64(&out->threshold, s, "threshold", 5, err));
    WR_TRY(get_number(&out->step_weight, s, "step_weight", 0.1, 0.0001, 1, err));
    WR_TRY(
        get_number(&out->max_weight, s, "max_weight", out->step_weight > 0.5 ? out->step_weight : 0.5, 0.0001, 1, err));
    if (!s) return 0;
    if (out->interval_us < 1000000)
        return wr_yaml_error(wr_yaml_get(s, "interval"), WEIR_EINVAL, err, "interval is at least a second");
    if (out->threshold < 1)
        return wr_yaml_error(wr_yaml_get(s, "threshold"), WEIR_EINVAL, err, "threshold is at least 1 failed check");
    if (out->max_weight < out->step_weight)
        return wr_yaml_error(s, WEIR_EINVAL, err, "max_weight is below step_weight");
    if (out->mode != WR_ROLLOUT_SPLIT || out->narms != 2)
        return wr_yaml_error(s, WEIR_EINVAL, err, "steps are for mode split with one arm beside the primary");
    return 0;
}

static int read_bandit(wr_rollout_spec *out, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"policy", "reward", "epsilon", "floor", NULL};
    static const char *const policies[] = {"thompson", "epsilon"}, *const rewards[] = {"binary", "gaussian"};
    const wr_yaml *b = wr_yaml_get(at, "bandit");
    size_t policy = 0, reward = 0;
    if (!wr_yaml_null(b)) {
        WR_TRY(is_map(b, "bandit", err));
        WR_TRY(wr_yaml_known(b, "bandit", keys, err));
        if (out->mode != WR_ROLLOUT_BANDIT) return wr_yaml_error(b, WEIR_EINVAL, err, "bandit is for mode bandit");
    }
    WR_TRY(get_choice(&policy, b, "policy", policies, 2, err));
    WR_TRY(get_choice(&reward, b, "reward", rewards, 2, err));
    WR_TRY(get_number(&out->bandit.epsilon, b, "epsilon", 0.1, 0, 1, err));
    WR_TRY(get_number(&out->bandit.floor, b, "floor", 0.01, 0, 1 / (double)out->narms, err));
    out->bandit.policy = policy ? WR_BANDIT_EPSILON : WR_BANDIT_THOMPSON;
    out->bandit.binary = !reward;
    return 0;
}

static int read_active(wr_rollout_spec *out, const wr_yaml *at, wr_err *err)
{
    const char *names[WR_ROLLOUT_ARMS];
    const wr_yaml *v = wr_yaml_get(at, "active");
    if (!wr_yaml_null(v) && out->mode != WR_ROLLOUT_SWITCH)
        return wr_yaml_error(v, WEIR_EINVAL, err, "active is for mode switch");
    for (size_t i = 0; i < out->narms; i++) names[i] = out->arms[i].name;
    return get_choice(&out->active, at, "active", names, out->narms, err);
}

static int read_all(wr_rollout_spec *out, wr_arena *a, const char *root, const wr_yaml *at, wr_err *err)
{
    size_t mode = 0;
    WR_TRY(get_choice(&mode, at, "mode", wr_rollout_mode_names, WR_ROLLOUT_MODES, err));
    out->mode = (wr_rollout_mode)mode;
    WR_TRY(read_arms(out, a, root, at, err));
    WR_TRY(read_sticky(out, a, at, err));
    WR_TRY(read_guards(out, at, err));
    WR_TRY(read_steps(out, at, err));
    WR_TRY(read_bandit(out, at, err));
    WR_TRY(read_active(out, at, err));
    WR_TRY(get_number(&out->confidence, at, "confidence", 0.95, 0.5, 0.999999, err));
    WR_TRY(wr_yaml_get_i64(&out->min_samples, at, "min_samples", 200, err));
    WR_TRY(wr_yaml_get_duration_us(&out->min_time_us, at, "min_time", 30 * 1000000LL, err));
    WR_TRY(wr_yaml_get_bool(&out->promote, at, "promote", true, err));
    if (out->min_samples < 1)
        return wr_yaml_error(wr_yaml_get(at, "min_samples"), WEIR_EINVAL, err, "min_samples is at least 1");
    return 0;
}

int wr_rollout_spec_read(wr_rollout_spec *out, wr_arena *a, const char *root, const wr_yaml *at, wr_err *err)
{
    static const char *const keys[] = {"mode",       "arms",       "sticky",      "salt",     "steps",
                                       "guardrails", "confidence", "min_samples", "min_time", "promote",
                                       "active",     "bandit",     NULL};
    *out = (wr_rollout_spec){0};
    WR_TRY(is_map(at, "a rollout", err));
    WR_TRY(wr_yaml_known(at, "rollout", keys, err));
    return read_all(out, a, root, at, err);
}

int wr_rollout_spec_parse(wr_rollout_spec *out, wr_arena *a, const char *root, wr_str text, const char *what,
                          wr_err *err)
{
    wr_yaml *y;
    if (text.n > WR_ROLLOUT_TEXT)
        return wr_err_set(err, WEIR_ELIMIT, "a rollout of more than %d bytes", WR_ROLLOUT_TEXT);
    WR_TRY(wr_yaml_parse(&y, a, text, what, err));
    return wr_rollout_spec_read(out, a, root, y, err);
}

/* ---- writing ---- */

static void put_duration(wr_jsonw *w, const char *key, int64_t us)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};
    char text[40];
    size_t k = 0;
    while (us % units[k].us) k++;
    snprintf(text, sizeof text, "%lld%s", (long long)(us / units[k].us), us ? units[k].unit : "s");
    wr_jsonw_kstr(w, key, text);
}

static void put_guards(wr_jsonw *w, const wr_rollout_spec *s)
{
    bool any = false;
    for (int k = 0; k < WR_GUARDS; k++) any |= s->guards[k].on;
    if (!any) {
        wr_jsonw_kstr(w, "guardrails", "none");
        return;
    }
    wr_jsonw_key(w, "guardrails");
    wr_jsonw_obj(w);
    for (int k = 0; k < WR_GUARDS; k++) {
        const wr_rollout_guard *g = &s->guards[k];
        if (!g->on) continue;
        wr_jsonw_key(w, wr_guard_names[k]);
        wr_jsonw_obj(w);
        if (!isnan(g->worse_by)) wr_jsonw_kf64(w, "worse_by", g->worse_by);
        if (!isnan(g->limit) && k == WR_GUARD_P99) put_duration(w, "max", llround(g->limit * 1e6));
        else if (!isnan(g->limit)) wr_jsonw_kf64(w, k == WR_GUARD_REWARD ? "min" : "max", g->limit);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_arms(wr_jsonw *w, const wr_rollout_spec *s)
{
    wr_jsonw_key(w, "arms");
    wr_jsonw_obj(w);
    for (size_t i = 1; i < s->narms; i++) {
        wr_jsonw_key(w, s->arms[i].name);
        wr_jsonw_obj(w);
        if (s->arms[i].path) wr_jsonw_kstr(w, "path", s->arms[i].path);
        else wr_jsonw_kstr(w, "model", s->arms[i].model);
        wr_jsonw_kf64(w, "weight", s->arms[i].weight);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_plan(wr_jsonw *w, const wr_rollout_spec *s)
{
    if (s->steps) {
        wr_jsonw_key(w, "steps");
        wr_jsonw_obj(w);
        put_duration(w, "interval", s->interval_us);
        wr_jsonw_ki64(w, "threshold", s->threshold);
        wr_jsonw_kf64(w, "step_weight", s->step_weight);
        wr_jsonw_kf64(w, "max_weight", s->max_weight);
        wr_jsonw_end(w);
    }
    if (s->mode != WR_ROLLOUT_BANDIT) return;
    wr_jsonw_key(w, "bandit");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "policy", s->bandit.policy == WR_BANDIT_EPSILON ? "epsilon" : "thompson");
    wr_jsonw_kstr(w, "reward", s->bandit.binary ? "binary" : "gaussian");
    wr_jsonw_kf64(w, "epsilon", s->bandit.epsilon);
    wr_jsonw_kf64(w, "floor", s->bandit.floor);
    wr_jsonw_end(w);
}

void wr_rollout_spec_write(wr_jsonw *w, const wr_rollout_spec *s)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "mode", wr_rollout_mode_names[s->mode]);
    put_arms(w, s);
    if (s->header || s->field) {
        wr_jsonw_key(w, "sticky");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, s->header ? "header" : "field", s->header ? s->header : s->field);
        wr_jsonw_end(w);
    }
    if (s->salt) wr_jsonw_kstr(w, "salt", s->salt);
    if (s->mode == WR_ROLLOUT_SWITCH) wr_jsonw_kstr(w, "active", s->arms[s->active].name);
    put_plan(w, s);
    put_guards(w, s);
    wr_jsonw_kf64(w, "confidence", s->confidence);
    wr_jsonw_ki64(w, "min_samples", s->min_samples);
    put_duration(w, "min_time", s->min_time_us);
    wr_jsonw_kbool(w, "promote", s->promote);
    wr_jsonw_end(w);
}
