#!/usr/bin/env python3
"""The oracle against closed forms and slow loops written a second time: wrong masks here would accuse a right engine.
Needs no binary. Prints TAP.
"""
import sys

import numpy as np

import files
import oracle
import patterns as pat


def mask(spec, lq, lk, hq=1, causal=False, load=None, multiset=False):
    q, k = np.zeros((1, hq, lq, 2)), np.zeros((1, hq, lk, 2))
    m = oracle.visible(oracle.Problem(spec, q, k, k, causal=causal, load=load))
    return m if multiset else m > 0


def loop(lq, lk, keep):
    return np.array([[keep(i + lk - lq, j) for j in range(lk)] for i in range(lq)], bool).reshape(lq, lk)


def slopes():
    assert np.allclose(oracle.slopes(8), [2.0 ** -n for n in range(1, 9)])
    assert np.allclose(oracle.slopes(12), [2.0 ** -n for n in range(1, 9)] + [2.0 ** -(n + 0.5) for n in range(4)])


def windows():
    for lq, lk in ((9, 14), (14, 9), (1, 20)):
        assert np.array_equal(mask("window:window=4", lq, lk)[0], loop(lq, lk, lambda p, j: 0 <= p - j < 4))
        assert np.array_equal(mask("window:left=2,right=1", lq, lk)[0], loop(lq, lk, lambda p, j: -1 <= p - j <= 2))
        assert np.array_equal(mask("streaming:sinks=2,window=3", lq, lk)[0],
                              loop(lq, lk, lambda p, j: j <= p and (j < 2 or p - j < 3)))
        assert np.array_equal(mask("sparse-fixed:stride=5,summary=2", lq, lk)[0],
                              loop(lq, lk, lambda p, j: j <= p and (j // 5 == p // 5 or j % 5 >= 3)))
        assert np.array_equal(mask("blockwindow:block=3,blocks=2", lq, lk)[0],
                              loop(lq, lk, lambda p, j: j <= p and p // 3 - j // 3 in (0, 1)))
    assert mask("sparse-strided:stride=1", 9, 9).sum() == 45


def logsparse():
    assert np.array_equal(mask("logsparse:sub=2", 12, 12)[0], np.tril(np.ones((12, 12), bool)))
    row = np.flatnonzero(mask("logsparse:sub=16", 64, 64)[0, 40])  # n = 4, (64/16)*2*4 = 32 <= 40
    assert list(row) == [x for x in range(64) if x in {40, 39, 38, 37, 36, 35, 33, 29, 24, 23, 22, 21, 20, 19, 17, 13, 8, 7, 6, 5,
                                                       4, 3, 1}]


def longnet():
    m = mask("longnet:segments=6+6,dilations=1+1", 18, 18, multiset=True)[0]
    assert np.array_equal(m, 2 * (np.arange(18)[:, None] // 6 == np.arange(18)[None] // 6))
    m = mask("longnet:segments=8,dilations=4", 16, 16, hq=6, multiset=True)
    for h in range(6):
        want = loop(16, 16, lambda p, j: p // 8 == j // 8 and p % 8 % 4 == h % 4 and j % 8 % 4 == h % 4)
        assert np.array_equal(m[h] > 0, want)


def natten():
    for n in range(1, 12):
        for kernel in range(1, n + 1):
            for step in range(1, kernel + 1):
                table = pat.neighbour_axis(n, kernel, step, 1, 0)
                assert (table.sum(1) == kernel).all()
            assert np.array_equal(pat.neighbour_axis(n, kernel, 1, 1, 1), loop(n, n, lambda p, j: 0 <= p - j < kernel))
    assert np.array_equal(pat.neighbour_axis(12, 4, 4, 1, 0), loop(12, 12, lambda p, j: p // 4 == j // 4))
    assert np.array_equal(pat.neighbour_axis(9, 3, 1, 3, 0), loop(9, 9, lambda p, j: p % 3 == j % 3))


def swin():
    """The published way: roll the image by -shift, label the slices, cut windows, compare labels."""
    for h, w, m, s in ((8, 12, 4, 2), (6, 9, 3, 1), (14, 7, 7, 3)):
        index = np.arange(h * w).reshape(h, w)
        sy, sx = (0 if h == m else s), (0 if w == m else s)
        rolled = np.roll(index, (-sy, -sx), (0, 1))
        label = np.zeros((h, w), int)
        count = 0
        for a in (slice(0, -m), slice(-m, -sy or None), slice(-sy, None) if sy else slice(h, h)):
            for b in (slice(0, -m), slice(-m, -sx or None), slice(-sx, None) if sx else slice(w, w)):
                label[a, b] = count
                count += 1
        want = np.zeros((h * w, h * w), bool)
        for y in range(0, h, m):
            for x in range(0, w, m):
                ids, labels = rolled[y:y + m, x:x + m].ravel(), label[y:y + m, x:x + m].ravel()
                want[np.ix_(ids, ids)] = labels[:, None] == labels[None]
        # the published roll puts source (r + shift) at r; ours has the token at y in the window of (y - shift)
        assert np.array_equal(mask("swin:size=%d+%d,window=%d,shift=%d" % (h, w, m, s), h * w, h * w)[0], want)


def tree():
    m = mask("tree:parents=file:x", 6, 10, load=lambda path: [-1, 0, 0, 1])[0]
    assert list(m.sum(1)) == [5, 6, 7, 8, 8, 9]
    assert np.array_equal(m[5, 6:], [True, True, False, True])


def grids():
    assert np.array_equal(mask("axial:size=3+4,axis=0", 12, 12)[0], loop(12, 12, lambda p, j: p % 4 == j % 4))
    assert np.array_equal(mask("crisscross:size=3+4", 12, 12)[0],
                          loop(12, 12, lambda p, j: p % 4 == j % 4 or p // 4 == j // 4))


def expressions():
    def both(text, keep):
        assert np.array_equal(mask("pattern:" + text, 9, 13)[0], loop(9, 13, keep)), text
    both("sinks(1)|stride(3)&causal", lambda p, j: j < 1 or ((p - j) % 3 == 0 and j <= p))
    both("!self & causal | columns(2,12)", lambda p, j: (j != p and j <= p) or j in (2, 12))
    both("!(window(left=1) | !chunk(4))", lambda p, j: not (j >= p - 1 or j // 4 != p // 4))
    both("dilated(step=2,left=2,right=1)", lambda p, j: p - j in (-2, 0, 2, 4))


def normalisers():
    rng = np.random.default_rng(3)
    for _ in range(50):
        x = rng.normal(size=9) * 2
        err = np.zeros(9)
        for alpha in (1.2, 1.5, 2.0, 3.0):
            p = oracle.entmax_row(x, err, alpha, None)[0]
            assert abs(p.sum() - 1) < 1e-9
        z = np.sort(x)[::-1]
        k = max(n for n in range(1, 10) if n * z[n - 1] > z[:n].sum() - 1)
        assert np.allclose(oracle.entmax_row(x, err, 2.0, None)[0], np.maximum(x - (z[:k].sum() - 1) / k, 0))
        p, _, lse, _ = oracle.softmax(x, err, 0.5)
        assert np.allclose(p, np.exp(x) / (np.exp(x).sum() + np.exp(0.5))) and np.allclose(np.exp(lse), np.exp(x).sum() + np.exp(0.5))
        own = oracle.choose_topp(x, err, 0.7, None)
        q = np.sort(np.exp(x) / np.exp(x).sum())[::-1].cumsum()
        assert own.sum() == 1 + (q < 0.7).sum()
    assert list(np.flatnonzero(oracle.choose_topk(np.array([1.0, 2, 2, 2, 0]), np.zeros(5), 2, None))) == [1, 2]


def rounding():
    x = np.array([1.0, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -3.0, 1e-40, np.inf, np.nan], np.float32)
    got = files.rounded(x, "bf16")
    assert np.array_equal(got[:6], [1.0, 1.0, 1 + 2 ** -6, 1 + 2 ** -7, -3.0, np.float32(files.bf16_values(0x0001))])
    assert np.isinf(got[6]) and np.isnan(got[7])


def main():
    tests = [slopes, windows, logsparse, longnet, natten, swin, tree, grids, expressions, normalisers, rounding]
    print("1..%d" % len(tests))
    failed = 0
    for n, test in enumerate(tests, 1):
        try:
            test()
            print("ok %d - oracle %s" % (n, test.__name__))
        except AssertionError as e:
            failed += 1
            print("not ok %d - oracle %s (line %d) %s" % (n, test.__name__, sys.exc_info()[2].tb_next.tb_lineno, e))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
