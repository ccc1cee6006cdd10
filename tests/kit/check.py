"""One case against the tool: write the tensors, run `fovea run`, compare what came out with the oracle.

A Case is data only. `numbers` makes its tensors from its name (deterministic), `command` its command line; `check`
raises Failure with one line that says what differs, or returns None.
"""
import os
import subprocess
import zlib
from dataclasses import dataclass, field

import numpy as np

import files
import oracle


class Failure(Exception):
    pass


class Skip(Exception):
    pass


@dataclass
class Case:
    name: str
    spec: str                      # "{x}" stands for the path of the extra file x
    b: int = 1
    hq: int = 2
    hkv: int = 2
    lq: int = 8
    lk: int = 8
    d: int = 16
    dv: int = 16
    rank: int = 4                  # 3: b = 1; 2: one head as well
    causal: bool = False
    scale: float = None
    bias: str = None               # "lqlk", "hq", "b": rank 2, 3, 4
    bias_kind: str = "random"      # "random", "holes" (-inf here and there), "row", "columns" (whole ones -inf),
                                   # "nan-hidden", "nan-visible" (one), "huge" (-1e9), "lowest" (the lowest float)
    sink: bool = False
    sink_kind: str = "random"      # "-inf": in every other head
    kind: str = "f32"              # file type: f32, f16 (.npy), F32, F16, BF16 (.safetensors)
    dtype: str = None              # --dtype
    data: str = "normal"           # "normal", "peaky", "integer", "wide", "equal", "small"
    poison: str = None             # "hidden", "inf-hidden" (with ?: if a key is hidden), "visible-k", "visible-v", "q"
    isa: str = None
    threads: int = None
    precision: str = None
    one_file: bool = False         # q, k, v in one .safetensors
    crowded: bool = False          # that file holds other tensors and metadata too
    npy_version: int = None
    out: str = "npy"               # suffix of -o
    lse: bool = None               # None: where the variant has one
    mask: bool = True
    given: bool = False            # the mask is the engine's (random, bigbird), checked by `pairs`
    pairs: object = None           # function(case, mask) raising Failure
    extra: dict = field(default_factory=dict)  # name -> array, written as .npy
    args: tuple = ()

    def rng(self):
        return np.random.default_rng(zlib.crc32(self.name.encode()))


class Tensors:
    pass


def _draw(case, rng, shape, role):
    if case.data == "integer":     # dot products are exact in single precision: ties are ties
        return rng.integers(-2, 3, shape).astype(np.float64)
    if case.data == "equal" and role == "k":
        return np.broadcast_to(rng.standard_normal(shape[-1]), shape).copy()
    x = rng.standard_normal(shape)
    if role == "k" and case.data == "small":
        x *= 2.0 ** -18
    if role == "q" and case.data in ("peaky", "wide"):
        x *= 4 if case.data == "peaky" else 25
    return x


def numbers(case):
    """Tensors of a case: values as float64 before rounding, and the bias and sinks as float32 numbers."""
    rng, t = case.rng(), Tensors()
    t.q = _draw(case, rng, (case.b, case.hq, case.lq, case.d), "q")
    t.k = _draw(case, rng, (case.b, case.hkv, case.lk, case.d), "k")
    t.v = _draw(case, rng, (case.b, case.hkv, case.lk, case.dv), "v")
    t.sink = rng.integers(-16, 17, case.hq) / 8.0 if case.sink else None
    if case.sink and case.sink_kind == "-inf":
        t.sink[::2] = -np.inf
    t.bias = None
    if case.bias:
        shape = {"lqlk": (), "hq": (case.hq,), "b": (case.b, case.hq)}[case.bias] + (case.lq, case.lk)
        t.bias = rng.integers(-16, 17, shape) / 8.0
        if case.bias_kind == "holes":
            t.bias[rng.random(shape) < 0.3] = -np.inf
        elif case.bias_kind == "row":
            t.bias[..., ::3, :] = -np.inf
        elif case.bias_kind == "columns":
            t.bias[..., 1::4] = -np.inf
        elif case.bias_kind == "nan-visible":
            t.bias[..., case.lq // 2, case.lk // 2] = np.nan
        elif case.bias_kind in ("huge", "lowest"):
            t.bias[rng.random(shape) < 0.5] = -1e9 if case.bias_kind == "huge" else np.finfo(np.float32).min
    t.q, t.k, t.v = (x.astype(np.float32).astype(np.float64) for x in (t.q, t.k, t.v))
    _poison(case, rng, t)
    return t


def _poison(case, rng, t):
    if not case.poison and case.bias_kind != "nan-hidden":
        return
    seen = oracle.visible(problem(case, t)) > 0
    some = seen.any(1)                                           # [hq, lk]: a key some row of the head sees
    group = case.hq // case.hkv
    by_kv = some.reshape(case.hkv, group, case.lk).any(1)        # [hkv, lk]
    if case.bias_kind == "nan-hidden":
        hide = ~(seen.all(0) if case.bias == "lqlk" else seen)
        t.bias = np.where(np.broadcast_to(hide, t.bias.shape), np.nan, t.bias)
    if case.poison and "hidden" in case.poison:
        if t.bias is not None:                                   # -inf biases hide too
            live = seen & ~np.isneginf(np.broadcast_to(t.bias, (case.b, case.hq, case.lq, case.lk)))
            by_kv = live.any((0, 2)).reshape(case.hkv, group, case.lk).any(1)
        bad = np.inf if "inf" in case.poison else np.nan
        t.k[:, ~by_kv] = bad
        t.v[:, ~by_kv] = bad
        t.poisoned = int((~by_kv).sum())
    elif case.poison == "visible-k":
        t.k[-1, 0, case.lk // 2, case.d // 2] = np.nan
    elif case.poison == "visible-v":
        t.v[-1, 0, case.lk // 2, case.dv // 2] = np.nan
    elif case.poison == "q":
        t.q[-1, 0, case.lq // 2, 0] = np.nan


def file_dtype(case):
    return {"f32": "f32", "F32": "f32", "f16": "f16", "F16": "f16", "BF16": "bf16"}[case.kind]


def problem(case, t, realised=None, mutation=None):
    def as_seen(x):
        return files.rounded(files.rounded(x, file_dtype(case)), case.dtype or file_dtype(case))
    pr = oracle.Problem(case.spec, as_seen(t.q), as_seen(t.k), as_seen(t.v), case.causal, case.scale, t.bias, t.sink,
                        load=lambda path: case.extra[path.strip("{}")],
                        given_mask=None if not case.given or realised is None else realised[0],
                        fast=case.precision == "fast")
    pr.mutation = mutation
    return pr


def _ranked(case, x):
    return x.reshape(x.shape[4 - case.rank:])


def write(case, t, folder):
    """Writes every input; returns {option: path}."""
    paths = {}
    if case.npy_version:
        for name in ("q", "k", "v"):
            paths[name] = os.path.join(folder, name + ".npy")
            with open(paths[name], "wb") as f:
                np.lib.format.write_array(f, _ranked(case, getattr(t, name)).astype(np.float32), (case.npy_version, 0))
    for name in ("q", "k", "v") if not case.npy_version else ():
        suffix = ".npy" if case.kind in ("f32", "f16") else ".safetensors"
        paths[name] = os.path.join(folder, name + suffix)
        if not case.one_file:
            files.write_tensor(paths[name], name, _ranked(case, getattr(t, name)), case.kind)
    if case.one_file:
        def stored(x):
            return files.bf16_bits(x).reshape(x.shape) if case.kind == "BF16" else x
        paths["q"] = paths["k"] = paths["v"] = os.path.join(folder, "qkv.safetensors")
        held = [(n, case.kind, stored(_ranked(case, getattr(t, n)))) for n in ("v", "q", "k")]
        if case.crowded:
            held = [("a", "U8", np.arange(7))] + held[:2] + [("q2", "I32", np.arange(5))] + held[2:]
        with open(paths["q"], "wb") as f:
            f.write(files.safetensors_bytes(held, {"made by": "the kit {\"q\": 1}"} if case.crowded else None))
    for name in ("bias", "sink"):
        if getattr(t, name) is not None:
            paths[name] = os.path.join(folder, name + ".npy")
            np.save(paths[name], getattr(t, name).astype(np.float32))
    for name, array in case.extra.items():
        paths["{" + name + "}"] = os.path.join(folder, name + ".npy")
        np.save(paths["{" + name + "}"], array)
    return paths


def has_lse(case):
    return case.spec.partition(":")[0] not in oracle.NO_LSE if case.lse is None else case.lse


def command(case, paths, folder):
    """Arguments after the tool's name, and the output paths."""
    spec = case.spec
    for key, path in paths.items():
        if key.startswith("{"):
            spec = spec.replace(key, path)
    outs = {"o": os.path.join(folder, "o." + case.out)}
    argv = ["run", "--variant", spec, "--q", paths["q"], "--k", paths["k"], "--v", paths["v"], "-o", outs["o"]]
    if has_lse(case):
        outs["lse"] = os.path.join(folder, "lse." + case.out)
        argv += ["--lse", outs["lse"]]
    if case.mask:
        outs["mask"] = os.path.join(folder, "mask.npy")
        argv += ["--mask-out", outs["mask"]]
    for name in ("bias", "sink"):
        if name in paths:
            argv += ["--" + name, paths[name]]
    if case.causal:
        argv += ["--causal"]
    for name in ("scale", "dtype", "isa", "threads", "precision"):
        value = getattr(case, name)
        if value is not None:
            argv += ["--" + name, repr(value) if isinstance(value, float) else str(value)]
    return argv + list(case.args), outs


def tool(fovea, argv, **env):
    """-> (exit code, stdout, stderr)."""
    done = subprocess.run([fovea] + argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          env={**os.environ, **env} if env else None)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run(fovea, case, t, folder):
    """Runs the tool; returns the output arrays by name, after checking their types and shapes."""
    argv, outs = command(case, write(case, t, folder), folder)
    code, _, err = tool(fovea, argv)
    if code != 0:
        raise Failure("exit %d: %s" % (code, err.strip()))
    got = {}
    for name, path in outs.items():
        if not os.path.exists(path):
            raise Failure("no file written for " + name)
        got[name] = files.read_tensor(path, name)
    lead = (case.b, case.hq, case.lq)
    want = {"o": (lead + (case.dv,))[4 - case.rank:], "lse": lead[4 - case.rank:], "mask": lead + (case.lk,)}
    for name, array in got.items():
        kind = np.uint8 if name == "mask" else np.float32
        if array.dtype != kind or array.shape != want[name]:
            raise Failure("%s is %s %s, expected %s %s" % (name, array.dtype, array.shape, np.dtype(kind), want[name]))
        got[name] = array.reshape({"o": lead + (case.dv,), "lse": lead, "mask": array.shape}[name])
    return got


def compare(what, got, want, bound):
    """Largest error over its bound; NaN and infinities must agree."""
    special = ~np.isfinite(want)
    if special.any():
        same = (np.isnan(want) & np.isnan(got)) | (want == got)
        if not same[special].all():
            at = tuple(int(a) for a in np.argwhere(special & ~same)[0])
            raise Failure("%s%s = %g, expected %g" % (what, list(at), got[at], want[at]))
    error = np.where(special, 0, np.abs(got.astype(np.float64) - np.where(special, 0, want)))
    ratio = np.where(special, 0, error / np.where(special, 1, np.maximum(bound, 1e-45)))
    ratio = np.where(np.isnan(error), np.inf, ratio)
    if ratio.size and ratio.max() > 1:
        at = tuple(int(a) for a in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
        raise Failure("%s%s = %.9g, expected %.9g: error %.3g, bound %.3g (%d of %d wrong)" %
                      (what, list(at), got[at], want[at], error[at], bound[at], int((ratio > 1).sum()), ratio.size))
    return float(ratio.max()) if ratio.size else 0.0


def compare_mask(got, want):
    if np.any(got > 1):
        raise Failure("mask holds bytes other than 0 and 1")
    wrong = got.astype(bool) != want
    if wrong.any():
        at = tuple(int(a) for a in np.argwhere(wrong)[0])
        raise Failure("mask%s = %d, expected %d (%d of %d pairs wrong)" %
                      (list(at), got[at], want[at], int(wrong.sum()), wrong.size))


def check(fovea, case, folder, mutation=None):
    """Raises Failure; returns the largest error over its bound."""
    if case.isa and not isa_runs(case.isa):
        raise Skip("this CPU lacks " + case.isa)
    with np.errstate(all="ignore"):
        t = numbers(case)
        if case.poison in ("hidden", "inf-hidden") and not t.poisoned:
            raise Failure("the case hides no key: it tests nothing")
        got = run(fovea, case, t, folder)
        realised = got.get("mask")
        if case.pairs:
            case.pairs(case, realised)
        try:
            want = oracle.attend(problem(case, t, realised, mutation), realised)
        except oracle.Mismatch as e:
            raise Failure(str(e))
        if realised is not None:
            compare_mask(realised, want.mask)
        worst = compare("o", got["o"], want.o, want.o_bound)
        if "lse" in got:
            worst = max(worst, compare("lse", got["lse"], want.lse, want.lse_bound))
        return worst


FLAGS = {"scalar": (), "generic": (), "avx2": ("avx2", "fma", "f16c"),
         "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"), "avx512_bf16": ("avx512f", "avx512_bf16"),
         "amx": ("avx512_bf16", "amx_tile", "amx_bf16"),
         "neon": ("asimd",)}


def isa_runs(name):
    """Whether this CPU has the features of an instruction-set bundle, by the kernel's word."""
    try:
        words = set(open("/proc/cpuinfo").read().split())
    except OSError:
        return name in ("scalar", "generic")
    return all(f in words for f in FLAGS[name])
