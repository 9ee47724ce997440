/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_parse.c - by recursive descent, a token ahead. */
#include "wire/mlflow/graphql_parse.h"

#include <ctype.h>

#include "base/chars.h"

typedef enum { END, PUNCTUATOR, SPREAD, NAME, NUMBER, STRING } token_kind;

typedef struct {
    wr_arena *a;
    wr_str text;
    size_t at; /* behind the token */
    int nesting;
    bool constant; /* no variables here */
    wr_err *err;
    /* the token */
    token_kind kind;
    size_t from;
    wr_str value; /* of a string decoded */
} parser;

/* ---- tokens ---- */

static int syntax(parser *p, size_t at, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < p->text.n; i++) {
        column++;
        if (p->text.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return wr_err_set(p->err, WEIR_EPARSE, "Syntax Error: line %zu, column %zu: %s", line, column, what);
}

static char peek(const parser *p, size_t ahead) { return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : 0; }

static bool name_start(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
static bool name_more(char c) { return name_start(c) || (c >= '0' && c <= '9'); }

static void skip_ignored(parser *p)
{
    while (p->at < p->text.n) {
        char c = p->text.p[p->at];
        if (c == '#') {
            while (p->at < p->text.n && p->text.p[p->at] != '\n' && p->text.p[p->at] != '\r') p->at++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
            p->at++;
        } else if (wr_str_starts(wr_str_sub(p->text, p->at, p->text.n), "\xef\xbb\xbf")) {
            p->at += 3;
        } else {
            break;
        }
    }
}

static size_t digits(parser *p)
{
    size_t from = p->at;
    while (isdigit((unsigned char)peek(p, 0))) p->at++;
    return p->at - from;
}

static int number(parser *p)
{
    p->kind = NUMBER;
    if (peek(p, 0) == '-') p->at++;
    bool zero = peek(p, 0) == '0';
    size_t n = digits(p);
    if (!n || (zero && n > 1)) return syntax(p, p->from, "this is no number");
    if (peek(p, 0) == '.') {
        p->at++;
        if (!digits(p)) return syntax(p, p->from, "this is no number");
    }
    if ((peek(p, 0) | 0x20) == 'e') {
        p->at++;
        if (peek(p, 0) == '+' || peek(p, 0) == '-') p->at++;
        if (!digits(p)) return syntax(p, p->from, "this is no number");
    }
    if (name_start(peek(p, 0)) || peek(p, 0) == '.') return syntax(p, p->from, "this is no number");
    p->value = wr_str_sub(p->text, p->from, p->at);
    return 0;
}

static int hex4(parser *p, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int digit = wr_hex_digit(peek(p, 0));
        if (digit < 0) return syntax(p, p->at, "\\u needs four hexadecimal digits");
        *out = *out * 16 + (unsigned)digit;
        p->at++;
    }
    return 0;
}

/* Behind a backslash. */
static int escape(parser *p, wr_buf *b)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    unsigned u, low;
    char c = peek(p, 0);
    const char *known = c ? strchr(from, c) : NULL;
    p->at++;
    if (known) {
        wr_buf_char(b, to[known - from]);
        return 0;
    }
    if (c != 'u') return syntax(p, p->at - 1, "unknown escape in a string");
    WR_TRY(hex4(p, &u));
    if (u >= 0xd800 && u < 0xdc00 && peek(p, 0) == '\\' && peek(p, 1) == 'u') {
        p->at += 2;
        WR_TRY(hex4(p, &low));
        if (low < 0xdc00 || low > 0xdfff) return syntax(p, p->at, "half a character in a string");
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    }
    if ((u >= 0xd800 && u < 0xe000) || u == 0) return syntax(p, p->at, "half a character, or NUL, in a string");
    wr_buf_utf8(b, u);
    return 0;
}

static int string(parser *p)
{
    WR_AUTOBUF wr_buf b = {0};
    p->kind = STRING;
    bool block = peek(p, 1) == '"' && peek(p, 2) == '"';
    p->at += block ? 3 : 1;
    for (;;) {
        if (p->at >= p->text.n) return syntax(p, p->from, "the string does not end");
        char c = p->text.p[p->at];
        if (block && c == '"' && peek(p, 1) == '"' && peek(p, 2) == '"') break;
        if (!block && c == '"') break;
        if (!block && (c == '\n' || c == '\r')) return syntax(p, p->from, "the string does not end in its line");
        if (c == 0) return syntax(p, p->at, "NUL in a string");
        p->at++;
        if (block && c == '\\' && wr_str_starts(wr_str_sub(p->text, p->at, p->text.n), "\"\"\"")) {
            wr_buf_str(&b, "\"\"\"");
            p->at += 3;
        } else if (!block && c == '\\') {
            WR_TRY(escape(p, &b));
        } else {
            wr_buf_char(&b, c);
        }
    }
    p->at += block ? 3 : 1;
    p->value = wr_arena_str(p->a, block ? wr_str_trim(wr_buf_view(&b)) : wr_buf_view(&b));
    return b.failed || !p->value.p ? wr_err_nomem(p->err) : 0;
}

static int next(parser *p)
{
    skip_ignored(p);
    p->from = p->at;
    char c = peek(p, 0);
    if (p->at >= p->text.n) {
        p->kind = END;
        p->value = WR_STR("");
        return 0;
    }
    if (c == '"') return string(p);
    if (c == '-' || isdigit((unsigned char)c)) return number(p);
    if (name_start(c)) {
        p->kind = NAME;
        while (name_more(peek(p, 0))) p->at++;
    } else if (wr_str_starts(wr_str_sub(p->text, p->at, p->text.n), "...")) {
        p->kind = SPREAD;
        p->at += 3;
    } else if (c && strchr("!$&()=@[]{|}:", c)) {
        p->kind = PUNCTUATOR;
        p->at++;
    } else {
        return syntax(p, p->from, "unexpected character");
    }
    p->value = wr_str_sub(p->text, p->from, p->at);
    return 0;
}

static bool is(const parser *p, char c) { return p->kind == PUNCTUATOR && p->value.p[0] == c; }

static int expect(parser *p, char c)
{
    char what[32] = "expected \"?\"";
    what[10] = c;
    return is(p, c) ? next(p) : syntax(p, p->from, what);
}

static int name(parser *p, wr_str *out)
{
    if (p->kind != NAME) return syntax(p, p->from, "expected a name");
    *out = p->value;
    return next(p);
}

static int deeper(parser *p)
{
    if (++p->nesting <= WR_GRAPHQL_NESTING) return 0;
    return wr_err_set(p->err, WEIR_ELIMIT, "Query exceeds maximum depth of %d", WR_GRAPHQL_NESTING);
}

#define MAKE(p, out) (*(out) = wr_arena_calloc((p)->a, 1, sizeof **(out)), *(out) ? 0 : wr_err_nomem((p)->err))

/* ---- values ---- */

static int value(parser *p, wr_graphql_value **out);

/* What stands between brackets; with names in an object and in arguments. */
static int values(parser *p, wr_graphql_value **first, char close, bool named)
{
    WR_TRY(deeper(p));
    WR_TRY(next(p));
    while (!is(p, close)) {
        wr_str key = {NULL, 0};
        if (named) {
            WR_TRY(name(p, &key));
            WR_TRY(expect(p, ':'));
        }
        WR_TRY(value(p, first));
        (*first)->name = key;
        first = &(*first)->next;
    }
    p->nesting--;
    return next(p);
}

static int value(parser *p, wr_graphql_value **out)
{
    WR_TRY(MAKE(p, out));
    wr_graphql_value *v = *out;
    v->text = p->value;
    if (is(p, '[')) {
        v->kind = WR_GRAPHQL_LIST;
        return values(p, &v->first, ']', false);
    }
    if (is(p, '{')) {
        v->kind = WR_GRAPHQL_OBJECT;
        return values(p, &v->first, '}', true);
    }
    if (is(p, '$')) {
        if (p->constant) return syntax(p, p->from, "a variable cannot stand here");
        WR_TRY(next(p));
        v->kind = WR_GRAPHQL_VARIABLE;
        return name(p, &v->text);
    }
    if (p->kind == NUMBER) v->kind = WR_GRAPHQL_NUMBER;
    else if (p->kind == STRING) v->kind = WR_GRAPHQL_STRING;
    else if (p->kind == NAME) v->kind = WR_GRAPHQL_WORD;
    else return syntax(p, p->from, "expected a value");
    return next(p);
}

static int arguments(parser *p, wr_graphql_value **out) { return is(p, '(') ? values(p, out, ')', true) : 0; }

static int directives(parser *p, wr_graphql_directive **out)
{
    while (is(p, '@')) {
        WR_TRY(next(p));
        WR_TRY(MAKE(p, out));
        WR_TRY(name(p, &(*out)->name));
        WR_TRY(arguments(p, &(*out)->arguments));
        out = &(*out)->next;
    }
    return 0;
}

/* ---- selections ---- */

static int selections(parser *p, wr_graphql_selection **out);

static int fragment_use(parser *p, wr_graphql_selection *s)
{
    wr_str type;
    WR_TRY(next(p));
    if (p->kind == NAME && !wr_str_is(p->value, "on")) {
        s->kind = WR_GRAPHQL_SPREAD;
        WR_TRY(name(p, &s->name));
        return directives(p, &s->directives);
    }
    s->kind = WR_GRAPHQL_INLINE;
    if (p->kind == NAME) {
        WR_TRY(next(p));
        WR_TRY(name(p, &type));
    }
    WR_TRY(directives(p, &s->directives));
    return selections(p, &s->first);
}

static int selection(parser *p, wr_graphql_selection **out)
{
    WR_TRY(MAKE(p, out));
    wr_graphql_selection *s = *out;
    if (p->kind == SPREAD) return fragment_use(p, s);
    WR_TRY(name(p, &s->name));
    if (is(p, ':')) {
        s->alias = s->name;
        WR_TRY(next(p));
        WR_TRY(name(p, &s->name));
    }
    WR_TRY(arguments(p, &s->arguments));
    WR_TRY(directives(p, &s->directives));
    return is(p, '{') ? selections(p, &s->first) : 0;
}

static int selections(parser *p, wr_graphql_selection **out)
{
    WR_TRY(expect(p, '{'));
    WR_TRY(deeper(p));
    do {
        WR_TRY(selection(p, out));
        out = &(*out)->next;
    } while (!is(p, '}'));
    p->nesting--;
    return next(p);
}

/* ---- parts ---- */

/* A type is only looked at for its last mark: values are checked where they are used. */
static int type(parser *p, bool *required)
{
    wr_str ignored;
    int open = 0;
    for (; is(p, '['); open++) {
        if (open == WR_GRAPHQL_NESTING) return syntax(p, p->from, "too many brackets");
        WR_TRY(next(p));
    }
    WR_TRY(name(p, &ignored));
    for (;;) {
        *required = is(p, '!');
        if (*required) WR_TRY(next(p));
        if (open-- == 0) return 0;
        WR_TRY(expect(p, ']'));
    }
}

static int variables(parser *p, wr_graphql_variable **out)
{
    wr_graphql_directive *ignored = NULL;
    if (!is(p, '(')) return 0;
    WR_TRY(next(p));
    while (!is(p, ')')) {
        WR_TRY(expect(p, '$'));
        WR_TRY(MAKE(p, out));
        WR_TRY(name(p, &(*out)->name));
        WR_TRY(expect(p, ':'));
        WR_TRY(type(p, &(*out)->required));
        if (is(p, '=')) {
            WR_TRY(next(p));
            p->constant = true;
            WR_TRY(value(p, &(*out)->otherwise));
            p->constant = false;
        }
        WR_TRY(directives(p, &ignored));
        out = &(*out)->next;
    }
    return next(p);
}

static int part(parser *p, wr_graphql_part **out)
{
    wr_graphql_directive *ignored = NULL;
    wr_str on;
    WR_TRY(MAKE(p, out));
    wr_graphql_part *part = *out;
    part->type = WR_STR("query");
    if (is(p, '{')) return selections(p, &part->first);
    WR_TRY(name(p, &part->type));
    if (wr_str_is(part->type, "fragment")) {
        WR_TRY(name(p, &part->name));
        if (!wr_str_is(p->value, "on")) return syntax(p, p->from, "expected \"on\"");
        WR_TRY(next(p));
        WR_TRY(name(p, &on));
    } else if (wr_str_is(part->type, "query") || wr_str_is(part->type, "mutation")) {
        if (p->kind == NAME) WR_TRY(name(p, &part->name));
        WR_TRY(variables(p, &part->variables));
    } else {
        return syntax(p, p->from, "expected a query, a mutation or a fragment");
    }
    WR_TRY(directives(p, &ignored));
    return selections(p, &part->first);
}

int wr_graphql_parse(wr_graphql_part **out, wr_arena *a, wr_str text, wr_err *err)
{
    parser p = {.a = a, .text = text, .err = err};
    *out = NULL;
    if (text.n > WR_GRAPHQL_TEXT)
        return wr_err_set(err, WEIR_ELIMIT, "the query is longer than %d KiB", WR_GRAPHQL_TEXT >> 10);
    if (!wr_str_utf8(text)) return wr_err_set(err, WEIR_EPARSE, "Syntax Error: the query is not UTF-8");
    WR_TRY(next(&p));
    do {
        WR_TRY(part(&p, out));
        out = &(*out)->next;
    } while (p.kind != END);
    return 0;
}
