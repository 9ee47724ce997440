#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the models that Triton's client examples ask for, as ONNX: tests/triton/models/NAME/1/model.onnx and NAME/config.pbtxt.

No package is needed: the protobuf messages (onnx.proto3) are written by hand, so the same bytes come out anywhere.
    simple            INT32 [1,16] twice -> sum, difference (a batch of up to 8)
    simple_int8       the same for INT8, through INT32
    simple_identity   BYTES -> the same
    simple_string     BYTES that hold decimal numbers -> sum and difference, as BYTES
With a folder as argument the identity models go there that Triton's own tests (qa/L0_http) ask for; `qa` runs those.
"""
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
FLOAT, INT8, INT32, INT64, STRING, FLOAT16 = 1, 3, 6, 7, 8, 10
NAMES = {FLOAT: "TYPE_FP32", INT8: "TYPE_INT8", INT32: "TYPE_INT32", INT64: "TYPE_INT64", STRING: "TYPE_STRING", FLOAT16: "TYPE_FP16"}


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


def value(field, name, kind, *widths):
    dims = message(1, message(2, "batch"))
    for k, width in enumerate(widths or [16]):
        dims += message(1, number(1, width) if width > 0 else message(2, f"width{k}" if k else "width"))
    return message(field, message(1, name) + message(2, message(1, number(1, kind) + message(2, dims))))


def model(name, nodes, inputs, outputs):
    graph = b"".join(nodes) + message(2, name)
    graph += b"".join(value(11, *i) for i in inputs) + b"".join(value(12, *o) for o in outputs)
    return number(1, 8) + message(2, "weir tests/triton/make_models.py") + message(7, graph) + message(8, message(1, "") + number(2, 17))


def write(name, nodes, inputs, outputs, batch=8, where=HERE, more=""):
    folder = os.path.join(where, name)
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "1", "model.onnx"), "wb") as f:
        f.write(model(name, nodes, inputs, outputs))
    with open(os.path.join(folder, "config.pbtxt"), "w") as f:
        f.write(f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: {batch}\n')
        for what, values in (("input", inputs), ("output", outputs)):
            entries = [f'  {{\n    name: "{n}"\n    data_type: {NAMES[k]}\n    dims: [ {", ".join(map(str, w or [16]))} ]\n  }}' for n, k, *w in values]
            f.write(f"{what} [\n" + ",\n".join(entries) + "\n]\n")
        f.write(more)


def two(kind):
    return [("INPUT0", kind), ("INPUT1", kind)], [("OUTPUT0", kind), ("OUTPUT1", kind)]


def through(kind):
    """Sum and difference by way of INT32."""
    nodes = [node("Cast", ["INPUT0"], ["a"], to=INT32), node("Cast", ["INPUT1"], ["b"], to=INT32)]
    nodes += [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])]
    return nodes + [node("Cast", ["sum"], ["OUTPUT0"], to=kind), node("Cast", ["difference"], ["OUTPUT1"], to=kind)]


def identity(where, name, kind, dims, count=1, more=""):
    nodes = [node("Identity", [f"INPUT{k}"], [f"OUTPUT{k}"]) for k in range(count)]
    write(name, nodes, [(f"INPUT{k}", kind, *dims) for k in range(count)], [(f"OUTPUT{k}", kind, *dims) for k in range(count)], where=where, more=more)


def write_qa(where):
    """As qa/L0_http/test.sh makes them of its identity models."""
    identity(where, "onnx_zero_1_float32", FLOAT, [-1])
    identity(where, "onnx_zero_1_float32_queue", FLOAT, [-1], more="dynamic_batching {\n  max_queue_delay_microseconds: 1000000\n"
             "  preferred_batch_size: [ 8 ]\n  default_queue_policy {\n    max_queue_size: 1\n  }\n}\n")
    identity(where, "onnx_zero_1_float16", FLOAT16, [-1, -1])
    identity(where, "onnx_zero_3_float32", FLOAT, [-1], count=3)
    identity(where, "onnx_zero_1_object", STRING, [-1])
    identity(where, "onnx_zero_1_object_1_element", STRING, [1])
    identity(where, "simple_identity", STRING, [-1])
    identity(where, "simple_identity_int64", INT64, [-1])
    write("simple", [node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]), node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])], *two(INT32), where=where)


def write_examples():
    write("simple", [node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]), node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])], *two(INT32))
    write("simple_int8", through(INT8), *two(INT8))
    write("simple_identity", [node("Identity", ["INPUT0"], ["OUTPUT0"])], [("INPUT0", STRING, -1)], [("OUTPUT0", STRING, -1)])
    write("simple_string", through(STRING), *two(STRING))


if len(sys.argv) > 1:
    write_qa(sys.argv[1])
else:
    write_examples()
