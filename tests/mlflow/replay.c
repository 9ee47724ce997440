/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - plays a recorded session of MLflow's own client to a real `weir up` and compares the answers: replay WEIR
 * FILE.http...
 *
 * record.py says what a file holds and makes it. Each file meets a server of its own in a fresh project. Status and
 * body must be those that MLflow gave: JSON member by member (an empty or zero member equals none; lists of keyed
 * values in any order; of an error its code), other bodies byte by byte. A variable is bound by the first answer that
 * shows it. What may differ stands in differences.txt beside the files: target pattern, path pattern, why, with tabs
 * between.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <float.h>
#include <fnmatch.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/http.h"
#include "codec/json.h"
#include "io/file.h"
#include "io/proc.h"

enum { VARS_MAX = 2000, UP_MS = 20000, FILE_MAX = 4 << 20, ANSWER_MAX = 64 << 20, PATH_LEN = 512, SHOWN = 20 };

typedef struct {
    wr_str name;
    char *value;
} var;
typedef struct {
    wr_str target, path;
    bool used;
} rule;
typedef struct {
    wr_str number, method, target, headers, body, status, answer;
} exchange;

typedef struct {
    var vars[VARS_MAX];
    size_t nvars, wrong;
    const char *file;
    exchange now;
    wr_buf target; /* filled */
    int fd, port;
} player;

static WR_VEC(rule) rules;

/* ---- variables ---- */

static var *find_var(player *p, wr_str name)
{
    for (size_t i = 0; i < p->nvars; i++)
        if (wr_str_eq(p->vars[i].name, name)) return &p->vars[i];
    return NULL;
}

static void set(player *p, wr_str name, wr_str value)
{
    if (p->nvars == VARS_MAX) abort();
    char *copy = strndup(value.p, value.n);
    if (!copy) abort();
    p->vars[p->nvars++] = (var){name, copy};
}

/* Cuts "text{{name}}rest": text before, name, true; or all as text, false. */
static bool cut_var(wr_str *rest, wr_str *text, wr_str *name)
{
    const char *open = memmem(rest->p, rest->n, "{{", 2),
               *shut = open ? memmem(open, (size_t)(rest->p + rest->n - open), "}}", 2) : NULL;
    if (!shut) {
        *text = *rest;
        *rest = (wr_str){rest->p + rest->n, 0};
        return false;
    }
    *text = (wr_str){rest->p, (size_t)(open - rest->p)};
    *name = (wr_str){open + 2, (size_t)(shut - open - 2)};
    *rest = (wr_str){shut + 2, (size_t)(rest->p + rest->n - shut - 2)};
    return true;
}

static void add_encoded(wr_buf *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", *s)) wr_buf_char(out, *s);
        else wr_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

/* The text with the variables' values; those not bound yet stay as they are. */
static void fill(player *p, wr_buf *out, wr_str text)
{
    wr_str part, name;
    wr_buf_clear(out);
    for (bool more = true; more;) {
        more = cut_var(&text, &part, &name);
        wr_buf_slice(out, part);
        if (!more) break;
        bool encoded = name.n && name.p[0] == '%';
        const var *v = find_var(p, encoded ? wr_str_sub(name, 1, name.n) : name);
        if (!v) wr_buf_printf(out, "{{%.*s}}", WR_STR_FMT(name));
        else if (encoded) add_encoded(out, v->value);
        else wr_buf_str(out, v->value);
    }
}

/* Whether the text is that of the template; what stands in the place of a variable not bound yet is bound to it. */
static bool matches(player *p, wr_str template, wr_str got)
{
    WR_AUTOBUF wr_buf filled = {0};
    wr_buf_init(&filled, 0);
    fill(p, &filled, template);
    wr_str rest = wr_buf_view(&filled), part, name = {0}, open = {0};
    for (bool more = true; more;) {
        more = cut_var(&rest, &part, &name);
        const char *at = !open.p            ? (got.n >= part.n && memcmp(got.p, part.p, part.n) == 0 ? got.p : NULL)
                         : !more && !part.n ? got.p + got.n
                                            : memmem(got.p, got.n, part.p, part.n);
        if (!at) return false;
        if (open.p) {
            if (at == got.p) return false;
            for (size_t i = 0; i < p->nvars; i++) /* names point into the file, not into `filled` */
                if (wr_str_eq(p->vars[i].name, open)) return false;
            const char *kept = memmem(p->now.answer.p, p->now.answer.n, open.p, open.n);
            set(p, kept ? (wr_str){kept, open.n} : open, (wr_str){got.p, (size_t)(at - got.p)});
        }
        got = wr_str_sub(got, (size_t)(at - got.p) + part.n, got.n);
        open = more ? name : (wr_str){0};
    }
    return got.n == 0;
}

/* ---- comparing ---- */

static bool allowed(player *p, const char *path)
{
    WR_AUTOBUF wr_buf line = {0};
    wr_buf_init(&line, 0);
    wr_buf_printf(&line, "%.*s %s", WR_STR_FMT(p->now.method), wr_buf_cstr(&p->target));
    for (size_t i = 0; i < rules.n; i++) {
        char target[PATH_LEN], where[PATH_LEN];
        (void)snprintf(target, sizeof target, "%.*s", WR_STR_FMT(rules.at[i].target));
        (void)snprintf(where, sizeof where, "%.*s", WR_STR_FMT(rules.at[i].path));
        if (fnmatch(target, wr_buf_cstr(&line), 0) == 0 && fnmatch(where, path, 0) == 0) return rules.at[i].used = true;
    }
    return false;
}

static void differ(player *p, const char *path, const char *wanted, size_t wanted_n, const char *got, size_t got_n)
{
    if (allowed(p, path)) return;
    if (p->wrong++ >= SHOWN) return;
    (void)printf("%s: %.*s %.*s %.100s %s\n  wanted %.*s\n  got    %.*s\n", p->file, WR_STR_FMT(p->now.number),
                 WR_STR_FMT(p->now.method), wr_buf_cstr(&p->target), path, (int)(wanted_n > 300 ? 300 : wanted_n),
                 wanted, (int)(got_n > 300 ? 300 : got_n), got);
}

static void differ_values(player *p, const char *path, yyjson_val *wanted, yyjson_val *got)
{
    WR_AUTOBUF wr_buf a = {0}, b = {0};
    wr_buf_init(&a, 0);
    wr_buf_init(&b, 0);
    wr_jsonw w;
    wr_jsonw_init(&w, &a, 0);
    if (wanted) wr_jsonw_val(&w, wanted);
    wr_jsonw_init(&w, &b, 0);
    if (got) wr_jsonw_val(&w, got);
    differ(p, path, wanted ? wr_buf_cstr(&a) : "(nothing)", wanted ? a.n : 9, got ? wr_buf_cstr(&b) : "(nothing)",
           got ? b.n : 9);
}

static wr_str text_of(yyjson_val *v) { return (wr_str){yyjson_get_str(v), yyjson_get_len(v)}; }

/* A client reads a member that is not there as this. */
static bool is_empty(yyjson_val *v)
{
    if (yyjson_is_num(v)) return yyjson_get_num(v) == 0;
    return yyjson_is_false(v) || ((yyjson_is_obj(v) || yyjson_is_arr(v) || yyjson_is_str(v)) && yyjson_get_len(v) == 0);
}

/* Lists of some names have no order: their items are found by this member. NULL for the others. */
static const char *key_of(const char *name)
{
    static const char *const keys[][2] = {{"tags", "key"},
                                          {"params", "key"},
                                          {"metrics", "key"},
                                          {"aliases", "key"},
                                          {"trace_metadata", "key"},
                                          {"request_metadata", "key"},
                                          {"latest_versions", "current_stage"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(name, keys[i][0]) == 0) return keys[i][1];
    return NULL;
}

/* Whether each item has that member, and no two the same. */
static bool is_keyed(const char *member, yyjson_val *list)
{
    if (!member) return false;
    size_t i, j, max;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, max, v)
    {
        yyjson_val *key = yyjson_obj_get(v, member);
        if (!key) return false;
        for (j = 0; j < i; j++)
            if (yyjson_equals(key, yyjson_obj_get(yyjson_arr_get(list, j), member))) return false;
    }
    return true;
}

static yyjson_val *by_key(const char *member, yyjson_val *list, yyjson_val *like)
{
    size_t i, max;
    yyjson_val *v, *key = yyjson_obj_get(like, member);
    yyjson_arr_foreach(list, i, max, v) if (yyjson_equals(yyjson_obj_get(v, member), key)) return v;
    return NULL;
}

static void compare(player *p, const char *path, const char *name, yyjson_val *wanted, yyjson_val *got);

static bool is_variable(yyjson_val *v)
{
    wr_str s = text_of(v);
    return yyjson_is_str(v) && s.n > 4 && memcmp(s.p, "{{", 2) == 0 && memcmp(s.p + s.n - 2, "}}", 2) == 0;
}

static void child(char out[PATH_LEN], const char *path, yyjson_val *key)
{
    const char *name = yyjson_get_str(key);
    (void)snprintf(out, PATH_LEN, "%s/%s", path, name ? name : "");
}

static void compare_objects(player *p, const char *path, yyjson_val *wanted, yyjson_val *got)
{
    size_t i, max;
    yyjson_val *key, *v;
    for (int whole = 1; whole >= 0; whole--) { /* variables alone first: texts made of them are checked against them */
        yyjson_obj_foreach(wanted, i, max, key, v)
        {
            char below[PATH_LEN];
            child(below, path, key);
            yyjson_val *other = yyjson_obj_get(got, yyjson_get_str(key));
            if (is_variable(v) != (whole == 1)) continue;
            if (!other && !is_empty(v)) differ_values(p, below, v, NULL);
            else if (other) compare(p, below, yyjson_get_str(key), v, other);
        }
    }
    yyjson_obj_foreach(got, i, max, key, v)
    {
        char below[PATH_LEN];
        child(below, path, key);
        if (!yyjson_obj_get(wanted, yyjson_get_str(key)) && !is_empty(v)) differ_values(p, below, NULL, v);
    }
}

static void compare_lists(player *p, const char *path, const char *name, yyjson_val *wanted, yyjson_val *got)
{
    size_t i, max;
    yyjson_val *v;
    if (yyjson_arr_size(wanted) != yyjson_arr_size(got)) return differ_values(p, path, wanted, got);
    const char *member = key_of(name);
    bool keyed = is_keyed(member, wanted) && is_keyed(member, got);
    yyjson_arr_foreach(wanted, i, max, v)
    {
        char below[PATH_LEN];
        (void)snprintf(below, sizeof below, "%s/%zu", path, i);
        yyjson_val *other = keyed ? by_key(member, got, v) : yyjson_arr_get(got, i);
        if (other) compare(p, below, "", v, other);
        else differ_values(p, below, v, NULL);
    }
}

static bool is_json(wr_str s) { return s.n > 2 && ((s.p[0] == '{' && s.p[1] != '{') || s.p[0] == '['); }

/* Texts that are JSON inside of JSON may be spaced differently. False when they are none after all. */
static bool compare_json_text(player *p, const char *path, wr_str wanted, wr_str got)
{
    WR_AUTOJSON wr_json a = {0}, b = {0};
    wr_err err = {0};
    if (wr_json_parse_lenient(&a, wanted, &err) < 0 || wr_json_parse_lenient(&b, got, &err) < 0) return false;
    return compare(p, path, "", a.root, b.root), true;
}

/* MLflow makes infinities finite; Weir keeps them. */
static bool is_infinite(yyjson_val *wanted, yyjson_val *got)
{
    return (yyjson_get_real(wanted) == DBL_MAX && wr_str_is(text_of(got), "Infinity")) ||
           (yyjson_get_real(wanted) == -DBL_MAX && wr_str_is(text_of(got), "-Infinity"));
}

static void compare(player *p, const char *path, const char *name, yyjson_val *wanted, yyjson_val *got)
{
    if (yyjson_is_str(wanted) && wr_str_is(text_of(wanted), "{{any}}")) return;
    if (yyjson_is_obj(wanted) && yyjson_is_obj(got)) return compare_objects(p, path, wanted, got);
    if (yyjson_is_arr(wanted) && yyjson_is_arr(got)) return compare_lists(p, path, name, wanted, got);
    bool same;
    if (yyjson_is_str(wanted) && yyjson_is_str(got)) {
        if (is_json(text_of(wanted)) && compare_json_text(p, path, text_of(wanted), text_of(got))) return;
        same = wr_str_eq(text_of(wanted), text_of(got)) || /* a text may hold {{...}} of its own: prompts do */
               matches(p, text_of(wanted), text_of(got));
    } else if (yyjson_is_num(wanted) && yyjson_is_num(got) && (yyjson_is_real(wanted) || yyjson_is_real(got)))
        same = yyjson_get_num(wanted) == yyjson_get_num(got);
    else if (yyjson_is_real(wanted) && yyjson_is_str(got)) same = is_infinite(wanted, got);
    else same = yyjson_equals(wanted, got);
    if (!same) differ_values(p, path, wanted, got);
}

static void compare_json(player *p, int status, wr_str got)
{
    WR_AUTOJSON wr_json a = {0}, b = {0};
    wr_err err = {0};
    if (wr_json_parse(&a, p->now.answer, p->file, &err) < 0) {
        (void)printf("%s: %s\n", p->file, err.msg);
        exit(2);
    }
    if (wr_json_parse_lenient(&b, got, &err) < 0)
        return differ(p, "body", p->now.answer.p, p->now.answer.n, got.p, got.n);
    if (status < 400) return compare(p, "", "", a.root, b.root);
    yyjson_val *code = yyjson_obj_get(b.root, "error_code");
    if (!code) return differ_values(p, "/error_code", yyjson_obj_get(a.root, "error_code"), NULL);
    compare(p, "/error_code", "", yyjson_obj_get(a.root, "error_code"), code);
}

static bool starts(wr_str s, const char *with) { return s.n >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0; }

static void compare_answer(player *p, int status, wr_str got)
{
    wr_str wanted = p->now.answer;
    char number[16], hex[WR_SHA256_HEX];
    (void)snprintf(number, sizeof number, "%d", status);
    if (!wr_str_is(p->now.status, number)) {
        WR_AUTOBUF wr_buf all = {0};
        wr_buf_init(&all, 0);
        wr_buf_printf(&all, "%s %.*s", number, (int)(got.n > 250 ? 250 : got.n), got.p);
        return differ(p, "status", p->now.status.p, p->now.status.n, wr_buf_cstr(&all), all.n);
    }
    if (starts(wanted, "{")) return compare_json(p, status, got);
    if (wr_str_is(wanted, "any")) return;
    WR_AUTOBUF wr_buf raw = {0};
    wr_buf_init(&raw, 0);
    if (starts(wanted, "sha256:")) {
        wr_sha256_of(got.p, got.n, hex);
        if (strncmp(wanted.p + 7, hex, 64) != 0) differ(p, "body", wanted.p, wanted.n, hex, 64);
        return;
    }
    if (starts(wanted, "base64:")) {
        if (!wr_base64_decode(&raw, wr_str_sub(wanted, 7, wanted.n))) abort();
        wanted = wr_buf_view(&raw);
    }
    if (!wr_str_eq(wanted, got)) differ(p, "body", wanted.p, wanted.n, got.p, got.n);
}

/* ---- the wire ---- */

static void dial(player *p)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)p->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {60, 0};
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) < 0) {
        (void)printf("%s: connect: %s\n", p->file, strerror(errno));
        exit(2);
    }
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* Reads one answer into `in`; its status, its body in `body`. False when the connection ended. */
static bool receive(player *p, wr_buf *in, wr_buf *body, int *status)
{
    char block[65536];
    wr_http_head head;
    size_t scanned = 0;
    int parsed = 0;
    wr_buf_clear(in);
    wr_buf_clear(body);
    for (wr_http_chunks chunks;;) {
        if (parsed == 1) {
            wr_str rest = wr_str_sub(wr_buf_view(in), head.size, in->n), piece;
            if (!head.chunked && rest.n >= head.length)
                return wr_buf_slice(body, wr_str_sub(rest, 0, head.length)), true;
            if (head.chunked) {
                wr_buf_clear(body);
                wr_http_chunks_init(&chunks);
                while (wr_http_chunks_next(&chunks, &rest, &piece) == 1) wr_buf_slice(body, piece);
                if (chunks.done) return true;
            }
        }
        ssize_t n = recv(p->fd, block, sizeof block, 0);
        if (n <= 0) return false;
        wr_buf_add(in, block, (size_t)n);
        if (in->failed) abort();
        parsed = wr_http_parse_response(&head, wr_buf_view(in),
                                        &scanned); /* again each time: the slices point into the buffer */
        if (parsed < 0) return false;
        if (parsed == 1) *status = head.status, scanned = 0;
    }
}

static void make_request(player *p, wr_buf *out)
{
    WR_AUTOBUF wr_buf text = {0}, body = {0};
    wr_buf_init(&text, 0);
    wr_buf_init(&body, 0);
    fill(p, &p->target, p->now.target);
    if (starts(p->now.body, "base64:")) {
        if (!wr_base64_decode(&body, wr_str_sub(p->now.body, 7, p->now.body.n))) abort();
    } else {
        fill(p, &body, p->now.body);
    }
    wr_buf_clear(out);
    wr_buf_printf(out, "%.*s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", WR_STR_FMT(p->now.method), wr_buf_cstr(&p->target),
                  p->port);
    wr_str headers = p->now.headers;
    while (headers.n) {
        fill(p, &text, wr_str_cut(&headers, '\n'));
        wr_buf_printf(out, "%s\r\n", wr_buf_cstr(&text));
    }
    if (body.n || !wr_str_is(p->now.method, "GET")) wr_buf_printf(out, "Content-Length: %zu\r\n", body.n);
    wr_buf_str(out, "\r\n");
    wr_buf_slice(out, wr_buf_view(&body));
}

static void play(player *p)
{
    WR_AUTOBUF wr_buf out = {0}, in = {0}, body = {0};
    wr_buf_init(&out, 0);
    wr_buf_init(&in, ANSWER_MAX);
    wr_buf_init(&body, ANSWER_MAX);
    int status = 0;
    make_request(p, &out);
    for (int turn = 0; turn < 2; turn++) { /* a server may close an idle connection at any time */
        if (p->fd < 0) dial(p);
        size_t sent = 0;
        while (sent < out.n) {
            ssize_t n = send(p->fd, out.p + sent, out.n - sent, MSG_NOSIGNAL);
            if (n <= 0) break;
            sent += (size_t)n;
        }
        if (receive(p, &in, &body, &status)) {
            compare_answer(p, status, wr_buf_view(&body));
            /* What was made one after the other when recorded must not be of one millisecond now: searches order by it.
             */
            if (!wr_str_is(p->now.method, "GET")) (void)usleep(1500);
            return;
        }
        (void)close(p->fd);
        p->fd = -1;
        if (in.n) break;
    }
    differ(p, "status", p->now.status.p, p->now.status.n, "no whole answer", 15);
}

/* ---- files and servers ---- */

/* The next exchange of the file; false at its end. */
static bool next_exchange(wr_str *rest, exchange *out)
{
    wr_str line = {0};
    while (rest->n && !starts(line, "=== ")) line = wr_str_cut(rest, '\n');
    if (!starts(line, "=== ")) return false;
    out->number = wr_str_sub(line, 4, line.n);
    line = wr_str_cut(rest, '\n');
    out->method = wr_str_cut(&line, ' ');
    out->target = line;
    out->headers = (wr_str){rest->p, 0};
    while (rest->n && (line = wr_str_cut(rest, '\n')).n) out->headers.n = (size_t)(line.p + line.n - out->headers.p);
    out->body = wr_str_cut(rest, '\n');
    line = wr_str_cut(rest, '\n');
    if (!starts(line, "--- ")) return false;
    out->status = wr_str_sub(line, 4, line.n);
    out->answer = wr_str_cut(rest, '\n');
    return true;
}

/* Starts `weir up` in the folder; its port, or 0. */
static int start(wr_proc **server, const char *weir, const char *folder, const char *log)
{
    const char *const init[] = {weir, "init", NULL}, *const up[] = {weir, "up", "--port", "0", "--no-schedule", NULL};
    static const char said[] = "weir is up at http://127.0.0.1:";
    wr_err err = {0};
    wr_proc_result done;
    if (wr_proc_run(&done, &(wr_proc_opt){.argv = init, .cwd = folder, .quiet = true}, &err) < 0 ||
        done.exit_code != 0 || wr_proc_start(server, &(wr_proc_opt){.argv = up, .cwd = folder, .log = log}, &err) < 0)
        return (void)printf("weir: %s\n", err.msg), 0;
    for (int waited = 0; waited < UP_MS; waited += 10) {
        WR_AUTOBUF wr_buf text = {0};
        wr_buf_init(&text, 0);
        if (wr_file_read(&text, log, FILE_MAX, &err) == 0) {
            const char *at = text.n ? strstr(wr_buf_cstr(&text), said) : NULL;
            if (at) return (int)strtol(at + sizeof said - 1, NULL, 10);
        }
        (void)usleep(10000);
    }
    return (void)printf("weir up does not say where it is (%s)\n", log), 0;
}

static int play_file(const char *weir, const char *file)
{
    char folder[] = "/tmp/weir-replay-XXXXXX", project[64], log[64];
    wr_proc *server = NULL;
    wr_err err = {0};
    WR_AUTOBUF wr_buf text = {0};
    wr_buf_init(&text, 0);
    player *p = calloc(1, sizeof *p);
    if (!p || !mkdtemp(folder)) abort();
    (void)snprintf(project, sizeof project, "%s/p", folder);
    (void)snprintf(log, sizeof log, "%s/log", folder);
    *p = (player){.file = file, .fd = -1};
    wr_buf_init(&p->target, 0);
    int played = 0;
    if (wr_file_read(&text, file, FILE_MAX, &err) < 0 || wr_file_mkdirs(project, &err) < 0) {
        (void)printf("%s: %s\n", file, err.msg);
        p->wrong++;
    } else if ((p->port = start(&server, weir, project, log)) == 0) {
        p->wrong++;
    } else {
        wr_str rest = wr_buf_view(&text);
        for (; next_exchange(&rest, &p->now); played++) play(p);
        if (played == 0) p->wrong++, (void)printf("%s: no exchange in it\n", file);
    }
    if (p->fd >= 0) (void)close(p->fd);
    wr_proc_result done = {0};
    if (server) (void)wr_proc_stop(server, 10000, &done);
    if (server && done.exit_code != 0) p->wrong++, (void)printf("%s: weir up ended with %d\n", file, done.exit_code);
    (void)printf("%s: %d exchanges, %zu differences\n", file, played, p->wrong);
    int wrong = p->wrong != 0;
    for (size_t i = 0; i < p->nvars; i++) free(p->vars[i].value);
    wr_buf_fini(&p->target);
    free(p);
    if (wr_file_remove_tree(folder, &err) < 0) (void)printf("%s\n", err.msg);
    return wrong;
}

static void read_rules(wr_buf *text, const char *file)
{
    char path[PATH_LEN];
    wr_err err = {0};
    const char *slash = strrchr(file, '/');
    (void)snprintf(path, sizeof path, "%.*sdifferences.txt", slash ? (int)(slash + 1 - file) : 0, file);
    if (wr_file_size(path) < 0) return;
    if (wr_file_read(text, path, FILE_MAX, &err) < 0) abort();
    wr_str rest = wr_buf_view(text);
    while (rest.n) {
        wr_str line = wr_str_cut(&rest, '\n');
        if (line.n == 0 || line.p[0] == '#') continue;
        rule r = {.target = wr_str_cut(&line, '\t')};
        r.path = wr_str_cut(&line, '\t');
        if (line.n == 0) {
            (void)printf("%s: a line without target, path and reason\n", path);
            exit(2);
        }
        if (wr_vec_push(&rules, r) < 0) abort();
    }
}

int main(int argc, char **argv)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_buf_init(&text, 0);
    if (argc < 3) return (void)puts("usage: replay WEIR FILE.http..."), 64;
    read_rules(&text, argv[2]);
    int wrong = 0;
    for (int i = 2; i < argc; i++) wrong |= play_file(argv[1], argv[i]);
    wr_vec_fini(&rules);
    return wrong;
}
