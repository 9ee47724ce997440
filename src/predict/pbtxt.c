/* SPDX-License-Identifier: Apache-2.0 */
/* pbtxt.c - text format: read into a tree of fields in the order of the text, then written with repeated ones gathered.
 */
#include "predict/pbtxt.h"

#include "base/arena.h"
#include "base/chars.h"
#include "base/limits.h"
#include "base/num.h"
#include "codec/json.h"

typedef enum { TEXT, INTEGER, UNSIGNED, FLOAT, WORD, MESSAGE } kind;

typedef struct node node;
struct node {
    wr_str name;
    kind kind;
    wr_str text; /* TEXT (decoded), WORD */
    union {
        int64_t i;
        uint64_t u;
        double f;
    };
    node *first, *last; /* fields of a MESSAGE */
    node *next;
    bool written;
};

typedef struct {
    const char *p, *end, *start;
    const char *what;
    wr_arena *a;
    wr_err *err;
    int depth;
    size_t fields;
} reader;

/* ---- what the schema says ---- */

static bool in(wr_str name, const char *const *list)
{
    for (; *list; list++)
        if (wr_str_is(name, *list)) return true;
    return false;
}

static bool repeated(wr_str name)
{
    static const char *const names[] = {"input",
                                        "output",
                                        "batch_input",
                                        "batch_output",
                                        "instance_group",
                                        "model_warmup",
                                        "dims",
                                        "shape",
                                        "gpus",
                                        "secondary_devices",
                                        "profile",
                                        "resources",
                                        "target_name",
                                        "source_input",
                                        "versions",
                                        "graph_spec",
                                        "gpu_execution_accelerator",
                                        "cpu_execution_accelerator",
                                        "preferred_batch_size",
                                        "int32_false_true",
                                        "fp32_false_true",
                                        "bool_false_true",
                                        "control",
                                        "control_input",
                                        "initial_state",
                                        "state",
                                        "step",
                                        "op_library_filename",
                                        "agents",
                                        "metric_control",
                                        "buckets",
                                        NULL};
    return in(name, names);
}

static bool is_map(wr_str name)
{
    static const char *const names[] = {
        "cc_model_filenames", "metric_tags",           "parameters", "inputs", "input_map",
        "output_map",         "priority_queue_policy", NULL};
    return in(name, names);
}

/* ---- reading ---- */

static int fail(reader *r, int code, const char *why)
{
    int line = 1;
    const char *from = r->start;
    for (const char *p = r->start; p < r->p && p < r->end; p++)
        if (*p == '\n') line++, from = p + 1;
    return wr_err_set(r->err, code, "%s:%d:%d: %s", r->what, line, (int)(r->p - from) + 1, why);
}

static void skip(reader *r)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '#') {
            while (r->p < r->end && *r->p != '\n') r->p++;
            if (r->p == r->end) return;
        } else if (*r->p != ' ' && (*r->p < '\t' || *r->p > '\r')) {
            return;
        }
    }
}

static char peek(reader *r)
{
    skip(r);
    return r->p < r->end ? *r->p : 0;
}

static bool take(reader *r, char c)
{
    if (peek(r) != c) return false;
    r->p++;
    return true;
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static wr_str word(reader *r)
{
    const char *from = r->p;
    while (r->p < r->end && word_char(*r->p)) r->p++;
    return (wr_str){from, (size_t)(r->p - from)};
}

static int digit(char c, int base)
{
    int d = wr_hex_digit(c);
    return d < base ? d : -1;
}

/* Up to `max` digits of an escape. */
static uint32_t digits(reader *r, int base, int max, int *n)
{
    uint32_t v = 0;
    for (*n = 0; *n < max && r->p < r->end && digit(*r->p, base) >= 0; ++*n, r->p++)
        v = v * (uint32_t)base + (uint32_t)digit(*r->p, base);
    return v;
}

static int escape(reader *r, wr_buf *b)
{
    static const char from[] = "abfnrtv\\'\"?", to[] = "\a\b\f\n\r\t\v\\'\"?";
    int n;
    if (r->p == r->end) return fail(r, WEIR_EPARSE, "a string does not end");
    const char *known = memchr(from, *r->p, sizeof from - 1);
    if (known) {
        wr_buf_char(b, to[known - from]);
        r->p++;
        return 0;
    }
    if (digit(*r->p, 8) >= 0) {
        uint32_t v = digits(r, 8, 3, &n);
        if (v > 255) return fail(r, WEIR_EPARSE, "an octal escape is larger than a byte");
        wr_buf_char(b, (char)v);
        return 0;
    }
    char c = *r->p++;
    uint32_t v = digits(r, 16, c == 'u' ? 4 : c == 'U' ? 8 : 2, &n);
    if ((c == 'x' || c == 'X') && n) {
        wr_buf_char(b, (char)v);
        return 0;
    }
    if ((c != 'u' || n != 4) && (c != 'U' || n != 8)) return fail(r, WEIR_EPARSE, "an escape that nobody knows");
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) return fail(r, WEIR_EPARSE, "an escape is no character");
    wr_buf_utf8(b, v);
    return 0;
}

static int string(reader *r, node *n)
{
    WR_AUTOBUF wr_buf b = {0};
    for (char quote; (quote = peek(r)) == '"' || quote == '\'';) {
        for (r->p++; r->p < r->end && *r->p != quote;) {
            char c = *r->p++;
            if (c == '\n') return fail(r, WEIR_EPARSE, "a string does not end on its line");
            if (c == '\\') WR_TRY(escape(r, &b));
            else wr_buf_char(&b, c);
        }
        if (r->p == r->end) return fail(r, WEIR_EPARSE, "a string does not end");
        r->p++;
    }
    n->kind = TEXT;
    n->text = wr_arena_str(r->a, wr_buf_view(&b));
    return b.failed || !n->text.p ? wr_err_nomem(r->err) : 0;
}

static bool integer(node *n, wr_str s, bool negative)
{
    int base = 10;
    if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x') base = 16, s = wr_str_sub(s, 2, s.n);
    else if (s.n > 1 && s.p[0] == '0') base = 8, s = wr_str_sub(s, 1, s.n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = digit(s.p[i], base);
        if (d < 0 || __builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    if (negative && v > (uint64_t)INT64_MAX + 1) return false;
    n->kind = negative ? INTEGER : UNSIGNED;
    if (negative) n->i = (int64_t)(0 - v);
    else n->u = v;
    return s.n > 0;
}

static int number(reader *r, node *n, bool negative)
{
    const char *from = r->p;
    while (r->p < r->end &&
           (word_char(*r->p) || *r->p == '.' || ((*r->p == '+' || *r->p == '-') && (r->p[-1] | 32) == 'e')))
        r->p++;
    wr_str s = {from, (size_t)(r->p - from)};
    if (integer(n, s, negative)) return 0;
    if (s.n > 1 && (s.p[s.n - 1] | 32) == 'f' && !(s.p[0] == '0' && (s.p[1] | 32) == 'x')) s.n--;
    n->kind = FLOAT;
    if (s.n && (s.p[0] == '.' || digit(s.p[0], 10) >= 0) && wr_num_f64(&n->f, s, NULL) == 0) {
        if (negative) n->f = -n->f;
        return 0;
    }
    r->p = from;
    return fail(r, WEIR_EPARSE, "this is no number");
}

static int message(reader *r, node *n, char close);

static int value(reader *r, node *n)
{
    char c = peek(r);
    if (c == '{' || c == '<') {
        r->p++;
        return message(r, n, c == '{' ? '}' : '>');
    }
    if (c == '"' || c == '\'') return string(r, n);
    bool negative = take(r, '-');
    c = peek(r);
    if (c == '.' || digit(c, 10) >= 0) return number(r, n, negative);
    n->kind = WORD;
    n->text = word(r);
    if (!n->text.n) return fail(r, WEIR_EPARSE, "a value is missing");
    if (!negative) return 0;
    bool nan = wr_str_ieq(n->text, "nan");
    if (!nan && !wr_str_ieq(n->text, "inf") && !wr_str_ieq(n->text, "infinity"))
        return fail(r, WEIR_EPARSE, "a minus before what is no number");
    if (!nan) n->text = WR_STR("-inf");
    return 0;
}

static node *add(reader *r, node *to, wr_str name)
{
    if (++r->fields > WR_LIMIT_PBTXT_FIELDS) {
        fail(r, WEIR_ELIMIT, "more fields than are read");
        return NULL;
    }
    node *n = wr_arena_calloc(r->a, 1, sizeof *n);
    if (!n) {
        wr_err_nomem(r->err);
        return NULL;
    }
    n->name = name;
    if (to->last) to->last->next = n;
    else to->first = n;
    to->last = n;
    return n;
}

static int one(reader *r, node *to, wr_str name)
{
    node *n = add(r, to, name);
    return n ? value(r, n) : r->fields > WR_LIMIT_PBTXT_FIELDS ? WEIR_ELIMIT : WEIR_ENOMEM;
}

static int list(reader *r, node *to, wr_str name)
{
    if (take(r, ']')) return 0;
    do WR_TRY(one(r, to, name));
    while (take(r, ','));
    return take(r, ']') ? 0 : fail(r, WEIR_EPARSE, "a list does not end");
}

static int field(reader *r, node *to)
{
    char c = peek(r);
    if (c == '[') return fail(r, WEIR_EUNSUPPORTED, "extensions have no place here");
    wr_str name = word(r);
    if (!name.n || digit(name.p[0], 10) >= 0) return fail(r, WEIR_EPARSE, "the name of a field is missing");
    bool colon = take(r, ':');
    c = peek(r);
    if (!colon && c != '{' && c != '<' && c != '[') return fail(r, WEIR_EPARSE, "a ':' is missing");
    WR_TRY(take(r, '[') ? list(r, to, name) : one(r, to, name));
    if (!take(r, ',')) (void)take(r, ';');
    return 0;
}

/* `close` 0: up to the end of the text. */
static int message(reader *r, node *n, char close)
{
    n->kind = MESSAGE;
    if (++r->depth > WR_LIMIT_PBTXT_DEPTH) return fail(r, WEIR_ELIMIT, "messages are nested deeper than is read");
    for (char c; (c = peek(r)) != close || (!close && r->p < r->end);) {
        if (r->p == r->end) return fail(r, WEIR_EPARSE, "a message does not end");
        WR_TRY(field(r, n));
    }
    if (close) r->p++;
    r->depth--;
    return 0;
}

/* ---- writing ---- */

typedef struct {
    wr_jsonw w;
    const char *what;
    wr_err *err;
} writer;

static int put_message(writer *w, node *n);

static int put_value(writer *w, node *n)
{
    switch (n->kind) {
    case TEXT:
        wr_jsonw_str(&w->w, n->text);
        break;
    case INTEGER:
        wr_jsonw_i64(&w->w, n->i);
        break;
    case UNSIGNED:
        wr_jsonw_u64(&w->w, n->u);
        break;
    case FLOAT:
        wr_jsonw_f64(&w->w, n->f);
        break;
    case WORD:
        if (wr_str_is(n->text, "true") || wr_str_is(n->text, "false")) wr_jsonw_bool(&w->w, n->text.p[0] == 't');
        else wr_jsonw_str(&w->w, n->text);
        break;
    case MESSAGE:
        return put_message(w, n);
    }
    return 0;
}

static void put_key(writer *w, wr_str name)
{
    char key[64];
    size_t n = name.n < sizeof key ? name.n : sizeof key - 1; /* longer ones are nobody's: cut */
    memcpy(key, name.p, n);
    key[n] = 0;
    wr_jsonw_key(&w->w, key);
}

static node *member(const node *n, const char *name)
{
    for (node *f = n->first; f; f = f->next)
        if (wr_str_is(f->name, name)) return f;
    return NULL;
}

/* Entries are messages {key, value}; of a key that comes twice a reader takes one. */
static int put_entry(writer *w, const node *entry)
{
    WR_AUTOBUF wr_buf text = {0};
    node *key = entry->kind == MESSAGE ? member(entry, "key") : NULL, *v = key ? member(entry, "value") : NULL;
    if (!key || (key->kind != TEXT && key->kind != UNSIGNED))
        return wr_err_set(w->err, WEIR_EPARSE, "%s: an entry of \"%.*s\" has no key", w->what, WR_STR_FMT(entry->name));
    if (key->kind == TEXT) wr_buf_slice(&text, key->text);
    else wr_buf_printf(&text, "%llu", (unsigned long long)key->u);
    if (text.failed) return wr_err_nomem(w->err);
    if (memchr(wr_buf_cstr(&text), 0, text.n))
        return wr_err_set(w->err, WEIR_EPARSE, "%s: a key of \"%.*s\" has a zero byte", w->what,
                          WR_STR_FMT(entry->name));
    wr_jsonw_key(&w->w, wr_buf_cstr(&text));
    if (v) return put_value(w, v);
    wr_jsonw_null(&w->w);
    return 0;
}

static int put_all(writer *w, node *first, bool map)
{
    if (map) wr_jsonw_obj(&w->w);
    else wr_jsonw_arr(&w->w);
    for (node *f = first; f; f = f->next) {
        if (!wr_str_eq(f->name, first->name)) continue;
        f->written = true;
        WR_TRY(map ? put_entry(w, f) : put_value(w, f));
    }
    wr_jsonw_end(&w->w);
    return 0;
}

static int put_message(writer *w, node *n)
{
    size_t names = 0;
    wr_jsonw_obj(&w->w);
    for (node *f = n->first; f; f = f->next) {
        if (f->written) continue;
        if (++names > WR_LIMIT_PBTXT_NAMES)
            return wr_err_set(w->err, WEIR_ELIMIT, "%s: more than %d different fields in a message", w->what,
                              WR_LIMIT_PBTXT_NAMES);
        put_key(w, f->name);
        if (repeated(f->name) || is_map(f->name)) {
            WR_TRY(put_all(w, f, is_map(f->name)));
            continue;
        }
        for (const node *o = f->next; o; o = o->next)
            if (wr_str_eq(o->name, f->name))
                return wr_err_set(w->err, WEIR_EPARSE, "%s: field \"%.*s\" comes twice", w->what, WR_STR_FMT(f->name));
        WR_TRY(put_value(w, f));
    }
    wr_jsonw_end(&w->w);
    return 0;
}

int wr_pbtxt_to_json(wr_buf *out, wr_str text, const char *what, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    node root = {0};
    if (!a) return wr_err_nomem(err);
    reader r = {text.p, text.p + text.n, text.p, what, a, err, 0, 0};
    writer w = {.what = what, .err = err};
    if (text.n > WR_LIMIT_PBTXT)
        return wr_err_set(err, WEIR_ELIMIT, "%s is larger than %d bytes", what, WR_LIMIT_PBTXT);
    WR_TRY(message(&r, &root, 0));
    wr_jsonw_init(&w.w, out, 0);
    WR_TRY(put_message(&w, &root));
    return out->failed ? wr_err_nomem(err) : 0;
}
