/* SPDX-License-Identifier: Apache-2.0 */
/* registry_policy.h - what must be true before a version gets an alias or goes to a stage.
 *
 * A policy names an alias or a stage, of one model or of all, and asks for reports, for a role, or both. A report is a
 * tag of the version, weir.report.NAME, whose value is the SHA-256 of the report: what was judged can be shown later.
 * All policies that fit are checked, in the write that moves: nothing slips between. A judge, when there is one, looks at
 * each required report that is there, and may say no. Taking such an alias away asks for
 * the role too. Roles are those of users (user.h): without authentication there is nobody to ask, and administrators
 * have every role; reports are required of everybody.
 * Errors: WEIR_ENO names the reports that are missing, WEIR_EACCESS the role.
 */
#pragma once
#include "track/registry.h"

#define WR_REPORT_TAG "weir.report."

typedef struct wr_registered_policy {
    wr_str model;          /* p NULL or "*" = every model */
    wr_str alias, stage;   /* one of them; the other p NULL. Alias "*" = any */
    const wr_str *reports; /* "evaluation" */
    size_t nreports;
    wr_str role; /* p NULL = none */
} wr_registered_policy;

/* Copied; replaces the ones before. Before anybody else uses the store. WEIR_EINVAL: neither alias nor stage, or no
 * such stage. */
int wr_registered_policies_set(wr_track *t, const wr_registered_policy *all, size_t n, wr_err *err);
/* May `v` get the alias (or, alias p NULL, go to the stage)? In a write. */
int wr_registered_policy_check(wr_track *t, const wr_registered_version *v, wr_str alias, wr_str stage,
                               const wr_registered_who *who, wr_err *err);
/* Does a policy for that alias (or, alias p NULL, that stage) ask for the report? */
bool wr_registered_policy_asks(wr_track *t, wr_str model, wr_str alias, wr_str stage, wr_str report);
/* Called in the write that moves, with a report that `v` has and a policy asks for. WEIR_ENO: it is not good enough. */
typedef int (*wr_registered_judge)(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err);
void wr_registered_judge_set(wr_track *t, wr_registered_judge judge, void *ctx); /* before anybody else uses the store */
/* May this alias be taken away? Roles alone. */
int wr_registered_policy_role(wr_track *t, wr_str model, wr_str alias, const wr_registered_who *who, wr_err *err);
bool wr_registered_is_sha256(wr_str s); /* 64 hexadecimal digits, "sha256:" before them or not */
