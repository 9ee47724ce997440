/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - what a command is, and what it gets.
 *
 * A command is one constant (wr_cmd) in a file of its own, cmd_x.c; the list of all stands in src/main/commands.c. Parser, help, man
 * pages and completions are made from the constants. A command parses nothing itself: it asks for its options by name, calls
 * the floors below, and prints. Results go to stdout (with --json as one JSON value), everything else to stderr.
 * Exit: 0 fine, 1 the check says no (WEIR_ENO), 2 trouble, 64 usage; from the error code alone.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/pool.h"
#include "codec/json.h"
#include "core/project.h"

typedef enum { WR_ARG_FLAG, WR_ARG_TEXT, WR_ARG_INT, WR_ARG_NUM, WR_ARG_TIME, WR_ARG_DURATION, WR_ARG_LIST /* text, may be repeated */ } wr_arg_kind;

typedef struct {
    const char *name;               /* "from": --from */
    char letter;                    /* 'f': -f, or 0 */
    wr_arg_kind kind;
    const char *arg;                /* "FILE": placeholder in help; NULL for flags */
    const char *help;               /* one line, lower case, no full stop */
    const char *fallback;           /* default as text, or NULL */
} wr_cmd_arg;

typedef struct wr_cli wr_cli;

typedef struct wr_cmd {
    const char *name;               /* "data ingest" */
    const char *summary;            /* one line */
    const char *usage;              /* positional part: "NAME --from FILE" */
    int min_args, max_args;         /* positional count; max -1 = any */
    const wr_cmd_arg *args; size_t nargs;
    const char *help;               /* paragraphs, wrapped by hand at 78 */
    const char *examples;           /* lines "weir ...", each with a comment above it */
    int (*run)(wr_cli *c, wr_err *err);
} wr_cmd;

/* When this command has ended well and everything is closed, the program of argv[0] takes the process over, with the same arguments. */
void wr_cli_again(wr_cli *c);

/* The whole program: parse argv, run the command, print the error. Returns the exit code. */
int wr_cli_main(const wr_cmd *const *cmds, size_t n, int argc, char **argv);

/* ---- inside a command ---- */
wr_arena *wr_cli_arena(wr_cli *c);
const char *wr_cli_arg(wr_cli *c, int i);                     /* positional i, NULL when not given */
int wr_cli_nargs(wr_cli *c);
size_t wr_cli_rest(wr_cli *c, const char *const **out);       /* what stood behind "--", NULL-terminated; 0 = nothing */
bool wr_cli_dashes(wr_cli *c);                                /* "--" stood there, be there something behind it or not */
bool wr_cli_has(wr_cli *c, const char *name);                 /* given on the command line */
bool wr_cli_flag(wr_cli *c, const char *name);
const char *wr_cli_text(wr_cli *c, const char *name);         /* given or fallback, may be NULL */
int64_t wr_cli_int(wr_cli *c, const char *name);              /* checked when parsed; TIME and DURATION in microseconds */
double wr_cli_num(wr_cli *c, const char *name);
size_t wr_cli_list(wr_cli *c, const char *name, const char ***out);
bool wr_cli_json(wr_cli *c);                                  /* --json */
const char *wr_cli_command_line(wr_cli *c);                   /* as typed, for the run record */
const wr_cmd *const *wr_cli_commands(wr_cli *c, size_t *n);
/* The project (-C DIR or the current folder), opened once; the pool of compute threads (--threads, default all). */
int wr_cli_project(wr_cli *c, wr_project **out, wr_err *err);
wr_pool *wr_cli_pool(wr_cli *c);

/* JSON result: build it with the writer, it is printed (with a newline) when the command returns 0 or WEIR_ENO. */
wr_jsonw *wr_cli_jsonw(wr_cli *c);

/* ---- printing for people ---- */
/* A table that fits the terminal: right-aligned columns are those whose header starts with '>'. Cells are copied.
 *   wr_table *t = wr_table_new(c, "NAME", ">ROWS", NULL); wr_table_row(t, "flights", "3,000,000"); wr_table_print(t); */
typedef struct wr_table wr_table;
wr_table *wr_table_new(wr_cli *c, const char *first_header, ...) __attribute__((sentinel));
void wr_table_add_header(wr_table *t, const char *header);         /* one more, before the first cell; copied. At most 32 in all */
void wr_table_cell(wr_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* next cell; starts a new row by itself */
void wr_table_print(wr_table *t);                             /* to stdout; nothing when --json */
/* A line for people on stdout; nothing when --json. */
void wr_say(wr_cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Progress on stderr: after a second, only on a terminal. fraction < 0 = unknown. */
void wr_progress(wr_cli *c, const char *what, double fraction);
void wr_progress_end(wr_cli *c);
/* Eight-level bar of `width` cells for value/max in Unicode blocks; text in the arena. */
const char *wr_bar(wr_cli *c, double value, double max, int width);
const char *wr_spark(wr_cli *c, const double *v, size_t n);   /* one character a value */

/* ---- help (help.c) ---- */
void wr_help_all(FILE *f, const wr_cmd *const *cmds, size_t n);
void wr_help_one(FILE *f, const wr_cmd *cmd);
bool wr_help_group(FILE *f, const wr_cmd *const *cmds, size_t n, const char *group); /* false: there is none */
const char *wr_help_nearest(wr_str typed); /* a group of the list that may have been meant, or NULL */
void wr_help_man(FILE *f, const wr_cmd *cmd);
int wr_help_completion(FILE *f, const wr_cmd *const *cmds, size_t n, const char *shell, wr_err *err); /* bash, zsh, fish */
