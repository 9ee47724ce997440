/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - XXH3 for tables and checksums, SHA-256 (FIPS 180-4) for identity, HMAC (RFC 2104) for signatures. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

uint64_t wr_hash64(const void *p, size_t n, uint64_t seed);   /* XXH3-64 */
uint64_t wr_hash_seed(void);                                  /* random, fixed for the life of the process */

#define WR_SHA256_HEX 65                                      /* 64 digits and NUL */
#define WR_SHA256_SIZE 32
typedef struct { uint64_t state[16]; } wr_sha256;             /* opaque, caller's storage */
void wr_sha256_init(wr_sha256 *h);
void wr_sha256_add(wr_sha256 *h, const void *p, size_t n);
void wr_sha256_hex(wr_sha256 *h, char out[WR_SHA256_HEX]);    /* ends the computation */
void wr_sha256_raw(wr_sha256 *h, unsigned char out[WR_SHA256_SIZE]); /* the same as bytes */
void wr_sha256_of(const void *p, size_t n, char out[WR_SHA256_HEX]);

void wr_hmac_sha256(unsigned char out[WR_SHA256_SIZE], wr_str key, wr_str data);
void wr_hex(char *out /* 2n + 1 */, const void *p, size_t n); /* lower case */
/* Equal? In a time that does not tell where they differ (lengths are no secret). */
bool wr_same_secret(wr_str a, wr_str b);
