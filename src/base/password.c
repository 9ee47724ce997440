/* SPDX-License-Identifier: Apache-2.0 */
/* password.c - scrypt through OpenSSL. */
#include "base/password.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/os.h"

enum { LOG_N = 14, R = 8, P = 1, SALT = 16, KEY = 32, MEMORY = 64 << 20 };

static bool derive(unsigned char key[KEY], wr_str password, const unsigned char salt[SALT])
{
    return EVP_PBE_scrypt(password.p, password.n, salt, SALT, (uint64_t)1 << LOG_N, R, P, MEMORY, key, KEY) == 1;
}

static void format(char out[WR_PASSWORD_TEXT], const unsigned char salt[SALT], const unsigned char key[KEY])
{
    char s[2 * SALT + 1], k[2 * KEY + 1];
    wr_hex(s, salt, SALT);
    wr_hex(k, key, KEY);
    snprintf(out, WR_PASSWORD_TEXT, "scrypt$%d$%d$%d$%s$%s", LOG_N, R, P, s, k);
}

int wr_password_hash(char out[WR_PASSWORD_TEXT], wr_str password, wr_err *err)
{
    unsigned char salt[SALT], key[KEY];
    wr_os_random(salt, sizeof salt);
    if (!derive(key, password, salt)) return wr_err_set(err, WEIR_ENOMEM, "the password cannot be hashed");
    format(out, salt, key);
    return 0;
}

static int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* ---- hashes of other programs ----
 * "scrypt:32768:8:1$salt$hex" and "pbkdf2:sha256:600000$salt$hex", as Werkzeug (and with it MLflow) writes them; the salt is the text itself. */

enum { FOREIGN_KEY = 64, FOREIGN_SALT = 128, ROUNDS_MAX = 10000000, FOREIGN_MEMORY = 256 << 20 };

/* "8:1" -> 8; what is behind the colon stays in *rest. 0 for what is no number within the limit. */
static uint64_t next_number(wr_str *rest, uint64_t max)
{
    int64_t v;
    wr_str word = wr_str_cut(rest, ':');
    if (!word.p || wr_num_i64(&v, word, NULL) < 0 || v < 1 || (uint64_t)v > max) return 0;
    return (uint64_t)v;
}

static bool derive_scrypt(unsigned char *key, size_t n, wr_str password, wr_str salt, wr_str method)
{
    uint64_t cost = next_number(&method, 1 << 20), r = next_number(&method, 64), p = next_number(&method, 16);
    if (!cost || !r || !p || method.p) return false;
    return EVP_PBE_scrypt(password.p, password.n, (const unsigned char *)salt.p, salt.n, cost, r, p, FOREIGN_MEMORY, key, n) == 1;
}

static bool derive_pbkdf2(unsigned char *key, size_t n, wr_str password, wr_str salt, wr_str method)
{
    char digest[16];
    wr_str name = wr_str_cut(&method, ':');
    uint64_t rounds = next_number(&method, ROUNDS_MAX);
    if (!rounds || method.p || !(wr_str_is(name, "sha1") || wr_str_is(name, "sha256") || wr_str_is(name, "sha512"))) return false;
    snprintf(digest, sizeof digest, "%.*s", WR_STR_FMT(name));
    return PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, (int)rounds, EVP_get_digestbyname(digest),
                             (int)n, key) == 1;
}

static bool foreign_ok(wr_str password, wr_str hash)
{
    unsigned char key[FOREIGN_KEY];
    char again[2 * FOREIGN_KEY + 1];
    wr_str rest = hash, method = wr_str_cut(&rest, '$'), salt = wr_str_cut(&rest, '$');
    wr_str kind = wr_str_cut(&method, ':');
    size_t n = rest.n / 2;
    if (!rest.p || !method.p || salt.n > FOREIGN_SALT || n < 16 || n > FOREIGN_KEY || password.n > FOREIGN_SALT * 8) return false;
    bool done = wr_str_is(kind, "scrypt") ? derive_scrypt(key, n, password, salt, method) : derive_pbkdf2(key, n, password, salt, method);
    if (!done) return false;
    wr_hex(again, key, n);
    return wr_same_secret(wr_str_of(again), rest);
}

bool wr_password_ok(wr_str password, const char *hash)
{
    if (hash && (strncmp(hash, "scrypt:", 7) == 0 || strncmp(hash, "pbkdf2:", 7) == 0)) return foreign_ok(password, wr_str_of(hash));
    unsigned char salt[SALT], key[KEY];
    char again[WR_PASSWORD_TEXT], prefix[32];
    int n = snprintf(prefix, sizeof prefix, "scrypt$%d$%d$%d$", LOG_N, R, P);
    if (!hash || strncmp(hash, prefix, (size_t)n) != 0 || strlen(hash) < (size_t)n + 2 * SALT) return false;
    for (int i = 0; i < SALT; i++) {
        int hi = nibble(hash[n + 2 * i]), lo = nibble(hash[n + 2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        salt[i] = (unsigned char)(hi << 4 | lo);
    }
    if (!derive(key, password, salt)) return false;
    format(again, salt, key);
    return wr_same_secret(wr_str_of(again), wr_str_of(hash));
}
