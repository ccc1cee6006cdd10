"""ggml's flash_attn_ext, called through ggml_shim.c. Queries are float there whatever the keys are; masks and biases are f16."""
import ctypes as C
import os

import numpy as np

from engine import Missing, Prepared
from inputs import aligned, as_float

NAMES = ("ggml flash_attn_ext",)
TYPE = {"f32": 0, "f16": 1, "bf16": 30}  # enum ggml_type
library, threads, built = None, 1, ""


def start(settings):
    global library, threads, built
    path = os.path.join(settings.peers, "lib", "ggml_shim.so")
    if not os.path.exists(path):
        raise Missing("%s: run bench/peers/run --install" % path)
    if settings.isa != "best":
        raise Missing("ggml is built for this machine's own instruction set; --isa avx2 leaves it out")
    library, threads = C.CDLL(path), settings.threads
    library.peer_ggml_create.restype = C.c_void_p
    library.peer_ggml_create.argtypes = [C.c_void_p]
    library.peer_ggml_run.argtypes = library.peer_ggml_destroy.argtypes = [C.c_void_p]
    library.peer_ggml_version.restype = C.c_char_p


def version():
    return library.peer_ggml_version().decode()


class Call(C.Structure):
    _fields_ = [(n, C.c_void_p) for n in ("q", "k", "v", "mask", "o")] + [
        (n, C.c_int64) for n in ("batch", "hq", "hkv", "lq", "lk", "d", "dv")] + [
        (n, C.c_int64 * 3) for n in ("q_stride", "k_stride", "v_stride")] + [
        (n, C.c_int64) for n in ("mask_heads",)] + [("type", C.c_int), ("threads", C.c_int), ("scale", C.c_float)]


class Graph:
    def __init__(self, call):
        self.graph = library.peer_ggml_create(C.addressof(call))
        if not self.graph:
            raise RuntimeError("ggml_shim.c could not make its graph")

    def __del__(self):
        library.peer_ggml_destroy(self.graph)


def prepare(name, case):
    row = case.row
    q = as_float(case.q) if row.dtype != "f32" else case.q
    mask = None
    if row.mask != "none" and row.lq > 1:
        mask = case.additive(np.float16)[None]
    if case.bias is not None:
        mask = case.bias.astype(np.float16) + (0 if mask is None else mask)
    if mask is not None:
        kept = aligned(mask.shape, np.float16)
        kept[...] = mask
        mask = kept
    output = aligned((row.batch, row.lq, row.hq, row.dv), np.float32)  # the only order it writes
    call = Call(q.ctypes.data, case.k.ctypes.data, case.v.ctypes.data, mask.ctypes.data if mask is not None else None,
                output.ctypes.data, row.batch, row.hq, row.hkv, row.lq, row.lk, row.d, row.dv, type=TYPE[row.dtype],
                threads=threads, scale=row.factor, mask_heads=1 if mask is None else mask.shape[0])
    for field, x in (("q_stride", q), ("k_stride", case.k), ("v_stride", case.v)):
        getattr(call, field)[:] = x.strides[:3]
    graph = Graph(call)
    run, handle = library.peer_ggml_run, graph.graph

    def timed():
        run(handle)
    return Prepared(timed, lambda: output.transpose(0, 2, 1, 3), keep=(graph, q, mask, call))
