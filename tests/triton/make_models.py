#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the models that Triton's client examples ask for, as ONNX: tests/triton/models/NAME/1/model.onnx and NAME/config.pbtxt.

No package is needed: the protobuf messages (onnx.proto3) are written by hand, so the same bytes come out anywhere.
    simple            INT32 [1,16] twice -> sum, difference (a batch of up to 8)
    simple_int8       the same for INT8, through INT32
    simple_identity   BYTES -> the same
    simple_string     BYTES that hold decimal numbers -> sum and difference, as BYTES
"""
import os

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
INT8, INT32, STRING = 3, 6, 8
NAMES = {INT8: "TYPE_INT8", INT32: "TYPE_INT32", STRING: "TYPE_STRING"}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def message(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    return message(5, message(1, name) + number(3, value) + number(20, 2))


def node(op, inputs, outputs, **attributes):
    data = b"".join(message(1, i) for i in inputs) + b"".join(message(2, o) for o in outputs)
    data += message(3, outputs[0] + "_node") + message(4, op)
    return message(1, data + b"".join(attribute(k, v) for k, v in attributes.items()))


def value(field, name, kind, width=16):
    batch, width = message(1, message(2, "batch")), message(1, number(1, width) if width > 0 else message(2, "width"))
    return message(field, message(1, name) + message(2, message(1, number(1, kind) + message(2, batch + width))))


def model(name, nodes, inputs, outputs):
    graph = b"".join(nodes) + message(2, name)
    graph += b"".join(value(11, *i) for i in inputs) + b"".join(value(12, *o) for o in outputs)
    return number(1, 8) + message(2, "weir tests/triton/make_models.py") + message(7, graph) + message(8, message(1, "") + number(2, 17))


def write(name, nodes, inputs, outputs, batch=8):
    folder = os.path.join(HERE, name)
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "1", "model.onnx"), "wb") as f:
        f.write(model(name, nodes, inputs, outputs))
    with open(os.path.join(folder, "config.pbtxt"), "w") as f:
        f.write(f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: {batch}\n')
        for what, values in (("input", inputs), ("output", outputs)):
            entries = [f'  {{\n    name: "{n}"\n    data_type: {NAMES[k]}\n    dims: [ {(w or [16])[0]} ]\n  }}' for n, k, *w in values]
            f.write(f"{what} [\n" + ",\n".join(entries) + "\n]\n")


def two(kind):
    return [("INPUT0", kind), ("INPUT1", kind)], [("OUTPUT0", kind), ("OUTPUT1", kind)]


def through(kind):
    """Sum and difference by way of INT32."""
    nodes = [node("Cast", ["INPUT0"], ["a"], to=INT32), node("Cast", ["INPUT1"], ["b"], to=INT32)]
    nodes += [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])]
    return nodes + [node("Cast", ["sum"], ["OUTPUT0"], to=kind), node("Cast", ["difference"], ["OUTPUT1"], to=kind)]


write("simple", [node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]), node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])], *two(INT32))
write("simple_int8", through(INT8), *two(INT8))
write("simple_identity", [node("Identity", ["INPUT0"], ["OUTPUT0"])], [("INPUT0", STRING, -1)], [("OUTPUT0", STRING, -1)])
write("simple_string", through(STRING), *two(STRING))
