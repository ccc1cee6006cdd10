"""Tensor files and number formats of the kit.

.npy through numpy's own reader and writer; .safetensors by a tiny reader and writer of our own (8 bytes of
little-endian header length, a JSON header, the data). Number formats: round(x, "bf16") gives the nearest bf16 value
(ties to even) as float64, so the oracle sees exactly the numbers that the engine's kernels see.
"""
import json
import struct

import numpy as np


def bf16_bits(x):
    """float array -> uint16 bf16 bits, round to nearest even; NaN stays NaN (quiet)."""
    f = np.ascontiguousarray(np.asarray(x, np.float32))
    bits = f.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    with np.errstate(over="ignore"):
        out = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(f), np.uint16(0x7FC0), out).astype(np.uint16)


def bf16_values(bits):
    return (np.asarray(bits, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(x, dtype):
    """The values of x after rounding to dtype ("f32", "f16", "bf16"), as float64."""
    x = np.asarray(x, np.float32)
    if dtype == "f16":
        with np.errstate(over="ignore"):
            x = x.astype(np.float16)
    elif dtype == "bf16":
        x = bf16_values(bf16_bits(x))
    return x.astype(np.float64)


ST_TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "U8": np.uint8, "I32": np.int32}


def safetensors_bytes(tensors, metadata=None):
    """[(name, type, array)] -> file bytes; BF16 arrays are given as uint16 bits."""
    header, blobs, at = {"__metadata__": metadata} if metadata else {}, [], 0
    for name, kind, array in tensors:
        raw = np.ascontiguousarray(array, ST_TYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def safetensors_read(path):
    """{name: array}; BF16 comes back as float32 values."""
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n].decode())
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        lo, hi = t["data_offsets"]
        a = np.frombuffer(raw[8 + n + lo:8 + n + hi], ST_TYPES[t["dtype"]]).reshape(t["shape"])
        out[name] = bf16_values(a) if t["dtype"] == "BF16" else a
    return out


def write_tensor(path, name, x, kind):
    """One tensor: kind is "f32", "f16" (.npy) or "F32", "F16", "BF16" (.safetensors)."""
    if kind == "BF16":
        data = safetensors_bytes([(name, kind, bf16_bits(x).reshape(np.shape(x)))])
    elif kind in ST_TYPES:
        with np.errstate(over="ignore"):
            data = safetensors_bytes([(name, kind, np.asarray(x).astype(ST_TYPES[kind]))])
    else:
        with np.errstate(over="ignore"):
            np.save(path, np.ascontiguousarray(x, np.float16 if kind == "f16" else np.float32))
        return
    with open(path, "wb") as f:
        f.write(data)


def read_tensor(path, name):
    if path.endswith(".safetensors"):
        return safetensors_read(path)[name]
    return np.load(path)
