# SPDX-License-Identifier: Apache-2.0
"""Expected values of src/calc/special_test.c. Needs scipy (made with 1.17.1). Writes special_values.h beside itself."""
import math
import pathlib
from scipy import special, stats
from stream import c, write

lines = ["static const struct { double a, x, q; } gamma_q_values[] = {"]
for a in (0.5, 1, 1.5, 2, 4.5, 12, 15.9, 16.1, 50, 333.5, 5000, 1e5, 1e6):
    for f in (0.01, 0.5, 0.9, 1 - 1 / math.sqrt(a + 1), 1, 1 + 1 / (a + 1), 1 + 2 / math.sqrt(a), 1 + 9 / math.sqrt(a), 30):
        q = special.gammaincc(a, a * f)
        if q > 1e-290:
            lines.append(f"    {{{c(a)}, {c(a * f)}, {c(q)}}},")
lines += ["};", "static const struct { double n, x, sf; } kolmogorov_values[] = {"]
for n in (1, 2, 3, 5, 10, 37, 100, 139, 140, 141, 150, 500, 1000, 3000, 10000, 30000, 60000, 99999, 100001, 333333, 500000, 1000000, 3000000):
    xs = [z / math.sqrt(n) for z in (0.15, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.3, 1.4829, 1.4836, 1.7, 1.9, 2.1, 3, 5, 9, 15, 19)]
    xs += [0.3 / n, 0.6 / n, 0.9 / n, 1.1 / n, 1 - 0.9 / n, 1 - 1.5 / n, 0.45, 0.55, 0.8, 1, 0]
    for x in sorted(xs):
        if x > 1:
            continue
        sf = stats.kstwo.sf(x, n)
        if sf == 0 or sf > 1e-290:
            lines.append(f"    {{{n}, {c(x)}, {c(sf)}}},")
lines.append("};")
write(pathlib.Path(__file__).with_name("special_values.h"), "special.py", lines)
