"""Checks that need more than one run: bits that must not depend on threads, seeds, rows picked by --positions, and SPECs
that must mean the same. Each is a generator entry (name, function(fovea, folder)); a function raises Failure.
"""
import os
from dataclasses import replace

import numpy as np

import check
from check import Case, Failure


def _run(fovea, case, folder, name):
    at = os.path.join(folder, name)
    os.makedirs(at)
    return check.run(fovea, case, check.numbers(case), at)


def same_bits(case, changes):
    """Every change of the case (a dict of its fields) gives the same bytes as the first."""
    def test(fovea, folder):
        first = None
        for n, change in enumerate(changes):
            got = _run(fovea, replace(case, **change), folder, str(n))
            first = first or got
            for name in first:
                a, b = first[name], got[name]
                if a.tobytes() != b.tobytes():
                    bad = int((a.view(np.uint8) != b.view(np.uint8)).sum())
                    raise Failure("%s differs between %s and %s (%d bytes)" % (name, changes[0], change, bad))
    return test


def threads():
    everywhere = [dict(threads=n) for n in (1, 2, 3, 8)]
    for spec in ("dense", "dense:causal", "window:window=9", "streaming:sinks=2,window=7,sink=1", "topk:k=5", "topp:p=0.8",
                 "sparsemax", "sigmoid", "longnet:segments=8+32,dilations=1+2", "entmax:alpha=1.4",
                 "pattern:random(block=8,count=2,seed=3) & causal"):
        for lq, lk, hq, hkv in ((70, 90, 3, 1), (1, 700, 4, 2)):
            case = Case("threads/%s/%d" % (spec, lq), spec, lq=lq, lk=lk, hq=hq, hkv=hkv, d=32, dv=24)
            yield case.name, same_bits(case, everywhere)
    case = Case("threads/bf16", "dense", lq=40, lk=60, hq=4, hkv=2, d=64, dtype="bf16")
    yield case.name, same_bits(case, everywhere)
    case = Case("threads/twice", "dense:causal", lq=40, lk=60, hq=4, hkv=2, d=64)
    yield "threads/two runs give the same bits", same_bits(case, [dict(), dict()])


def seeds():
    def case(spec, *args):
        return Case("seeds", spec, lq=64, lk=64, hq=4, hkv=2, d=8, dv=8, args=args)

    def mask(fovea, folder, name, c):
        return _run(fovea, c, folder, name)["mask"]

    for template in ("pattern:random(block=4,count=3%s)", "bigbird:block=4,random=3%s"):
        def equal(fovea, folder, template=template):
            a = mask(fovea, folder, "a", case(template % ",seed=11"))
            b = mask(fovea, folder, "b", case(template % ",seed=11"))
            c = mask(fovea, folder, "c", case(template % "", "--seed", "11"))
            d = mask(fovea, folder, "d", case(template % ",seed=11", "--seed", "4"))
            if not (np.array_equal(a, b) and np.array_equal(a, c) and np.array_equal(a, d)):
                raise Failure("seed=11 and --seed 11 draw different blocks, or --seed wins over seed=")

        def different(fovea, folder, template=template):
            a = mask(fovea, folder, "a", case(template % ",seed=11"))
            b = mask(fovea, folder, "b", case(template % ",seed=12"))
            if np.array_equal(a, b):
                raise Failure("two seeds draw the same blocks")
            if all(np.array_equal(a[0, 0], a[0, h]) for h in range(4)):
                raise Failure("every head draws the same blocks")
        yield "seeds/equal " + template, equal
        yield "seeds/different " + template, different

    def composes(fovea, folder):
        alone = mask(fovea, folder, "a", case("pattern:random(block=4,count=3,seed=5)"))
        both = mask(fovea, folder, "b", case("pattern:causal & random(block=4,count=3,seed=5) | self"))
        low = np.tril(np.ones((64, 64), np.uint8))
        if not np.array_equal(both, (alone & low) | np.eye(64, dtype=np.uint8)):
            raise Failure("causal & random(...) | self is not random's mask cut by causal, with self")
    yield "seeds/random composes", composes


def positions():
    base = dict(lq=20, lk=33, hq=4, hkv=2, b=2, causal=True)

    def picked(mode, spec, rows=None, **fields):
        """Compares with those rows of the oracle; rows None: read from a causal mask, whose rows end at their position."""
        def test(fovea, folder):
            case = Case("positions/%s %s" % (mode, spec), spec, **{**base, **fields})
            whole = check.numbers(case)
            argv, outs = check.command(case, check.write(case, whole, folder), folder)
            code, _, err = check.tool(fovea, argv + ["--positions", mode])
            if code:
                raise Failure("exit %d: %s" % (code, err.strip()))
            got = {name: check.files.read_tensor(path, name) for name, path in outs.items()}
            wanted = rows
            if rows is None:
                wanted = [int(n) - 1 - (case.lk - case.lq) for n in got["mask"][0, 0].sum(-1)]
                gaps = np.diff(wanted)
                if len(wanted) != int(mode.partition(":")[2]):
                    raise Failure("%d rows came out" % len(wanted))
                if wanted[-1] != case.lq - 1 or (len(gaps) and (gaps.max() - gaps.min() > 1 or gaps.min() < 1)):
                    raise Failure("rows %s are not evenly spread with the last among them" % wanted)
            with np.errstate(all="ignore"):
                want = check.oracle.attend(check.problem(case, whole))
            for name, array in got.items():
                lead = (case.b, case.hq, len(wanted))
                if array.shape[:3] != lead:
                    raise Failure("%s is %s, expected %s first" % (name, array.shape, lead))
            check.compare("o", got["o"], want.o[:, :, wanted], want.o_bound[:, :, wanted])
            if "lse" in got:
                check.compare("lse", got["lse"], want.lse[:, :, wanted], want.lse_bound[:, :, wanted])
            check.compare_mask(got["mask"], want.mask[:, :, wanted])
        return test

    for spec in ("dense", "window:window=5", "topk:k=3", "streaming:sinks=2,window=4", "sparsemax", "dense:alibi,softcap=3",
                 "longnet:segments=8+40,dilations=1+2", "document:lengths=13+20", "trishape:sinks=1,window=3,last=4",
                 "pattern:causal & stride(3)", "crisscross:size=3+11", "natten:size=3+11,kernel=3"):
        for fields in (dict(), dict(bias="hq", bias_kind="holes"), dict(lq=1), dict(lq=50), dict(lq=1, bias="b", causal=False)):
            if fields.get("lq") == 50 and spec.partition(":")[0] in ("topk", "sparsemax"):
                fields = dict(lq=50, causal=False)
            yield ("positions/tail %s %s" % (spec, " ".join("%s=%s" % f for f in sorted(fields.items()))),
                   picked("tail", spec, [fields.get("lq", base["lq"]) - 1], **fields))
    for n in (1, 2, 3, 7, 19, 20):
        yield "positions/sample:%d" % n, picked("sample:%d" % n, "dense", bias="b")
    for spec in ("topk:k=3", "window:window=4", "streaming:sinks=1,window=3,sink=1", "longformer:window=2,global=0"):
        yield "positions/sample:20 " + spec, picked("sample:20", spec, list(range(20)))
        yield "positions/sample:1 " + spec, picked("sample:1", spec, [19], threads=3, dtype="bf16")


def isa_by_environment():
    def capped(fovea, folder):
        case = Case("environment/isa", "dense:causal", lq=20, lk=33)
        flag = _run(fovea, replace(case, isa="scalar"), folder, "flag")
        at = os.path.join(folder, "env")
        os.makedirs(at)
        argv, outs = check.command(case, check.write(case, check.numbers(case), at), at)
        code, _, err = check.tool(fovea, argv, FOVEA_ISA="scalar")
        if code:
            raise Failure("exit %d: %s" % (code, err.strip()))
        if check.files.read_tensor(outs["o"], "o").tobytes() != flag["o"].tobytes():
            raise Failure("FOVEA_ISA=scalar and --isa scalar give different bits")
    yield "environment/FOVEA_ISA caps like --isa", capped


def same_masks():
    """Pairs of SPECs that name the same set."""
    def equal(one, other, **fields):
        def test(fovea, folder):
            case = Case("same/%s" % one, one, lq=37, lk=53, **fields)
            a = _run(fovea, case, folder, "a")["mask"]
            b = _run(fovea, replace(case, spec=other), folder, "b")["mask"]
            if not np.array_equal(a, b):
                raise Failure("%d pairs differ" % int((a != b).sum()))
        return test
    for one, other, fields in (
            ("window:window=9", "pattern:causal & window(left=8)", {}),
            ("streaming:sinks=3,window=7", "pattern:causal & (window(left=6) | sinks(3))", {}),
            ("chunked:chunk=8", "pattern:causal & chunk(8)", {}),
            ("window:window=53", "dense:causal", {}), ("streaming:sinks=60,window=1", "dense:causal", {}),
            ("longformer:window=99", "dense", {}), ("sparse-strided:stride=1", "dense:causal", {}),
            ("sparse-fixed:stride=8,summary=8", "dense:causal", {}), ("topk:k=53", "dense", {}),
            ("prefix:prefix=0", "dense:causal", {}), ("prefix:prefix=53", "dense", {}),
            ("blockwindow:block=64,blocks=1", "dense:causal", {}), ("longnet:segments=8,dilations=1", "pattern:chunk(8)", {}),
            ("threshold:rel=1000", "dense", {}), ("offbyone", "dense", {}), ("longformer:window=4", "window:left=4,right=4", {}),
            ("pattern:!(!causal | !window(left=3))", "window:window=4", {})):
        yield "same/%s = %s" % (one, other), equal(one, other, **fields)


def low_bias():
    """A row whose every bias is the same very low finite number: only -inf hides, so the values are averaged. (The scores
    vanish in the rounding of the sum; the general bound is then too wide to say anything.)"""
    def averaged(spec, lq, low):
        def test(fovea, folder):
            case = Case("low", spec, lq=lq, lk=20, bias="lqlk")
            t = check.numbers(case)
            t.bias[:] = np.float32(low)
            got = check.run(fovea, case, t, folder)
            want = np.broadcast_to(t.v.mean(2, keepdims=True), got["o"].shape)
            check.compare("o", got["o"], want, np.full(want.shape, 1e-5))
            check.compare("lse", got["lse"], np.full(got["lse"].shape, float(np.float32(low))), np.full(got["lse"].shape, abs(low) * 1e-6))
        return test
    for low in (-1e9, -1e20, -1e30, -1e38, -3.4028234e38):
        for spec in ("dense", "threshold:rel=1"):
            for lq in (1, 12):
                yield "bias/all %g %s lq=%d" % (low, spec, lq), averaged(spec, lq, low)


def everything():
    for source in (low_bias, threads, seeds, positions, isa_by_environment, same_masks):
        yield from source()
