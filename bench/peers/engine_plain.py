"""plain.c at -O3 and at -O3 -ffast-math. One thread, f32, contiguous tensors."""
import ctypes as C
import os

import numpy as np

from engine import Missing, Prepared, Unfit

NAMES = ("plain C -O3", "plain C -O3 -ffast-math")
FILES = {NAMES[0]: "plain", NAMES[1]: "plain-fast"}
MOST = 20e9  # flops; at a few GFLOP/s a longer row would hold up everyone else
libraries, threads = {}, 1


def start(settings):
    global threads
    threads = settings.threads
    for name, file in FILES.items():
        path = os.path.join(settings.peers, "lib", "%s-%s.so" % (file, settings.isa))
        if not os.path.exists(path):
            raise Missing("%s: run bench/peers/run --install" % path)
        libraries[name] = C.CDLL(path)
        libraries[name].plain_attention.argtypes = [C.c_void_p] * 6 + [C.c_long] * 7 + [C.c_int, C.c_float]


def version():
    return "C compiler of the build"


def prepare(name, case):
    row = case.row
    if row.dtype != "f32" or row.layout != "bhld" or threads != 1:
        raise Unfit("f32, contiguous, one thread only")
    if row.mask not in ("none", "causal"):
        raise Unfit("no sparse masks")
    if 2 * row.lq * row.lk * (row.d + row.dv) * row.hq * row.batch > MOST:
        raise Unfit("too slow for this row")
    output, scores = case.output(), np.empty(row.lk, np.float32)
    attend = libraries[name].plain_attention
    bias = case.bias.ctypes.data if case.bias is not None else None
    given = (case.q.ctypes.data, case.k.ctypes.data, case.v.ctypes.data, bias, output.ctypes.data, scores.ctypes.data,
             row.batch * row.hq, row.hq // row.hkv, row.lq, row.lk, row.d, row.dv, row.hq, int(row.mask == "causal"),
             row.factor)
    return Prepared(lambda: attend(*given), lambda: output, keep=(scores,))
