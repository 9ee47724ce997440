/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c - XXH3 from libxxhash; SHA-256 by OpenSSL's low-level functions: statically linked, they start without loading
 * the provider machinery, which costs milliseconds. They are deprecated since OpenSSL 3.0 but not removed. */
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <xxhash.h>

#include "base/err.h"
#include "base/os.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(wr_sha256), "wr_sha256 is too small");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(wr_sha256), "wr_sha256 is not aligned enough");

uint64_t wr_hash64(const void *p, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(n ? p : "", n, seed); }

static uint64_t process_seed;
static void seed_once(void) { wr_os_random(&process_seed, sizeof process_seed); }

uint64_t wr_hash_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, seed_once);
    return process_seed;
}

void wr_sha256_init(wr_sha256 *h) { WR_BUG_IF(!SHA256_Init((SHA256_CTX *)h)); }

void wr_sha256_add(wr_sha256 *h, const void *p, size_t n)
{
    if (n) WR_BUG_IF(!SHA256_Update((SHA256_CTX *)h, p, n));
}

void wr_sha256_raw(wr_sha256 *h, unsigned char out[WR_SHA256_SIZE]) { WR_BUG_IF(!SHA256_Final(out, (SHA256_CTX *)h)); }

void wr_hex(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 15];
    }
    out[2 * n] = 0;
}

void wr_sha256_hex(wr_sha256 *h, char out[WR_SHA256_HEX])
{
    unsigned char sum[WR_SHA256_SIZE];
    wr_sha256_raw(h, sum);
    wr_hex(out, sum, sizeof sum);
}

void wr_sha256_of(const void *p, size_t n, char out[WR_SHA256_HEX])
{
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, p, n);
    wr_sha256_hex(&h, out);
}

void wr_hmac_sha256(unsigned char out[WR_SHA256_SIZE], wr_str key, wr_str data)
{
    enum { BLOCK = 64 };
    unsigned char pad[BLOCK] = {0}, inner[WR_SHA256_SIZE];
    wr_sha256 h;
    if (key.n > BLOCK) {
        wr_sha256_init(&h);
        wr_sha256_add(&h, key.p, key.n);
        wr_sha256_raw(&h, pad);
    } else if (key.n) {
        memcpy(pad, key.p, key.n);
    }
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
    wr_sha256_init(&h);
    wr_sha256_add(&h, pad, BLOCK);
    wr_sha256_add(&h, data.p, data.n);
    wr_sha256_raw(&h, inner);
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
    wr_sha256_init(&h);
    wr_sha256_add(&h, pad, BLOCK);
    wr_sha256_add(&h, inner, sizeof inner);
    wr_sha256_raw(&h, out);
    OPENSSL_cleanse(pad, sizeof pad);
}

bool wr_same_secret(wr_str a, wr_str b) { return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0; }
