/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - one list of error codes, and the error value that travels up.
 *
 * A fallible function returns 0 or a negative WEIR_E code and takes `wr_err *err` last. `err` may be NULL and is
 * untouched on success. msg says what failed (lower case, subject in quotes), detail the cause, hint what to do next.
 * HTTP status and exit code are derived from the code, here and nowhere else.
 * The library never prints or exits; only WR_BUG_IF aborts, on a broken invariant.
 */
#pragma once
#include <stdarg.h>

/*      symbol          value text                      http exit */
#define WEIR_ERRORS(X) \
    X(WEIR_ENOMEM,        -1, "out of memory",           500, 2) \
    X(WEIR_EINVAL,        -2, "invalid value",           400, 2) \
    X(WEIR_ENOTFOUND,     -3, "not found",               404, 2) \
    X(WEIR_EEXIST,        -4, "already exists",          409, 2) \
    X(WEIR_EIO,           -5, "input/output error",      500, 2) \
    X(WEIR_ENOSPC,        -6, "no space left",           507, 2) \
    X(WEIR_EACCESS,       -7, "permission denied",       403, 2) \
    X(WEIR_ELIMIT,        -8, "limit exceeded",          413, 2) \
    X(WEIR_EPARSE,        -9, "cannot be parsed",        400, 2) \
    X(WEIR_ETYPE,        -10, "wrong type",              400, 2) \
    X(WEIR_ECONFLICT,    -11, "conflicting change",      409, 2) \
    X(WEIR_ETIMEOUT,     -12, "timed out",               504, 2) \
    X(WEIR_ECANCELED,    -13, "cancelled",               503, 2) \
    X(WEIR_EUNSUPPORTED, -14, "not supported",           501, 2) \
    X(WEIR_EUNAVAILABLE, -15, "not available",           503, 2) \
    X(WEIR_ECORRUPT,     -16, "corrupt data",            500, 2) \
    X(WEIR_EUSAGE,       -17, "wrong usage",             400, 64) \
    X(WEIR_ENO,          -18, "the check says no",       422, 1) \
    X(WEIR_EINTERNAL,    -19, "internal error",          500, 2)

enum {
    WEIR_OK = 0,
#define X(sym, val, text, http, ex) sym = val,
    WEIR_ERRORS(X)
#undef X
};

typedef struct wr_err {
    int code;
    char msg[320];
    char detail[640];
    char hint[320];
} wr_err;

/* No error; writes four bytes where {0} writes them all, for what runs with every request. */
static inline void wr_err_clear(wr_err *e)
{
    e->code = 0;
    e->msg[0] = e->detail[0] = e->hint[0] = 0;
}

/* Fill `err` (may be NULL; overwrites what was there) and return `code`: `return wr_err_set(err, WEIR_EIO, ...)`. */
int wr_err_set(wr_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with the text of errno value `sys` as detail; code chosen from `sys` (ENOSPC, EACCES, ENOENT, ...). */
int wr_err_sys(wr_err *err, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Set detail / hint; return err->code (WEIR_EINTERNAL when err is NULL is never returned: they return `code` given). */
int wr_err_detail(wr_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int wr_err_hint(wr_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Put "context: " in front of msg, once a layer on the way up; returns `code`. */
int wr_err_wrap(wr_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Out of memory in one word. */
int wr_err_nomem(wr_err *err);

const char *wr_err_name(int code);   /* "WEIR_EINVAL"; "WEIR_OK" for 0 */
const char *wr_err_text(int code);   /* "invalid value" */
int wr_err_http(int code);           /* 400; 200 for 0 */
int wr_err_exit(int code);           /* 2; 0 for 0 */

_Noreturn void wr_bug(const char *file, int line, const char *what);
#define WR_BUG_IF(cond) do { if (__builtin_expect(!!(cond), 0)) wr_bug(__FILE__, __LINE__, #cond); } while (0)

/* Return early from the calling function when a call fails. */
#define WR_TRY(call) do { int wr_rc_ = (call); if (wr_rc_ < 0) return wr_rc_; } while (0)
