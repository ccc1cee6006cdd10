#!/usr/bin/env python3
"""Tests of bench/peers that need no peer, printing TAP: test_peers.py [--build DIR].

Rows, ranking and tables need nothing but Python. With numpy the inputs and the reference are tested too, and with a built
libfovea.so so is the engine that calls it: a struct that changed in fovea.h shows here."""
import argparse
import contextlib
import dataclasses
import importlib.util
import io
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "src", "lab", "eval", "shapes.tsv")
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import rows  # noqa: E402
import table  # noqa: E402

BUILD = None
SMALL = rows.Row("small", "prefill", 1, 4, 2, 300, 300, 8, 8, "f32")


class Skip(Exception):
    pass


def masked(mask, arg=0, **more):
    return dataclasses.replace(SMALL, mask=mask, arg=arg, **more)


def refused(call, *words):
    """The call must raise RowError whose text holds every word."""
    try:
        call()
    except rows.RowError as e:
        for word in words:
            assert word in str(e), "'%s' does not name '%s'" % (e, word)
        return
    raise AssertionError("was not refused")


def test_rows_of_the_file_are_read():
    found = rows.read(os.path.join(HERE, "rows.tsv"))
    assert len(found) >= 80
    groups = {r.group for r in found}
    assert groups == set(rows.GROUPS) - {"named"}, groups
    row = next(r for r in found if r.name == "window-f32-512-of-8192")
    assert (row.mask, row.arg, row.lq, row.hq, row.causal) == ("window", 512, 8192, 4, True)
    assert any(r.quick == 2 and r.lq == 32768 for r in found)


LINE = "a\tprefill\t1\t4\t2\t16\t16\t8\t8\tf32\tcausal\t-\tbhld\twarm\t0"


def test_wrong_lines_are_refused_by_name():
    assert rows.parse_line(LINE).causal
    for old, new, words in (("\t0", "", ("14 fields", "15")), ("\t4\t2\t", "\t4\t3\t", ("hq=4", "hkv=3")),
                            ("f32", "f64", ("dtype", "f64", "bf16")), ("causal", "window", ("window", "number")),
                            ("causal", "none=3", ("none=3", "no number")), ("causal", "odd", ("mask", "odd", "blocks")),
                            ("\t16\t16\t", "\t17\t16\t", ("lk=16", "lq=17")), ("\t8\t8\t", "\t0\t8\t", ("d=0",)),
                            ("\t16\t16\t", "\t16\tx\t", ("lk", "'x'")), ("causal", "blocks=101", ("blocks=101",)),
                            ("warm", "hot", ("cache", "hot")), ("prefill", "refill", ("group", "refill"))):
        refused(lambda: rows.parse_line(LINE.replace(old, new, 1)), *words)


def test_a_name_may_not_be_there_twice():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.tsv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# comment\n%s\n%s\n%s\n" % ("\t".join(rows.COLUMNS), LINE, LINE))
        refused(lambda: rows.read(path), ":4:", "'a'", "twice")
        with open(path, "w", encoding="utf-8") as file:
            file.write("name\tgroup\n")
        refused(lambda: rows.read(path), "header")


def test_pairs_are_the_keys_of_all_spans():
    for row in (masked("none"), masked("causal"), masked("causal", lk=411), masked("window", 7), masked("window", 1000),
                masked("window", 9, lk=350), masked("blocks", 10), masked("blocks", 60), masked("blocks", 100),
                masked("docs", 5), masked("docs", 300), masked("docs", 1)):
        counted = 0
        for i in range(row.lq):
            end = 0
            for a, b in rows.spans(row, i):
                assert end <= a < b <= row.lk, (row.mask, i, a, b)
                end, counted = b, counted + b - a
        assert counted == rows.pairs(row), (row.mask, row.arg, counted, rows.pairs(row))


def test_spans_by_hand():
    assert rows.spans(masked("causal", lq=3, lk=10), 0) == [(0, 8)]
    assert rows.spans(masked("window", 2, lq=3, lk=10), 2) == [(8, 10)]
    assert rows.spans(masked("none"), 299) == [(0, 300)]
    lengths = rows.lengths_of_documents(masked("docs", 5))
    assert sum(lengths) == 300 and len(lengths) == 5 and len(set(lengths)) > 1
    assert rows.spans(masked("docs", 5), lengths[0]) == [(lengths[0], lengths[0] + 1)]
    assert all(len(c) == 2 and i in c for i, c in enumerate(rows.blocks_of(masked("blocks", 67))))


def test_work_by_hand():
    assert rows.flops(masked("none")) == 4.0 * 8 * 300 * 300 * 4
    assert rows.flops(masked("causal")) == 2.0 * 8 * 300 * 301 * 4
    assert rows.kv_bytes(dataclasses.replace(SMALL, dtype="bf16", dv=16)) == 2 * 300 * 24 * 2


def test_named_shapes():
    found = {r.name: r for r in rows.named(SHAPES)}
    for name in ("minilm-l6-128-b32", "vit-b16-224", "swin-t-s3", "atcnet-mha", "medt-axial-h", "dsv3-mla-absorb-d8k"):
        assert name in found, name
    assert found["swin-t-s3"].bias == "head" and found["phi3-mini-p4k"].arg == 2047
    assert found["dsv3-mla-absorb-d8k"].cache == "cold" and found["dsv3-mla-absorb-d8k"].dv == 512
    assert abs(found["eeg-conformer-2a"].factor - 40 ** -0.5) < 1e-4
    assert all(rows.flops(r) <= rows.MOST_FLOPS or r.batch * r.hq == 1 for r in found.values())
    whole = dataclasses.replace(SMALL, hq=128, hkv=32, lq=1024, lk=1024, d=128, dv=128, batch=4)
    less = rows.cut(whole)
    assert rows.flops(less) <= rows.MOST_FLOPS and less.hq == 4 * less.hkv and less.batch == 1 and "hq=128" in less.note
    assert rows.cut(SMALL) is SMALL
    refused(lambda: rows.named(SHAPES, ("report",)), "sink")


def test_choosing():
    some = [dataclasses.replace(SMALL, name=n, quick=q) for n, q in (("ab", 0), ("bc", 1), ("cd", 2))]
    names = lambda **how: [r.name for r in rows.chosen(some, **how)]  # noqa: E731
    assert names() == ["ab", "bc"] and names(long=True) == ["ab", "bc", "cd"] and names(quick=True) == ["bc"]
    assert names(only=["b"]) == ["ab", "bc"] and names(only=["cd"]) == ["cd"] and names(groups=["long"]) == []


def figure(best, median=None, attention=True, error=1e-7):
    return {"best": best, "median": median or best, "times": [best], "calls": 1, "note": "", "attention": attention,
            "error": None if not attention else {"max": error, "nmse": 0.0}}


def result(name, isa="best", **engines):
    return {"row": name, "isa": isa, "threads": 1, "group": "prefill", "dtype": "f32", "decode": False, "flops": 1e9,
            "kv_bytes": 1e6, "engines": {n.replace("_", " "): e for n, e in engines.items()}}


def test_verdicts():
    cases = (("first", 2.0, result("a", fovea=figure(1), torch=figure(2))),
             ("behind", 0.5, result("a", fovea=figure(2), torch=figure(1), plain=figure(9))),
             ("tie", 0.99, result("a", fovea=figure(1), torch=figure(0.99))),
             ("bound", 2.0, result("a", fovea=figure(1), torch=figure(2), gemm=figure(0.5, attention=False))),
             ("first", 2.0, result("a", fovea=figure(1), torch=figure(2), gemm=figure(1.5, attention=False))),
             ("first", 3.0, result("a", fovea=figure(1), torch=figure(3), wrong=figure(0.1, error=1e-2))),
             ("behind", 0.8, result("a", fovea=figure(1), torch=figure(0.8), gemm=figure(0.1, attention=False))),
             ("first", 4.0, result("a", fovea=figure(4), fovea_fast=figure(1), torch=figure(4))))
    for state, ratio, given in cases:
        found = table.verdict(given)
        assert found.state == state and abs(found.ratio - ratio) < 1e-9, (state, ratio, found)
    assert table.verdict(result("a", fovea=figure(1))).state == "alone"
    assert table.verdict(result("a", fovea=figure(1, error=1.0), torch=figure(2))).state == "behind"


def test_order_and_merge():
    some = [result("won", fovea=figure(1), torch=figure(2)), result("bad", fovea=figure(2), torch=figure(1)),
            result("bare", fovea=figure(1), torch=figure(2), gemm=figure(0.5, attention=False)),
            result("tie", fovea=figure(1), torch=figure(0.99)), result("worst", fovea=figure(9), torch=figure(1))]
    assert [r["row"] for r in table.ordered(some)] == ["worst", "bad", "tie", "bare", "won"]
    later = [result("bad", fovea=figure(1), torch=figure(2)), result("bad", "avx2", fovea=figure(5), torch=figure(6))]
    merged = table.merge(some, later)
    assert len(merged) == 6 and table.verdict(merged[1]).state == "first" and merged[1]["row"] == "bad"


def test_kept_results_name_their_commit():
    kept = [{"row": "a", "note": ""}, {"row": "b", "note": "cut"}, {"row": "c", "note": "fovea at 1"}]
    assert table.dated(kept, "2", "2") == kept
    assert [r["note"] for r in table.dated(kept, "2", "3")] == ["fovea at 2", "cut; fovea at 2", "fovea at 1"]


def test_figures_are_rounded():
    given = {"times": [1.23456789e-5, 2], "name": "x", "error": None, "inner": {"max": 123456789.0}}
    assert table.rounded(given) == {"times": [1.23457e-5, 2], "name": "x", "error": None, "inner": {"max": 123457000.0}}


MACHINE = {"cpu": "a CPU", "cpus": 2, "date": "2000-01-01", "versions": {"torch": "1"}, "missing": {"onnx": "not there"}}


def test_markdown():
    some = [result("won", fovea=figure(1), torch=figure(2)), result("lost", "avx2", fovea=figure(2, 9), torch=figure(1))]
    text = table.markdown(MACHINE, some, full=False)
    assert text.index("not first") < text.index("lost (avx2)") < text.index("### Prefill") < text.index("| won |")
    assert "| 2000.0 ! |" in text and "| 1000.0 |" in text and "onnx (not there)" in text and "| torch |" in text
    assert "Every engine" not in text and "Every engine" in table.markdown(MACHINE, some, full=True)
    assert "first in" not in table.markdown(MACHINE, [], full=False)
    assert "first in every row" in table.markdown(MACHINE, some[:1], full=False)
    whole = table.markdown(MACHINE, [result("x", fovea=figure(1), gemm=figure(2, attention=False), bad=figure(3, error=1))], True)
    assert "gemm (no softmax)" in whole and "bad (WRONG, not ranked)" in whole
    for line in whole.splitlines():
        if line.startswith("| x "):
            assert line.count("|") in (len(table.SUMMARY) + 1, len(table.DETAIL) + 1), line


def test_error_by_number_of_keys():
    some = [dict(result("k%d" % keys, fovea=figure(1), ggml=figure(2)), group="accuracy", keys=keys) for keys in (32768, 4096)]
    some[0]["engines"]["ggml"]["error"] = {"max": 1e-3, "nmse": 7e-4}
    text = table.markdown(MACHINE, some, full=False)
    assert "| engine | f32, 4096 | f32, 32768 |" in text and "| ggml | 0e+00 | 7e-04 |" in text, text


def run(*arguments):
    return subprocess.run([sys.executable, os.path.join(HERE, "run"), *arguments], capture_output=True, text=True, check=False)


def test_command_line():
    listed = run("--list", "--only", "prefill-f32-128")
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 4, listed.stderr
    both = run("--list", "--only", "atcnet").stdout.split()
    assert both.count("best") == both.count("avx2") == 1
    assert "nosuchrow" in run("--list", "--only", "nosuchrow").stderr


def numpy_modules():
    if not importlib.util.find_spec("numpy"):
        raise Skip("no numpy")
    import inputs
    return inputs


def test_inputs_and_reference():
    inputs = numpy_modules()
    import numpy as np
    x = np.array([1.0, 1.00390625, 1.01171875, -3.0e-39], np.float32)  # exact, two ties to even, a subnormal
    assert inputs.from_bf16(inputs.to_bf16(x)).tolist()[:3] == [1.0, 1.0, 1.015625]
    for row in (masked("causal", dtype="bf16"), masked("window", 9, layout="blhd"), masked("blocks", 40, bias="head")):
        case, again = inputs.Case(row), inputs.Case(row)
        assert (case.q == again.q).all() and case.q.ctypes.data % 64 == 0
        full = np.zeros((row.batch, row.hq, row.lq, row.dv))
        shown = case.visible()
        for h in range(row.hq):
            q, k, v = (inputs.as_float(t).astype(np.float64) for t in (case.q[0, h], case.k[0, h // 2], case.v[0, h // 2]))
            s = q @ k.T * row.factor + (0 if case.bias is None else case.bias[h])
            p = np.where(shown, np.exp(s - s.max()), 0)
            full[0, h] = p / p.sum(-1, keepdims=True) @ v
        truth = case.truth()
        assert len(truth) > 10 and inputs.error(truth, full)["max"] < 1e-12
        full[0, 0, 0, 3] += 0.25
        assert abs(inputs.error(truth, full)["max"] - 0.25) < 1e-9 and inputs.error(truth, full)["nmse"] > 0
        full[0, 0, 0, 3] = np.nan
        assert inputs.error(truth, full)["max"] == float("inf")


def test_fovea_engine():
    inputs = numpy_modules()
    if not BUILD or not os.path.exists(os.path.join(BUILD, ".libs", "libfovea.so")):
        raise Skip("no shared library in the build directory")
    import engine
    import engine_fovea
    engine_fovea.start(engine.Settings(1, "best", BUILD, ""))
    for row in (masked("none", bias="head"), masked("causal", layout="blhd", lk=333), masked("window", 40, dtype="bf16"),
                masked("blocks", 40, dtype="f16"), masked("docs", 5), masked("none", lq=1, scale=0.5)):
        case = inputs.Case(row)
        prepared = engine_fovea.prepare("fovea", case)
        prepared.run()
        worst = inputs.error(case.truth(), prepared.output())["max"]
        assert worst < 1e-5, (row.mask, worst)


def main():
    global BUILD
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", help="fovea's build directory")
    BUILD = parser.parse_args().build
    tests = [(n[5:].replace("_", " "), f) for n, f in globals().items() if n.startswith("test_")]
    print("1..%d" % len(tests))
    for number, (name, test) in enumerate(tests, 1):
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                test()
            print("ok %d - %s" % (number, name))
        except Skip as e:
            print("ok %d - %s # SKIP %s" % (number, name, e))
        except Exception as e:  # whatever it was, the other tests still run
            print("not ok %d - %s\n# %s: %s" % (number, name, type(e).__name__, str(e).replace("\n", "\n# ")))


if __name__ == "__main__":
    main()
