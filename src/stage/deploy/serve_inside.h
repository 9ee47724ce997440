/* SPDX-License-Identifier: Apache-2.0 */
/* serve_inside.h - what serve.c, drain.c and serve_ledger.c share. Private to this folder. */
#pragma once
#include "stage/deploy/serve.h"

typedef struct wr_serve_version { /* counter of one version; never freed before the end, so that metrics only grow */
    struct wr_serve_version *next;
    int64_t version;
    atomic_uint_fast64_t n;
} wr_serve_version;

typedef struct wr_serve_endpoint {
    const char *name, *reference;
    double threshold;
    pthread_mutex_t lock;            /* rank 4; guards now, error, package, versions */
    wr_served *now;
    wr_serve_version *versions;
    char package[WR_SHA256_HEX];     /* of now */
    char refused[WR_SHA256_HEX];     /* the last package that was, so that it is said once */
    char error[320];
    atomic_uint_fast64_t predictions, labels;
    atomic_int_fast64_t watermark;
} wr_serve_endpoint;

struct wr_serve {
    wr_project *project;
    wr_arena *arena;                 /* of what lives as long as this */
    wr_applog *log;
    const char *log_dir;
    wr_serve_endpoint *endpoints;
    size_t nendpoints;
    wr_live **lives;                 /* at most one a view name; nlives only grows, entries are final */
    atomic_size_t nlives;
    pthread_mutex_t refresh;         /* rank 1: one refresh at a time; guards arena */
    pthread_mutex_t drain;           /* rank 2: one drain at a time */
    pthread_rwlock_t gate;           /* rank 3: see serve.h */
    atomic_bool unsynced;
    uint64_t id_seed;
    atomic_uint_fast64_t id_next;
    struct wr_serve_ledger *ledger;  /* has its own lock */
};

int wr_serve_ledger_open(wr_serve *s, wr_err *err);
void wr_serve_ledger_close(wr_serve *s);
