/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - the search language: from text to clauses. filter_sql.c goes on to SQL.
 *
 * Words are cut as the parser behind MLflow cuts them, since keys and values of its users went through that one. */
#include "track/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/db_match.h"

typedef enum { END, WORD, NUMBER, TEXT, OPERATOR, OPEN, CLOSE, COMMA, BAD } token_kind;
typedef struct {
    token_kind kind;
    wr_str raw;
    wr_str inner; /* TEXT, and a WORD that is one "quoted" piece: without quotes; p NULL otherwise */
} token;

typedef struct {
    wr_arena *a;
    const wr_filter_noun *noun;
    wr_str text;
    size_t at; /* behind `tok` */
    token tok;
    int depth, clauses;
    unsigned extensions;
    wr_err *err;
} parser;

static const struct {
    const char *name;
    unsigned op;
} operators[] = {
    {"=", WR_OP_EQ},
    {"!=", WR_OP_NE},
    {"<", WR_OP_LT},
    {"<=", WR_OP_LE},
    {">", WR_OP_GT},
    {">=", WR_OP_GE},
    {"LIKE", WR_OP_LIKE},
    {"ILIKE", WR_OP_ILIKE},
    {"RLIKE", WR_OP_RLIKE},
    {"IN", WR_OP_IN},
    {"NOT IN", WR_OP_NOT_IN},
    {"IS NULL", WR_OP_IS_NULL},
    {"IS NOT NULL", WR_OP_NOT_NULL},
    {"BETWEEN", WR_OP_BETWEEN},
    {"NOT BETWEEN", WR_OP_NOT_BETWEEN},
    {"NOT LIKE", WR_OP_NOT_LIKE},
    {"NOT ILIKE", WR_OP_NOT_ILIKE},
    {"NOT RLIKE", WR_OP_NOT_RLIKE},
};
enum { OPERATORS = sizeof operators / sizeof *operators };

const char *wr_filter_op_name(unsigned op)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].op == op) return operators[i].name;
    return "?";
}

/* ---- words ---- */

static bool word_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}
static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return word_char((unsigned char)c) && !digit(c); }

/* Length of the quoted piece at s, quotes included; 0 = it has no end. A doubled quote and, in texts, one behind a
 * backslash are content; if then no end is found, the last of those was the end. */
static size_t quoted(wr_str s)
{
    char q = s.p[0];
    size_t last = 0;
    for (size_t i = 1; i < s.n; i++) {
        bool pair = i + 1 < s.n && s.p[i + 1] == q && (s.p[i] == q || (s.p[i] == '\\' && q != '`'));
        if (pair) {
            last = s.p[i] == q ? i + 1 : i + 2;
            i++;
        } else if (s.p[i] == q) {
            return i + 1;
        }
    }
    return last;
}

static size_t run_of(wr_str s, size_t i, bool (*is)(char))
{
    while (i < s.n && is(s.p[i])) i++;
    return i;
}

/* Length of the number at s; 0 = there is none. */
static size_t number(wr_str s)
{
    size_t sign = s.n && s.p[0] == '-', whole = run_of(s, sign, digit), end = whole;
    if (whole < s.n && s.p[whole] == '.') {
        end = run_of(s, whole + 1, digit);
        if (end == whole + 1 && whole == sign) return 0; /* a dot alone */
    } else if (whole == sign) {
        return 0;
    }
    bool fraction = end > whole + 1 || end == whole;
    if (whole > sign && fraction && end < s.n && (s.p[end] | 32) == 'e') {
        size_t exponent = end + 1 + (end + 1 < s.n && s.p[end + 1] == '-'), stop = run_of(s, exponent, digit);
        if (stop > exponent) return stop;
    }
    return end < s.n && letter(s.p[end]) ? 0 : end;
}

static bool starts_piece(char c) { return word_char((unsigned char)c) || c == '`' || c == '"'; }

/* Length of the identifier at s: pieces and dots; 0 = a quote has no end. */
static size_t identifier(wr_str s)
{
    size_t i = 0;
    for (;;) {
        if (s.p[i] == '`' || s.p[i] == '"') {
            size_t n = quoted((wr_str){s.p + i, s.n - i});
            if (n == 0) return 0;
            i += n;
        } else {
            while (i < s.n && word_char((unsigned char)s.p[i])) i++;
        }
        if (i >= s.n || s.p[i] != '.') return i;
        while (i < s.n && s.p[i] == '.') i++;
        if (i >= s.n || !starts_piece(s.p[i])) return i;
    }
}

size_t wr_filter_word(wr_str s) { return s.n && starts_piece(s.p[0]) ? identifier(s) : 0; }

static token token_at(wr_str s)
{
    static const char comparison[] = "<>=~!";
    char c = s.p[0];
    token t = {.raw = {s.p, 1}};
    size_t n;
    if (c == '(' || c == ')' || c == ',') {
        t.kind = c == '(' ? OPEN : c == ')' ? CLOSE : COMMA;
    } else if ((n = number(s)) > 0) {
        t = (token){.kind = NUMBER, .raw = {s.p, n}};
    } else if (c == '\'') {
        n = quoted(s);
        t = (token){.kind = n ? TEXT : BAD, .raw = {s.p, n ? n : s.n}};
        if (n) t.inner = (wr_str){s.p + 1, n - 2};
    } else if (starts_piece(c)) {
        n = identifier(s);
        t = (token){.kind = n ? WORD : BAD, .raw = {s.p, n ? n : s.n}};
        if (n && c == '"' && quoted(s) == n) t.inner = (wr_str){s.p + 1, n - 2};
    } else if (strchr(comparison, c)) {
        for (n = 1; n < s.n && strchr(comparison, s.p[n]); n++) {}
        t = (token){.kind = OPERATOR, .raw = {s.p, n}};
    } else {
        t.kind = BAD;
    }
    return t;
}

static void next(parser *p)
{
    wr_str s = wr_str_sub(p->text, p->at, p->text.n), rest = s;
    while (rest.n && strchr(" \t\r\n\f\v", rest.p[0])) rest = wr_str_sub(rest, 1, rest.n);
    p->at += s.n - rest.n;
    p->tok = rest.n ? token_at(rest) : (token){.kind = END, .raw = WR_STR("")};
    p->at += p->tok.raw.n;
}

static bool keyword(const parser *p, const char *word) { return p->tok.kind == WORD && wr_str_ieq(p->tok.raw, word); }

static bool reserved(const parser *p)
{
    static const char *const words[] = {"AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE", "RLIKE", "BETWEEN", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (keyword(p, words[i])) return true;
    return false;
}

/* Keyword as an operator: MLflow's searches differ in what they say to small letters. */
static void case_of(parser *p)
{
    for (size_t i = 0; i < p->tok.raw.n; i++)
        if (p->tok.raw.p[i] >= 'a' && p->tok.raw.p[i] <= 'z') p->extensions |= WR_FILTER_EXT_CASE;
}

/* ---- errors ---- */

/* A piece of the filter as errors show it. */
#define SHOWN(s) WR_STR_FMT(wr_str_fit(s, 100))

static int bad_clause(parser *p, wr_str what)
{
    return wr_err_set(p->err, WEIR_EINVAL, "Invalid clause(s) in filter string: '%.*s'", SHOWN(what));
}

static int bad_here(parser *p) { return bad_clause(p, p->tok.kind == END ? wr_str_trim(p->text) : p->tok.raw); }

/* First of names "a|b|c". */
static wr_str first_name(const char *names) { return (wr_str){names, strcspn(names, "|")}; }

/* ---- identifiers ---- */

static bool named(const char *names, wr_str name)
{
    wr_str rest = wr_str_of(names);
    while (rest.p)
        if (wr_str_eq(wr_str_cut(&rest, '|'), name)) return true;
    return false;
}

static wr_str strip(wr_str s, char q)
{
    return s.n >= 2 && s.p[0] == q && s.p[s.n - 1] == q ? wr_str_sub(s, 1, s.n - 1) : s;
}

static int no_entity(const wr_filter_noun *noun, wr_str name, wr_err *err)
{
    char list[160];
    size_t n = 0;
    for (const wr_filter_entity *e = noun->entities; e->names; e++) {
        wr_str first = first_name(e->names);
        if (e->function || n + first.n + 5 > sizeof list) continue;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s'%.*s'", n ? ", " : "", WR_STR_FMT(first));
    }
    return wr_err_set(err, WEIR_EINVAL, "Invalid entity type '%.*s'. Valid values are [%.*s]", SHOWN(name), (int)n,
                      list);
}

static int no_key(const wr_filter_entity *e, wr_str key, wr_err *err)
{
    char list[160];
    size_t n = 0;
    for (const wr_filter_field *f = e->fields; f->names; f++) {
        wr_str first = first_name(f->names);
        if (n + first.n + 5 > sizeof list) break;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s'%.*s'", n ? ", " : "", WR_STR_FMT(first));
    }
    return wr_err_set(err, WEIR_EINVAL, "Invalid %.*s key '%.*s' specified. Valid keys are '{%.*s}'",
                      WR_STR_FMT(first_name(e->names)), SHOWN(key), (int)n, list);
}

static int find_field(wr_filter_clause *out, const wr_filter_entity *e, wr_str key, wr_err *err)
{
    for (const wr_filter_field *f = e->fields; f->names; f++) {
        wr_str names = wr_str_of(f->names), prefix = wr_str_sub(names, 0, names.n - 1);
        bool any = names.p[names.n - 1] == '*';
        bool match = any ? key.n > prefix.n && memcmp(key.p, prefix.p, prefix.n) == 0 : named(f->names, key);
        /* an empty key is nothing that could have been logged, but asking for it is no error */
        if (!match && !(any && prefix.n == 0)) continue;
        out->entity = e;
        out->field = f;
        out->key = any ? wr_str_sub(key, prefix.n, key.n) : first_name(f->names);
        return 0;
    }
    return no_key(e, key, err);
}

static const wr_filter_entity *find_entity(const wr_filter_noun *noun, wr_str function, const wr_str *name)
{
    for (const wr_filter_entity *e = noun->entities; e->names; e++) {
        bool same = e->function ? function.p && wr_str_ieq(function, e->function) : !function.p;
        if (same && (name ? named(e->names, *name) : e->bare)) return e;
    }
    return NULL;
}

/* Words of SQL that MLflow's parser does not see as keys. */
static bool wants_quotes(wr_str key)
{
    static const char *const words[] = {"in", "case", "values", "using", "from", "as"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wr_str_ieq(key, words[i])) return true;
    return false;
}

static int resolve(wr_filter_clause *out, unsigned *extensions, const wr_filter_noun *noun, wr_str function, wr_str raw,
                   wr_err *err)
{
    const char *dot = memchr(raw.p, '.', raw.n);
    wr_str name = dot ? (wr_str){raw.p, (size_t)(dot - raw.p)} : (wr_str){0};
    wr_str key = dot ? (wr_str){dot + 1, raw.n - name.n - 1} : raw, entity_name = strip(name, '`');
    const wr_filter_entity *e = find_entity(noun, function, dot ? &entity_name : NULL);
    if (!e) return no_entity(noun, dot ? entity_name : key, err);
    wr_str plain = strip(strip(strip(key, '\''), '"'), '`');
    WR_TRY(find_field(out, e, plain, err));
    bool any = out->field->names[strlen(out->field->names) - 1] == '*';
    if (entity_name.n != name.n || (!any && plain.n != key.n) || wants_quotes(key)) *extensions |= WR_FILTER_EXT_QUOTE;
    return 0;
}

int wr_filter_ident(wr_filter_clause *out, wr_arena *a, const wr_filter_noun *noun, wr_str function, wr_str text,
                    wr_err *err)
{
    unsigned extensions = 0;
    *out = (wr_filter_clause){0};
    WR_TRY(resolve(out, &extensions, noun, function, text, err));
    out->key = wr_arena_str(a, out->key);
    return out->key.p ? 0 : wr_err_nomem(err);
}

/* ident | function "(" ident ")" ; leaves the token behind it */
static int ident(parser *p, wr_filter_clause *out)
{
    wr_str first = p->tok.raw;
    next(p);
    bool function = p->tok.kind == OPEN;
    if (function) {
        next(p);
        if (p->tok.kind != WORD) return bad_here(p);
        wr_str inner = p->tok.raw;
        next(p);
        if (p->tok.kind != CLOSE) return bad_here(p);
        next(p);
        p->extensions |= WR_FILTER_EXT_FUNCTION;
        WR_TRY(resolve(out, &p->extensions, p->noun, first, inner, p->err));
    } else {
        WR_TRY(resolve(out, &p->extensions, p->noun, (wr_str){0}, first, p->err));
    }
    out->key = wr_arena_str(p->a, out->key);
    return out->key.p ? 0 : wr_err_nomem(p->err);
}

/* ---- operators and values ---- */

/* [NOT] (LIKE | ...) | IS [NOT] NULL | one of signs; leaves the token behind it. 0 = no operator here. */
static unsigned word_operator(parser *p)
{
    bool no = keyword(p, "NOT"), is = keyword(p, "IS");
    if (no || is) {
        case_of(p);
        next(p);
    }
    if (is && keyword(p, "NOT")) {
        no = true;
        next(p);
    }
    if (is) {
        unsigned op = !keyword(p, "NULL") ? 0 : no ? WR_OP_NOT_NULL : WR_OP_IS_NULL;
        if (op) next(p);
        return op;
    }
    static const struct {
        const char *word;
        unsigned yes, no;
    } words[] = {{"LIKE", WR_OP_LIKE, WR_OP_NOT_LIKE},
                 {"ILIKE", WR_OP_ILIKE, WR_OP_NOT_ILIKE},
                 {"RLIKE", WR_OP_RLIKE, WR_OP_NOT_RLIKE},
                 {"IN", WR_OP_IN, WR_OP_NOT_IN},
                 {"BETWEEN", WR_OP_BETWEEN, WR_OP_NOT_BETWEEN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (keyword(p, words[i].word)) {
            case_of(p);
            next(p);
            return no ? words[i].no : words[i].yes;
        }
    return 0;
}

static int operator_of(parser *p, wr_str subject, unsigned *op)
{
    unsigned before = p->extensions;
    if (p->tok.kind == WORD) {
        token at = p->tok;
        *op = word_operator(p);
        if (*op & WR_OPS_NULL) p->extensions = before; /* any case is MLflow's */
        return *op ? 0 : bad_clause(p, at.inner.p || !reserved(p) ? subject : at.raw);
    }
    if (p->tok.kind != OPERATOR) return bad_clause(p, subject);
    *op = 0;
    for (size_t i = 0; i < OPERATORS && !*op; i++)
        if (wr_str_is(p->tok.raw, operators[i].name)) *op = operators[i].op;
    if (!*op)
        return wr_err_set(p->err, WEIR_EINVAL,
                          "Invalid comparator '%.*s' not one of '=, !=, <, <=, >, >=, LIKE, ILIKE, IN'",
                          SHOWN(p->tok.raw));
    next(p);
    return 0;
}

static int number_of(parser *p, wr_filter_value *v)
{
    char *text = wr_arena_strndup(p->a, p->tok.raw.p, p->tok.raw.n);
    if (!text) return wr_err_nomem(p->err);
    *v = (wr_filter_value){.number = true, .text = wr_str_of(text), .f = strtod(text, NULL)};
    if (text[strspn(text, "-0123456789")] == 0) {
        errno = 0;
        v->i = strtoll(text, NULL, 10);
        v->whole = errno == 0;
    }
    return 0;
}

/* number | text, and the token behind it */
static int value(parser *p, wr_filter_value *v)
{
    token t = p->tok;
    if (t.kind == NUMBER) {
        WR_TRY(number_of(p, v));
    } else if (t.inner.p) {
        *v = (wr_filter_value){.text = wr_arena_str(p->a, t.inner)};
        if (!v->text.p) return wr_err_nomem(p->err);
    } else if (t.kind == WORD && !reserved(p)) {
        return wr_err_set(p->err, WEIR_EINVAL,
                          "Parameter value is either not quoted or unidentified quote types used for string value "
                          "%.*s. Use either single or double quotes.",
                          SHOWN(t.raw));
    } else {
        return bad_here(p);
    }
    next(p);
    return 0;
}

static int bad_list(parser *p, const char *why)
{
    return wr_err_set(p->err, WEIR_EINVAL,
                      "While parsing a list in the query, expected a non-empty list of string values, but got %s", why);
}

static int list(parser *p, wr_filter_clause *c)
{
    WR_VEC(wr_filter_value) v = {0};
    int rc = 0;
    if (p->tok.kind != OPEN) return bad_here(p);
    next(p);
    while (rc == 0 && p->tok.kind != CLOSE) {
        wr_filter_value one;
        if (p->tok.kind != NUMBER && !p->tok.inner.p) rc = bad_list(p, "ill-formed list.");
        else rc = value(p, &one);
        if (rc == 0 && v.n && v.at[0].number != one.number) rc = bad_list(p, "different types in list");
        if (rc == 0 && wr_vec_push(&v, one) < 0) rc = wr_err_nomem(p->err);
        if (rc == 0 && p->tok.kind == COMMA) next(p);
        else if (rc == 0 && p->tok.kind != CLOSE) rc = bad_list(p, "ill-formed list.");
    }
    if (rc == 0 && v.n == 0) rc = bad_list(p, "empty list");
    if (rc == 0) next(p);
    c->values = wr_arena_dup(p->a, v.at, v.n * sizeof *v.at);
    c->nvalues = v.n;
    wr_vec_fini(&v);
    return rc == 0 && !c->values ? wr_err_nomem(p->err) : rc;
}

static int values(parser *p, wr_filter_clause *c)
{
    if (c->op & WR_OPS_NULL) return 0;
    if (c->op & WR_OPS_IN) return list(p, c);
    bool between = c->op & (WR_OP_BETWEEN | WR_OP_NOT_BETWEEN);
    wr_filter_value *v = wr_arena_calloc(p->a, 2, sizeof *v);
    if (!v) return wr_err_nomem(p->err);
    c->values = v;
    c->nvalues = between ? 2 : 1;
    WR_TRY(value(p, &v[0]));
    if (!between) return 0;
    if (!keyword(p, "AND")) return bad_here(p);
    next(p);
    WR_TRY(value(p, &v[1]));
    return v[0].number == v[1].number ? 0 : bad_list(p, "different types in BETWEEN");
}

/* ---- what the table allows ---- */

static const char *article(const wr_filter_entity *e, char *room, size_t n)
{
    if (e->bare) return "attributes";
    snprintf(room, n, "%.*s", WR_STR_FMT(first_name(e->names)));
    return room;
}

static int wrong_type(parser *p, const wr_filter_clause *c)
{
    char room[64];
    wr_str got = c->values[0].text, entity = first_name(c->entity->names);
    if (c->values[0].number) {
        wr_err_set(p->err, WEIR_EINVAL, "Expected a quoted string value for %s (e.g. 'my-value'). Got value %.*s",
                   article(c->entity, room, sizeof room), SHOWN(got));
    } else if (c->entity->bare) {
        wr_err_set(p->err, WEIR_EINVAL, "Expected numeric value type for numeric attribute: %.*s. Found '%.*s'",
                   SHOWN(c->key), SHOWN(got));
    } else {
        wr_err_set(p->err, WEIR_EINVAL, "Expected numeric value type for %.*s. Found '%.*s'", WR_STR_FMT(entity),
                   SHOWN(got));
    }
    return WEIR_EINVAL;
}

static int wrong_operator(parser *p, const wr_filter_clause *c, unsigned allowed)
{
    char ops[200];
    size_t n = 0;
    for (size_t i = 0; i < OPERATORS; i++)
        if (allowed & operators[i].op)
            n += (size_t)snprintf(ops + n, sizeof ops - n, "%s'%s'", n ? ", " : "", operators[i].name);
    char key[120] = "Invalid";
    if (c->entity->names_key)
        snprintf(key, sizeof key, "Invalid %.16s.%.*s", c->entity->names, WR_STR_FMT(wr_str_fit(c->key, 80)));
    wr_err_set(p->err, WEIR_EINVAL, "%s comparator '%s' not one of '{%s}'", key, wr_filter_op_name(c->op),
               n ? ops : "");
    bool order = c->op & (WR_OP_LT | WR_OP_LE | WR_OP_GT | WR_OP_GE);
    if (order && c->nvalues && !c->values[0].number && (c->field->number_ops | c->field->number_more) & c->op)
        wr_err_hint(p->err, WEIR_EINVAL, "write the number without quotes to compare numbers");
    return WEIR_EINVAL;
}

static int check_pattern(parser *p, const wr_filter_clause *c)
{
    wr_regex *r;
    wr_err why = {0};
    if (!(c->op & (WR_OP_RLIKE | WR_OP_NOT_RLIKE))) return 0;
    int rc = wr_regex_new(&r, c->values[0].text, &why);
    if (rc == 0) wr_regex_free(r);
    if (rc == 0 || rc == WEIR_ENOMEM) return rc < 0 ? wr_err_nomem(p->err) : 0;
    wr_err_set(p->err, WEIR_EINVAL, "Invalid regular expression '%.*s'", SHOWN(c->values[0].text));
    return wr_err_detail(p->err, WEIR_EINVAL, "%s", why.msg);
}

static int check(parser *p, const wr_filter_clause *c)
{
    const wr_filter_field *f = c->field;
    bool number = c->nvalues && c->values[0].number;
    unsigned theirs = number ? f->number_ops : f->ops, ours = theirs | (number ? f->number_more : f->more);
    if (c->nvalues == 0) {
        theirs = f->ops | f->number_ops;
        ours = theirs | f->more | f->number_more;
        if (!(ours & c->op))
            return wr_err_set(p->err, WEIR_EINVAL,
                              "IS NULL / IS NOT NULL is only supported for tags and params, not for '%.*s' '%.*s'",
                              WR_STR_FMT(first_name(c->entity->names)), SHOWN(c->key));
    }
    if (c->nvalues && !ours) return wrong_type(p, c);
    if (!(ours & c->op)) return wrong_operator(p, c, ours);
    for (size_t i = 0; number && f->integers && i < c->nvalues; i++)
        if (!c->values[i].whole)
            return wr_err_set(p->err, WEIR_EINVAL, "Invalid value for numeric attribute '%.*s': %.*s", SHOWN(c->key),
                              SHOWN(c->values[i].text));
    WR_TRY(check_pattern(p, c));
    if (!(theirs & c->op)) p->extensions |= number && !f->number_ops ? WR_FILTER_EXT_NUMBER : WR_FILTER_EXT_OP;
    return 0;
}

/* ---- clauses and their joining ---- */

typedef WR_VEC(wr_filter_node *) nodes;

static wr_filter_node *node(parser *p, wr_filter_kind kind)
{
    wr_filter_node *n = wr_arena_calloc(p->a, 1, sizeof *n);
    if (n) n->kind = kind;
    return n;
}

static int clause(parser *p, wr_filter_node **out)
{
    if (++p->clauses > WR_FILTER_CLAUSES)
        return wr_err_set(p->err, WEIR_EINVAL, "Invalid filter: more than %d comparisons", WR_FILTER_CLAUSES);
    token subject = p->tok;
    if (subject.kind == NUMBER || subject.kind == TEXT) {
        next(p);
        if (p->tok.kind != OPERATOR) return bad_clause(p, subject.raw);
        return wr_err_set(p->err, WEIR_EINVAL, "Invalid comparison clause. Expected 'Identifier' found '%.*s'",
                          SHOWN(subject.raw));
    }
    if (subject.kind != WORD || reserved(p)) return bad_here(p);
    wr_filter_node *n = node(p, WR_FILTER_CLAUSE);
    if (!n) return wr_err_nomem(p->err);
    /* words that no operator follows are no clause at all, whatever they name */
    parser ahead = *p;
    next(&ahead);
    bool follows = ahead.tok.kind == OPERATOR || ahead.tok.kind == OPEN || (ahead.tok.kind == WORD && reserved(&ahead));
    if (!follows) return bad_clause(p, subject.raw);
    WR_TRY(ident(p, &n->clause));
    WR_TRY(operator_of(p, subject.raw, &n->clause.op));
    WR_TRY(values(p, &n->clause));
    WR_TRY(check(p, &n->clause));
    *out = n;
    return 0;
}

static int any_of(parser *p, wr_filter_node **out);

static int deeper(parser *p)
{
    p->extensions |= WR_FILTER_EXT_OR;
    if (++p->depth > WR_FILTER_DEPTH)
        return wr_err_set(p->err, WEIR_EINVAL, "Invalid filter: nested deeper than %d", WR_FILTER_DEPTH);
    next(p);
    return 0;
}

static int term(parser *p, wr_filter_node **out)
{
    if (keyword(p, "NOT")) {
        wr_filter_node *n = node(p, WR_FILTER_NOT);
        if (!n || !(n->kids = wr_arena_calloc(p->a, 1, sizeof *n->kids))) return wr_err_nomem(p->err);
        n->nkids = 1;
        WR_TRY(deeper(p));
        WR_TRY(term(p, &n->kids[0]));
        p->depth--;
        *out = n;
        return 0;
    }
    if (p->tok.kind != OPEN) return clause(p, out);
    WR_TRY(deeper(p));
    WR_TRY(any_of(p, out));
    if (p->tok.kind != CLOSE) return bad_here(p);
    next(p);
    p->depth--;
    return 0;
}

/* What was gathered as one node; a single kid stands for itself. */
static int joined(parser *p, wr_filter_kind kind, nodes *kids, int rc, wr_filter_node **out)
{
    if (rc == 0 && kids->n == 1) {
        *out = kids->at[0];
    } else if (rc == 0) {
        wr_filter_node *n = node(p, kind);
        if (n) {
            n->kids = wr_arena_dup(p->a, kids->at, kids->n * sizeof *kids->at);
            n->nkids = kids->n;
        }
        if (!n || !n->kids) rc = wr_err_nomem(p->err);
        *out = n;
    }
    wr_vec_fini(kids);
    return rc;
}

static int all_of(parser *p, wr_filter_node **out)
{
    nodes kids = {0};
    int rc = 0;
    for (;;) {
        bool first = kids.n == 0;
        for (; keyword(p, "AND"); first = true) next(p);
        if (p->tok.kind == END || p->tok.kind == CLOSE || keyword(p, "OR")) break;
        wr_filter_node *kid;
        if (!first) p->extensions |= WR_FILTER_EXT_JOIN;
        rc = term(p, &kid);
        if (rc == 0 && wr_vec_push(&kids, kid) < 0) rc = wr_err_nomem(p->err);
        if (rc < 0) break;
    }
    /* an empty filter is fine, an empty side of an OR or a pair of parentheses is not */
    if (rc == 0 && kids.n == 0 && (p->tok.kind != END || p->depth > 0 || p->extensions & WR_FILTER_EXT_OR))
        rc = bad_here(p);
    return joined(p, WR_FILTER_AND, &kids, rc, out);
}

static int any_of(parser *p, wr_filter_node **out)
{
    nodes kids = {0};
    int rc;
    for (;;) {
        wr_filter_node *kid;
        rc = all_of(p, &kid);
        if (rc == 0 && wr_vec_push(&kids, kid) < 0) rc = wr_err_nomem(p->err);
        if (rc < 0 || !keyword(p, "OR")) break;
        p->extensions |= WR_FILTER_EXT_OR;
        next(p);
    }
    return joined(p, WR_FILTER_OR, &kids, rc, out);
}

int wr_filter_parse(wr_filter *out, wr_arena *a, const wr_filter_noun *noun, wr_str text, wr_err *err)
{
    parser p = {.a = a, .noun = noun, .text = text, .err = err};
    wr_filter_node *root;
    *out = (wr_filter){.noun = noun};
    if (text.n > WR_FILTER_LENGTH)
        return wr_err_set(err, WEIR_EINVAL, "Invalid filter: longer than %d bytes", WR_FILTER_LENGTH);
    if (!wr_str_utf8(text) || memchr(text.p ? text.p : "", 0, text.n))
        return wr_err_set(err, WEIR_EINVAL, "Invalid filter: not a text in UTF-8");
    next(&p);
    WR_TRY(any_of(&p, &root));
    if (p.tok.kind != END) return bad_here(&p);
    out->root = root->kind == WR_FILTER_AND && root->nkids == 0 ? NULL : root;
    out->extensions = p.extensions;
    return 0;
}

static bool names(const wr_filter_node *n, const wr_filter_field *field)
{
    if (n->kind == WR_FILTER_CLAUSE) return n->clause.field == field;
    for (size_t i = 0; i < n->nkids; i++)
        if (names(n->kids[i], field)) return true;
    return false;
}

bool wr_filter_names(const wr_filter *f, const wr_filter_field *field) { return f->root && names(f->root, field); }
