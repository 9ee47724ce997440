# SPDX-License-Identifier: Apache-2.0
"""The test data: splitmix64, the same numbers as stream.h, and writing of C tables."""
import math
import numpy as np

MASK = (1 << 64) - 1


def uniforms(seed, n):
    """n doubles in [0, 1) of 53 bits."""
    out = np.empty(n)
    state = seed & MASK
    for i in range(n):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        out[i] = (z >> 11) * 2.0 ** -53
    return out


def bells(seed, n):
    """Sums of four uniforms less 2: a rounded hump, with nothing in it but additions."""
    u = uniforms(seed, 4 * n).reshape(n, 4)
    return u[:, 0] + u[:, 1] + u[:, 2] + u[:, 3] - 2


def c(x):
    x = float(x)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return repr(x)


def write(path, made_by, lines):
    with open(path, "w", encoding="ascii") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0 */\n")
        f.write(f"/* Made by tests/reference/{made_by}; do not edit. */\n#pragma once\n#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n")
        f.write("\n".join(lines) + "\n")
