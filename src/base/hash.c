/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c - XXH3 from libxxhash; SHA-256 by OpenSSL's low-level functions: statically linked, they start without loading
 * the provider machinery, which costs milliseconds. They are deprecated since OpenSSL 3.0 but not removed. */
#include "base/hash.h"

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

void wr_sha256_hex(wr_sha256 *h, char out[WR_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    WR_BUG_IF(!SHA256_Final(sum, (SHA256_CTX *)h));
    for (size_t i = 0; i < sizeof sum; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[2 * sizeof sum] = 0;
}

void wr_sha256_of(const void *p, size_t n, char out[WR_SHA256_HEX])
{
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, p, n);
    wr_sha256_hex(&h, out);
}
