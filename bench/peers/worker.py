"""Measures rows: all engines of a row in one process, on the same memory, in turn. Started by `run`, in the peers' own
Python, with the environment that holds every engine to the same threads (and, for avx2, to the same instructions).

Reads a job (JSON) from the file named by its only argument and rewrites the job's result file after every row."""
import argparse
import ctypes
import gc
import importlib
import json
import os
import statistics
import sys
import time

import numpy as np

import inputs
import rows
from engine import Missing, Settings, Unfit

MODULES = ("fovea", "torch", "onnx", "openvino", "ggml", "blas", "plain")
TURN = 0.003        # seconds that a turn of short calls lasts at least
ROUNDS = (3, 15)    # at least, at most
SLOW = 4.0          # an engine this many times slower than the fastest gets no more than the least number of rounds
REST = 0.02         # seconds between turns when there are threads: waiting workers of one engine spin on
STREAM = 640 << 20  # bytes read to push everything out


class Flusher:
    """Pushes a row's keys and values out of the caches before a call."""

    def __init__(self, settings, case):
        self.lib = ctypes.CDLL(os.path.join(settings.peers, "lib", "flush.so"))
        self.lib.peer_flush.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.lib.peer_stream.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.ours = [(x.ctypes.data, x.nbytes) for x in (case.q, case.k, case.v)]
        self.block = None

    def push(self, prepared):
        if prepared.hidden or not self.lib.peer_flushes():
            if self.block is None:
                self.block = np.ones(STREAM // 8, np.uint64)
            self.lib.peer_stream(self.block.ctypes.data, self.block.nbytes)
        for address, size in list(self.ours) + list(prepared.private):
            self.lib.peer_flush(address, size)


def log(text):
    print("peers: %s" % text, file=sys.stderr, flush=True)


def load(settings, wanted):
    """[(name, module)] of the engines that are there and asked for, {module: version}, {module: why missing}."""
    engines, versions, missing = [], {}, {}
    for part in MODULES:
        module = importlib.import_module("engine_" + part)
        names = [n for n in module.NAMES if not wanted or any(w.lower() in n.lower() for w in wanted)]
        if not names:
            continue
        try:
            module.start(settings)
            versions[part] = module.version()
        except Missing as e:
            missing[part] = str(e)
            log("SKIPPED %s" % e)
            continue
        engines += [(n, module) for n in names]
    return engines, versions, missing


def prepare(engines, case, truth):
    """{name: Prepared}, {name: error} and {name: why not}; every engine has run once when this returns."""
    ready, errors, unfit = {}, {}, {}
    for name, module in engines:
        try:
            prepared = module.prepare(name, case)
            prepared.run()
            output = prepared.output()
            errors[name] = None if output is None else inputs.error(truth, output)
            ready[name] = prepared
        except Unfit as e:
            unfit[name] = str(e)
        except Exception as e:  # a peer that breaks on a row is a finding, not the end of the run
            unfit[name] = "failed: %s" % (str(e).strip().splitlines() or [type(e).__name__])[-1][:160]
            log("%s: %s: %s" % (case.row.name, name, unfit[name]))
    return ready, errors, unfit


def turn(prepared, flusher, calls):
    """Seconds per call of one turn."""
    if flusher:
        flusher.push(prepared)
        start = time.perf_counter()
        prepared.run()
        return time.perf_counter() - start
    run = prepared.run
    if calls > 1:
        run()  # others had the caches meanwhile
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def measure(ready, flusher, seconds, threads):
    """{name: [seconds of each turn]}, {name: calls of a turn} and the machine's limits at that moment; the order of the turns
    moves by one in every round."""
    times, calls = {n: [] for n in ready}, {}
    fovea = sys.modules["engine_fovea"].library if "engine_fovea" in sys.modules else None
    limits = fovea.limits() if fovea else {}
    for name, prepared in ready.items():
        prepared.run()
        calls[name] = 1 if flusher else max(1, min(20000, int(TURN / max(turn(prepared, None, 1), 1e-7))))
    names, begin = list(ready), time.perf_counter()
    for count in range(ROUNDS[1]):
        best = min((min(t) for t in times.values() if t), default=0)
        for name in names[count % len(names):] + names[:count % len(names)]:
            if count >= ROUNDS[0] and min(times[name]) > SLOW * best:
                continue
            if threads > 1:
                time.sleep(REST)
            times[name].append(turn(ready[name], flusher, calls[name]))
        if count + 1 >= ROUNDS[0] and time.perf_counter() - begin > seconds * len(names):
            break
    return times, calls, limits


def one(row, engines, settings, seconds):
    """The result of a row, as it stands in the JSON."""
    case = inputs.Case(row)
    flusher = Flusher(settings, case) if row.cache == "cold" else None
    ready, errors, unfit = prepare(engines, case, case.truth())
    result = {"row": row.name, "group": row.group, "shape": row.shape(), "keys": row.lk, "dtype": row.dtype,
              "bias": row.bias,
              "mask": row.mask + ("=%d" % row.arg if row.arg else ""), "layout": row.layout, "cache": row.cache,
              "note": row.note, "isa": settings.isa, "threads": settings.threads, "flops": rows.flops(row),
              "kv_bytes": rows.kv_bytes(row), "decode": row.decode, "engines": {}, "unfit": unfit}
    times, calls, result["limits"] = measure(ready, flusher, seconds, settings.threads)
    for name, prepared in ready.items():
        result["engines"][name] = {"best": min(times[name]), "median": statistics.median(times[name]), "times": times[name],
                                   "calls": calls[name], "error": errors[name], "attention": prepared.attention,
                                   "note": prepared.note}
    return result


def report(result):
    found = sorted(result["engines"].items(), key=lambda e: e[1]["best"])
    log("%-36s %s" % (result["row"], ", ".join("%s %.4g ms" % (n, e["best"] * 1e3) for n, e in found[:6])))


def work(job):
    settings = Settings(job["threads"], job["isa"], job["build"], job["peers"])
    os.sched_setaffinity(0, set(job["cpus"]))
    engines, versions, missing = load(settings, job["engines"])
    if not engines:
        raise SystemExit("peers: no engine is left")
    results = []
    for value in job["rows"]:
        results.append(one(rows.Row(**value), engines, settings, job["seconds"]))
        report(results[-1])
        gc.collect()
        with open(job["result"] + ".part", "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "missing": missing, "results": results}, file)
        os.replace(job["result"] + ".part", job["result"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="file with the job, as run writes it")
    with open(parser.parse_args().job, encoding="utf-8") as handle:
        work(json.load(handle))
