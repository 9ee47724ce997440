/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - six bits a character. */
#include "codec/base64.h"

void wr_base64_encode(wr_buf *out, wr_str data, bool url)
{
    static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char web[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *letters = url ? web : std;
    for (size_t i = 0; i < data.n; i += 3) {
        size_t left = data.n - i < 3 ? data.n - i : 3;
        unsigned v = (unsigned)(unsigned char)data.p[i] << 16;
        if (left > 1) v |= (unsigned)(unsigned char)data.p[i + 1] << 8;
        if (left > 2) v |= (unsigned char)data.p[i + 2];
        char four[4] = {letters[v >> 18], letters[v >> 12 & 63], left > 1 ? letters[v >> 6 & 63] : '=',
                        left > 2 ? letters[v & 63] : '='};
        wr_buf_add(out, four, url ? left + 1 : 4);
    }
}

static int value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool wr_base64_decode(wr_buf *out, wr_str text)
{
    unsigned bits = 0, have = 0;
    size_t n = text.n;
    while (n && text.n - n < 2 && text.p[n - 1] == '=') n--;
    if (n != text.n && text.n % 4) return false;
    if (n % 4 == 1) return false;
    for (size_t i = 0; i < n; i++) {
        int v = value(text.p[i]);
        if (v < 0) return false;
        bits = bits << 6 | (unsigned)v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        wr_buf_char(out, (char)(bits >> have & 255));
    }
    return (bits & ((1u << have) - 1)) == 0 && !out->failed;
}
