/* SPDX-License-Identifier: Apache-2.0 */
/* trace_registered.c - a version without a package, as a client of MLflow's registered it: no lineage leads to it, but
 * the registry knows its run, and the run what it read. */
#include "base/vec.h"
#include "core/model.h"
#include "stage/sustain/trace.h"
#include "track/logged_model.h"
#include "track/run.h"

/* Nodes made here have ids below zero, which the lineage never gives. */
typedef struct {
    wr_arena *arena;
    wr_project *project;
    wr_track *track;
    WR_VEC(wr_lineage_step) steps;
} climb;

static int step(int64_t *id, climb *c, int64_t from, int depth, wr_node node, wr_err *err)
{
    if (!node.id) node.id = -1 - (int64_t)c->steps.n;
    wr_lineage_step s = {.node = node, .depth = depth, .from = from, .run_id = ""};
    if (!node.name || !node.hash || wr_vec_push(&c->steps, s) < 0) return wr_err_nomem(err);
    if (id) *id = node.id;
    return 0;
}

static bool have(const climb *c, const char *kind, const char *name, const char *hash)
{
    for (size_t i = 0; i < c->steps.n; i++) {
        const wr_node *n = &c->steps.at[i].node;
        if (strcmp(n->kind, kind) == 0 && strcmp(n->name, name) == 0 && strcmp(n->hash, hash) == 0) return true;
    }
    return false;
}

/* The run, and what the lineage has above it: files of `weir run --`. */
static int climb_run(int64_t *id, climb *c, int64_t from, int depth, const wr_registered_version *v, wr_err *err)
{
    wr_lineage_step *above;
    size_t n;
    wr_node node;
    wr_err none;
    int rc = wr_lineage_find(&node, c->arena, c->project, "run", v->run_id.p, -1, NULL, &none);
    if (rc == WEIR_ENOTFOUND) {
        node = (wr_node){.kind = "run", .name = v->run_id.p, .hash = "", .version = -1};
        return step(id, c, from, depth, node, err);
    }
    if (rc < 0) return err ? (*err = none, rc) : rc;
    WR_TRY(step(id, c, from, depth, node, err));
    WR_TRY(wr_lineage_walk(&above, &n, c->arena, c->project, node.id, WR_LINEAGE_PARENTS, err));
    for (size_t i = 1; i < n; i++) /* the first is the run itself */
        WR_TRY(step(NULL, c, above[i].from, depth + above[i].depth, above[i].node, err));
    return 0;
}

static int climb_data(climb *c, int64_t from, int depth, wr_str name, wr_str digest, wr_err *err)
{
    if (have(c, "dataset", name.p, digest.p ? digest.p : "")) return 0;
    wr_node node = {.kind = "dataset", .name = name.p, .hash = digest.p ? digest.p : "", .version = -1};
    return step(NULL, c, from, depth, node, err);
}

/* A copy: the version it was copied from comes between. What the copy does not say (run, logged model) is that one's.
 */
static int climb_copy(int64_t *at, int *depth, climb *c, wr_registered_version *v, wr_err *err)
{
    wr_registered_version origin;
    wr_err none;
    if (!wr_str_starts(v->source, "models:/") || wr_str_starts(v->source, "models:/m-")) return 0;
    if (wr_model_registered(&origin, c->arena, c->project, v->source.p, &none) < 0) return 0; /* gone since */
    wr_node node = {.kind = "model",
                    .name = origin.name.p,
                    .hash = origin.package.n ? origin.package.p : "",
                    .version = origin.version,
                    .created_us = origin.created_ms * 1000};
    if (!v->run_id.n) *v = origin;
    if (!v->model_id.n) v->model_id = origin.model_id;
    return step(at, c, *at, ++*depth, node, err);
}

static int climb_version(climb *c, const wr_node *start, wr_registered_version *v, wr_err *err)
{
    wr_track_run run = {0};
    wr_registered_input *in;
    size_t n;
    int64_t at;
    int depth = 0;
    WR_TRY(step(&at, c, 0, depth, *start, err));
    WR_TRY(climb_copy(&at, &depth, c, v, err));
    if (v->model_id.n) {
        wr_node logged = {.kind = "logged model", .name = v->model_id.p, .hash = "", .version = -1};
        WR_TRY(step(&at, c, at, ++depth, logged, err));
    }
    if (v->run_id.n) WR_TRY(climb_run(&at, c, at, ++depth, v, err));
    WR_TRY(wr_registered_version_inputs(&in, &n, c->arena, c->track, v, err));
    for (size_t i = 0; i < n; i++) WR_TRY(climb_data(c, at, depth + 1, in[i].name, in[i].digest, err));
    if (!v->run_id.n || wr_track_run_get(&run, c->arena, c->track, v->run_id, NULL) < 0) return 0; /* purged */
    WR_TRY(wr_track_run_load_inputs(&run, c->arena, c->track, err));
    for (size_t i = 0; i < run.ninputs; i++)
        WR_TRY(climb_data(c, at, depth + 1, run.inputs[i].name, run.inputs[i].digest, err));
    for (size_t i = 0; i < run.ninput_models; i++) {
        wr_node logged = {.kind = "logged model", .name = run.input_models[i].model_id.p, .hash = "", .version = -1};
        if (!have(c, logged.kind, logged.name, "")) WR_TRY(step(NULL, c, at, depth + 1, logged, err));
    }
    return 0;
}

int wr_trace_registered(wr_node *start, wr_lineage_step **out, size_t *n, wr_arena *a, wr_project *p, const char *ref,
                        wr_err *err)
{
    climb c = {.arena = a, .project = p};
    wr_registered_version v;
    int rc = wr_model_registered(&v, a, p, ref, err);
    if (rc < 0) return rc == WEIR_ENOTFOUND ? 0 : rc;
    WR_TRY(wr_project_track(&c.track, p, err));
    *start = (wr_node){.kind = "model",
                       .name = v.name.p,
                       .hash = v.package.n ? v.package.p : "",
                       .version = v.version,
                       .created_us = v.created_ms * 1000};
    wr_node known; /* promoted: runs of weir are below it */
    if (wr_lineage_find(&known, a, p, "model", v.name.p, v.version, NULL, NULL) == 0) start->id = known.id;
    rc = climb_version(&c, start, &v, err);
    *n = c.steps.n;
    *out = wr_arena_dup(a, c.steps.at, c.steps.n * sizeof *c.steps.at);
    wr_vec_fini(&c.steps);
    if (rc < 0) return rc;
    return *out ? 1 : wr_err_nomem(err);
}
