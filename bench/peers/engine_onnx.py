"""ONNX Runtime: the standard Attention (opset 23), and the two contributed operators, MultiHeadAttention and
GroupQueryAttention (causal; keys and values live in a cache that the call appends to). Inputs and outputs are bound to
memory once, nothing is copied in the timed part."""
import numpy as np

from engine import Missing, Prepared, Unfit

NAMES = ("onnxruntime Attention-23", "onnxruntime MHA", "onnxruntime GQA")
ort = onnx = None
threads = 1


def start(settings):
    global ort, onnx, threads
    if settings.isa != "best":
        raise Missing("onnxruntime cannot be held to an instruction set; --isa avx2 leaves it out")
    try:
        import onnx as onnx_module
        import onnxruntime as ort_module
    except ImportError as e:
        raise Missing("onnxruntime: %s" % e) from None
    ort, onnx, threads = ort_module, onnx_module, settings.threads
    ort.set_default_logger_severity(4)


def version():
    return ort.__version__


class Graph:
    """One operator as a model; inputs by name in order, empty names for optional ones left out."""

    def __init__(self, operator, domain, opset, attributes, dtype):
        self.operator, self.domain, self.opset, self.attributes = operator, domain, opset, attributes
        self.inputs, self.arrays, self.infos = [], {}, {}
        self.dtype = dtype

    def take(self, name, array):
        if array is not None:
            self.inputs.append(name)
            self.arrays[name] = array
        else:
            self.inputs.append("")

    def bind(self, outputs):
        """outputs: [(name, array or name of the input whose memory it shares)] -> (run, values kept alive)."""
        info, types = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype
        inputs = [info(n, types(a.dtype), a.shape) for n, a in self.arrays.items()]
        arrays = [(n, self.arrays[a] if isinstance(a, str) else a) for n, a in outputs]
        node = onnx.helper.make_node(self.operator, self.inputs, [n for n, _ in outputs], domain=self.domain, **self.attributes)
        graph = onnx.helper.make_graph([node], "row", inputs, [info(n, types(a.dtype), a.shape) for n, a in arrays])
        opsets = [onnx.helper.make_opsetid("", self.opset)]
        opsets += [onnx.helper.make_opsetid(self.domain, 1)] if self.domain else []
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as e:
            raise Unfit("refused: %s" % str(e).strip().splitlines()[0][:120]) from None
        binding = session.io_binding()
        values = {n: ort.OrtValue.ortvalue_from_numpy(a) for n, a in self.arrays.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        for name, array in outputs:
            values[name + "_out"] = value = values[array] if isinstance(array, str) else ort.OrtValue.ortvalue_from_numpy(array)
            binding.bind_ortvalue_output(name, value)
        run = session.run_with_iobinding
        addresses = [(v.data_ptr(), a.nbytes) for n, a in self.arrays.items() for v in [values[n]]]
        return (lambda: run(binding)), values, addresses


def flat(x):
    """[b, h, l, d] as contiguous [b, l, h d]: the order these operators take."""
    b, h, n, d = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(b, n, h * d)


def unflat(x, heads):
    b, n, width = x.shape
    return x.reshape(b, n, heads, width // heads).transpose(0, 2, 1, 3)


def scores_added(case):
    """Mask and bias as one additive tensor of the row's type, or None."""
    row = case.row
    dtype = np.float16 if row.dtype == "f16" else np.float32
    added = None if row.mask in ("none", "causal") else case.additive(dtype)
    if case.bias is not None:
        added = case.bias.astype(dtype) + (0 if added is None else added)
    return added


def standard(case):
    row = case.row
    causal = row.mask == "causal" and row.lq > 1
    if causal and row.lq != row.lk:
        raise Unfit("is_causal counts from the first key")
    attributes = {"is_causal": int(causal), "scale": row.factor}
    q, k, v = case.q, case.k, case.v
    out = np.empty((row.batch, row.hq, row.lq, row.dv), q.dtype)
    if row.layout == "blhd":  # its three-dimensional form takes the heads interleaved
        attributes.update(q_num_heads=row.hq, kv_num_heads=row.hkv)
        q, k, v = (flat(x) for x in (q, k, v))
        out = np.empty((row.batch, row.lq, row.hq * row.dv), q.dtype)
    graph = Graph("Attention", "", 23, attributes, q.dtype)
    for name, x in (("q", q), ("k", k), ("v", v), ("mask", scores_added(case))):
        graph.take(name, x)
    while not graph.inputs[-1]:
        graph.inputs.pop()
    run, values, private = graph.bind([("o", out)])
    shaped = (lambda x: unflat(x, row.hq)) if row.layout == "blhd" else (lambda x: x)
    return Prepared(run, lambda: shaped(values["o_out"].numpy()), private=tuple(private), keep=(values,),
                    note="mask tensor" if row.mask not in ("none", "causal") else "")


def multi_head(case):
    row = case.row
    if row.hq != row.hkv or row.decode:
        raise Unfit("as many key heads as query heads, no decoding")
    causal = row.mask == "causal"
    attributes = {"num_heads": row.hq, "unidirectional": int(causal), "scale": row.factor}
    q, k, v = flat(case.q), flat(case.k), flat(case.v)
    graph = Graph("MultiHeadAttention", "com.microsoft", 17, attributes, q.dtype)
    added = scores_added(case)
    added = None if added is None else added.reshape((1,) * (4 - added.ndim) + added.shape)
    for name, x in (("q", q), ("k", k), ("v", v), ("", None), ("", None), ("added", added)):
        graph.take(name, x)
    while not graph.inputs[-1]:
        graph.inputs.pop()
    out = np.empty((row.batch, row.lq, row.hq * row.dv), q.dtype)
    run, values, _ = graph.bind([("o", out)])
    return Prepared(run, lambda: unflat(values["o_out"].numpy(), row.hq), keep=(values,),
                    note="mask tensor" if row.mask not in ("none", "causal") else "")


def grouped(case):
    row = case.row
    if row.d != row.dv or row.bias != "-" or row.mask not in ("causal", "window") and row.lq > 1 or 1 < row.lq < row.lk:
        raise Unfit("causal, without bias, d = dv only")
    attributes = {"num_heads": row.hq, "kv_num_heads": row.hkv, "scale": row.factor}
    if row.mask == "window":
        attributes["local_window_size"] = row.arg
    q = flat(case.q)
    fresh = slice(row.lk - row.lq, row.lk)  # the tokens that this call appends
    graph = Graph("GroupQueryAttention", "com.microsoft", 17, attributes, q.dtype)
    graph.take("q", q)
    graph.take("k", flat(case.k[:, :, fresh]))
    graph.take("v", flat(case.v[:, :, fresh]))
    graph.take("past_k", np.ascontiguousarray(case.k))
    graph.take("past_v", np.ascontiguousarray(case.v))
    graph.take("seqlens", np.full(row.batch, row.lk - 1, np.int32))
    graph.take("total", np.array([row.lk], np.int32))
    out = np.empty((row.batch, row.lq, row.hq * row.dv), q.dtype)
    run, values, private = graph.bind([("o", out), ("present_k", "past_k"), ("present_v", "past_v")])
    return Prepared(run, lambda: unflat(values["o_out"].numpy(), row.hq), private=tuple(private), keep=(values,))


WAYS = dict(zip(NAMES, (standard, multi_head, grouped)))


def prepare(name, case):
    if case.row.dtype == "bf16":
        raise Unfit("no bf16 kernels on CPUs")
    return WAYS[name](case)
