/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - what may be a key, and how long texts may be. Lengths count characters (code points). */
#include <stdio.h>

#include "codec/json.h"
#include "track/run.h"

static size_t characters(wr_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

wr_str wr_track_cut(wr_str s, size_t max)
{
    size_t n = 0;
    if (s.n <= max) return s;
    for (size_t i = 0; i < s.n; i++) {
        if (((unsigned char)s.p[i] & 0xc0) == 0x80) continue;
        if (n++ == max) return (wr_str){s.p, i};
    }
    return s;
}

int wr_track_length_check(wr_str s, size_t max, const char *what, wr_err *err)
{
    if (s.n <= max || characters(s) <= max) return 0;
    return wr_err_set(err, WEIR_EINVAL, "'%s' exceeds the maximum length of %zu characters", what, max);
}

/* Letters and digits of other scripts are fine: every byte above ASCII of valid UTF-8. */
static bool characters_ok(wr_str key)
{
    bool ascii = true;
    for (size_t i = 0; i < key.n; i++) {
        unsigned char c = (unsigned char)key.p[i];
        bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c >= 0x80;
        if (!word && c != '/' && c != '.' && c != '-' && c != ' ' && c != ':') return false;
        ascii = ascii && c < 0x80;
    }
    return ascii || wr_str_utf8(key);
}

/* A relative path in normal form: no "a//b", no "." and ".." segments, no slash at either end. */
static bool path_ok(wr_str key)
{
    wr_str rest = key;
    if (!key.n || key.p[key.n - 1] == '/' || wr_str_starts(key, "..")) return false;
    if (!memchr(key.p, '/', key.n)) return !wr_str_is(key, ".");
    while (rest.p) {
        wr_str part = wr_str_cut(&rest, '/');
        if (!part.n || wr_str_is(part, ".") || wr_str_is(part, "..")) return false;
    }
    return true;
}

static int bad_key(wr_str key, const char *what, const char *why, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 1 << 16);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_str(&w, wr_str_fit(key, 80)); /* as JSON, which is how MLflow shows it */
    return wr_err_set(err, WEIR_EINVAL, "Invalid value %.*s for parameter '%s' supplied: %s",
                      WR_STR_FMT(wr_buf_view(&b)), what, why);
}

int wr_track_key_check(wr_str key, size_t max, const char *what, wr_err *err)
{
    if (!characters_ok(key))
        return bad_key(key, what,
                       "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), "
                       "spaces ( ), colon(:) and slashes (/).",
                       err);
    if (!path_ok(key))
        return bad_key(key, what,
                       "Names may be treated as files in certain cases, and must not resolve to other "
                       "names when treated as such.",
                       err);
    return wr_track_length_check(key, max, what, err);
}

/* Run names people can say: adjective, noun, number. */
void wr_track_made_name(char out[48], uint64_t random)
{
    static const char *const adjectives[] = {
        "able",   "bold",   "bright",   "calm", "clean",  "fortunate", "gentle",  "handsome", "kindly", "nimble",
        "placid", "polite", "powerful", "rare", "silent", "skillful",  "stately", "upbeat",   "useful", "wise"};
    static const char *const nouns[] = {
        "bear",  "carp",  "cod",   "crane", "deer",  "dolphin", "duck",  "eel",    "finch", "goose", "gull",
        "hen",   "kite",  "lark",  "mole",  "mouse", "newt",    "owl",   "perch",  "robin", "shad",  "shrimp",
        "snail", "snipe", "stoat", "stork", "swan",  "tern",    "trout", "turtle", "vole",  "whale", "wren"};
    enum { A = sizeof adjectives / sizeof *adjectives, N = sizeof nouns / sizeof *nouns };
    snprintf(out, 48, "%s-%s-%u", adjectives[random % A], nouns[random / A % N], (unsigned)(random / A / N % 1000));
}
