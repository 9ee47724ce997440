/* SPDX-License-Identifier: Apache-2.0 */
/* db_regex.c - regular expressions as a set of states that walks the text once (Thompson 1968; the machine is that of
 * R. Cox, "Regular Expression Matching: the Virtual Machine Approach").
 *
 *   pattern --parse--> tree of nodes --emit--> program of at most PROGRAM_MAX steps --find--> yes or no
 *
 * {m,n} is written out by emitting its node again, so the cap on the program bounds it.
 */
#include <stdint.h>

#include "base/vec.h"
#include "store/db_match.h"

enum { PROGRAM_MAX = 1000, NODES_MAX = 2000, DEPTH_MAX = 50, REPEAT_MAX = 255 }; /* 255 is PostgreSQL's too */

typedef enum { N_EMPTY, N_CLASS, N_BEGIN, N_END, N_JOIN, N_OR, N_REPEAT } node_kind;

typedef struct {
    node_kind kind;
    int a, b;     /* JOIN, OR: both; REPEAT: a */
    int from, to; /* REPEAT: times, to < 0 without end; CLASS: ranges[from..to) */
    bool negated; /* CLASS */
} node;

typedef struct {
    uint32_t lo, hi;
} range;

typedef enum { OP_CLASS, OP_BEGIN, OP_END, OP_SPLIT, OP_JUMP, OP_MATCH } op_kind;

typedef struct {
    op_kind op;
    int x, y;
} step; /* CLASS: x is the node; SPLIT, JUMP: where to go on */

struct wr_regex {
    WR_VEC(node) nodes;
    WR_VEC(range) ranges;
    WR_VEC(step) program;
    int *set[2], n[2];      /* the states now and next, in room for PROGRAM_MAX each */
    uint32_t *mark, *stack; /* mark[state] = round in which it was added */
    uint32_t round;
};

typedef struct {
    wr_regex *r;
    wr_str s;
    size_t at;
    int depth;
    wr_err *err;
} parser;

static int wrong(parser *p, const char *what)
{
    return wr_err_set(p->err, WEIR_EINVAL, "regular expression, at character %zu: %s", p->at + 1, what);
}

static int too_large(wr_err *err) { return wr_err_set(err, WEIR_ELIMIT, "the regular expression is too large"); }

/* The character at `*at`, which moves behind it. A byte that begins no character stands for itself. */
static uint32_t character(wr_str s, size_t *at)
{
    unsigned char c = (unsigned char)s.p[(*at)++];
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (!more || *at + (size_t)more > s.n) return c;
    uint32_t v = c & (0x3fU >> more);
    for (int i = 0; i < more; i++) {
        unsigned char d = (unsigned char)s.p[*at + (size_t)i];
        if ((d & 0xc0) != 0x80) return c;
        v = v << 6 | (d & 0x3f);
    }
    *at += (size_t)more;
    return v;
}

static int node_new(parser *p, node n)
{
    if (p->r->nodes.n >= NODES_MAX) return too_large(p->err);
    if (wr_vec_push(&p->r->nodes, n) < 0) return wr_err_nomem(p->err);
    return (int)p->r->nodes.n - 1;
}

static int add_range(parser *p, uint32_t lo, uint32_t hi)
{
    if (p->r->ranges.n >= NODES_MAX) return too_large(p->err);
    return wr_vec_push(&p->r->ranges, ((range){lo, hi})) < 0 ? wr_err_nomem(p->err) : 0;
}

static bool more(const parser *p) { return p->at < p->s.n; }
static bool next_is(const parser *p, char c) { return more(p) && p->s.p[p->at] == c; }

/* --- classes --- */

static const struct {
    const char *name;
    range r[4];
    int n;
} named[] = {
    {"digit", {{'0', '9'}}, 1},
    {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
    {"space", {{'\t', '\r'}, {' ', ' '}}, 2},
    {"alpha", {{'A', 'Z'}, {'a', 'z'}}, 2},
    {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
    {"upper", {{'A', 'Z'}}, 1},
    {"lower", {{'a', 'z'}}, 1},
    {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, 4},
    {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
    {"blank", {{'\t', '\t'}, {' ', ' '}}, 2},
};
enum { NAMED = sizeof named / sizeof *named };

static int add_named(parser *p, int which, bool negated)
{
    uint32_t from = 0; /* ranges are in order: the gaps between them are the opposite */
    for (int i = 0; i < named[which].n; i++) {
        range r = named[which].r[i];
        if (!negated) WR_TRY(add_range(p, r.lo, r.hi));
        else if (r.lo > from) WR_TRY(add_range(p, from, r.lo - 1));
        from = r.hi + 1;
    }
    return negated ? add_range(p, from, UINT32_MAX) : 0;
}

/* Behind a backslash: a class is added and 1 returned, or *c is the character and 0. */
static int escape(parser *p, uint32_t *c)
{
    static const char classes[] = "dws", controls[] = "tnrfv", values[] = "\t\n\r\f\v";
    if (!more(p)) return wrong(p, "a backslash needs a character");
    char e = p->s.p[p->at];
    for (int i = 0; i < 3; i++) {
        if (e != classes[i] && e != classes[i] - 32) continue;
        p->at++;
        WR_TRY(add_named(p, i, e != classes[i]));
        return 1;
    }
    for (int i = 0; i < 5; i++) {
        if (e != controls[i]) continue;
        p->at++;
        *c = (unsigned char)values[i];
        return 0;
    }
    if ((e >= '0' && e <= '9') || (e >= 'A' && e <= 'Z') || (e >= 'a' && e <= 'z'))
        return wrong(p, "this escape is not supported");
    *c = character(p->s, &p->at);
    return 0;
}

/* "[:alpha:]" inside brackets, with at behind "[:". */
static int posix_class(parser *p)
{
    for (int i = 0; i < NAMED; i++) {
        size_t n = strlen(named[i].name);
        if (p->s.n - p->at < n + 2 || memcmp(p->s.p + p->at, named[i].name, n) != 0) continue;
        if (memcmp(p->s.p + p->at + n, ":]", 2) != 0) continue;
        p->at += n + 2;
        return add_named(p, i, false);
    }
    return wrong(p, "no such class of characters");
}

/* One end of a range: 1 when it was a whole class. */
static int bracket_character(parser *p, uint32_t *c)
{
    if (next_is(p, '[') && p->at + 1 < p->s.n && strchr(":.=", p->s.p[p->at + 1])) {
        if (p->s.p[p->at + 1] != ':') return wrong(p, "collating elements are not supported");
        p->at += 2;
        WR_TRY(posix_class(p));
        return 1;
    }
    if (next_is(p, '\\')) {
        p->at++;
        return escape(p, c);
    }
    *c = character(p->s, &p->at);
    return 0;
}

static int brackets(parser *p)
{
    node n = {.kind = N_CLASS, .from = (int)p->r->ranges.n};
    if (next_is(p, '^')) {
        n.negated = true;
        p->at++;
    }
    for (bool first = true; first || !next_is(p, ']'); first = false) {
        uint32_t lo = 0, hi = 0;
        if (!more(p)) return wrong(p, "\"]\" is missing");
        int rc = bracket_character(p, &lo);
        if (rc < 0) return rc;
        if (rc == 1) continue;
        hi = lo;
        if (next_is(p, '-') && p->at + 1 < p->s.n && p->s.p[p->at + 1] != ']') {
            p->at++;
            rc = bracket_character(p, &hi);
            if (rc < 0) return rc;
            if (rc == 1 || hi < lo) return wrong(p, "a range needs two characters in order");
        }
        WR_TRY(add_range(p, lo, hi));
    }
    p->at++;
    n.to = (int)p->r->ranges.n;
    return node_new(p, n);
}

static int one_character(parser *p, uint32_t lo, uint32_t hi)
{
    int from = (int)p->r->ranges.n;
    WR_TRY(add_range(p, lo, hi));
    return node_new(p, (node){.kind = N_CLASS, .from = from, .to = from + 1});
}

/* --- the grammar --- */

static int alternatives(parser *p);

static int group(parser *p)
{
    if (next_is(p, '?')) {
        if (p->at + 1 >= p->s.n || p->s.p[p->at + 1] != ':')
            return wrong(p, "of the groups \"(?\" only \"(?:\" is supported");
        p->at += 2;
    }
    if (++p->depth > DEPTH_MAX) return too_large(p->err);
    int n = alternatives(p);
    p->depth--;
    if (n < 0) return n;
    if (!next_is(p, ')')) return wrong(p, "\")\" is missing");
    p->at++;
    return n;
}

static int atom(parser *p)
{
    int from = (int)p->r->ranges.n;
    uint32_t c = character(p->s, &p->at);
    if (c == '(') return group(p);
    if (c == '[') return brackets(p);
    if (c == '.') return one_character(p, 0, UINT32_MAX);
    if (c == '^') return node_new(p, (node){.kind = N_BEGIN});
    if (c == '$') return node_new(p, (node){.kind = N_END});
    if (c == '*' || c == '+' || c == '?' || c == '{') {
        p->at--;
        return wrong(p, "there is nothing to repeat");
    }
    if (c != '\\') return one_character(p, c, c);
    int rc = escape(p, &c);
    if (rc < 0) return rc;
    if (rc == 0) return one_character(p, c, c);
    return node_new(p, (node){.kind = N_CLASS, .from = from, .to = (int)p->r->ranges.n});
}

static int number(parser *p, int *out)
{
    if (!more(p) || p->s.p[p->at] < '0' || p->s.p[p->at] > '9') return wrong(p, "a number of times is missing");
    for (*out = 0; more(p) && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9'; p->at++) {
        *out = *out * 10 + (p->s.p[p->at] - '0');
        if (*out > REPEAT_MAX) return wrong(p, "at most 255 times");
    }
    return 0;
}

static int times(parser *p, node *n)
{
    char c = p->s.p[p->at++];
    n->from = c == '+';
    n->to = c == '?' ? 1 : -1;
    if (c == '{') {
        WR_TRY(number(p, &n->from));
        n->to = n->from;
        if (next_is(p, ',')) {
            p->at++;
            n->to = -1;
            if (!next_is(p, '}')) WR_TRY(number(p, &n->to));
        }
        if (!next_is(p, '}')) return wrong(p, "\"}\" is missing");
        if (n->to >= 0 && n->to < n->from) return wrong(p, "the numbers of times are not in order");
        p->at++;
    }
    if (next_is(p, '?')) p->at++; /* lazy: another match perhaps, never another answer */
    return 0;
}

static int repeated(parser *p)
{
    int a = atom(p);
    if (a < 0 || !more(p) || !strchr("*+?{", p->s.p[p->at])) return a;
    node_kind kind = p->r->nodes.at[a].kind;
    if (kind == N_BEGIN || kind == N_END) return wrong(p, "an end of the text cannot be repeated");
    node n = {.kind = N_REPEAT, .a = a};
    WR_TRY(times(p, &n));
    if (more(p) && strchr("*+?{", p->s.p[p->at])) return wrong(p, "a repetition cannot be repeated");
    return node_new(p, n);
}

static int sequence(parser *p)
{
    int all = -1;
    while (more(p) && !next_is(p, '|') && !next_is(p, ')')) {
        int one = repeated(p);
        if (one < 0) return one;
        all = all < 0 ? one : node_new(p, (node){.kind = N_JOIN, .a = all, .b = one});
        if (all < 0) return all;
    }
    return all < 0 ? node_new(p, (node){.kind = N_EMPTY}) : all;
}

static int alternatives(parser *p)
{
    int all = sequence(p);
    while (all >= 0 && next_is(p, '|')) {
        p->at++;
        int other = sequence(p);
        all = other < 0 ? other : node_new(p, (node){.kind = N_OR, .a = all, .b = other});
    }
    return all;
}

/* --- the program --- */

static int emit_step(wr_regex *r, op_kind op, int x, int y, wr_err *err)
{
    if (r->program.n >= PROGRAM_MAX) return too_large(err);
    return wr_vec_push(&r->program, ((step){op, x, y})) < 0 ? wr_err_nomem(err) : (int)r->program.n - 1;
}

static int emit(wr_regex *r, int at, wr_err *err);

/* a{2,4} is aaa?a?; a{2,} is aaa*. */
static int emit_repeat(wr_regex *r, const node *n, wr_err *err)
{
    for (int i = 0; i < n->from; i++) WR_TRY(emit(r, n->a, err));
    if (n->to < 0) {
        int split = emit_step(r, OP_SPLIT, 0, 0, err);
        if (split < 0) return split;
        WR_TRY(emit(r, n->a, err));
        WR_TRY(emit_step(r, OP_JUMP, split, 0, err));
        r->program.at[split].x = split + 1;
        r->program.at[split].y = (int)r->program.n;
    }
    for (int i = n->from; i < n->to; i++) {
        int split = emit_step(r, OP_SPLIT, 0, 0, err);
        if (split < 0) return split;
        WR_TRY(emit(r, n->a, err));
        r->program.at[split].x = split + 1;
        r->program.at[split].y = (int)r->program.n;
    }
    return 0;
}

static int emit_or(wr_regex *r, const node *n, wr_err *err)
{
    int split = emit_step(r, OP_SPLIT, 0, 0, err);
    if (split < 0) return split;
    WR_TRY(emit(r, n->a, err));
    int jump = emit_step(r, OP_JUMP, 0, 0, err);
    if (jump < 0) return jump;
    r->program.at[split].x = split + 1;
    r->program.at[split].y = jump + 1;
    WR_TRY(emit(r, n->b, err));
    r->program.at[jump].x = (int)r->program.n;
    return 0;
}

/* A chain of JOINs leans to the left and is as deep as it is long: at most NODES_MAX frames of a few words. */
static int emit(wr_regex *r, int at, wr_err *err)
{
    const node n = r->nodes.at[at];
    switch (n.kind) {
    case N_EMPTY:
        return 0;
    case N_CLASS:
        return emit_step(r, OP_CLASS, at, 0, err);
    case N_BEGIN:
        return emit_step(r, OP_BEGIN, 0, 0, err);
    case N_END:
        return emit_step(r, OP_END, 0, 0, err);
    case N_JOIN:
        WR_TRY(emit(r, n.a, err));
        return emit(r, n.b, err);
    case N_OR:
        return emit_or(r, &n, err);
    case N_REPEAT:
        return emit_repeat(r, &n, err);
    }
    return 0;
}

static int build(wr_regex *r, wr_str pattern, wr_err *err)
{
    parser p = {.r = r, .s = pattern, .err = err};
    if (pattern.n > NODES_MAX) return too_large(err);
    int root = alternatives(&p);
    if (root < 0) return root;
    if (more(&p)) return wrong(&p, "\")\" without \"(\"");
    WR_TRY(emit(r, root, err));
    WR_TRY(emit_step(r, OP_MATCH, 0, 0, err));
    size_t n = r->program.n;
    for (int i = 0; i < 2; i++) {
        r->set[i] = wr_calloc(n, sizeof *r->set[i]);
        if (!r->set[i]) return wr_err_nomem(err);
    }
    r->mark = wr_calloc(n, sizeof *r->mark);
    r->stack = wr_calloc(2 * n + 2, sizeof *r->stack);
    return r->mark && r->stack ? 0 : wr_err_nomem(err);
}

int wr_regex_new(wr_regex **out, wr_str pattern, wr_err *err)
{
    wr_regex *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    int rc = build(r, pattern, err);
    if (rc < 0) {
        wr_regex_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void wr_regex_free(wr_regex *r)
{
    if (!r) return;
    wr_vec_fini(&r->nodes);
    wr_vec_fini(&r->ranges);
    wr_vec_fini(&r->program);
    wr_free(r->set[0]);
    wr_free(r->set[1]);
    wr_free(r->mark);
    wr_free(r->stack);
    wr_free(r);
}

/* --- the walk --- */

static bool in_class(const wr_regex *r, int at, uint32_t c)
{
    const node *n = &r->nodes.at[at];
    for (int i = n->from; i < n->to; i++) {
        if (c >= r->ranges.at[i].lo && c <= r->ranges.at[i].hi) return !n->negated;
    }
    return n->negated;
}

/* Put `state` and all that is reached from it without a character into set `to`. True: the match is reached. */
static bool enter(wr_regex *r, int to, int state, bool begin, bool end)
{
    size_t n = 0;
    r->stack[n++] = (uint32_t)state;
    while (n) {
        uint32_t s = r->stack[--n];
        if (r->mark[s] == r->round) continue;
        r->mark[s] = r->round;
        const step *p = &r->program.at[s];
        if (p->op == OP_MATCH) return true;
        if (p->op == OP_CLASS) r->set[to][r->n[to]++] = (int)s;
        if (p->op == OP_SPLIT) r->stack[n++] = (uint32_t)p->y;
        if (p->op == OP_SPLIT || p->op == OP_JUMP) r->stack[n++] = (uint32_t)p->x;
        if ((p->op == OP_BEGIN && begin) || (p->op == OP_END && end)) r->stack[n++] = s + 1;
    }
    return false;
}

static void next_round(wr_regex *r)
{
    if (++r->round) return;
    memset(r->mark, 0, r->program.n * sizeof *r->mark); /* it went round */
    r->round = 1;
}

bool wr_regex_find(wr_regex *r, wr_str text)
{
    size_t at = 0;
    int now = 0;
    r->n[0] = 0;
    next_round(r);
    if (enter(r, now, 0, true, text.n == 0)) return true;
    while (at < text.n) {
        uint32_t c = character(text, &at);
        int next = 1 - now;
        r->n[next] = 0;
        next_round(r);
        for (int i = 0; i < r->n[now]; i++) {
            int s = r->set[now][i];
            if (in_class(r, r->program.at[s].x, c) && enter(r, next, s + 1, false, at == text.n)) return true;
        }
        if (enter(r, next, 0, false, at == text.n)) return true; /* a match may begin anywhere */
        now = next;
    }
    return false;
}
