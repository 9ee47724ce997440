/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h - the stages of weir.yaml, checked, with every ${...} replaced and foreach and matrix unfolded.
 *
 *   vars: {until: "2001-06-16"}              see vars.h
 *   stages:
 *     train:
 *       cmd: weir model train train.yaml     one line or a list of lines, run by /bin/sh one after the other
 *       wdir: .                              folder of the command; the paths below are relative to it
 *       deps: [data:features, train.yaml]    data:NAME, model:NAME, feature:NAME, a file or a folder
 *       params: [train.lr, {other.yaml: [a.b]}]   keys of params.yaml, or of other files ({FILE: } = all of it)
 *       outs: [model:delay, {big.bin: {cache: false, persist: true}}]
 *       metrics: [report.json]               outs that people look at; plots: likewise
 *       frozen: false                        true: never run, its deps are not looked at
 *       always_changed: false                true: never up to date
 *       manual: false                        true: runs only when it is named (command line or trigger)
 *       desc, meta                           for people
 *       vars                                 values for this stage alone
 *   build:   {foreach: [us, uk], do: {cmd: make ${item}}}                 stages build@us, build@uk
 *   sweep:   {matrix: {lr: [1, 2], d: [3]}, cmd: try ${item.lr} ${item.d}}   stages sweep@1-3, sweep@2-3
 *
 * foreach over a list of maps numbers the stages (name@0), over a map names them by its keys; ${key} and ${item} are
 * set. Everything that is refused is refused at FILE:LINE:COLUMN: unknown keys (did-you-mean), undefined variables,
 * wrong types, outs that are outside the project, that two stages make, or that lie in each other.
 *
 * Invariants: paths are relative to the project's root and in normal form (or absolute when outside, deps only); a
 * stage's lists have no duplicates and are sorted; names are unique. One thread builds, any number read.
 */
#pragma once
#include "base/map.h"
#include "core/noun.h"
#include "flow/vars.h"

typedef struct {
    const char *ref;                /* "data:flights", "reports/check.json" */
    wr_noun_kind kind;
    bool cache;                     /* kept, so that it can be restored */
    bool persist;                   /* not removed before the stage runs */
    bool metric, plot;
    const wr_yaml *at;
} wr_ref;

typedef struct {
    const char *file;               /* relative to the root */
    const char **keys; size_t n;    /* sorted; n = 0: the whole file */
    const wr_yaml *at;
} wr_param_file;

typedef struct {
    const char *name;               /* "train", "build@us" */
    const char *group;              /* "build" for "build@us", else NULL */
    const char **cmds; size_t ncmds;/* after templating */
    const char *cmd;                /* the cmds joined by newlines: what is compared and shown */
    const char *wdir;               /* relative to the root, "." = the root */
    const char *desc;               /* may be NULL */
    wr_ref *deps; size_t ndeps;     /* sorted by ref */
    wr_ref *outs; size_t nouts;     /* outs, metrics and plots together, sorted by ref */
    wr_param_file *params; size_t nparams;
    bool frozen, always_changed, manual;
    const wr_yaml *at;              /* its name in weir.yaml */
} wr_stage;

typedef struct {
    wr_arena *arena;
    const char *root;
    wr_stage *stages; size_t n;     /* in the order of the file */
    wr_map by_name;                 /* name -> wr_stage * */
} wr_pipeline;

/* From weir.yaml of `p`; `set` are "-S" assignments. Free with wr_pipeline_free. */
int wr_pipeline_load(wr_pipeline **out, wr_project *p, const char *const *set, size_t nset, wr_err *err);
/* The same from a parsed file (which must outlive the pipeline); `root` is the folder its paths are relative to. */
int wr_pipeline_parse(wr_pipeline **out, const wr_yaml *config, const char *root, const char *const *set, size_t nset,
                      wr_err *err);
void wr_pipeline_free(wr_pipeline *pl); /* NULL is fine */
void wr_pipeline_free_ref(wr_pipeline **pl);
#define WR_AUTOPIPELINE __attribute__((cleanup(wr_pipeline_free_ref)))

/* Index of the stage, or -1. */
ptrdiff_t wr_pipeline_find(const wr_pipeline *pl, const char *name);
/* Mark the stages that `target` names: a stage, or a foreach by its name without "@". WEIR_ENOTFOUND, did-you-mean. */
int wr_pipeline_mark(const wr_pipeline *pl, const char *target, bool *marked, wr_err *err);
/* The shell line that runs all commands of a stage, ending at the first that fails. In `a`. */
const char *wr_stage_shell(wr_arena *a, const wr_stage *s);
