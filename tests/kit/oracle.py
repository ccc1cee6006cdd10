"""The oracle: attention in double precision from the formulas, with an error bound for every number.

Two halves. `visible` turns a SPEC into the pairs a query may read (a multiplicity per pair, longnet being a softmax
over a multiset). `attend` scores, edits, prunes and normalises them, and returns o, lse and how far a single-precision
engine may be from them.

Bounds (u = 2^-24; inputs already rounded to their storage type), per pair unless said otherwise:
  dot     c(d) u sum|q||k|, c(d) = 4 sqrt(d) + 4 (the 4: scale and log2(e) folded into the queries)
  score   dot * scale, then for each edit the rounding of its own constants and of its sum
  p       relative: score bound + its p-weighted mean + rounding of (s - max) + exp (2 ulp, division, sum) + c(n) u
  o       sum_j w |v_j| (relative bound of w + c(n) u) + u max|v|, c(n) = 4 sqrt(n): the last term admits the skipping
          of tiles whose whole weight is below u
A choice by score (topk, topp, threshold, support of sparsemax) may differ from the oracle's only for pairs whose
distance to the cut is below the bound; `choose` checks the mask that the engine realised against that.
"""
import math

import numpy as np

import patterns as pat

U = 2.0 ** -24
TINY = 2.0 ** -126
PRUNED = ("topk", "topp", "threshold", "localv", "sparsemax", "entmax15", "entmax", "relu", "sigmoid", "offbyone")
NO_LSE = ("sparsemax", "entmax15", "entmax", "relu", "sigmoid")
# rows that fix causality themselves: --causal is accepted and changes nothing
FIXED = ("streaming", "trishape", "chunked", "prefix", "blockwindow", "sparse-strided", "sparse-fixed", "logsparse", "tree")


# ---------------------------------------------------------------- which pairs


def _window(s, g):
    if "left" in g or "right" in g:
        return pat.window(s, g.num("left", None), g.num("right", None))
    return pat.causal(s) & pat.window(s, g.num("window", 4096) - 1, None)


def _streaming(s, g, sinks=4, width=1020):
    return pat.causal(s) & (pat.window(s, g.num("window", width) - 1, None) | pat.sinks(s, g.num("sinks", sinks)))


def _trishape(s, g):
    last = s.full(s.i >= s.lq - g.num("last", 100))
    return _streaming(s, g, 128, 4096) | (pat.causal(s) & last)


def _blockwindow(s, g):
    b, n = g.num("block", 64), g.num("blocks", 8)
    bp, bj = np.floor_divide(s.p, b), s.j // b
    return pat.causal(s) & s.full((bj > bp - n) & (bj <= bp))


def _strided(s, g):
    l, part = g.num("stride", 128), g.text("part", "both")
    near, far = s.full(s.p - s.j < l), pat.stride(s, l)
    return pat.causal(s) & {"both": near | far, "local": near, "stride": far}[part]


def _fixed(s, g):
    l, c = g.num("stride", 128), g.num("summary", 32)
    return pat.causal(s) & (pat.chunk(s, l) | s.full(np.mod(s.j, l) >= l - c))


def _logsparse(s, g):
    keep, sub = s.none(), max(min(g.num("sub", 0) or s.lk, s.lk), 1)  # like a window, clipped to the length
    n = (sub - 1).bit_length()
    for row, index in enumerate(s.p[:, 0]):
        if (s.lk // sub) * 2 * n > index:
            keep[0, row, :max(index + 1, 0)] = True
            continue
        while index >= 0:
            if index - n + 1 < 0:
                keep[0, row, :index] = True
                break
            keep[0, row, index - n + 1:index + 1] = True
            for k in range(n):
                t = index - n + 1 - 2 ** k
                if t >= 0 and index - t <= sub:
                    keep[0, row, t] = True
            index -= sub
    return keep


def _longnet(s, g):
    count = np.zeros((s.hq, s.lq, s.lk), int)
    for w, r in zip(g.nums("segments", [2048, 4096]), g.nums("dilations", [1, 2])):
        w = max(min(w, s.lk), 1)
        for h in range(s.hq):
            def member(t):
                return np.mod(np.mod(t, w), r) == h % r
            count[h] += member(s.p) & (s.p >= 0) & member(s.j) & (s.p // w == s.j // w)
    return count


def _longformer(s, g):
    w = g.num("window", 256)
    return pat.window(s, w, w) | pat.rows_and_columns(s, g.nums("global", []))


def _tree(s, g):
    parents = g.load("parents")
    n = len(parents)
    keep = pat.causal(s)
    for t in range(n):
        row = s.lq - n + t
        if row < 0:
            continue
        keep[0, row] = np.arange(s.lk) < s.lk - n
        node = t
        while node >= 0:
            keep[0, row, s.lk - n + node] = True
            node = int(parents[node])
    return keep


def _crisscross(s, g):
    size = g.nums("size")
    return pat.axial(s, size, 0) | pat.axial(s, size, 1)


def _natten(s, g):
    return pat.neighborhood(s, g.nums("size"), g.nums("kernel", [7]), g.nums("stride", [1]), g.nums("dilation", [1]),
                            g.nums("causal", [0]))


VISIBLE = {
    "dense": lambda s, g: s.full(np.array(True)),
    "window": _window,
    "streaming": _streaming,
    "trishape": _trishape,
    "chunked": lambda s, g: pat.causal(s) & pat.chunk(s, g.num("chunk", 8192)),
    "prefix": lambda s, g: pat.causal(s) | pat.sinks(s, g.num("prefix")),
    "document": lambda s, g: pat.document(s, g.nums("lengths")),
    "blockwindow": _blockwindow,
    "sparse-strided": _strided,
    "sparse-fixed": _fixed,
    "logsparse": _logsparse,
    "longnet": _longnet,
    "longformer": _longformer,
    "blocks": lambda s, g: pat.blocks(s, g.load("mask"), g.num("bq", 128), g.num("bk", 128)),
    "tree": _tree,
    "axial": lambda s, g: pat.axial(s, g.nums("size"), g.num("axis")),
    "crisscross": _crisscross,
    "swin": lambda s, g: pat.swin(s, g.nums("size"), g.nums("window", [7]), g.nums("shift", [0])),
    "natten": _natten,
}


class Given:
    """Parameters of a SPEC, with defaults."""

    def __init__(self, params, load):
        self.params, self._load = params, load

    def __contains__(self, key):
        return key in self.params

    def text(self, key, standard=None):
        return self.params.get(key, standard)

    def num(self, key, *standard):
        return pat.number(self.params[key]) if key in self.params or not standard else standard[0]

    def nums(self, key, *standard):
        return pat.numbers(self.params[key]) if key in self.params or not standard else standard[0]

    def flag(self, key, standard=False):
        return self.params[key] != "0" if key in self.params else standard

    def load(self, key):
        return self._load(self.params[key][len("file:"):])


class Problem:
    """What one run is about. q [b,hq,lq,d], k, v: float64 arrays already rounded to the storage type."""

    def __init__(self, spec, q, k, v, causal=False, scale=None, bias=None, sink=None, load=np.load, given_mask=None,
                 fast=False):
        self.name, params = pat.parse_spec(spec)
        self.given = Given(params, load)
        self.q, self.k, self.v = q, k, v
        self.bias, self.sink, self.fast = bias, sink, fast
        g = self.given
        self.causal = causal if self.name == "natten" else g.flag("causal", causal)
        self.scale = g.num("scale") if "scale" in g else scale if scale else 1.0 / math.sqrt(q.shape[-1])
        self.softcap = g.num("softcap") if "softcap" in g else None
        self.alibi = g.flag("alibi")
        if "sink" in g:
            self.sink = np.full(q.shape[1], float(g.num("sink")))
        self.shape = pat.Shape(q.shape[1], q.shape[2], k.shape[2])
        self.given_mask = given_mask  # random and bigbird: the pairs the engine reported
        self.mutation = None


def visible(problem):
    """Multiplicity of every pair [hq, lq, lk], before biases."""
    s, g = problem.shape, problem.given
    if problem.given_mask is not None:
        count = problem.given_mask.astype(int)
        return np.broadcast_to(count, (s.hq, s.lq, s.lk))
    if problem.name == "pattern" or (problem.name in PRUNED and "pattern" in g):
        count = pat.expression(g.text("pattern"), s, g._load).astype(int)
    elif problem.name in PRUNED:
        count = s.full(np.array(True)).astype(int)
    else:
        count = VISIBLE[problem.name](s, g).astype(int)
    fixed = problem.name in FIXED or (problem.name == "window" and not ("left" in g or "right" in g))
    if problem.causal and not fixed:
        count = count * pat.causal(s)
    return np.broadcast_to(count, (s.hq, s.lq, s.lk))


# ---------------------------------------------------------------- scores


def slopes(heads):
    def of_power(n):
        return [2.0 ** (-8.0 * (h + 1) / n) for h in range(n)]
    n = 1 << (heads.bit_length() - 1)
    return np.array(of_power(n) + of_power(2 * n)[0::2][:heads - n])


def head_scores(problem, h, count):
    """Edited scores [b,lq,lk] of head h (-inf where hidden), their bounds, and the visible pairs."""
    pr, s = problem, problem.shape
    kv = h // (pr.q.shape[1] // pr.k.shape[1])
    q, k = pr.q[:, h], pr.k[:, kv]
    d = q.shape[-1]
    seen = np.broadcast_to(count[h] > 0, (q.shape[0], s.lq, s.lk)).copy()
    scale = pr.scale * (1.02 if pr.mutation == "scale" else 1.0)
    x = scale * (q @ k.transpose(0, 2, 1))
    err = (4 * math.sqrt(d) + 4) * U * pr.scale * (np.abs(q) @ np.abs(k).transpose(0, 2, 1))
    if pr.softcap:
        x = pr.softcap * np.tanh(x / pr.softcap)
        err = err + 6 * U * np.abs(x)
    if pr.alibi:
        b = -slopes(s.hq)[h] * np.abs(s.p - s.j)
        x = x + b
        err = err + 3 * U * np.abs(b) + U * np.abs(x)
    if pr.bias is not None:
        b = pr.bias if pr.bias.ndim == 2 else pr.bias[h] if pr.bias.ndim == 3 else pr.bias[:, h]
        seen &= ~np.isneginf(np.broadcast_to(b, seen.shape))
        b = np.where(np.isneginf(b), 0, b)
        x = x + b
        err = err + 2 * U * np.abs(b) + U * np.abs(x)
    x = x + np.log(np.maximum(count[h], 1))
    err = np.where(seen, err + 2 * U * np.abs(x), 0)
    return np.where(seen, x, -np.inf), err, seen


# ---------------------------------------------------------------- one row


def c(n):
    return 4 * math.sqrt(n)


class Mismatch(Exception):
    pass


def by_score(x):
    """Indices of the visible keys, best first, lower index first among equals."""
    order = np.argsort(-x, kind="stable")
    return order[np.isfinite(x[order])]


def softmax(x, err, sink=None):
    """-> p, relative bound of p, lse, bound of lse."""
    live = np.isfinite(x) | np.isnan(x)
    n = int(live.sum())
    top = np.max(x[live])
    if sink is not None and sink > top:
        top = sink
    e = np.where(live, np.exp(np.where(live, x, 0) - top), 0)
    total = e.sum() + (math.exp(sink - top) if sink is not None else 0)
    p = e / total
    rel = err + 2 * U * np.where(live, np.abs(x - top), 0)
    mean = float((p * rel)[live].sum())
    rel = np.where(live, rel + mean + (8 + c(n)) * U, 0)
    lse = top + math.log(total)
    return p, rel, lse, mean + (8 + c(n)) * U + 2 * U * (abs(lse) + abs(top))


def check_cut(x, err, kept, must, may, what):
    if np.any(must & ~kept) or np.any(kept & ~may):
        bad = int(np.flatnonzero((must & ~kept) | (kept & ~may))[0])
        raise Mismatch("%s: key %d (score %.9g +- %.2g) is %s" % (what, bad, x[bad], err[bad],
                                                                  "kept" if kept[bad] else "missing"))


def choose_topk(x, err, k, kept):
    order = by_score(x)
    own = np.zeros(x.shape, bool)
    own[order[:k]] = True
    if kept is None or np.array_equal(kept, own):
        return own
    if kept.sum() != own.sum():
        raise Mismatch("topk: %d keys kept, expected %d" % (kept.sum(), own.sum()))
    # another choice is right only where scores lie within each other's bounds, and not for exactly equal ones
    low, high = x - err, x + err
    out = own & ~kept
    into = kept & ~own
    check_cut(x, err, kept, low > high[out].max(), high >= low[out].max(), "topk")
    if x[into].max() < x[out].min() and not np.any(high[into] >= low[out].max()):
        raise Mismatch("topk: keys chosen against the order of scores")
    return kept


def choose_topp(x, err, mass, kept):
    p, rel, _, _ = softmax(x, err)
    order = by_score(x)
    total = np.cumsum(p[order])
    n = min(int(np.searchsorted(total, mass * (1 - 1e-15)) + 1), len(order))
    own = np.zeros(x.shape, bool)
    own[order[:n]] = True
    if kept is None or np.array_equal(kept, own):
        return own
    slack = float((p * rel).sum()) + c(len(order)) * U
    if not kept.any() or np.any(kept & ~np.isfinite(x)):
        raise Mismatch("topp: kept set is empty or holds a hidden key")
    have = float(p[kept].sum())
    least = np.flatnonzero(kept)[np.argmin(x[kept])]
    if have < mass - slack or have - p[least] >= mass + slack:
        raise Mismatch("topp: kept mass %.9g, without the least %.9g, p = %.9g, slack %.2g" %
                       (have, have - p[least], mass, slack))
    low, high = x - err, x + err
    check_cut(x, err, kept, low > high[least], high >= low[least], "topp")
    return kept


def choose_threshold(x, err, g, kept):
    live = np.isfinite(x)
    if "prob" in g:
        p, rel, _, _ = softmax(x, err)
        cut = g.num("prob")
        own = live & (p >= cut)
        must, may = live & (p * (1 - rel) > cut), live & (p * (1 + rel) >= cut)
    else:
        top = int(np.argmax(x))
        cut = x[top] - g.num("rel", 10)
        slack = err + err[top] + 2 * U * (np.abs(np.where(live, x, 0)) + abs(cut))
        own = live & (x >= cut)
        must, may = live & (x > cut + slack), live & (x >= cut - slack)
    if kept is None:
        return own
    check_cut(x, err, kept, must, may, "threshold")
    return kept


def entmax_row(x, err, alpha, kept):
    """p and its absolute bound. tau by bisection in double, on z = (alpha-1)(s - max), to the last bit."""
    a = alpha - 1
    live = np.isfinite(x)
    n = int(live.sum())
    top = np.max(x[live])
    z = np.where(live, a * (np.where(live, x, 0) - top), -np.inf)
    lo, hi = -1.0, 0.0
    for _ in range(200):
        mid = (lo + hi) / 2
        if (np.maximum(z - mid, 0) ** (1 / a)).sum() >= 1:
            lo = mid
        else:
            hi = mid
    near = live & (z > -1.5)
    slip = a * (err + err[near].max() + 2 * U * (np.where(live, np.abs(x), 0) + abs(top)) + c(n) * U) + 4 * U
    p = np.maximum(z - lo, 0) ** (1 / a)
    up = np.maximum(z - lo + slip, 0) ** (1 / a)
    down = np.maximum(z - lo - slip, 0) ** (1 / a)
    bound = np.where(live, np.maximum(up - p, p - down) + 8 * U * (1 + 1 / a) * p, 0)
    bound = bound + p * bound.sum()
    if kept is not None:
        # a probability below the smallest normal float may vanish
        check_cut(x, err, kept, live & (z - lo > slip) & (down >= TINY), live & (z - lo >= -slip), "support")
    return p, bound, (p > 0 if kept is None else kept)


def drop_heaviest(weight):
    if np.count_nonzero(weight > 0) > 1:
        weight = weight.copy()
        weight[np.argmax(weight)] = 0
    return weight


def attend_row(pr, x, err, seen, sink, kept):
    """One query row -> weights, absolute bounds of the weights, lse, bound of lse, realised pairs."""
    g, name = pr.given, pr.name
    if not seen.any():
        if kept is not None and kept.any():
            raise Mismatch("a row without visible keys has realised pairs")
        zero = np.zeros(x.shape)
        return zero, zero, -np.inf, 0.0, seen
    n = int(seen.sum())
    if name in ("sparsemax", "entmax15", "entmax"):
        alpha = {"sparsemax": 2.0, "entmax15": 1.5}.get(name) or float(g.num("alpha"))
        w, bound, used = entmax_row(x, err, alpha, kept)
        return w, bound, None, None, used
    if name == "relu":
        div = float(n) ** g.num("power", 1)
        w = np.where(seen, np.maximum(x, 0) / div, 0)
        return w, np.where(seen, err / div + 6 * U * w, 0), None, None, seen
    if name == "sigmoid":
        b = -math.log(n) if g.text("bias", "auto") == "auto" else float(g.num("bias"))
        w = np.where(seen, 1 / (1 + np.exp(-(np.where(seen, x, 0) + b))), 0)
        rel = (1 - w) * (err + 2 * U * (np.abs(np.where(seen, x, 0)) + abs(b))) + 8 * U
        return w, w * rel, None, None, seen
    if name == "offbyone":
        sink = 0.0 if sink is None else float(np.logaddexp(0.0, sink))
    used, whole = seen, False
    if name in ("topk", "localv"):
        used = choose_topk(x, err, min(g.num("k", 64), n), kept)
        whole = name == "localv"
    elif name == "topp":
        used = choose_topp(x, err, float(g.num("p", 0.95)), kept)
    elif name == "threshold":
        used = choose_threshold(x, err, g, kept)
        whole = not g.flag("renorm", True)
    if not used.any():  # threshold:prob= may keep nothing
        zero = np.zeros(x.shape)
        lse, slack = softmax(x, err, sink)[2:] if whole else (-np.inf, 0.0)
        return zero, zero, lse, slack, used
    p, rel, lse, lse_bound = softmax(x if whole else np.where(used, x, -np.inf), err, sink)
    p = np.where(used, p, 0)
    return p, p * rel, lse, lse_bound, used


# ---------------------------------------------------------------- everything


class Result:
    """o, o_bound [b,hq,lq,dv]; lse, lse_bound [b,hq,lq] or None; mask [b,hq,lq,lk] bool: the realised pairs."""


def attend(problem, realised=None):
    """realised: the engine's mask [b,hq,lq,lk], needed where the choice of keys depends on rounding."""
    pr = problem
    b, hq, lq, _ = pr.q.shape
    lk, dv = pr.v.shape[2], pr.v.shape[3]
    group = hq // pr.k.shape[1]
    count = visible(pr)
    out = Result()
    out.o, out.o_bound = np.zeros((b, hq, lq, dv)), np.zeros((b, hq, lq, dv))
    out.lse, out.lse_bound = np.full((b, hq, lq), -np.inf), np.zeros((b, hq, lq))
    out.mask = np.zeros((b, hq, lq, lk), bool)
    pruned = pr.name in PRUNED
    for h in range(hq if lk and lq else 0):
        x, err, seen = head_scores(pr, h, count)
        for bi in range(b):
            v = pr.v[bi, h // group]
            size = np.abs(np.nan_to_num(v, nan=0.0, posinf=0.0, neginf=0.0))
            for i in range(lq):
                kept = realised[bi, h, i].astype(bool) if pruned and realised is not None else None
                row = x[bi, i], err[bi, i], seen[bi, i]
                sink = None if pr.sink is None else float(pr.sink[h])
                try:
                    w, bound, lse, lse_bound, used = attend_row(pr, *row, sink, kept)
                except Mismatch as e:
                    raise Mismatch("batch %d head %d row %d: %s" % (bi, h, i, e))
                out.mask[bi, h, i] = used
                if lse is not None:
                    out.lse[bi, h, i], out.lse_bound[bi, h, i] = lse, lse_bound
                if not used.any():
                    continue
                if pr.mutation == "drop-key":
                    w = drop_heaviest(w)
                su = size[used]
                per_term = c(int(used.sum())) * U + (2.0 ** -8 if pr.fast else 0)
                out.o[bi, h, i] = w[used] @ v[used]
                out.o_bound[bi, h, i] = bound @ size + (per_term * w[used]) @ su + U * su.max(0) + TINY * su.sum(0)
    if pr.name in NO_LSE:
        out.lse = out.lse_bound = None
    if pr.mutation == "swap-rows" and lq > 1:
        out.o = out.o[:, :, ::-1].copy()
        if out.lse is not None:
            out.lse = out.lse[:, :, ::-1].copy()
    return out
