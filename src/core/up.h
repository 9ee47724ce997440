/* SPDX-License-Identifier: Apache-2.0 */
/* up.h - where the server of a project listens: .weir/up.json, written by `weir up` for the commands beside it. */
#pragma once
#include "core/project.h"

typedef struct {
    const char *url;
    int64_t pid;
} wr_up;

int wr_up_announce(wr_project *p, const char *url, wr_err *err);
void wr_up_withdraw(wr_project *p); /* only what this process announced */
/* WEIR_ENOTFOUND when no server is up (a file that a killed one left does not count). */
int wr_up_find(wr_up *out, wr_arena *a, wr_project *p, wr_err *err);
