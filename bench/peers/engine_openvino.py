"""OpenVINO: ScaledDotProductAttention as a model of its own, and for decoding the stateful form (keys and values are
variables of the model, one token is appended per call), which is the path its documentation means for decoding.

INFERENCE_PRECISION_HINT is always set: an f32 model would otherwise run in bf16 without a word."""
import numpy as np

from engine import Missing, Prepared, Unfit
from inputs import from_bf16

NAMES = ("OpenVINO SDPA", "OpenVINO stateful")
ov = ops = core = None
threads = 1


def start(settings):
    global ov, ops, core, threads
    if settings.isa != "best":
        raise Missing("openvino is not held to an instruction set; --isa avx2 leaves it out")
    try:
        import openvino as module
        import openvino.opset13 as operators
    except ImportError as e:
        raise Missing("openvino: %s" % e) from None
    ov, ops, threads = module, operators, settings.threads
    core = ov.Core()


def version():
    return ov.__version__


def type_of(dtype):
    return {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}[dtype]


def tensor(x):
    """A tensor on the same memory; contiguous arrays only."""
    if x.dtype == np.uint16:
        return ov.Tensor(x, ov.Shape(list(x.shape)), ov.Type.bf16)
    return ov.Tensor(x, shared_memory=True)


def floats(t, dtype):
    if dtype == "bf16":
        return from_bf16(t.data.view(np.uint16))  # numpy has no bfloat16: data comes as another two-byte type
    return np.array(t.data)


def compiled(model, dtype, **more):
    settings = {"INFERENCE_PRECISION_HINT": dtype, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, **more}
    try:
        return core.compile_model(model, "CPU", settings)
    except Exception as e:
        raise Unfit("refused: %s" % str(e).strip().splitlines()[-1][:120]) from None


def scale_input(row):
    return ops.constant(np.array(row.factor, np.float32))


def attend(q, k, v, mask, row, causal):
    scale = ops.convert(scale_input(row), q.get_output_element_type(0).get_type_name())
    if mask is None and not row.scale:
        return ops.scaled_dot_product_attention(q, k, v, causal=causal)
    if mask is None:
        mask = ops.convert(ops.constant(np.zeros((1, 1), np.float32)), q.get_output_element_type(0).get_type_name())
    return ops.scaled_dot_product_attention(q, k, v, mask, scale, causal)


def plain(case):
    row = case.row
    if row.decode and row.lk > 4096:
        raise Unfit("one reading at lk = 4096 is enough: not its path for decoding")
    q, k, v = case.q, case.k, case.v
    group = row.hq // row.hkv
    if row.lq == 1:
        q = q.reshape(row.batch, row.hkv, group, row.d)
    causal = row.mask == "causal" and row.lq > 1
    if causal and row.lq != row.lk:
        raise Unfit("causal counts from the first key")
    added = None if row.mask in ("none", "causal") else case.additive()[None, None]
    if case.bias is not None:
        added = case.bias[None] + (0 if added is None else added)
    element = type_of(row.dtype)
    swap = ops.constant(np.array([0, 2, 1, 3], np.int64))
    if row.layout == "blhd":  # the heads are interleaved in memory: the model swaps axes, as models do
        q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
    parameters = [ops.parameter(list(x.shape), element) for x in (q, k, v)]
    inner = [ops.transpose(p, swap) for p in parameters] if row.layout == "blhd" else list(parameters)
    if row.lq > 1:
        inner[1:] = [repeated(x, row, d) for x, d in zip(inner[1:], (row.d, row.dv))]
    mask = None
    if added is not None:
        parameters.append(ops.parameter(list(added.shape), ov.Type.f32))
        mask = ops.convert(parameters[-1], element.get_type_name()) if row.dtype != "f32" else parameters[-1]
    result = attend(*inner, mask, row, causal)
    model = ov.Model([ops.transpose(result, swap) if row.layout == "blhd" else result], parameters)
    program = compiled(model, row.dtype)
    request = program.create_infer_request()
    tensors = [tensor(x) for x in (q, k, v)] + ([] if added is None else [ov.Tensor(np.ascontiguousarray(added, np.float32))])
    for i, t in enumerate(tensors):
        request.set_input_tensor(i, t)
    run = request.infer
    shape = (row.batch, row.hq, row.lq, row.dv)

    def output():
        found = floats(request.get_output_tensor(0), row.dtype)
        return found.transpose(0, 2, 1, 3) if row.layout == "blhd" else found.reshape(shape)

    return Prepared(lambda: run(share_outputs=True), output,
                    note="%s compute%s" % (row.dtype, ", mask tensor" if added is not None and row.mask != "none" else ""),
                    private=tuple((x.ctypes.data, x.nbytes) for x in (q, k, v)), keep=(tensors, q, k, v, added, program))


def state(name, fresh, beam, element, heads, d):
    """ReadValue, reordering of beams, append, Assign: the chain that the CPU plugin turns into its cache."""
    shape = ov.PartialShape([-1, heads, -1, d])
    empty = ops.constant(np.zeros((1, heads, 0, d), np.float32))
    if element != ov.Type.f32:
        empty = ops.convert(empty, element.get_type_name())
    info = ov.op.util.VariableInfo()
    info.data_shape, info.data_type, info.variable_id = shape, element, name
    variable = ov.op.util.Variable(info)
    past = ov.opset6.read_value(empty, variable)
    ordered = ops.gather(past, beam, ops.constant(np.array(0, np.int32)))
    whole = ops.concat([ordered, fresh], 2)
    return whole, ov.opset6.assign(whole, variable)


def repeated(x, row, d):
    group = row.hq // row.hkv
    if group == 1:
        return x
    wide = ops.broadcast(ops.unsqueeze(x, ops.constant(np.array([2], np.int32))),
                         ops.constant(np.array([1, 1, group, 1, 1], np.int64)),
                         broadcast_spec="BIDIRECTIONAL")
    return ops.reshape(wide, ops.constant(np.array([0, row.hq, -1, d], np.int64)), True)


def stateful(case):
    row = case.row
    if row.lq != 1 or row.batch != 1 or row.bias != "-" or row.lk < 1024:
        raise Unfit("decoding one token only")
    compute = "bf16" if row.dtype == "bf16" else "f32"  # f16 keys and values are widened, as its default is on this path
    element = ov.Type.f32
    q, k, v = (ops.parameter([-1, h, -1, d], element) for h, d in ((row.hq, row.d), (row.hkv, row.d), (row.hkv, row.dv)))
    beam = ops.parameter([-1], ov.Type.i32)
    keys, keep_k = state("k", k, beam, element, row.hkv, row.d)
    values, keep_v = state("v", v, beam, element, row.hkv, row.dv)
    out = ops.scaled_dot_product_attention(q, repeated(keys, row, row.d), repeated(values, row, row.dv), causal=False)
    model = ov.Model([ops.result(out)], [keep_k, keep_v], [q, k, v, beam])
    program = compiled(model, compute, KV_CACHE_PRECISION=row.dtype)
    request = program.create_infer_request()
    as32 = [from_bf16(x) if x.dtype == np.uint16 else np.ascontiguousarray(x, np.float32) for x in (case.q, case.k, case.v)]
    past = row.lk - 1
    for s in request.query_state():
        source = as32[1] if s.name.startswith("k") else as32[2]
        s.state = ov.Tensor(np.ascontiguousarray(source[:, :, :past]))
    fresh = [as32[0]] + [np.ascontiguousarray(x[:, :, past:]) for x in as32[1:]] + [np.zeros(1, np.int32)]
    tensors = [ov.Tensor(x) for x in fresh]
    for i, t in enumerate(tensors):
        request.set_input_tensor(i, t)
    run = request.infer
    run(share_outputs=True)
    first = np.array(request.get_output_tensor(0).data)  # the answer for lk keys; every further call appends one more
    return Prepared(lambda: run(share_outputs=True), lambda: first, hidden=True, keep=(tensors, fresh, program),
                    note="%s compute, %s cache, one key more per call" % (compute, row.dtype))


WAYS = dict(zip(NAMES, (plain, stateful)))


def prepare(name, case):
    return WAYS[name](case)
