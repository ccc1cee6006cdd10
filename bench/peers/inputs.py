"""Numbers of a row: q, k, v and bias, the same for every engine and in every run, and what the answer is in double.

A Case owns the memory; engines that can work in place get pointers to it. bf16 and f16 values are rounded from float once;
errors are against double on the values as rounded."""
import zlib

import numpy as np

import rows

SAMPLES = 24  # query rows whose error is computed, spread over heads


def aligned(shape, dtype):
    """Zeros on a 64 byte boundary."""
    count = int(np.prod(shape))
    size = count * np.dtype(dtype).itemsize
    block = np.zeros(size + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start:start + size].view(dtype).reshape(shape)


def to_bf16(x):
    """Bits (uint16) of the nearest bfloat16, ties to even. No NaN comes here."""
    bits = x.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def stored(x, dtype):
    """x as the row's type: float32, float16 or bf16 bits as uint16, in aligned memory."""
    out = aligned(x.shape, {"f32": np.float32, "f16": np.float16, "bf16": np.uint16}[dtype])
    out[...] = to_bf16(x) if dtype == "bf16" else x
    return out


def as_float(x):
    return from_bf16(x) if x.dtype == np.uint16 else x.astype(np.float32)


class Case:
    """Tensors of one row. q, k, v have shape [batch, heads, tokens, dim] whatever their strides: with layout blhd they are
    views of [batch, tokens, heads, dim] memory."""

    def __init__(self, row):
        self.row = row
        rng = np.random.default_rng(zlib.crc32(row.name.encode()))
        self.q = self.tensor(rng, row.hq, row.lq, row.d)
        self.k = self.tensor(rng, row.hkv, row.lk, row.d)
        self.v = self.tensor(rng, row.hkv, row.lk, row.dv)
        self.bias = None
        if row.bias == "head":
            self.bias = aligned((row.hq, row.lq, row.lk), np.float32)
            self.bias[...] = rng.standard_normal(self.bias.shape, np.float32)

    def tensor(self, rng, heads, length, dim):
        row = self.row
        shape = (row.batch, heads, length, dim) if row.layout == "bhld" else (row.batch, length, heads, dim)
        x = stored(rng.standard_normal(shape, np.float32), row.dtype)
        return x if row.layout == "bhld" else x.transpose(0, 2, 1, 3)

    def output(self):
        """Where an engine may write [batch, hq, lq, dv] floats, in the row's layout."""
        row = self.row
        if row.layout == "bhld":
            return aligned((row.batch, row.hq, row.lq, row.dv), np.float32)
        return aligned((row.batch, row.lq, row.hq, row.dv), np.float32).transpose(0, 2, 1, 3)

    def visible(self):
        """Booleans [lq, lk]: what the mask shows, for the engines that want it so."""
        seen = np.zeros((self.row.lq, self.row.lk), bool)
        for i in range(self.row.lq):
            for a, b in rows.spans(self.row, i):
                seen[i, a:b] = True
        return seen

    def additive(self, dtype=np.float32):
        """The same as 0 and -infinity."""
        return np.where(self.visible(), 0.0, -np.inf).astype(dtype)

    def samples(self):
        """(batch, head, row) triples that errors are taken from: always the first and last row of the first and last head."""
        row = self.row
        rng = np.random.default_rng(zlib.crc32(row.name.encode()) + 1)
        picked = {(0, 0, 0), (row.batch - 1, row.hq - 1, row.lq - 1), (0, row.hq - 1, 0), (row.batch - 1, 0, row.lq - 1)}
        for _ in range(SAMPLES):
            picked.add(tuple(int(rng.integers(n)) for n in (row.batch, row.hq, row.lq)))
        return sorted(picked)

    def truth(self):
        """[(sample, [dv] doubles)]."""
        row, found = self.row, []
        for b, h, i in self.samples():
            keys = np.concatenate([np.arange(x, y) for x, y in rows.spans(row, i)])
            kv = h // (row.hq // row.hkv)
            q = as_float(self.q[b, h, i]).astype(np.float64)
            k = as_float(self.k[b, kv, keys]).astype(np.float64)
            s = k @ q * row.factor
            if self.bias is not None:
                s += self.bias[h, i, keys]
            p = np.exp(s - s.max())
            found.append(((b, h, i), (p / p.sum()) @ as_float(self.v[b, kv, keys]).astype(np.float64)))
        return found


def error(truth, output):
    """{'max': largest difference, 'nmse': squared difference over squared answer} of [batch, hq, lq, dv] floats."""
    most, wrong, right = 0.0, 0.0, 0.0
    for (b, h, i), answer in truth:
        difference = np.asarray(output[b, h, i], np.float64) - answer
        if not np.isfinite(difference).all():
            return {"max": float("inf"), "nmse": float("inf")}
        most = max(most, float(np.abs(difference).max()))
        wrong += float((difference ** 2).sum())
        right += float((answer ** 2).sum())
    return {"max": most, "nmse": wrong / right if right else 0.0}
