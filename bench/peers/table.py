"""What the figures say: merges pieces, ranks a row's engines and writes Markdown. Pure functions on the JSON of a run."""
import collections

WRONG = {"f32": 1e-4, "f16": 2e-2, "bf16": 8e-2}  # largest error (inputs N(0,1)) that still counts as an answer
NOISY = 1.5    # median over best from which a figure is marked: something else ran
TIE = 0.02     # ratios closer to 1 than this are told as ties
DETAIL = ("row", "engine", "best", "median", "rate", "x fovea", "error")

Verdict = collections.namedtuple("Verdict", "ours best_peer ratio state")
# ours: (name, result) of fovea's faster way; best_peer: of the fastest peer that attends and is right; ratio: its time over
# ours, above 1 when we are first; state: 'behind', 'tie', 'bound' (behind bare GEMMs only), 'first' or 'alone'


def key(result):
    return result["row"], result["isa"], result["threads"]


def merge(*lists):
    """Results of several pieces; a later result of the same row, instruction set and threads replaces an earlier one."""
    merged = {}
    for results in lists:
        for result in results:
            merged[key(result)] = result
    return list(merged.values())


def dated(results, revision, now):
    """Results kept from an earlier run, each with fovea's commit in its note when that is not the one measured now."""
    if not revision or revision == now:
        return results
    return [r if "fovea at" in r["note"] else {**r, "note": "; ".join(n for n in (r["note"], "fovea at " + revision) if n)}
            for r in results]


def rounded(value):
    """The same with six digits of every real number: more was not measured."""
    if isinstance(value, float):
        return float("%.6g" % value)
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def is_ours(name):
    return name.startswith("fovea")


def is_right(result, engine):
    return engine["error"] is None or engine["error"]["max"] <= WRONG[result["dtype"]]


def fastest(items):
    return min(items, key=lambda item: item[1]["best"], default=None)


def verdict(result):
    engines = [(n, e) for n, e in result["engines"].items() if is_right(result, e)]
    ours = fastest([i for i in engines if is_ours(i[0])])
    peer = fastest([i for i in engines if not is_ours(i[0]) and i[1]["attention"]])
    bound = fastest([i for i in engines if not i[1]["attention"]])
    if ours is None:
        return Verdict(None, peer, 0.0, "behind")
    if peer is None:
        return Verdict(ours, None, float("inf"), "alone")
    ratio = peer[1]["best"] / ours[1]["best"]
    if ratio < 1:
        return Verdict(ours, peer, ratio, "behind" if ratio < 1 - TIE else "tie")
    if bound and bound[1]["best"] < ours[1]["best"]:
        return Verdict(ours, peer, ratio, "bound")
    return Verdict(ours, peer, ratio, "first")


def ordered(results):
    """Worst first: rows where fovea is behind by their ratio, then ties, then rows behind bare GEMMs, then the others."""
    rank = {"behind": 0, "tie": 1, "bound": 2, "first": 3, "alone": 3}

    def place(result):
        v = verdict(result)
        return rank[v.state], v.ratio if rank[v.state] < 2 else 0
    return sorted(results, key=place)


def ms(seconds):
    value = seconds * 1e3
    return "%.4f" % value if value < 0.1 else "%.3f" % value if value < 10 else "%.1f" % value


def rate(result, seconds):
    if result["decode"]:
        return "%.1f GB/s" % (result["kv_bytes"] / seconds / 1e9)
    return "%.0f GFLOP/s" % (result["flops"] / seconds / 1e9)


def mark(engine):
    return " !" if engine["median"] > NOISY * engine["best"] else ""


def error_text(engine):
    return "-" if engine["error"] is None else "%.0e" % engine["error"]["max"]


def title(result):
    more = [] if result["isa"] == "best" else [result["isa"]]
    more += ["%d threads" % result["threads"]] if result["threads"] > 1 else []
    return result["row"] + (" (%s)" % ", ".join(more) if more else "")


def line(*cells):
    return "| %s |" % " | ".join(cells)


def summary_line(result):
    v = verdict(result)
    bound = fastest([i for i in result["engines"].items() if not i[1]["attention"]])
    ours = ("failed", "", "") if v.ours is None else (
        ms(v.ours[1]["best"]) + mark(v.ours[1]), rate(result, v.ours[1]["best"]), error_text(v.ours[1]))
    peer = ("none", "", "", "") if v.best_peer is None else (
        v.best_peer[0], ms(v.best_peer[1]["best"]) + mark(v.best_peer[1]), "%.2f" % v.ratio, error_text(v.best_peer[1]))
    bare = "" if bound is None or v.ours is None else "%.2f" % (bound[1]["best"] / v.ours[1]["best"])
    return line(title(result), *ours, *peer, bare)


SUMMARY = ("row", "fovea, ms", "rate", "error", "fastest peer", "ms", "its time / ours", "its error", "bare GEMMs / ours")


def summary(results, head):
    if not results:
        return []
    out = ["", "### " + head, "", line(*SUMMARY), "|---|---:|---:|---:|---|---:|---:|---:|---:|"]
    return out + [summary_line(r) for r in results]


def detail(results):
    out = ["", "### Every engine", "", line(*DETAIL), "|---|---|---:|---:|---:|---:|---:|"]
    for result in results:
        ours = verdict(result).ours
        for name, e in sorted(result["engines"].items(), key=lambda item: item[1]["best"]):
            ratio = "-" if ours is None else "%.2f" % (e["best"] / ours[1]["best"])
            name = name if e["attention"] else name + " (no softmax)"
            name = name if is_right(result, e) else name + " (WRONG, not ranked)"
            out.append(line(title(result), name, ms(e["best"]) + mark(e), ms(e["median"]), rate(result, e["best"]), ratio,
                            error_text(e)))
    return out


def machine_text(machine):
    out = ["%s, %d CPUs seen, %s%s; pinned, engines in turn within one process; best of up to 15 turns." % (
        machine["cpu"], machine["cpus"], machine["date"], ", fovea at " + machine["revision"] if machine.get("revision") else "")]
    out += ["", "Versions: " + "; ".join("%s %s" % v for v in sorted(machine["versions"].items())) + "."]
    for name, why in sorted(machine["missing"].items()):
        out.append("Not measured: %s (%s)." % (name, why))
    return out


GROUP_HEADS = {
    "prefill": "Prefill", "long": "Long rows", "decode": "Decoding, cold caches", "window": "Sliding windows",
    "sparse": "Block sparse", "documents": "Documents", "small": "Small windows", "layout": "Interleaved heads",
    "lengths": "A few queries on many keys, cold caches", "named": "Named shapes"}  # accuracy has a table of its own


def accuracy(results):
    """Squared error over squared answer of decoding rows, engine by number of keys: it should not grow."""
    rows = sorted((r for r in results if r["group"] == "accuracy"), key=lambda r: (r["dtype"], r["keys"]))
    if not rows:
        return []
    out = ["", "### Squared error over squared answer, decoding, by number of keys", "",
           line("engine", *("%s, %d" % (r["dtype"], r["keys"]) for r in rows)), "|---|" + "---:|" * len(rows)]
    names = sorted({n for r in rows for n in r["engines"]}, key=lambda n: (not is_ours(n), n))
    for name in names:
        found = [r["engines"].get(name) for r in rows]
        out.append(line(name, *("-" if e is None or e["error"] is None else "%.0e" % e["error"]["nmse"] for e in found)))
    return out


def markdown(machine, results, full):
    """The table of a run; `full` adds every engine of every row."""
    placed = ordered(results)
    behind = [r for r in placed if verdict(r).state in ("behind", "tie")]
    bound = [r for r in placed if verdict(r).state == "bound"]
    out = machine_text(machine)
    if not results:
        return "\n".join(out + ["", "Nothing was measured."]) + "\n"
    out += summary(behind, "Rows where fovea is not first: bugs to work on (ratios of 0.98 and more are ties)")
    if not behind:
        out += ["", "fovea is first in every row."]
    out += summary(bound, "Rows where fovea is first, but behind two bare GEMMs without a softmax")
    for group, head in GROUP_HEADS.items():
        out += summary([r for r in results if r["group"] == group and verdict(r).state in ("first", "alone")], head)
    out += accuracy(results)
    out += ["", "A ! marks a figure whose median was over %.1f times its best: take it as a lower bound." % NOISY]
    return "\n".join(out + (detail(placed) if full else [])) + "\n"
