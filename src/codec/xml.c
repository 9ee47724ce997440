/* SPDX-License-Identifier: Apache-2.0 */
/* xml.c - elements and text. */
#include "codec/xml.h"
#include "base/chars.h"

static const char *find(wr_str in, const char *text, size_t n) { return in.n ? memmem(in.p, in.n, text, n) : NULL; }

static wr_str from(wr_str s, const char *at) { return wr_str_sub(s, (size_t)(at - s.p), s.n); }

bool wr_xml_next(wr_str *rest, const char *tag, wr_str *content)
{
    size_t n = strlen(tag);
    wr_str at = *rest;
    const char *lt;
    while ((lt = find(at, "<", 1)) != NULL) {
        at = from(at, lt + 1);
        if (at.n <= n || memcmp(at.p, tag, n) != 0 || !strchr(">/ \t\r\n", at.p[n])) continue;
        const char *gt = find(at, ">", 1);
        if (!gt) return false;
        if (gt > at.p && gt[-1] == '/') { /* <tag/> */
            *content = (wr_str){gt, 0};
            *rest = from(at, gt + 1);
            return true;
        }
        wr_str inner = from(at, gt + 1), look = inner;
        const char *end;
        while ((end = find(look, "</", 2)) != NULL) {
            look = from(look, end + 2);
            if (look.n <= n || memcmp(look.p, tag, n) != 0 || !strchr("> \t\r\n", look.p[n])) continue;
            *content = wr_str_sub(inner, 0, (size_t)(end - inner.p));
            const char *close = find(look, ">", 1);
            *rest = close ? from(look, close + 1) : wr_str_sub(look, look.n, look.n);
            return true;
        }
        return false; /* it does not end */
    }
    return false;
}

wr_str wr_xml_first(wr_str xml, const char *tag)
{
    wr_str content;
    return wr_xml_next(&xml, tag, &content) ? content : (wr_str){NULL, 0};
}

/* "#65" or "#x41": what XML allows as a character. */
static bool put_number(wr_buf *out, wr_str digits)
{
    unsigned c = 0, base = 10;
    if (digits.n && digits.p[0] == 'x') {
        base = 16;
        digits = wr_str_sub(digits, 1, digits.n);
    }
    if (digits.n == 0 || digits.n > 8) return false;
    for (size_t i = 0; i < digits.n; i++) {
        char d = digits.p[i];
        unsigned v = d >= '0' && d <= '9'                 ? (unsigned)(d - '0')
                     : (d | 32) >= 'a' && (d | 32) <= 'f' ? (unsigned)((d | 32) - 'a') + 10
                                                          : 99;
        if (v >= base) return false;
        c = c * base + v;
        if (c > 0x10ffff) return false;
    }
    if (c == 0 || (c >= 0xd800 && c < 0xe000)) return false;
    wr_buf_utf8(out, c);
    return true;
}

static bool put_entity(wr_buf *out, wr_str name)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!wr_str_is(name, known[i].name)) continue;
        wr_buf_str(out, known[i].text);
        return true;
    }
    return name.n > 1 && name.p[0] == '#' && put_number(out, wr_str_sub(name, 1, name.n));
}

bool wr_xml_text(wr_buf *out, wr_str content)
{
    const char *amp;
    while ((amp = find(content, "&", 1)) != NULL) {
        wr_buf_add(out, content.p, (size_t)(amp - content.p));
        content = from(content, amp + 1);
        const char *end = find(wr_str_sub(content, 0, 12), ";", 1);
        if (!end || !put_entity(out, wr_str_sub(content, 0, (size_t)(end - content.p)))) return false;
        content = from(content, end + 1);
    }
    wr_buf_slice(out, content);
    return true;
}

void wr_xml_escape(wr_buf *out, wr_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '&') wr_buf_str(out, "&amp;");
        else if (c == '<') wr_buf_str(out, "&lt;");
        else if (c == '>') wr_buf_str(out, "&gt;");
        else if (c == '"') wr_buf_str(out, "&quot;");
        else if (c == '\'') wr_buf_str(out, "&apos;");
        else if ((unsigned char)c < 0x20 && c != '\t' && c != '\n' && c != '\r') wr_buf_char(out, '?');
        else wr_buf_char(out, c);
    }
}
