# SPDX-License-Identifier: Apache-2.0
"""Files of expected values for src/predict/format_*_test.c: NAME.values beside the model NAME.json, .ubj or .txt in forests/.

First line: rows features margins outputs contributions (of a row). Then a line a row: features, margins, outputs, contributions, as
hexadecimal floats, exact.
"""
import pathlib
import numpy as np

FOLDER = pathlib.Path(__file__).parent / "forests"


def text(v):
    v = float(v)
    return "nan" if np.isnan(v) else "inf" if v == np.inf else "-inf" if v == -np.inf else v.hex()


def write(name, rows, margins, outputs, contributions):
    n = len(rows)
    parts = [np.asarray(p, dtype=np.float64).reshape(n, -1) if p is not None else np.zeros((n, 0)) for p in (rows, margins, outputs, contributions)]
    with open(FOLDER / (name + ".values"), "w") as f:
        f.write(" ".join(map(str, [n] + [p.shape[1] for p in parts])) + "\n")
        for i in range(n):
            f.write(" ".join(text(v) for p in parts for v in p[i]) + "\n")
