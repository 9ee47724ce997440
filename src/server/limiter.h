/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.h - requests a second of each client: a name in, yes or no out.
 *
 * The generic cell rate algorithm (ITU-T I.371): a client has a theoretical time of arrival that each request moves on by 1/rate; a request
 * is taken while that time is less than burst/rate ahead. So a client that was silent may send `burst` at once, and `rate` a second after that.
 *
 * Clients stand in a table of fixed size, in sets of WR_LIMITER_WAYS; a new one takes the place of the one in its set that has the most of its
 * burst left. A client that is forgotten so starts anew: who comes from very many addresses may send more, none may send less.
 * Threads: any.
 */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

enum { WR_LIMITER_SETS = 2048, WR_LIMITER_WAYS = 4 };

typedef struct wr_limiter wr_limiter;

/* rate > 0 requests a second, burst >= 1. WEIR_EINVAL, WEIR_ENOMEM. */
int wr_limiter_new(wr_limiter **out, double rate, double burst, wr_err *err);
void wr_limiter_free(wr_limiter *l);
/* May `client` send one more at `now_ns` (monotonic)? 0, or the nanoseconds until it may: that one is not counted. */
int64_t wr_limiter_take(wr_limiter *l, wr_str client, int64_t now_ns);
