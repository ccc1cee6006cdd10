"""OpenBLAS, the one inside numpy's package: two bare products, and products with numpy's softmax between, head by head."""
import numpy as np

from engine import Prepared, Unfit

NAMES = ("two GEMMs, OpenBLAS", "numpy unfused by head")


def start(settings):
    """Threads and kernels were set by the environment before numpy was loaded: worker.py."""


def version():
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return "numpy %s, %s %s" % (np.__version__, blas.get("name"), blas.get("version"))


def prepare(name, case):
    row = case.row
    if row.dtype != "f32" or row.batch * row.hq > 512:
        raise Unfit("f32 only, at most 512 heads")
    group = row.hq // row.hkv
    heads = [(b, h, case.q[b, h], case.k[b, h // group].T, case.v[b, h // group])
             for b in range(row.batch) for h in range(row.hq)]
    scores = np.empty((row.lq, row.lk), np.float32)
    output = np.empty((row.batch, row.hq, row.lq, row.dv), np.float32)
    if name == NAMES[0]:
        if row.mask != "none" or row.lq == 1:
            raise Unfit("the products alone are a bound for dense rows only")
        weights = np.full((row.lq, row.lk), 1 / row.lk, np.float32)

        def run():
            for b, h, q, kt, v in heads:
                np.matmul(q, kt, out=scores)
                np.matmul(weights, v, out=output[b, h])
        return Prepared(run, lambda: None, attention=False)
    if row.mask not in ("none", "causal") or row.lq == 1:
        raise Unfit("prefill without a sparse mask only")
    added = None if row.mask == "none" else case.additive()
    scale = np.float32(row.factor)

    def softmax_run():
        for b, h, q, kt, v in heads:
            np.matmul(q, kt, out=scores)
            np.multiply(scores, scale, out=scores)
            if added is not None:
                np.add(scores, added, out=scores)
            if case.bias is not None:
                np.add(scores, case.bias[h], out=scores)
            np.subtract(scores, scores.max(-1, keepdims=True), out=scores)
            np.exp(scores, out=scores)
            np.divide(scores, scores.sum(-1, keepdims=True), out=scores)
            np.matmul(scores, v, out=output[b, h])
    return Prepared(softmax_run, lambda: output)
