/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - the error table and the filling of error values. Text is cut at a UTF-8 character when it does not fit. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

typedef struct {
    int code, http, exit;
    const char *name, *text;
} err_row;

static const err_row rows[] = {
#define X(sym, val, text, http, ex) {val, http, ex, #sym, text},
    X(WEIR_OK, 0, "ok", 200, 0) WEIR_ERRORS(X)
#undef X
};

static const err_row unknown = {0, 500, 2, "WEIR_EUNKNOWN", "unknown error"};

static const err_row *row_of(int code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return &unknown;
}

const char *wr_err_name(int code) { return row_of(code)->name; }
const char *wr_err_text(int code) { return row_of(code)->text; }
int wr_err_http(int code) { return row_of(code)->http; }
int wr_err_exit(int code) { return row_of(code)->exit; }

/* Goes through a copy, because the arguments may point into `err` itself. */
static void put(char *dst, size_t cap, const char *fmt, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t have = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    size_t fit = wr_str_fit((wr_str){text, have}, cap - 1).n;
    memcpy(dst, text, fit);
    dst[fit] = 0;
}

static void set(wr_err *err, int code, const char *fmt, va_list ap)
{
    put(err->msg, sizeof err->msg, fmt, ap);
    err->code = code;
    err->detail[0] = err->hint[0] = 0;
}

int wr_err_set(wr_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    set(err, code, fmt, ap);
    va_end(ap);
    return code;
}

static int code_of_errno(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT:
        return WEIR_ENOSPC;
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_EACCESS;
    case ENOENT:
        return WEIR_ENOTFOUND;
    case EEXIST:
        return WEIR_EEXIST;
    case ENOMEM:
        return WEIR_ENOMEM;
    case ETIMEDOUT:
        return WEIR_ETIMEOUT;
    default:
        return WEIR_EIO;
    }
}

static const char *hint_of_errno(int sys)
{
    switch (sys) {
    case ENOSPC:
        return "free some space on that file system (see `df -h` and `df -i`) and run the command again";
    case EDQUOT:
        return "your disk quota is used up; remove files or ask for more (see `quota`)";
    case EROFS:
        return "the file system is mounted read-only; choose a directory you can write to";
    case EACCES:
    case EPERM:
        return "check owner and mode of the path and of the directories above it (see `namei -l`)";
    case EMFILE:
        return "too many open files; raise the limit with `ulimit -n`";
    default:
        return "";
    }
}

int wr_err_sys(wr_err *err, int sys, const char *fmt, ...)
{
    int code = code_of_errno(sys);
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    set(err, code, fmt, ap);
    va_end(ap);
    char text[128];
    wr_err_detail(err, code, "%s", strerror_r(sys, text, sizeof text));
    return wr_err_hint(err, code, "%s", hint_of_errno(sys));
}

int wr_err_detail(wr_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    put(err->detail, sizeof err->detail, fmt, ap);
    va_end(ap);
    return code;
}

int wr_err_hint(wr_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    put(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
    return code;
}

int wr_err_wrap(wr_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    char before[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    put(before, sizeof before, fmt, ap);
    va_end(ap);
    char text[sizeof before + sizeof err->msg + 2];
    int n = snprintf(text, sizeof text, "%s: %s", before, err->msg);
    size_t fit = wr_str_fit((wr_str){text, (size_t)n}, sizeof err->msg - 1).n;
    memcpy(err->msg, text, fit);
    err->msg[fit] = 0;
    return code;
}

int wr_err_nomem(wr_err *err) { return wr_err_set(err, WEIR_ENOMEM, "out of memory"); }

_Noreturn void wr_bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "weir: bug at %s:%d: %s\n", file, line, what);
    abort();
}
