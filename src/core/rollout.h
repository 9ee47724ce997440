/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.h - how an endpoint shares its requests between models: declared in weir.yaml, or sent to a running server.
 *
 *   endpoints:
 *     delay:
 *       model: delay@champion                arm "primary"
 *       rollout:
 *         mode: split                        split | shadow | switch | bandit
 *         arms:                              the others; a model as an endpoint names it, or a path
 *           canary: {model: delay@challenger, weight: 10%}
 *         sticky: {header: x-user-id}        or {field: user}: an input or a parameter of the request; without: each request anew
 *         salt: june                         another one deals the keys anew; default the endpoint's name
 *         steps: {interval: 1m, threshold: 5, step_weight: 10%, max_weight: 50%}    a canary's plan; `steps: {}` is this one
 *         guardrails:                        `none`, or what is said; default {errors: {worse_by: 1%}, p99: {worse_by: 50%}}
 *           errors: {worse_by: 1%, max: 5%}  shares of requests
 *           p99:    {worse_by: 50%, max: 50ms}
 *           drift:  {max: 0.25}              PSI of scores against the primary's
 *           reward: {worse_by: 0.02, min: 0.1}
 *           joules: {worse_by: 50%, max: 4}  active joules of 1000 predictions
 *         confidence: 0.95
 *         min_samples: 200
 *         min_time: 30s
 *         promote: true                      at the end of the plan the primary's alias moves; else the canary keeps its weight
 *         active: canary                     mode switch: who answers
 *         bandit: {policy: thompson, reward: binary, floor: 5%}     or {policy: epsilon, epsilon: 10%, reward: gaussian}
 *
 * worse_by is judged by sequential tests at `confidence` (calc/sequential.h): a rollback as soon as it is certain. max and min are judged
 * for each interval by itself: a failed check; `threshold` of them roll back. Arms at most WR_ROLLOUT_ARMS, the primary among them.
 */
#pragma once
#include "calc/bandit.h"
#include "codec/json.h"
#include "core/project.h"

enum { WR_ROLLOUT_ARMS = 8, WR_ROLLOUT_TEXT = 64 << 10 /* bytes of a specification */ };
typedef enum { WR_ROLLOUT_SPLIT, WR_ROLLOUT_SHADOW, WR_ROLLOUT_SWITCH, WR_ROLLOUT_BANDIT, WR_ROLLOUT_MODES } wr_rollout_mode;
typedef enum { WR_GUARD_ERRORS, WR_GUARD_P99, WR_GUARD_DRIFT, WR_GUARD_REWARD, WR_GUARD_JOULES, WR_GUARDS } wr_guard_kind;

typedef struct { const char *name, *model, *path; double weight; } wr_rollout_arm; /* model "" and path NULL: the primary */
typedef struct { bool on; double worse_by, limit; } wr_rollout_guard; /* NAN = not said; limit: max, of reward min; p99 in seconds */
typedef struct {
    wr_rollout_mode mode;
    wr_rollout_arm arms[WR_ROLLOUT_ARMS]; /* the first is the primary, its weight what the others leave */
    size_t narms, active;
    const char *header, *field;           /* NULL = none */
    const char *salt;                     /* NULL = the endpoint's name */
    wr_rollout_guard guards[WR_GUARDS];
    double confidence;
    int64_t min_samples, min_time_us;
    bool steps, promote;
    int64_t interval_us, threshold;
    double step_weight, max_weight;
    wr_bandit_opt bandit;
} wr_rollout_spec;

extern const char *const wr_rollout_mode_names[WR_ROLLOUT_MODES];
extern const char *const wr_guard_names[WR_GUARDS];

/* Texts in `a`; paths are of the folder `root`. Errors at their line, with did-you-mean. */
int wr_rollout_spec_read(wr_rollout_spec *out, wr_arena *a, const char *root, const wr_yaml *at, wr_err *err);
/* The same of a text, YAML or JSON; `what` names it in errors. */
int wr_rollout_spec_parse(wr_rollout_spec *out, wr_arena *a, const char *root, wr_str text, const char *what, wr_err *err);
/* Complete: reads back as the same. */
void wr_rollout_spec_write(wr_jsonw *w, const wr_rollout_spec *s);

/* ---- as it is kept (table rollouts): one an endpoint ---- */
extern const char wr_rollout_schema[];
typedef struct {
    wr_str spec;                    /* JSON */
    wr_str state;                   /* JSON of who runs it; "" = not begun */
    wr_str declared;                /* what weir.yaml said when it was looked at last, as JSON; "" = nothing */
    int64_t updated_us;
} wr_rollout_record;
/* WEIR_ENOTFOUND: there was none yet. */
int wr_rollout_record_get(wr_rollout_record *out, wr_arena *a, wr_project *p, const char *endpoint, wr_err *err);
/* Durable when it returns. */
int wr_rollout_record_put(wr_project *p, const char *endpoint, const wr_rollout_record *r, wr_err *err);
