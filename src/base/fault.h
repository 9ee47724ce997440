/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - fault injection. Off (one relaxed load) unless a test arms it.
 *
 * A test arms kind K with n: the n-th call of that kind from now on fails, once (`sticky` false) or from then on.
 * WR_FAULT_CRASH ends the process at once (_exit(137), no flushing) at the n-th crash point: code that changes durable
 * state calls wr_fault_crash_point() between its steps. Counting continues after arming, so a loop can stop when
 * fired() is false.
 * Thread-safe.
 */
#pragma once
#include <stdbool.h>

typedef enum {
    WR_FAULT_ALLOC,
    WR_FAULT_WRITE,
    WR_FAULT_FSYNC,
    WR_FAULT_RENAME,
    WR_FAULT_CRASH,
    WR_FAULT_KINDS
} wr_fault_kind;

void wr_fault_arm(wr_fault_kind kind, long nth, bool sticky); /* nth from 1; 0 disarms */
bool wr_fault_fired(wr_fault_kind kind);                      /* did the armed call happen? */
bool wr_fault_hit(wr_fault_kind kind);                        /* called by the code under test: true = fail now */
void wr_fault_crash_point(void);
/* Arm from the environment variable WEIR_FAULT="write:3,fsync:1!" ("!" = sticky); for tests of whole commands. */
void wr_fault_from_env(void);
