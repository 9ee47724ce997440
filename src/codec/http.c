/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - strict HTTP/1.1 syntax, see http.h.
 *
 * A head is read in two passes over bytes that are in the cache anyway: head_end() looks for the empty line (memchr,
 * resumable, so a dripped head costs no rescans) and refuses bare LF; the parsers then walk the lines once by a table
 * of character classes. Every byte of the head has passed one of the classes, so nothing a handler sees holds a control
 * byte.
 */
#include "codec/http.h"

#include <strings.h>

#include "base/chars.h"
#include "base/err.h"

/* Classes of bytes. FIELD is RFC 9110 field-content with obs-text; TARGET leaves out '#' and anything not ASCII. */
enum { TOKEN = 1, FIELD = 2, TARGET = 4, HOST = 8 };

static const unsigned char class_of[256] = {
    ['\t'] = FIELD,
    [' '] = FIELD,
    ['!'] = TOKEN | FIELD | TARGET | HOST,
    ['"'] = FIELD | TARGET,
    ['#'] = TOKEN | FIELD,
    ['$' ... '\''] = TOKEN | FIELD | TARGET | HOST,
    ['(' ... ')'] = FIELD | TARGET | HOST,
    ['*' ... '+'] = TOKEN | FIELD | TARGET | HOST,
    [','] = FIELD | TARGET,
    ['-' ... '.'] = TOKEN | FIELD | TARGET | HOST,
    ['/'] = FIELD | TARGET,
    ['0' ... '9'] = TOKEN | FIELD | TARGET | HOST,
    [':' ... ';'] = FIELD | TARGET | HOST,
    ['<'] = FIELD | TARGET,
    ['='] = FIELD | TARGET | HOST,
    ['>' ... '@'] = FIELD | TARGET,
    ['A' ... 'Z'] = TOKEN | FIELD | TARGET | HOST,
    ['['] = FIELD | TARGET | HOST,
    ['\\'] = FIELD | TARGET,
    [']'] = FIELD | TARGET | HOST,
    ['^'] = TOKEN | FIELD | TARGET,
    ['_'] = TOKEN | FIELD | TARGET | HOST,
    ['`'] = TOKEN | FIELD | TARGET,
    ['a' ... 'z'] = TOKEN | FIELD | TARGET | HOST,
    ['{'] = FIELD | TARGET,
    ['|'] = TOKEN | FIELD | TARGET,
    ['}'] = FIELD | TARGET,
    ['~'] = TOKEN | FIELD | TARGET | HOST,
    [0x80 ... 0xff] = FIELD,
};

static inline bool is(char c, unsigned class) { return (class_of[(unsigned char)c] & class) != 0; }

/* Longest run of a class at `p`; the caller knows that the head ends with CRLF, which is in no class. */
static const char *skip(const char *p, unsigned class)
{
    while (is(*p, class)) p++;
    return p;
}

/* ---- where the head ends ---- */

enum { METHOD_MAX = 32, REQUEST_LINE_MAX = WR_LIMIT_HTTP_TARGET + METHOD_MAX + 16 };

/* A request may be preceded by one empty line (RFC 9112 2.2). */
static size_t lead(wr_str d) { return d.n >= 2 && d.p[0] == '\r' && d.p[1] == '\n' ? 2 : 0; }

/* Offset behind the empty line, 0 when it is not there yet, or -400 at a bare LF. */
static long head_end(wr_str d, size_t *scanned)
{
    size_t limit = d.n < WR_LIMIT_HTTP_HEAD ? d.n : WR_LIMIT_HTTP_HEAD;
    size_t i = *scanned < limit ? *scanned : limit;
    while (i < limit) {
        const char *lf = memchr(d.p + i, '\n', limit - i);
        if (!lf) break;
        size_t k = (size_t)(lf - d.p);
        if (k == 0 || d.p[k - 1] != '\r') return -400;
        if (k >= 3 && d.p[k - 2] == '\n') return (long)k + 1;
        i = k + 1;
    }
    *scanned = limit;
    return 0;
}

/* An incomplete request head: refuse at once what cannot become a good one. */
static int request_pending(wr_str d)
{
    size_t from = lead(d);
    if (d.n > from && d.p[from] != '\r' && !is(d.p[from], TOKEN)) return -400;
    if (d.n - from > REQUEST_LINE_MAX && !memchr(d.p + from, '\n', REQUEST_LINE_MAX)) return -414;
    return d.n >= WR_LIMIT_HTTP_HEAD ? -431 : 0;
}

/* ---- headers ---- */

/* What the headers say that must be judged together. */
typedef struct {
    unsigned hosts, lengths, codings;
    bool host_ok, length_ok, coding_ok;
    bool close, keep_alive;
    bool expect, expect_ok;
} meaning;

/* 1*DIGIT and nothing else; 18 digits are enough for anyone and cannot overflow. */
static bool length_of(uint64_t *out, wr_str s)
{
    if (s.n == 0 || s.n > 18) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return true;
}

static bool all(wr_str s, unsigned class)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is(s.p[i], class)) return false;
    }
    return true;
}

static void note_connection(meaning *m, wr_str value)
{
    while (value.p) {
        wr_str option = wr_str_trim(wr_str_cut(&value, ','));
        if (wr_str_ieq(option, "close")) m->close = true;
        if (wr_str_ieq(option, "keep-alive")) m->keep_alive = true;
    }
}

/* Framing headers are told by length first: most headers cost one comparison. */
static void note(wr_http_head *h, meaning *m, wr_http_header f)
{
    switch (f.name.n) {
    case 4:
        if (!wr_str_ieq(f.name, "host")) return;
        m->hosts++;
        m->host_ok = all(f.value, HOST);
        return;
    case 6:
        if (!wr_str_ieq(f.name, "expect")) return;
        m->expect_ok = !m->expect && wr_str_ieq(f.value, "100-continue");
        m->expect = true;
        return;
    case 10:
        if (wr_str_ieq(f.name, "connection")) note_connection(m, f.value);
        return;
    case 14:
        if (!wr_str_ieq(f.name, "content-length")) return;
        m->lengths++;
        m->length_ok = length_of(&h->length, f.value);
        return;
    case 17:
        if (!wr_str_ieq(f.name, "transfer-encoding")) return;
        m->codings++;
        m->coding_ok = wr_str_ieq(f.value, "chunked");
        return;
    default:
        return;
    }
}

/* One "name: value" line; returns the start of the next one or NULL. Space before the colon and folding are not in
 * TOKEN. */
static const char *header_line(wr_http_header *out, const char *p)
{
    const char *colon = skip(p, TOKEN);
    if (colon == p || *colon != ':') return NULL;
    const char *value = colon + 1;
    while (*value == ' ' || *value == '\t') value++;
    const char *end = skip(value, FIELD), *next = end + 2;
    if (end[0] != '\r' || end[1] != '\n') return NULL;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
    out->name = (wr_str){p, (size_t)(colon - p)};
    out->value = (wr_str){value, (size_t)(end - value)};
    return next;
}

/* Header lines from `p` up to the empty line that ends the head at `end`. 0, -400 or -431. */
static int headers(wr_http_head *h, meaning *m, const char *p, const char *end)
{
    h->nheaders = 0;
    while (p < end - 2) {
        if (h->nheaders == WR_LIMIT_HTTP_HEADERS) return -431;
        wr_http_header *f = &h->headers[h->nheaders];
        p = header_line(f, p);
        if (!p) return -400;
        note(h, m, *f);
        h->nheaders++;
    }
    return 0;
}

/* The body's framing: 0, -400 when it could be read in two ways, -501. */
static int framing(wr_http_head *h, const meaning *m)
{
    if (m->lengths > 1 || m->codings > 1 || (m->lengths && m->codings)) return -400;
    if (m->lengths && !m->length_ok) return -400;
    if (m->codings && h->minor == 0) return -400; /* RFC 9112 6.1: faulty framing */
    if (m->codings && !m->coding_ok) return -501;
    h->chunked = m->codings == 1;
    h->has_length = m->lengths == 1;
    h->keep_alive = !m->close && (h->minor >= 1 || m->keep_alive);
    return 0;
}

/* ---- request ---- */

static void reset(wr_http_head *h)
{
    h->method = h->target = h->path = h->query = (wr_str){0};
    h->status = 0;
    h->length = 0;
    h->chunked = h->has_length = h->expect_continue = h->keep_alive = false;
}

/* Origin form, absolute form (its authority is not used: nothing is routed by host) or "*" for OPTIONS. */
static bool split_target(wr_http_head *h)
{
    wr_str rest = h->target;
    if (wr_str_is(rest, "*")) {
        h->path = rest;
        return wr_str_is(h->method, "OPTIONS");
    }
    if (rest.n && rest.p[0] != '/') {
        size_t scheme = rest.n > 7 && wr_str_ieq(wr_str_sub(rest, 0, 7), "http://")    ? 7
                        : rest.n > 8 && wr_str_ieq(wr_str_sub(rest, 0, 8), "https://") ? 8
                                                                                       : 0;
        if (!scheme) return false;
        size_t at = scheme;
        while (at < rest.n && is(rest.p[at], HOST)) at++;
        if (at == scheme || (at < rest.n && rest.p[at] != '/' && rest.p[at] != '?')) return false;
        rest = wr_str_sub(rest, at, rest.n);
    }
    h->path = wr_str_cut(&rest, '?');
    h->query = rest;
    if (h->path.n == 0) h->path = WR_STR("/");
    return true;
}

/* "METHOD SP target SP HTTP/1.x CRLF"; the start of the next line in *next. */
static int request_line(wr_http_head *h, const char *p, const char **next)
{
    const char *q = skip(p, TOKEN);
    h->method = (wr_str){p, (size_t)(q - p)};
    if (h->method.n == 0 || h->method.n > METHOD_MAX || *q != ' ') return -400;
    p = q + 1;
    q = skip(p, TARGET);
    h->target = (wr_str){p, (size_t)(q - p)};
    if (h->target.n > WR_LIMIT_HTTP_TARGET) return -414;
    if (h->target.n == 0 || *q != ' ') return -400;
    p = q + 1;
    q = skip(p, TARGET);
    if (q - p != 8 || memcmp(p, "HTTP/", 5) != 0 || q[0] != '\r' || q[1] != '\n') return -400;
    if (p[5] < '0' || p[5] > '9' || p[6] != '.' || p[7] < '0' || p[7] > '9') return -400;
    if (p[5] != '1' || p[7] > '1') return -505;
    h->minor = p[7] - '0';
    *next = q + 2;
    return split_target(h) ? 0 : -400;
}

/* ---- HTTP/2 ---- */

enum { FIELD_COST = 32 }; /* RFC 9113 6.5.2: what a field counts besides its bytes */

void wr_http_fields_start(wr_http_head *out)
{
    reset(out);
    out->minor = 1;
    out->keep_alive = true;
    out->nheaders = 0;
    out->size = 0;
}

static int pseudo(wr_http_head *h, wr_str name, wr_str value)
{
    if (wr_str_is(name, ":method")) {
        h->method = value;
        return h->method.n && h->method.n <= METHOD_MAX && all(value, TOKEN) ? 0 : -400;
    }
    if (wr_str_is(name, ":path")) {
        h->target = value;
        if (value.n > WR_LIMIT_HTTP_TARGET) return -414;
        return all(value, TARGET) ? 0 : -400;
    }
    if (wr_str_is(name, ":authority")) {
        if (h->nheaders || !all(value, HOST)) return -400;
        h->headers[h->nheaders++] = (wr_http_header){WR_STR("host"), value};
        return 0;
    }
    return wr_str_is(name, ":scheme") ? 0 : -400;
}

static bool of_a_connection(wr_str name)
{
    static const char *const names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (wr_str_is(name, names[i])) return true;
    }
    return false;
}

/* The authority's other name: both may come, and must say the same. 0 = add it, 1 = it is there, -400. */
static int second_host(const wr_http_head *h, wr_str value)
{
    wr_str first = wr_http_get(h, "host");
    if (!all(value, HOST)) return -400;
    if (!first.p) return 0;
    return first.n == value.n && strncasecmp(first.p, value.p, value.n) == 0 ? 1 : -400;
}

int wr_http_fields_add(wr_http_head *out, wr_str name, wr_str value)
{
    out->size += name.n + value.n + FIELD_COST;
    if (out->size > WR_LIMIT_HTTP_HEAD || out->nheaders == WR_LIMIT_HTTP_HEADERS) return -431;
    if (name.n && name.p[0] == ':') return pseudo(out, name, value);
    if (name.n == 0 || !all(name, TOKEN) || !all(value, FIELD) || of_a_connection(name)) return -400;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] >= 'A' && name.p[i] <= 'Z') return -400;
    }
    if (value.n != wr_str_trim(value).n) return -400; /* RFC 9113 8.2.1 */
    if (wr_str_is(name, "host")) {
        int rc = second_host(out, value);
        if (rc != 0) return rc < 0 ? rc : 0;
    } else if (wr_str_is(name, "content-length")) {
        if (out->has_length || !length_of(&out->length, value)) return -400;
        out->has_length = true;
    } else if (wr_str_is(name, "expect")) {
        if (out->expect_continue || !wr_str_ieq(value, "100-continue")) return -417;
        out->expect_continue = true;
    }
    out->headers[out->nheaders++] = (wr_http_header){name, value};
    return 0;
}

int wr_http_fields_end(wr_http_head *out)
{
    if (out->method.n == 0 || out->target.n == 0) return -400;
    if (out->target.p[0] != '/' && out->target.p[0] != '*') return -400;
    return split_target(out) ? 0 : -400;
}

int wr_http_parse_request(wr_http_head *out, wr_str data, size_t *scanned)
{
    long end = head_end(data, scanned);
    if (end < 0) return (int)end;
    if (end == 0) return request_pending(data);
    reset(out);
    out->size = (size_t)end;
    meaning m = {0};
    const char *next;
    WR_TRY(request_line(out, data.p + lead(data), &next));
    WR_TRY(headers(out, &m, next, data.p + end));
    if (m.hosts > 1 || (m.hosts == 0 && out->minor >= 1) || (m.hosts && !m.host_ok)) return -400;
    WR_TRY(framing(out, &m));
    if (m.expect && !m.expect_ok) return -417;
    out->expect_continue = m.expect && out->minor >= 1;
    return 1;
}

/* ---- response ---- */

/* "HTTP/1.x SP 3DIGIT SP reason CRLF"; the space before an empty reason may be missing, as many servers do. */
static bool status_line(wr_http_head *h, const char *p, const char *end, const char **next)
{
    if (end - p < 14 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') || p[8] != ' ') return false;
    h->minor = p[7] - '0';
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        h->status = h->status * 10 + (p[i] - '0');
    }
    if (h->status < 100 || (p[12] != ' ' && p[12] != '\r')) return false;
    p = skip(p + 12, FIELD);
    *next = p + 2;
    return p[0] == '\r' && p[1] == '\n';
}

int wr_http_parse_response(wr_http_head *out, wr_str data, size_t *scanned)
{
    long end = head_end(data, scanned);
    if (end < 0 || (end == 0 && data.n >= WR_LIMIT_HTTP_HEAD)) return -502;
    if (end == 0) return 0;
    reset(out);
    out->size = (size_t)end;
    meaning m = {0};
    const char *next;
    if (!status_line(out, data.p, data.p + end, &next)) return -502;
    if (headers(out, &m, next, data.p + end) < 0 || framing(out, &m) < 0) return -502;
    return 1;
}

wr_str wr_http_find(const wr_http_head *h, wr_str name)
{
    for (size_t i = 0; i < h->nheaders; i++) {
        wr_str its = h->headers[i].name;
        if (its.n == name.n && strncasecmp(its.p, name.p, its.n) == 0) return h->headers[i].value;
    }
    return (wr_str){0};
}

/* ---- chunked bodies ---- */

/*   SIZE_FIRST -> SIZE -> [EXT] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                        \-> (size 0) LINE -> [NAME -> VALUE -> VALUE_LF -> LINE] -> END_LF -> done */
enum { SIZE_FIRST, SIZE, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, LINE, NAME, VALUE, VALUE_LF, END_LF };

static const uint64_t CHUNK_MAX = (uint64_t)1 << 60;

void wr_http_chunks_init(wr_http_chunks *c) { *c = (wr_http_chunks){.state = SIZE_FIRST}; }

/* A byte of the size line. */
static int size_byte(wr_http_chunks *c, char b)
{
    if (++c->line > WR_LIMIT_HTTP_CHUNK_LINE) return -400;
    if (c->state == SIZE_LF) {
        if (b != '\n') return -400;
        c->state = c->left ? DATA : LINE;
        c->line = 0; /* from here it counts the trailer */
        return 0;
    }
    int digit = c->state == EXT ? -1 : wr_hex_digit(b);
    if (digit >= 0) {
        if (c->left >= CHUNK_MAX / 16) return -400;
        c->left = c->left * 16 + (uint64_t)digit;
        c->state = SIZE;
        return 0;
    }
    if (c->state == SIZE_FIRST) return -400;
    if (b == '\r') {
        c->state = SIZE_LF;
        return 0;
    }
    if (c->state == SIZE && b != ';') return -400; /* "5 " and "5x" are ways to smuggle */
    c->state = EXT;
    return is(b, FIELD) ? 0 : -400;
}

/* A byte of the trailer section, whose fields are checked and forgotten. */
static int trailer_byte(wr_http_chunks *c, char b)
{
    if (++c->line > WR_LIMIT_HTTP_TRAILER) return -431;
    switch (c->state) {
    case LINE:
        c->state = b == '\r' ? END_LF : NAME;
        return b == '\r' || is(b, TOKEN) ? 0 : -400;
    case NAME:
        if (b == ':') c->state = VALUE;
        return b == ':' || is(b, TOKEN) ? 0 : -400;
    case VALUE:
        if (b == '\r') c->state = VALUE_LF;
        return b == '\r' || is(b, FIELD) ? 0 : -400;
    case VALUE_LF:
        c->state = LINE;
        return b == '\n' ? 0 : -400;
    default:
        c->done = b == '\n';
        return c->done ? 0 : -400;
    }
}

static int data_end_byte(wr_http_chunks *c, char b)
{
    if (b != (c->state == DATA_CR ? '\r' : '\n')) return -400;
    c->state = c->state == DATA_CR ? DATA_LF : SIZE_FIRST;
    c->line = 0;
    return 0;
}

int wr_http_chunks_next(wr_http_chunks *c, wr_str *in, wr_str *piece)
{
    *piece = (wr_str){0};
    while (in->n && !c->done) {
        if (c->state == DATA) {
            size_t n = in->n < c->left ? in->n : (size_t)c->left;
            *piece = (wr_str){in->p, n};
            in->p += n;
            in->n -= n;
            c->left -= n;
            if (c->left == 0) c->state = DATA_CR;
            return 1;
        }
        char b = *in->p++;
        in->n--;
        int rc = c->state < DATA ? size_byte(c, b) : c->state <= DATA_LF ? data_end_byte(c, b) : trailer_byte(c, b);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- percent-encoding and the query ---- */

bool wr_http_decode(wr_buf *out, wr_str s, bool plus)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 1 < s.n ? wr_hex_digit(s.p[i + 1]) : -1, lo = i + 2 < s.n ? wr_hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) return false;
            c = (char)(hi * 16 + lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (!c) return false;
        wr_buf_char(out, c);
    }
    return !out->failed;
}

size_t wr_http_undo(char *s, size_t n, bool plus)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        int hi = s[i] == '%' && i + 2 < n ? wr_hex_digit(s[i + 1]) : -1, lo = hi >= 0 ? wr_hex_digit(s[i + 2]) : -1;
        s[to++] = lo >= 0 ? (char)(hi * 16 + lo) : s[i] == '+' && plus ? ' ' : s[i];
        if (lo >= 0) i += 2;
    }
    return to;
}

void wr_http_encode(wr_buf *out, wr_str s, bool slashes)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                     c == '.' || c == '_' || c == '~' || (slashes && c == '/');
        if (plain) {
            wr_buf_char(out, (char)c);
        } else {
            char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
            wr_buf_add(out, hex, sizeof hex);
        }
    }
}

bool wr_http_query(wr_buf *out, wr_str query, const char *key)
{
    WR_AUTOBUF wr_buf name;
    wr_buf_init(&name, 0);
    while (query.p) {
        wr_str value = wr_str_cut(&query, '&');
        wr_str raw = wr_str_cut(&value, '=');
        wr_buf_clear(&name);
        if (!wr_http_decode(&name, raw, true) || !wr_str_is(wr_buf_view(&name), key)) continue;
        wr_buf_clear(out);
        return wr_http_decode(out, value, true);
    }
    return false;
}

const char *wr_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {100, "Continue"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) return reasons[i].text;
    }
    return "Unknown";
}
