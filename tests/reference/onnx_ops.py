#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime answers for each op of our executor: writes onnx/ops.bin, a row of messages
    Case { string name = 1; bytes model = 2; repeated TensorProto input = 3; repeated TensorProto output = 4; }
each as field 1 of the file (src/predict/graph_test.c reads it). An output list that is empty: ONNX Runtime refuses those inputs.

Needs: pip install onnx onnxruntime numpy. Usage: onnx_ops.py (writes beside itself)
"""
import os
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

ort.set_default_logger_severity(4)
R = np.random.default_rng(7)
ML = "ai.onnx.ml"
cases, seen = [], set()


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(a, name):
    if a.dtype == object or a.dtype.kind == "U":
        t = h.make_tensor(name, T.STRING, a.shape, [str(x).encode() for x in a.ravel()])
    else:
        t = nh.from_array(np.asarray(a, order="C"), name)
    return t


def kind(a):
    return T.STRING if a.dtype == object or a.dtype.kind == "U" else h.np_dtype_to_tensor_dtype(a.dtype)


def case(name, nodes, inputs, outputs, opset=18, ml=3, init=None, free=False):
    """inputs: name -> array; outputs: name -> TensorProto type; free: the inputs' shapes are left open."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    assert name not in seen, name
    seen.add(name)
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info(k, kind(v), [None] * v.ndim if free else v.shape) for k, v in inputs.items()],
                         [h.make_tensor_value_info(k, t, None) for k, t in outputs.items()], [tensor(v, k) for k, v in (init or {}).items()])
    sets = [h.make_opsetid("", opset)] + ([h.make_opsetid(ML, ml)] if any(n.domain == ML for n in nodes) else [])
    model = h.make_model(graph, opset_imports=sets, ir_version=8, producer_name="onnx_ops.py").SerializeToString()
    try:
        answers = ort.InferenceSession(model).run(None, {k: v.astype(object) if v.dtype.kind == "U" else v for k, v in inputs.items()})
    except Exception as e:
        answers = []
        print("refused:", name, str(e)[:120].replace("\n", " "))
    data = field(1, name.encode()) + field(2, model)
    for k, v in inputs.items():
        data += field(3, tensor(v, k).SerializeToString())
    for k, v in zip(outputs, answers):
        data += field(4, tensor(np.asarray(v), k).SerializeToString())
    cases.append(field(1, data))


def n(op, i, o=("y",), domain=None, **kw):
    return h.make_node(op, list(i), list(o), domain=domain, **kw)


def f32(*shape):
    return R.normal(size=shape).astype(np.float32)


def i64(lo, hi, *shape):
    return R.integers(lo, hi, size=shape).astype(np.int64)


def text(words, *shape):
    return R.choice(np.array(words, dtype=object), size=shape)


F, D, I, L, B, S = T.FLOAT, T.DOUBLE, T.INT32, T.INT64, T.BOOL, T.STRING

# ---- elements ----
for op in ("Add", "Sub", "Mul", "Div"):
    for t, dt in ((F, np.float32), (D, np.float64), (I, np.int32), (L, np.int64)):
        a, b = (R.integers(-50, 50, size=(3, 4)).astype(dt) if t in (I, L) else R.normal(size=(3, 4)).astype(dt) for _ in range(2))
        b[b == 0] = 7
        case(f"{op}_{np.dtype(dt).name}", n(op, "ab"), {"a": a, "b": b}, {"y": t})
for name, sa, sb in (("row", (3, 4), (4,)), ("column", (3, 4), (3, 1)), ("scalar", (3, 4), ()), ("outer", (3, 1), (1, 4)), ("deep", (2, 1, 3, 1), (5, 1, 4)),
                     ("left", (4,), (2, 3, 4)), ("empty", (0, 4), (4,)), ("unfit", (3, 4), (3,))):
    case(f"Add_broadcast_{name}", n("Add", "ab"), {"a": f32(*sa), "b": f32(*sb)}, {"y": F}, free=True)
case("Div_wraps", n("Div", "ab"), {"a": np.array([-2**31, 7], np.int32), "b": np.array([1, -2], np.int32)}, {"y": I})
case("Mul_wraps", n("Mul", "ab"), {"a": np.array([2**62, -3], np.int64), "b": np.array([4, 5], np.int64)}, {"y": L})
case("Pow", n("Pow", "ab"), {"a": np.abs(f32(6)), "b": f32(6)}, {"y": F})
case("Pow_square", n("Pow", "ab"), {"a": f32(6), "b": np.array(2, np.float32)}, {"y": F})
case("Pow_whole_exponent", n("Pow", "ab"), {"a": f32(6), "b": np.array([0, 1, 2, 3, -1, -2], np.int64)}, {"y": F})
case("Pow_double", n("Pow", "ab"), {"a": np.abs(R.normal(size=6)), "b": R.normal(size=6)}, {"y": D})
for op in ("Min", "Max", "Sum"):
    case(f"{op}_three", n(op, "abc"), {"a": f32(3, 4), "b": f32(4), "c": f32(3, 1)}, {"y": F})
    case(f"{op}_one", n(op, "a"), {"a": f32(3)}, {"y": F})
for op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"):
    case(f"{op}_float", n(op, "ab"), {"a": np.array([1, 2, np.nan, 3, -0.0], np.float32), "b": np.array([1, 3, np.nan, 2, 0.0], np.float32)}, {"y": B})
    case(f"{op}_int64", n(op, "ab"), {"a": i64(0, 3, 3, 4), "b": i64(0, 3, 4)}, {"y": B})
    case(f"{op}_int32", n(op, "ab"), {"a": i64(0, 3, 3, 4).astype(np.int32), "b": i64(0, 3, 4).astype(np.int32)}, {"y": B})
    case(f"{op}_double", n(op, "ab"), {"a": R.normal(size=(2, 2)), "b": R.normal(size=(2, 2))}, {"y": B})
case("Equal_string", n("Equal", "ab"), {"a": text(["x", "yy", ""], 8), "b": text(["x", "yy", ""], 8)}, {"y": B}, opset=19)
case("Equal_bool", n("Equal", "ab"), {"a": i64(0, 2, 8) > 0, "b": i64(0, 2, 8) > 0}, {"y": B})
for op in ("And", "Or", "Xor"):
    case(op, n(op, "ab"), {"a": i64(0, 2, 3, 4) > 0, "b": i64(0, 2, 4) > 0}, {"y": B})
case("Not", n("Not", "a"), {"a": i64(0, 2, 5) > 0}, {"y": B})
case("IsNaN", n("IsNaN", "a"), {"a": np.array([1, np.nan, np.inf], np.float32)}, {"y": B})
edge = np.array([-100, -3.5, -2.5, -1, -0.25, -0.0, 0.0, 0.25, 0.5, 1, 1.5, 2.5, 20, 100], np.float32)
for op in ("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Floor", "Ceil", "Round", "Sign", "Erf", "Softplus", "LeakyRelu", "Elu"):
    case(op, n(op, "a"), {"a": edge}, {"y": F})
for op in ("Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Sqrt", "Log", "Relu"):
    case(f"{op}_double", n(op, "a"), {"a": np.abs(R.normal(size=7))}, {"y": D})
for op in ("Abs", "Neg", "Sign"):
    case(f"{op}_int64", n(op, "a"), {"a": i64(-9, 9, 7)}, {"y": L})
    case(f"{op}_int32", n(op, "a"), {"a": i64(-9, 9, 7).astype(np.int32)}, {"y": I})
case("Relu_nan", n("Relu", "a"), {"a": np.array([-1, 3, np.inf], np.float32)}, {"y": F})
case("Log", n("Log", "a"), {"a": np.array([0, 1e-30, 0.5, 1, 3e8, -1], np.float32)}, {"y": F})
case("Sqrt", n("Sqrt", "a"), {"a": np.array([0, 1e-30, 2, 9, 3e8], np.float32)}, {"y": F})
case("Reciprocal", n("Reciprocal", "a"), {"a": np.array([0.5, -4, 0], np.float32)}, {"y": F})
case("LeakyRelu_alpha", n("LeakyRelu", "a", alpha=0.3), {"a": edge}, {"y": F})
case("Elu_alpha", n("Elu", "a", alpha=1.7), {"a": edge}, {"y": F})
case("Clip", n("Clip", "abc"), {"a": edge, "b": np.array(-1, np.float32), "c": np.array(2, np.float32)}, {"y": F})
case("Clip_min", n("Clip", "ab"), {"a": edge, "b": np.array(-1, np.float32)}, {"y": F})
case("Clip_max", n("Clip", ["a", "", "c"]), {"a": edge, "c": np.array(2, np.float32)}, {"y": F})
case("Clip_attributes", n("Clip", "a", min=-0.5, max=0.75), {"a": edge}, {"y": F}, opset=7)
case("Clip_int32", n("Clip", "abc"), {"a": i64(-9, 9, 7).astype(np.int32), "b": np.array(-3, np.int32), "c": np.array(4, np.int32)}, {"y": I})
case("Where", n("Where", "abc"), {"a": i64(0, 2, 3, 1) > 0, "b": f32(3, 4), "c": f32(4)}, {"y": F})
case("Where_string", n("Where", "abc"), {"a": i64(0, 2, 3) > 0, "b": text(["p", "q"], 3), "c": text(["r"], 1)}, {"y": S})
case("Where_int64", n("Where", "abc"), {"a": i64(0, 2, 3, 4) > 0, "b": i64(0, 9, 3, 4), "c": np.array(-1, np.int64)}, {"y": L})

# ---- shapes ----
case("Identity", n("Identity", "a"), {"a": f32(2, 3)}, {"y": F})
case("Identity_string", n("Identity", "a"), {"a": text(["a", "bb", ""], 2, 3)}, {"y": S})
case("Dropout", n("Dropout", "a", ("y", "m")), {"a": f32(2, 3)}, {"y": F, "m": B})
for name, shape in (("open", [2, -1]), ("copy", [0, 6]), ("flat", [-1]), ("up", [1, 2, 3, 2]), ("unfit", [5, 2])):
    case(f"Reshape_{name}", n("Reshape", "as"), {"a": f32(2, 3, 2)}, {"y": F}, init={"s": np.array(shape, np.int64)})
case("Reshape_scalar", n("Reshape", "as"), {"a": f32(1, 1)}, {"y": F}, init={"s": np.array([], np.int64)})
for axis in (0, 1, 2, 3, -1):
    case(f"Flatten_{axis}", n("Flatten", "a", axis=axis), {"a": f32(2, 3, 4)}, {"y": F})
case("Squeeze_all", n("Squeeze", "a"), {"a": f32(1, 3, 1)}, {"y": F})
case("Squeeze_axes", n("Squeeze", "as"), {"a": f32(1, 3, 1)}, {"y": F}, init={"s": np.array([-1], np.int64)})
case("Squeeze_attribute", n("Squeeze", "a", axes=[0]), {"a": f32(1, 3, 1)}, {"y": F}, opset=11)
case("Squeeze_unfit", n("Squeeze", "as"), {"a": f32(2, 3)}, {"y": F}, init={"s": np.array([0], np.int64)}, free=True)
case("Unsqueeze", n("Unsqueeze", "as"), {"a": f32(2, 3)}, {"y": F}, init={"s": np.array([0, -1], np.int64)})
case("Unsqueeze_attribute", n("Unsqueeze", "a", axes=[1]), {"a": f32(2, 3)}, {"y": F}, opset=11)
case("Shape", n("Shape", "a"), {"a": f32(2, 0, 3)}, {"y": L})
case("Shape_part", n("Shape", "a", start=-2, end=3), {"a": f32(2, 1, 3)}, {"y": L})
case("Size", n("Size", "a"), {"a": f32(2, 3)}, {"y": L})
case("ConstantOfShape", n("ConstantOfShape", "a", value=h.make_tensor("v", L, [1], [7])), {"a": np.array([2, 2], np.int64)}, {"y": L})
case("ConstantOfShape_zero", n("ConstantOfShape", "a"), {"a": np.array([3], np.int64)}, {"y": F})
case("Constant_folded", [n("Constant", "", ("c",), value_floats=[1.0, 2.0]), n("Exp", "c", ("e",)), n("Mul", "ae")], {"a": f32(3, 2)}, {"y": F})
case("Constant_int", [n("Constant", "", ("c",), value_int=3), n("Add", "ac")], {"a": i64(0, 9, 4)}, {"y": L})
case("Constant_string", [n("Constant", "", ("c",), value_string="x"), n("Equal", "ac")], {"a": text(["x", "y"], 4)}, {"y": B}, opset=19)
for axis in (0, 1, -1):
    case(f"Concat_{axis}", n("Concat", "ab", axis=axis), {"a": f32(2, 3), "b": f32(2, 3)}, {"y": F})
case("Concat_string", n("Concat", "abc", axis=1), {"a": text(["a", "b"], 2, 1), "b": text(["c"], 2, 2), "c": text(["d"], 2, 0)}, {"y": S})
case("Concat_unfit", n("Concat", "ab", axis=0), {"a": f32(2, 3), "b": f32(2, 2)}, {"y": F}, free=True)
for axis in (0, 1):
    case(f"Gather_{axis}", n("Gather", "ai", axis=axis), {"a": f32(3, 4), "i": np.array([[0, 2], [-1, 1]], np.int64)}, {"y": F})
case("Gather_scalar", n("Gather", "ai", axis=1), {"a": f32(3, 4), "i": np.array(2, np.int64)}, {"y": F})
case("Gather_string", n("Gather", "ai"), {"a": text(["a", "b", "c"], 5), "i": np.array([4, 0], np.int32)}, {"y": S})
case("Gather_outside", n("Gather", "ai"), {"a": f32(3), "i": np.array([3], np.int64)}, {"y": F})
case("Transpose", n("Transpose", "a"), {"a": f32(2, 3, 4)}, {"y": F})
case("Transpose_perm", n("Transpose", "a", perm=[1, 2, 0]), {"a": f32(2, 3, 4)}, {"y": F})
case("Transpose_int8", n("Transpose", "a", perm=[1, 0]), {"a": i64(-9, 9, 3, 5).astype(np.int8)}, {"y": T.INT8})
for name, s, e, x, st in (("plain", [1, 0], [3, 2], [0, 1], [1, 1]), ("negative", [-3], [-1], [-1], [1]), ("steps", [0], [100], [1], [2]), ("backwards", [-1], [-100], [1], [-1]),
                          ("backwards_two", [4], [0], [1], [-2]), ("nothing", [3], [1], [0], [1]), ("huge", [0], [2**63 - 1], [0], [1])):
    case(f"Slice_{name}", n("Slice", "asext"), {"a": f32(4, 6)}, {"y": F}, init={k: np.array(v, np.int64) for k, v in zip("sext", (s, e, x, st))})
case("Slice_attributes", n("Slice", "a", starts=[1], ends=[3], axes=[1]), {"a": f32(2, 4)}, {"y": F}, opset=9)
case("Split_even", n("Split", "a", ("x", "y"), axis=1, num_outputs=2), {"a": f32(2, 5)}, {"x": F, "y": F})
case("Split_given", n("Split", "as", ("x", "y")), {"a": f32(5, 2)}, {"x": F, "y": F}, init={"s": np.array([1, 4], np.int64)})
case("Split_attribute", n("Split", "a", ("x", "y"), split=[2, 1]), {"a": f32(3, 2)}, {"x": F, "y": F}, opset=11)
case("Expand", n("Expand", "as"), {"a": f32(3, 1)}, {"y": F}, init={"s": np.array([2, 1, 4], np.int64)})

# ---- to fewer ----
for op in ("Sum", "Mean", "Max", "Min", "Prod", "SumSquare", "L1", "L2", "LogSumExp"):
    axes = {"axes": [1]} if op != "Sum" else {}
    init = {"s": np.array([1], np.int64)} if op == "Sum" else {}
    case(f"Reduce{op}", n("Reduce" + op, "as" if init else "a", **axes), {"a": f32(3, 4, 2)}, {"y": F}, opset=13, init=init)
    case(f"Reduce{op}_all", n("Reduce" + op, "a", keepdims=0), {"a": f32(3, 4)}, {"y": F})
    case(f"Reduce{op}_18", n("Reduce" + op, "as", keepdims=0), {"a": R.normal(size=(3, 4, 2))}, {"y": D}, init={"s": np.array([0, -1], np.int64)})
for op in ("Sum", "Max", "Min", "Mean"):
    case(f"Reduce{op}_int32", n("Reduce" + op, "as"), {"a": i64(-9, 9, 3, 4).astype(np.int32)}, {"y": I}, init={"s": np.array([1], np.int64)})
for op in ("Sum", "Max", "Min"):
    case(f"Reduce{op}_int64", n("Reduce" + op, "as"), {"a": i64(-9, 9, 3, 4) + 2**40}, {"y": L}, init={"s": np.array([1], np.int64)})
case("ReduceSum_noop", n("ReduceSum", "a", noop_with_empty_axes=1), {"a": f32(2, 2)}, {"y": F})
for op in ("ArgMax", "ArgMin"):
    case(op, n(op, "a", axis=1), {"a": f32(3, 5)}, {"y": L})
    case(f"{op}_ties", n(op, "a", axis=0, keepdims=0), {"a": i64(0, 2, 6, 4).astype(np.float32)}, {"y": L})
    case(f"{op}_last", n(op, "a", axis=0, select_last_index=1), {"a": i64(0, 2, 6, 4).astype(np.int32)}, {"y": L})
for opset in (12, 13):
    case(f"Softmax_{opset}", n("Softmax", "a"), {"a": 5 * f32(2, 3, 4)}, {"y": F}, opset=opset)
    case(f"LogSoftmax_{opset}", n("LogSoftmax", "a", axis=1), {"a": 5 * f32(2, 3, 4)}, {"y": F}, opset=opset)
case("Softmax_axis_0", n("Softmax", "a", axis=0), {"a": f32(3, 4)}, {"y": F})
case("Softmax_double", n("Softmax", "a"), {"a": R.normal(size=(3, 4)) * 300}, {"y": D})

# ---- products ----
for name, sa, sb in (("plain", (3, 5), (5, 7)), ("vector", (5,), (5, 7)), ("by_vector", (3, 5), (5,)), ("dot", (5,), (5,)), ("batch", (2, 3, 5), (2, 5, 4)), ("repeat", (2, 1, 3, 5), (4, 5, 2)),
                     ("wide", (1, 33), (33, 100)), ("tall", (13, 70), (70, 1)), ("empty", (3, 0), (0, 2)), ("unfit", (3, 4), (5, 2))):
    case(f"MatMul_{name}", n("MatMul", "ab"), {"a": f32(*sa), "b": f32(*sb)}, {"y": F}, free=True)
    if name not in ("empty", "unfit"):
        case(f"MatMul_{name}_constant", n("MatMul", "ab"), {"a": f32(*sa)}, {"y": F}, init={"b": f32(*sb)}, free=True)
case("MatMul_constant_deep", n("MatMul", "ab"), {"a": f32(2, 3, 4, 5)}, {"y": F}, init={"b": f32(5, 6)})
case("MatMul_double", n("MatMul", "ab"), {"a": R.normal(size=(3, 5)), "b": R.normal(size=(5, 2))}, {"y": D})
case("MatMul_int64", n("MatMul", "ab"), {"a": i64(-9, 9, 3, 5), "b": i64(-9, 9, 5, 2)}, {"y": L})
for ta in (0, 1):
    for tb in (0, 1):
        a, b = f32(5, 3) if ta else f32(3, 5), f32(4, 5) if tb else f32(5, 4)
        case(f"Gemm_{ta}{tb}", n("Gemm", "abc", transA=ta, transB=tb, alpha=0.5, beta=2.0), {"a": a, "b": b, "c": f32(4)}, {"y": F})
        case(f"Gemm_{ta}{tb}_constant", n("Gemm", "abc", transA=ta, transB=tb, alpha=0.5, beta=2.0), {"a": a}, {"y": F}, init={"b": b, "c": f32(4)})
case("Gemm_no_c", n("Gemm", "ab"), {"a": f32(2, 3), "b": f32(3, 2)}, {"y": F})
case("Gemm_column", n("Gemm", "abc"), {"a": f32(2, 3)}, {"y": F}, init={"b": f32(3, 2), "c": f32(2, 1)})
case("Gemm_scalar", n("Gemm", "abc"), {"a": f32(2, 3)}, {"y": F}, init={"b": f32(3, 2), "c": np.array(0.5, np.float32)})
case("Gemm_double", n("Gemm", "abc", transB=1), {"a": R.normal(size=(2, 3)), "b": R.normal(size=(4, 3)), "c": R.normal(size=4)}, {"y": D})
case("BatchNormalization", n("BatchNormalization", "asbmv"), {"a": f32(3, 4)}, {"y": F}, init={"s": f32(4), "b": f32(4), "m": f32(4), "v": np.abs(f32(4))}, opset=15)

# two nodes that our executor joins, and ones that it must not
w, c1, c2 = f32(5, 7), f32(7), f32(1, 7)
mm = n("MatMul", "aw", ("m",))
case("join_MatMul_Add_Relu", [mm, n("Add", "mc", ("s",)), n("Relu", "s")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c1})
case("join_MatMul_Add_row", [mm, n("Add", "cm")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c2})
case("join_MatMul_vector_Add_row", [mm, n("Add", "mc")], {"a": f32(5)}, {"y": F}, init={"w": w, "c": c2})
case("join_MatMul_vector_Add", [mm, n("Add", "mc")], {"a": f32(5)}, {"y": F}, init={"w": w, "c": c1})
case("join_MatMul_batch_Add_Relu", [mm, n("Add", "mc", ("s",)), n("Relu", "s")], {"a": f32(2, 3, 5)}, {"y": F}, init={"w": w, "c": c2})
case("join_MatMul_Relu_Add", [mm, n("Relu", "m", ("r",)), n("Add", "rc")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c1})
case("join_MatMul_Add_Add", [mm, n("Add", "mc", ("s",)), n("Add", "sc")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c1})
case("join_not_twice_used", [mm, n("Relu", "m", ("r",)), n("Sub", "rm")], {"a": f32(4, 5)}, {"y": F}, init={"w": w})
case("join_not_output", [mm, n("Relu", "m")], {"a": f32(4, 5)}, {"m": F, "y": F}, init={"w": w})
case("join_not_itself", [mm, n("Add", "mm")], {"a": f32(4, 5)}, {"y": F}, init={"w": w})
case("join_not_variable", [mm, n("Add", "mb")], {"a": f32(4, 5), "b": f32(7)}, {"y": F}, init={"w": w})
case("join_Gemm_Relu", [n("Gemm", "awc", ("m",)), n("Relu", "m")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c1})
case("join_Gemm_column_Relu", [n("Gemm", "awc", ("m",)), n("Relu", "m")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": f32(4, 1)})
case("join_Gemm_variable_Relu", [n("Gemm", "awc", ("m",)), n("Relu", "m")], {"a": f32(4, 5), "c": f32(7)}, {"y": F}, init={"w": w})
case("join_Gemm_Add_Relu", [n("Gemm", "aw", ("m",)), n("Add", "mc", ("s",)), n("Relu", "s")], {"a": f32(4, 5)}, {"y": F}, init={"w": w, "c": c1})
case("join_narrow", [n("Gemm", "awc", ("m",)), n("Relu", "m")], {"a": f32(9, 33)}, {"y": F}, init={"w": f32(33, 1), "c": f32(1)})

# ---- types ----
numbers = {F: np.array([-3.7, -0.5, 0, 2.5, 300.25, 65504], np.float32), D: np.array([-3.7, 0, 1e15, 1 / 3]), I: np.array([-5, 0, 70000], np.int32), L: np.array([-5, 0, 2**40], np.int64),
           B: np.array([True, False]), T.UINT8: np.array([0, 200], np.uint8), T.INT8: np.array([-7, 7], np.int8), T.FLOAT16: np.array([-1.5, 0.1], np.float16),
           T.UINT32: np.array([0, 2**32 - 1], np.uint32), T.UINT64: np.array([0, 2**63], np.uint64), T.INT16: np.array([-300, 300], np.int16), T.UINT16: np.array([0, 65535], np.uint16)}
for a, v in numbers.items():
    for b in numbers:
        if a != b and not (b in (T.UINT8, T.INT8, T.UINT16, T.INT16, T.UINT32, T.UINT64, T.FLOAT16, I, L) and (v.astype(np.float64) < 0).any() and b in (T.UINT8, T.UINT16, T.UINT32, T.UINT64)) \
                and not (a in (F, D, I, L, T.UINT32, T.UINT64, T.UINT16, T.INT16) and b in (T.UINT8, T.INT8, T.FLOAT16, T.INT16, T.UINT16)) and not (a in (D, T.UINT64) and b in (I, L)):
            case(f"Cast_{T.DataType.Name(a)}_{T.DataType.Name(b)}", n("Cast", "a", to=b), {"a": v}, {"y": b})
for b in (F, D, I, L):
    case(f"Cast_STRING_{T.DataType.Name(b)}", n("Cast", "a", to=b), {"a": np.array(["12", "-7", "0"], object)}, {"y": b})
    case(f"Cast_bad_STRING_{T.DataType.Name(b)}", n("Cast", "a", to=b), {"a": np.array(["twelve"], object)}, {"y": b})
for a in (F, D, I, L):
    case(f"Cast_{T.DataType.Name(a)}_STRING", n("Cast", "a", to=S), {"a": numbers[a]}, {"y": S})
case("CastLike", n("CastLike", "ab"), {"a": numbers[L], "b": f32(1)}, {"y": F})

# ---- preparing columns ----
hole = np.array([[1, np.nan, 3], [np.nan, 5, 6]], np.float32)
case("Imputer", n("Imputer", "a", domain=ML, imputed_value_floats=[10.0, 20.0, 30.0], replaced_value_float=float("nan")), {"a": hole}, {"y": F})
case("Imputer_one", n("Imputer", "a", domain=ML, imputed_value_floats=[9.0], replaced_value_float=5.0), {"a": hole}, {"y": F})
case("Imputer_int64", n("Imputer", "a", domain=ML, imputed_value_int64s=[7, 8], replaced_value_int64=-1), {"a": np.array([[-1, 2], [3, -1]], np.int64)}, {"y": L})
case("Scaler", n("Scaler", "a", domain=ML, offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, 1.0]), {"a": f32(4, 3)}, {"y": F})
case("Scaler_one", n("Scaler", "a", domain=ML, offset=[1.0], scale=[0.5]), {"a": i64(0, 9, 4, 3)}, {"y": F})
for norm in ("MAX", "L1", "L2"):
    case(f"Normalizer_{norm}", n("Normalizer", "a", domain=ML, norm=norm), {"a": np.vstack([np.abs(f32(3, 4)), np.zeros((1, 4), np.float32)])}, {"y": F})
case("Binarizer", n("Binarizer", "a", domain=ML, threshold=0.25), {"a": edge}, {"y": F})
case("FeatureVectorizer", n("FeatureVectorizer", "ab", domain=ML, inputdimensions=[2, 3]), {"a": f32(4, 2), "b": f32(4, 3)}, {"y": F})
case("ArrayFeatureExtractor", n("ArrayFeatureExtractor", "ai", domain=ML), {"a": f32(3, 4)}, {"y": F}, init={"i": np.array([2, 0], np.int64)})
case("ArrayFeatureExtractor_vector", n("ArrayFeatureExtractor", "ai", domain=ML), {"a": text(["a", "b", "c"], 4)}, {"y": S}, init={"i": np.array([3, 3, 0], np.int64)})
case("OneHotEncoder_int64", n("OneHotEncoder", "a", domain=ML, cats_int64s=[1, 5, 9]), {"a": np.array([[5, 9], [7, 1]], np.int64)}, {"y": F})
case("OneHotEncoder_float", n("OneHotEncoder", "a", domain=ML, cats_int64s=[1, 5, 9]), {"a": np.array([[5, 9.5], [7, 1]], np.float32)}, {"y": F})
case("OneHotEncoder_string", n("OneHotEncoder", "a", domain=ML, cats_strings=["x", "", "long one"]), {"a": np.array(["", "long one", "z", "x"], object)}, {"y": F})
case("OneHotEncoder_strict", n("OneHotEncoder", "a", domain=ML, cats_strings=["x"], zeros=0), {"a": np.array(["q"], object)}, {"y": F})
case("LabelEncoder_string_int64", n("LabelEncoder", "a", domain=ML, keys_strings=["a", "b"], values_int64s=[7, 8], default_int64=-5), {"a": np.array(["b", "c", "a"], object)}, {"y": L}, ml=2)
case("LabelEncoder_int64_string", n("LabelEncoder", "a", domain=ML, keys_int64s=[3, 4], values_strings=["x", "y"]), {"a": np.array([[4, 9]], np.int64)}, {"y": S}, ml=2)
case("LabelEncoder_float_float", n("LabelEncoder", "a", domain=ML, keys_floats=[1.5, float("nan")], values_floats=[0.5, 2.0], default_float=9.0), {"a": np.array([1.5, 2.5, np.nan], np.float32)}, {"y": F}, ml=2)
case("LabelEncoder_nan", n("LabelEncoder", "a", domain=ML, keys_floats=[1.5, float("nan")], values_floats=[0.5, 2.0], default_float=9.0), {"a": np.array([1.5, 2.5, np.nan], np.float32)}, {"y": F}, ml=4)
case("LabelEncoder_string_float", n("LabelEncoder", "a", domain=ML, keys_strings=["a", "b"], values_floats=[0.5, 2.0]), {"a": np.array(["b", "?"], object)}, {"y": F}, ml=2)
case("LabelEncoder_1", n("LabelEncoder", "a", domain=ML, classes_strings=["no", "yes"], default_int64=-3), {"a": np.array(["yes", "what", "no"], object)}, {"y": L}, ml=1)
case("LabelEncoder_1_back", n("LabelEncoder", "a", domain=ML, classes_strings=["no", "yes"], default_string="?"), {"a": np.array([1, 0, 7], np.int64)}, {"y": S}, ml=1)

# ---- learners ----
X = f32(6, 3)
for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
    if post != "PROBIT":
        case(f"LinearClassifier_1_{post}", n("LinearClassifier", "x", ("l", "s"), domain=ML, coefficients=[1.0, -0.5, 0.25], intercepts=[0.1], classlabels_ints=[0, 1], post_transform=post), {"x": X}, {"l": L, "s": F})
    case(f"LinearClassifier_3_{post}", n("LinearClassifier", "x", ("l", "s"), domain=ML, coefficients=list(map(float, f32(9))), intercepts=[0.1, 0.5, 0.3], classlabels_strings=["a", "b", "c"], post_transform=post),
         {"x": X}, {"l": S, "s": F})
    case(f"LinearRegressor_{post}", n("LinearRegressor", "x", domain=ML, coefficients=list(map(float, f32(6))), intercepts=[0.1, 0.5], targets=2, post_transform=post), {"x": np.abs(X) / 9}, {"y": F})
case("LinearClassifier_int64", n("LinearClassifier", "x", ("l", "s"), domain=ML, coefficients=[1.0, -0.5, 0.25, 0.5], intercepts=[0.1, 0.2], classlabels_ints=[4, 9], post_transform="LOGISTIC"), {"x": i64(-3, 3, 5, 2)}, {"l": L, "s": F})
case("LinearRegressor_1", n("LinearRegressor", "x", domain=ML, coefficients=[1.0, 2.0, 3.0], intercepts=[0.5]), {"x": X}, {"y": F})


for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
    svm = dict(kernel_type=kernel, kernel_params=[0.5, 0.25, 3.0], support_vectors=list(map(float, f32(21))), rho=[0.1, -0.2, 0.3])
    case(f"SVMRegressor_{kernel}", n("SVMRegressor", "x", domain=ML, n_supports=7, coefficients=list(map(float, f32(7))), **svm), {"x": X}, {"y": F})
    for prob in (False, True):
        more = dict(prob_a=[-1.0, -1.5, -0.5], prob_b=[0.1, 0.0, -0.1]) if prob else {}
        case(f"SVMClassifier_3_{kernel}_{prob}", n("SVMClassifier", "x", ("l", "s"), domain=ML, vectors_per_class=[2, 3, 2], classlabels_strings=["a", "b", "c"], coefficients=list(map(float, f32(14))), **svm, **more), {"x": X}, {"l": S, "s": F})
        svm2, more2 = dict(svm, rho=[0.1]), dict(prob_a=[-1.0], prob_b=[0.1]) if prob else {}
        case(f"SVMClassifier_2_{kernel}_{prob}", n("SVMClassifier", "x", ("l", "s"), domain=ML, vectors_per_class=[3, 4], classlabels_ints=[4, 9], coefficients=list(map(float, f32(7))), **svm2, **more2), {"x": X}, {"l": L, "s": F})
case("SVMRegressor_one_class", n("SVMRegressor", "x", domain=ML, n_supports=7, coefficients=list(map(float, f32(7))), one_class=1, **svm), {"x": X}, {"y": F})


def tree(ntrees, depth, modes, rng):
    """Parallel lists of complete trees."""
    t = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = []
    for k in range(ntrees):
        inner = 2 ** depth - 1
        for i in range(2 * inner + 1):
            leaf = i >= inner
            for key, v in (("treeids", k), ("nodeids", i), ("featureids", 0 if leaf else int(rng.integers(0, 3))), ("modes", "LEAF" if leaf else str(rng.choice(modes))),
                           ("values", 0.0 if leaf else float(np.float32(np.round(rng.normal(), 1)))), ("truenodeids", 0 if leaf else 2 * i + 1), ("falsenodeids", 0 if leaf else 2 * i + 2),
                           ("missing_value_tracks_true", int(rng.integers(0, 2)))):
                t[key].append(v)
            if leaf:
                leaves.append((k, i))
    return {"nodes_" + k: v for k, v in t.items()}, leaves


def leaf_lists(prefix, leaves, ids, low=-1.0):
    out = {f"{prefix}_treeids": [], f"{prefix}_nodeids": [], f"{prefix}_ids": [], f"{prefix}_weights": []}
    for k, i in leaves:
        for c in ids(k):
            for key, v in zip(out, (k, i, c, float(np.float32(R.uniform(low, 1.0))))):
                out[key].append(v)
    return out


XT = np.round(f32(20, 3), 1)
XN = XT.copy()
XN[::3, 1] = np.nan
for modes in (["BRANCH_LEQ"], ["BRANCH_LT"], ["BRANCH_GT"], ["BRANCH_GTE"], ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"]):
    nodes, leaves = tree(3, 3, modes, R)
    name = "mixed" if len(modes) > 1 else modes[0][7:]
    case(f"TreeEnsembleRegressor_{name}", n("TreeEnsembleRegressor", "x", domain=ML, n_targets=1, **nodes, **leaf_lists("target", leaves, lambda k: [0])), {"x": XN}, {"y": F})
nodes, leaves = tree(4, 2, ["BRANCH_LEQ"], R)
for agg in ("SUM", "AVERAGE"):
    case(f"TreeEnsembleRegressor_{agg}_two", n("TreeEnsembleRegressor", "x", domain=ML, n_targets=2, aggregate_function=agg, base_values=[0.5, -1.0], **nodes, **leaf_lists("target", leaves, lambda k: [0, 1])), {"x": XT}, {"y": F})
    case(f"TreeEnsembleRegressor_{agg}_base", n("TreeEnsembleRegressor", "x", domain=ML, n_targets=1, aggregate_function=agg, base_values=[0.5], **nodes, **leaf_lists("target", leaves, lambda k: [0])), {"x": XT}, {"y": F})
for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
    for low in (-1.0, 0.0):
        for ids, what in (([0], "0"), ([1], "1"), ([0, 1], "01")):
            for base in (None, [0.1], [0.1, 0.3]):
                more = {"base_values": base} if base else {}
                case(f"TreeEnsembleClassifier_2_{post}_{'mixed' if low < 0 else 'positive'}_{what}_{len(base or [])}",
                     n("TreeEnsembleClassifier", "x", ("l", "s"), domain=ML, classlabels_int64s=[0, 1] if len(ids) == 2 else [5, 6], post_transform=post, **more, **nodes, **leaf_lists("class", leaves, lambda k: ids, low)), {"x": XT}, {"l": L, "s": F})
    case(f"TreeEnsembleClassifier_4_{post}", n("TreeEnsembleClassifier", "x", ("l", "s"), domain=ML, classlabels_strings=["a", "b", "c", "d"], post_transform=post, base_values=[0.0, 0.1, 0.2, 0.3], **nodes,
                                               **leaf_lists("class", leaves, lambda k: [k])), {"x": XT}, {"l": S, "s": F})
    case(f"TreeEnsembleClassifier_3_{post}", n("TreeEnsembleClassifier", "x", ("l", "s"), domain=ML, classlabels_int64s=[0, 1, 2], post_transform=post, **nodes, **leaf_lists("class", leaves, lambda k: [0, 1, 2], 0.0)),
         {"x": XT}, {"l": L, "s": F})

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx", "ops.bin"), "wb") as f:
    f.write(b"".join(cases))
print(len(cases), "cases,", sum(map(len, cases)), "bytes, ONNX Runtime", ort.__version__, "onnx", onnx.__version__)
