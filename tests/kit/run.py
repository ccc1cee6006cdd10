#!/usr/bin/env python3
"""Runs the kit against a binary and prints TAP: run.py --fovea PATH [--only PATTERN] [--jobs N] [--mutate KIND].

Exit 0 when everything passes, 1 otherwise. With --mutate the oracle is wrong on purpose and every numeric case that can
notice must fail; see README.md.
"""
import argparse
import fnmatch
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy: its threads would cost more than these sizes need

import numpy as np  # noqa: E402

import cases  # noqa: E402
import check  # noqa: E402
import errors  # noqa: E402
import oracle  # noqa: E402
import properties  # noqa: E402


def chosen(patterns, mutate):
    """[(name, kind, index in its list)]; kinds: case, property, error."""
    found = [(c.name, "case", n) for n, c in enumerate(ALL["case"])]
    if not mutate:
        found += [(name, kind, n) for kind in ("property", "error") for n, (name, _) in enumerate(ALL[kind])]
    names = [name for name, _, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise SystemExit("case names are not unique: %s" % twice[:3])
    if not patterns:
        return found
    return [f for f in found if any(fnmatch.fnmatch(f[0], "*" + glob_safe(p) + "*") for p in patterns)]


def glob_safe(pattern):
    return pattern.replace("[", "[[]")


ALL = {}


def load(seed, count):
    ALL.update({"case": list(cases.everything(seed, count)), "property": list(properties.everything()),
                "error": list(errors.everything())})


def one(fovea, kind, index, mutate):
    """-> (state, detail, largest error over bound); state: ok, fail, skip."""
    folder = tempfile.mkdtemp(prefix="fovea-kit-")
    try:
        if kind == "case":
            return "ok", "", check.check(fovea, ALL["case"][index], folder, mutate)
        ALL[kind][index][1](fovea, folder)
        return "ok", "", 0.0
    except check.Failure as e:
        return "fail", str(e), None
    except check.Skip as e:
        return "skip", str(e), None
    except Exception as e:  # a crash of the kit or a time-out is a failure of that case, not of the run
        return "fail", "%s: %s" % (type(e).__name__, e), None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def can_notice(case, mutate):
    """Whether the mutation moves some number of the case by more than its bound (judged by the oracle alone)."""
    if case.given or case.poison:
        return False
    with np.errstate(all="ignore"):
        t = check.numbers(case)
        right = oracle.attend(check.problem(case, t))
        wrong = oracle.attend(check.problem(case, t, mutation=mutate))
        moved = np.abs(right.o - wrong.o) > right.o_bound + wrong.o_bound
        if check.has_lse(case):
            moved = moved.any() or (np.abs(right.lse - wrong.lse) > right.lse_bound + wrong.lse_bound).any()
    return bool(np.any(moved))


def report_mutation(names, results, mutate):
    survivors = []
    for (name, _, index), (state, _, _) in zip(names, results):
        if state == "ok" and can_notice(ALL["case"][index], mutate):
            survivors.append(name)
    failed = sum(1 for r in results if r[0] == "fail")
    skipped = sum(1 for r in results if r[0] == "skip")
    print("# mutation %s: %d of %d cases failed as they must, %d skipped, %d cannot notice, %d missed it" % (
        mutate, failed, len(names), skipped, len(names) - failed - skipped - len(survivors), len(survivors)))
    for name in survivors:
        print("not ok - %s did not notice %s" % (name, mutate))
    return 1 if survivors or not failed else 0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--fovea", required=True, help="the binary to test")
    ap.add_argument("--only", action="append", help="part of a name, * and ? allowed; may be repeated")
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--mutate", choices=("drop-key", "swap-rows", "scale"))
    ap.add_argument("--list", action="store_true", help="print the names and stop")
    ap.add_argument("--ratios", action="store_true", help="after each case, its largest error over its bound")
    ap.add_argument("--seed", type=int, default=1, help="of the mixed cases")
    ap.add_argument("--mixed", type=int, default=300, help="how many mixed cases")
    args = ap.parse_args()
    load(args.seed, args.mixed)
    names = chosen(args.only, args.mutate)
    if args.list:
        print("\n".join(name for name, _, _ in names))
        return 0
    fovea = os.path.abspath(args.fovea)
    if not os.access(fovea, os.X_OK):
        raise SystemExit("run.py: --fovea %s: no such program" % args.fovea)
    if not names:
        raise SystemExit("run.py: --only %s matches no case" % args.only)
    results, counts = [], {"ok": 0, "fail": 0, "skip": 0}
    print("1..%d" % len(names), flush=True)
    pool = ProcessPoolExecutor(args.jobs, initializer=load, initargs=(args.seed, args.mixed)) if args.jobs > 1 else None
    jobs = [[fovea] * len(names), [k for _, k, _ in names], [n for _, _, n in names], [args.mutate] * len(names)]
    outcomes = pool.map(one, *jobs, chunksize=8) if pool else map(one, *jobs)
    for number, ((name, _, _), result) in enumerate(zip(names, outcomes), 1):
        results.append(result)
        state, detail, ratio = result
        counts[state] += 1
        if args.mutate:
            continue
        line = {"ok": "ok", "fail": "not ok", "skip": "ok"}[state] + " %d - %s" % (number, name.replace("#", "\\#"))
        if state == "skip":
            line += " # SKIP " + detail
        elif args.ratios and ratio is not None:
            line += "   (%.3f of the bound)" % ratio
        print(line)
        if state == "fail":
            print("# " + detail.replace("\n", "\n# "), flush=True)
    if pool:
        pool.shutdown()
    if args.mutate:
        return report_mutation(names, results, args.mutate)
    print("# %d passed, %d failed, %d skipped" % (counts["ok"], counts["fail"], counts["skip"]))
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
