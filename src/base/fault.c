/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - a countdown per kind of fault.
 *
 * `armed` is the only thing read in normal operation. `left` counts down from n: the call that takes it from 1 to 0 is
 * the n-th.
 */
#include "base/fault.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "base/str.h"

typedef struct {
    atomic_bool armed, sticky, fired;
    atomic_long left;
} fault;

static fault faults[WR_FAULT_KINDS];

void wr_fault_arm(wr_fault_kind kind, long nth, bool sticky)
{
    fault *f = &faults[kind];
    atomic_store(&f->armed, false);
    atomic_store(&f->fired, false);
    atomic_store(&f->sticky, sticky);
    atomic_store(&f->left, nth);
    atomic_store(&f->armed, nth > 0);
}

bool wr_fault_fired(wr_fault_kind kind) { return atomic_load(&faults[kind].fired); }

bool wr_fault_hit(wr_fault_kind kind)
{
    fault *f = &faults[kind];
    if (__builtin_expect(!atomic_load_explicit(&f->armed, memory_order_relaxed), 1)) return false;
    long left = atomic_fetch_sub(&f->left, 1);
    if (left == 1) atomic_store(&f->fired, true);
    return left == 1 || (left < 1 && atomic_load(&f->sticky));
}

void wr_fault_crash_point(void)
{
    if (wr_fault_hit(WR_FAULT_CRASH)) _exit(137);
}

static bool arm_from_text(wr_str item)
{
    static const char *const names[WR_FAULT_KINDS] = {
        [WR_FAULT_ALLOC] = "alloc",   [WR_FAULT_WRITE] = "write", [WR_FAULT_FSYNC] = "fsync",
        [WR_FAULT_RENAME] = "rename", [WR_FAULT_CRASH] = "crash",
    };
    wr_str kind = wr_str_cut(&item, ':');
    bool sticky = wr_str_ends(item, "!");
    int64_t nth;
    if (!item.p || wr_num_i64(&nth, wr_str_sub(item, 0, item.n - sticky), NULL) < 0 || nth < 0) return false;
    for (int k = 0; k < WR_FAULT_KINDS; k++) {
        if (!wr_str_is(kind, names[k])) continue;
        wr_fault_arm((wr_fault_kind)k, (long)nth, sticky);
        return true;
    }
    return false;
}

void wr_fault_from_env(void)
{
    const char *spec = getenv("WEIR_FAULT");
    if (!spec || !*spec) return;
    wr_str rest = wr_str_of(spec);
    while (rest.p) {
        wr_str item = wr_str_trim(wr_str_cut(&rest, ','));
        if (!arm_from_text(item)) wr_warn("WEIR_FAULT: '%.*s' is not kind:count", WR_STR_FMT(item));
    }
}
