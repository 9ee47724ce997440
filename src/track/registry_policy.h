/* SPDX-License-Identifier: Apache-2.0 */
/* registry_policy.h - what must be true before a version gets an alias or goes to a stage.
 *
 * A policy names an alias or a stage, of one model or of all, and asks for reports, for a role, or both. A report is a
 * tag of the version, weir.report.NAME, whose value is the SHA-256 of the report: what was judged can be shown later.
 * All policies that fit are checked, in the write that moves: nothing slips between. Taking such an alias away asks for
 * the role too. Roles are those of users (user.h): without authentication there is nobody to ask, and administrators
 * have every role; reports are required of everybody.
 * Errors: WEIR_ENO names the reports that are missing, WEIR_EACCESS the role.
 */
#pragma once
#include "track/registry.h"

#define WR_REPORT_TAG "weir.report."

typedef struct wr_registered_policy {
    wr_str model;          /* p NULL or "*" = every model */
    wr_str alias, stage;   /* one of them; the other p NULL */
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
/* May this alias be taken away? Roles alone. */
int wr_registered_policy_role(wr_track *t, wr_str model, wr_str alias, const wr_registered_who *who, wr_err *err);
bool wr_registered_is_sha256(wr_str s); /* 64 hexadecimal digits, "sha256:" before them or not */
