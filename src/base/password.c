/* SPDX-License-Identifier: Apache-2.0 */
/* password.c - scrypt through OpenSSL. */
#include "base/password.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/hash.h"
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

bool wr_password_ok(wr_str password, const char *hash)
{
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
