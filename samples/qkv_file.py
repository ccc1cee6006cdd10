"""Recorded q, k, v: how a sample file is written, and how its attention is described.

Shared by make_minilm.py and make_smollm2.py; needs only numpy. The writer is our own so that the same
input gives the same bytes (the order of the metadata is the caller's). Tensors are [heads, tokens, dim].
"""

import hashlib
import json
import os
import struct

import numpy as np

DATA_ALIGNMENT = 64  # the header is padded with spaces, so that a mapped file has aligned tensors


def read_text(path):
    """The file's text with every run of white space made one space: line breaks carry no meaning here."""
    with open(path, encoding="utf-8") as f:
        text = " ".join(f.read().split())
    if not text:
        raise SystemExit(f"--text {path}: the file holds no text")
    return text


def write(path, tensors, metadata):
    """Writes a .safetensors file of f16 tensors, whole or not at all. Refuses values that f16 cannot hold."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, x in tensors.items():
        if not np.isfinite(x).all() or np.abs(x).max() > 65504:
            raise SystemExit(f"tensor {name} holds values that f16 cannot represent; nothing written")
        blob = np.ascontiguousarray(x, dtype="<f2").tobytes()
        header[name] = {"dtype": "F16", "shape": list(x.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-(8 + len(head)) % DATA_ALIGNMENT)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + b"".join(blobs))
    os.replace(temporary, path)
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    print(f"wrote {path}: {8 + len(head) + offset} bytes, sha256 {digest}")


def stored(x):
    """x as the file will hold it: rounded to f16 and read back."""
    return x.astype(np.float16).astype(np.float32)


def probabilities(q, k, causal):
    """Softmax of q k^T / sqrt(d): [hq, lq, lk], query head h reads key head h / (hq / hkv)."""
    hq, lq, d = q.shape
    s = q @ np.repeat(k, hq // k.shape[0], axis=0).transpose(0, 2, 1) / np.float32(np.sqrt(d))
    if causal:
        s = np.where(np.tri(lq, k.shape[1], k.shape[1] - lq, dtype=bool), s, np.float32(-np.inf))
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def describe(q, k, v, causal):
    """What the attention of one layer looks like, as a dict of numbers.

    keys95      keys that a query needs, largest first, to hold 95 % of its softmax mass: mean over queries and heads,
                and the least and most concentrated head
    first4      mass on the first four tokens
    local       mass on the 256 nearest keys: the last 256 including the query itself (causal), or 128 on each side
    storage     relative error (L2) of the layer's output caused by storing q, k, v as f16
    Causal rows of the first half are left out of the three means: they have few keys to choose from.
    """
    p = probabilities(q, k, causal)
    _, lq, lk = p.shape
    rows = slice(lq // 2, lq) if causal else slice(0, lq)
    part = p[:, rows]
    mass = np.cumsum(-np.sort(-part, axis=-1), axis=-1, dtype=np.float64)
    per_head = ((mass < 0.95).sum(axis=-1) + 1).mean(axis=-1)
    back = np.arange(lq)[rows, None] - np.arange(lk)[None, :]
    near = (back >= 0) & (back < 256) if causal else np.abs(back) <= 128
    group = q.shape[0] // v.shape[0]
    exact = p @ np.repeat(v, group, axis=0)
    rounded = probabilities(stored(q), stored(k), causal) @ np.repeat(stored(v), group, axis=0)
    return {
        "keys95": per_head.mean(), "keys95_min": per_head.min(), "keys95_max": per_head.max(),
        "first4": part[..., :4].sum(axis=-1).mean(), "local": (part * near).sum(axis=-1).mean(),
        "storage": np.linalg.norm(rounded - exact) / np.linalg.norm(exact),
        "largest": max(np.abs(q).max(), np.abs(k).max(), np.abs(v).max()),
    }


DESCRIPTION_HEAD = "layer  keys for 95 %  (least, most of a head)  first 4 keys  nearest 256  f16 error  largest |x|"


def description_line(layer, n):
    return (f"{layer:5d}  {n['keys95']:13.1f}  {n['keys95_min']:8.1f} {n['keys95_max']:13.1f}  "
            f"{100 * n['first4']:10.1f} %  {100 * n['local']:9.1f} %  {n['storage']:9.1e}  {n['largest']:11.1f}")
