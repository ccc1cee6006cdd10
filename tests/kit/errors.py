"""Runs that must fail: exit code 2 (usage) or 3 (input), one line on stderr that names what is wrong, nothing on stdout,
and the folder as it was, no output and no leftover of one.
"""
import os
import struct

import numpy as np

import check
import files
from check import Failure

N = 8  # tokens of the base problem


def _npy(header, data=b"", magic=b"\x93NUMPY", version=(1, 0), length=None):
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    size = len(text) if length is None else length
    return magic + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", size) + text + data


def _header(descr="<f4", fortran=False, shape="(1, 2, 8, 16)"):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)


class Bad:
    """One failing run. files: name -> bytes or array, written into the folder and usable as {name} in arguments."""

    def __init__(self, name, spec="dense", says=(), codes=(2, 3), args=(), give=None, env=None, drop=(), outs=("-o", "o.npy"),
                 lse=False, ranged=False):
        self.name, self.spec, self.codes = name, spec, codes
        self.says = [says] if isinstance(says, str) else list(says)
        self.args, self.give, self.env, self.drop, self.outs = list(args), give or {}, env or {}, drop, list(outs)
        self.lse, self.ranged = lse, ranged

    def __call__(self, fovea, folder):
        rng = np.random.default_rng(1)
        given = {n: rng.standard_normal((1, 2, N, 16)).astype(np.float32) for n in ("q", "k", "v")}
        given.update(self.give)
        paths = {}
        for name, data in given.items():
            if data is None:
                paths[name] = os.path.join(folder, name + ".npy")
                continue
            suffix = ".safetensors" if isinstance(data, bytes) and data[:6] != b"\x93NUMPY" and name.startswith("st") else ".npy"
            paths[name] = os.path.join(folder, name + suffix)
            if isinstance(data, bytes):
                with open(paths[name], "wb") as f:
                    f.write(data)
            else:
                np.save(paths[name], data)

        def filled(text):
            for name, path in paths.items():
                text = text.replace("{%s}" % name, path)
            return text.replace("{dir}", folder)
        argv = ["run"]
        for option, value in (("--variant", self.spec), ("--q", "{q}"), ("--k", "{k}"), ("--v", "{v}")):
            if option not in self.drop:
                argv += [option, filled(value)]
        if self.outs:
            argv += [self.outs[0], os.path.join(folder, self.outs[1])]
        if self.lse:
            argv += ["--lse", os.path.join(folder, "lse.npy")]
        argv += [filled(a) for a in self.args]
        before = sorted(os.listdir(folder))
        code, out, err = check.tool(fovea, argv, **self.env)
        self.judge(code, out, err, before, sorted(os.listdir(folder)), filled)

    def judge(self, code, out, err, before, after, filled):
        if code not in self.codes:
            raise Failure("exit %d, expected %s: %s" % (code, " or ".join(map(str, self.codes)), err.strip()))
        if out:
            raise Failure("something on stdout: %r" % out[:80])
        if before != after:
            raise Failure("files left behind: %s" % sorted(set(after) - set(before)))
        if err.count("\n") != 1 or not err.endswith("\n") or len(err) < 12:
            raise Failure("stderr is not one line: %r" % err[:300])
        for word in self.says:
            options = word if isinstance(word, tuple) else (word,)
            if not any(filled(w) in err for w in options):
                raise Failure("the message does not say %s: %s" % (" or ".join(map(repr, options)), err.strip()))
        if self.ranged:
            rest = err.replace(self.spec, "")
            for word in self.says:
                rest = rest.replace(word if isinstance(word, str) else word[0], "", 1)
            if not any(c.isdigit() for c in rest) and not any(w in rest for w in ("positive", "allowed", "or ")):
                raise Failure("the message does not say what is allowed: %s" % err.strip())


def names():
    for wrong, right in (("dnse", "dense"), ("windo", "window"), ("streeming", "streaming"), ("sparse-stride", "sparse-strided"),
                         ("bigbrid", "bigbird"), ("entmax14", "entmax15"), ("sparsmax", "sparsemax"), ("longfromer", "longformer"),
                         ("Dense", "dense"), ("topkk", "topk")):
        yield Bad("name/" + wrong, wrong, [wrong, right], (2,))
    for spec, wrong, right in (("topk:kk=3", "kk", "k"), ("streaming:sinkz=4", "sinkz", "sinks"), ("window:windw=4", "windw", "window"),
                               ("threshold:prb=0.1", "prb", "prob"), ("dense:scal=2", "scal", "scale"),
                               ("dense:softcp=2", "softcp", "softcap"), ("natten:size=8,kernal=3", "kernal", "kernel"),
                               ("bigbird:randm=2", "randm", "random")):
        yield Bad("key/" + spec, spec, [wrong, right], (2,))
    for expr, wrong, right in (("causl", "causl", "causal"), ("causal & windw(left=3)", "windw", "window"),
                               ("sink(4)", "sink", "sinks"), ("strid(3)", "strid", "stride"), ("neighbourhood(size=8,kernel=3)",
                                                                                                 "neighbourhood", "neighborhood")):
        yield Bad("primitive/" + expr, "pattern:" + expr, [wrong, right], (2,))
    for expr, wrong in (("window(lft=3)", "lft"), ("dilated(stp=2,left=1,right=1)", "stp"), ("random(block=2,cnt=1)", "cnt")):
        yield Bad("primitive key/" + expr, "pattern:" + expr, [wrong], (2,))


def syntax():
    for spec in ("pattern:", "pattern:causal &", "pattern:(causal", "pattern:causal)", "pattern:& causal", "pattern:causal causal",
                 "pattern:!", "pattern:window(left=3", "pattern:sinks()", "pattern:sinks(x)", "pattern:sinks(1.5)", "pattern:stride()",
                 "pattern:dilated(step=2)", "pattern:dilated(step=2,left=3)", "pattern:causal;all", "topk:k=", "topk:k=abc",
                 "topk:k=3x", "topk:k=1+2", "topk:,", ":", "", "window:window=4,left=3", "window:window=4,right=0",
                 "sparse-strided:part=bothh", "sigmoid:bias=fast", "axial:size=4+x,axis=0", "topk:k=2,pattern=\"causl\"",
                 "topk:k=2,pattern=\"causal", "pattern:window(left=2.5)", "topk:k=99999999999999999999"):
        yield Bad("syntax/%r" % spec, spec, codes=(2,))


def ranges():
    for spec, value in (("topk:k=-1", "-1"), ("topk:k=0", "0"), ("topp:p=1.5", "1.5"), ("topp:p=-0.5", "-0.5"), ("topp:p=0", "0"),
                        ("threshold:rel=-1", "-1"), ("threshold:prob=2", "2"), ("threshold:prob=-0.1", "-0.1"), ("localv:k=0", "0"),
                        ("entmax:alpha=1", "1"), ("entmax:alpha=0.5", "0.5"), ("window:window=0", "0"), ("window:window=-3", "-3"),
                        ("streaming:sinks=-1", "-1"), ("chunked:chunk=0", "0"), ("blockwindow:block=0", "0"),
                        ("blockwindow:blocks=0", "0"), ("sparse-strided:stride=0", "0"), ("sparse-fixed:stride=0", "0"),
                        ("sparse-fixed:summary=-1", "-1"), ("prefix:prefix=-1", "-1"), ("dense:scale=0", "0"), ("dense:scale=-1", "-1"),
                        ("dense:softcap=0", "0"), ("dense:softcap=-5", "-5"), ("longformer:window=-1", "-1"),
                        ("longnet:segments=0,dilations=1", "0"), ("longnet:segments=8,dilations=0", "0"), ("logsparse:sub=-1", "-1"),
                        ("bigbird:block=0", "0"), ("bigbird:random=-1", "-1"), ("relu:power=-1000000", "-1000000"),
                        ("axial:size=0+8,axis=0", "0"), ("axial:size=2+4,axis=2", "2"), ("axial:size=2+4,axis=-1", "-1"),
                        ("natten:size=8,kernel=0", "0"), ("natten:size=8,kernel=9", "9"), ("natten:size=8,kernel=3,stride=0", "0"),
                        ("natten:size=8,kernel=3,dilation=0", "0"), ("natten:size=8,kernel=3,stride=4", "4"),
                        ("swin:size=8,window=0", "0"), ("swin:size=8,window=4,shift=-1", "-1"), ("swin:size=8,window=3", "3")):
        yield Bad("range/" + spec, spec, [value], ranged=True)
    for expr, value in (("sinks(-1)", "-1"), ("stride(0)", "0"), ("chunk(0)", "0"), ("dilated(step=0,left=1,right=1)", "0"),
                        ("window(left=-2)", "-2"), ("random(block=0,count=1)", "0"), ("random(block=2,count=-1)", "-1"),
                        ("random(block=2,count=5)", "5"), ("document(3+4)", "7"), ("axial(size=3+3,axis=0)", "9"),
                        ("neighborhood(size=8,kernel=9)", "9"), ("columns(-1)", "-1")):
        yield Bad("range/pattern:" + expr, "pattern:" + expr, [value], ranged=True)
    for value in ("nan", "NaN", "inf"):
        for spec in ("dense:scale=%s", "dense:softcap=%s", "topp:p=%s", "entmax:alpha=%s", "threshold:prob=%s", "dense:sink=%s"):
            if value != "inf" or spec not in ("threshold:rel=%s",):
                yield Bad("nan/" + spec % value, spec % value, [(value, value.lower())])
        yield Bad("nan/--scale " + value, args=["--scale", value], says=[(value, value.lower())])
    yield Bad("nan/rel", "threshold:rel=nan", ["nan"])
    yield Bad("nan/sigmoid bias", "sigmoid:bias=nan", ["nan"])
    for value in ("0", "-1", "x", ""):
        yield Bad("range/--scale %r" % value, args=["--scale", value], says=[value])
    for value in ("0", "-1", "100000", "x", "1.5"):
        yield Bad("range/--threads " + value, args=["--threads", value], says=[value], codes=(2,))
    for option, value in (("--dtype", "f64"), ("--dtype", "bf17"), ("--precision", "exakt"), ("--isa", "sse9"), ("--isa", "avx512x"),
                          ("--positions", "tial"), ("--positions", "sample:0"), ("--positions", "sample:x"), ("--seed", "x")):
        yield Bad("range/%s %s" % (option, value), args=[option, value], says=[value], codes=(2,))
    yield Bad("environment/FOVEA_ISA=bogus", env={"FOVEA_ISA": "bogus"}, says=["bogus"])


def structure():
    """SPECs that do not fit the shape, or lack what they need."""
    for spec, says in (("prefix", "prefix"), ("document", "lengths"), ("axial", "size"), ("axial:size=2+4", "axis"),
                       ("crisscross", "size"), ("natten", "size"), ("swin", "size"), ("blocks", "mask"), ("tree", "parents"),
                       ("entmax", "alpha"), ("pattern:blocks(bq=2,bk=2)", "blocks"), ("pattern:axial(size=2+4)", "axis"),
                       ("pattern:neighborhood(size=8)", "kernel")):
        yield Bad("required/" + spec, spec, [says], (2, 3))
    for spec, says in (("document:lengths=3+4", ("7", "3+4")), ("axial:size=3+3,axis=0", "9"), ("crisscross:size=3+3", "9"),
                       ("natten:size=3+3,kernel=3", "9"), ("swin:size=3+3,window=3", "9"), ("bigbird:block=4,random=3", "3"),
                       ("longnet:segments=4+8,dilations=1", ("2", "1", "dilations")), ("axial:size=2+2,axis=0", "4"),
                       ("natten:size=2+4,kernel=3+3", "3"), ("natten:size=2+4,kernel=2+2+2", ("2+2+2", "3")),
                       ("crisscross:size=8", ("8", "1 number")), ("natten:size=2+4,kernel=2,causal=1+0+1", ("1+0+1", "3"))):
        yield Bad("shape/" + spec, spec, [says])
    mask = np.ones((1, 2, 2), np.uint8)
    for name, array in (("rank 1", mask[0, 0]), ("wrong size", np.ones((1, 3, 2), np.uint8)), ("heads", np.ones((3, 2, 2), np.uint8)),
                        ("float", mask.astype(np.float32)), ("int64", mask.astype(np.int64))):
        yield Bad("blocks/" + name, "blocks:mask=file:{m},bq=4,bk=4", [], give={"m": array})
    yield Bad("blocks/missing file", "blocks:mask=file:{dir}/absent.npy,bq=4,bk=4", ["absent.npy"])
    yield Bad("blocks/not a file value", "blocks:mask=5,bq=4,bk=4", ["5"])
    for name, array in (("cycle", [1, 0, 0]), ("self", [0, 1]), ("beyond", [-1, 7]), ("below", [-1, -2])):
        yield Bad("tree/" + name, "tree:parents=file:{t}", [], give={"t": np.array(array, np.int32)})
    yield Bad("tree/too long", "tree:parents=file:{t}", ["9"], give={"t": np.full(9, -1, np.int32)})
    yield Bad("tree/float", "tree:parents=file:{t}", [], give={"t": np.array([-1, 0], np.float32)})
    yield Bad("bigbird/lq", "bigbird:block=1,random=0", ["7"], give={"q": np.zeros((1, 2, 7, 16), np.float32)})
    for spec in ("sparsemax", "entmax15", "entmax:alpha=1.4", "relu", "sigmoid"):
        yield Bad("lse/" + spec, spec, [spec.partition(":")[0]], lse=True)
        yield Bad("--sink/" + spec, spec, ["sink"], args=["--sink", "{sink}"], give={"sink": np.zeros(2, np.float32)})
        yield Bad("sink/" + spec, spec + (",sink=1" if ":" in spec else ":sink=1"), ["sink"])


def tensors():
    f32 = np.float32
    rng = np.random.default_rng(2)

    def t(*shape, dtype=f32):
        return rng.standard_normal(shape).astype(dtype)
    for name, give, says in (
            ("d of k", {"k": t(1, 2, N, 15)}, ["15", "16"]), ("lk of v", {"v": t(1, 2, 9, 16)}, ["9", "8"]),
            ("heads of v", {"v": t(1, 1, N, 16)}, ["1", "2"]), ("batch of k", {"k": t(2, 2, N, 16)}, ["2", "1"]),
            ("batch of q", {"q": t(3, 2, N, 16)}, ["3", "1"]),
            ("hq not a multiple", {"q": t(1, 3, N, 16)}, ["3", "2"]), ("hq below hkv", {"q": t(1, 1, N, 16)}, ["1", "2"]),
            ("rank 1", {"q": t(16)}, ["1"]), ("rank 5", {"q": t(1, 1, 2, N, 16)}, [("5", "[1, 1, 2, 8, 16]")]),
            ("ranks differ", {"q": t(2, N, 16)}, [("3", "[2, 8, 16]"), ("4", "[1, 2, 8, 16]")]), ("d = 0", {"q": t(1, 2, N, 0), "k": t(1, 2, N, 0)}, ["0"]),
            ("dv = 0", {"v": t(1, 2, N, 0)}, ["0"]), ("heads 0", {"q": t(1, 0, N, 16), "k": t(1, 0, N, 16), "v": t(1, 0, N, 16)}, ["0"])):
        yield Bad("tensor/" + name, says=says, give=give)
    for name, array, says in (("f64", t(1, 2, N, 16, dtype=np.float64), ("f64", "f8", "float64", "double")),
                              ("fortran", np.asfortranarray(t(1, 2, N, 16)), ("Fortran", "fortran")),
                              ("big-endian", t(1, 2, N, 16).astype(">f4"), ("endian", ">f4")),
                              ("int64", np.ones((1, 2, N, 16), np.int64), ("i8", "int64", "I64")),
                              ("complex", np.ones((1, 2, N, 16), np.complex64), ("c8", "complex"))):
        yield Bad("type/" + name, says=[says, "k.npy"], codes=(3, 2), give={"k": array})
    yield Bad("bias/lk", args=["--bias", "{bias}"], give={"bias": t(N, 9)}, says=["9"])
    yield Bad("bias/rank 1", args=["--bias", "{bias}"], give={"bias": t(N)}, says=["1"])
    yield Bad("bias/heads", args=["--bias", "{bias}"], give={"bias": t(3, N, N)}, says=["3"])
    yield Bad("bias/batch", args=["--bias", "{bias}"], give={"bias": t(2, 2, N, N)}, says=["2"])
    yield Bad("bias/missing", args=["--bias", "{dir}/nobias.npy"], says=["nobias.npy"])
    yield Bad("sink/heads", args=["--sink", "{sink}"], give={"sink": t(3)}, says=["3", "2"])
    yield Bad("sink/rank", args=["--sink", "{sink}"], give={"sink": t(1, 2)}, says=["2"])
    yield Bad("sink/missing", args=["--sink", "{dir}/nosink.npy"], says=["nosink.npy"])


def hostile():
    t = np.arange(1 * 2 * N * 16, dtype=np.float32).tobytes()
    body = len(t)
    for name, data in (
            ("empty", b""), ("magic only", b"\x93NUMPY"), ("wrong magic", b"\x93NUMPX" + _npy(_header(), t)[6:]),
            ("text", b"hello, this is not a tensor at all\n" * 20), ("version 9", _npy(_header(), t, version=(9, 0))),
            ("header beyond the file", _npy(_header(), b"", length=60000)), ("cut data", _npy(_header(), t[:-1])),
            ("cut to half", _npy(_header(), t[:body // 2])), ("no data", _npy(_header())),
            ("cut header", _npy(_header(), t)[:40]), ("negative dimension", _npy(_header(shape="(1, -2, 8, 16)"), t)),
            ("product overflows", _npy(_header(shape="(4294967296, 4294967296, 4294967296, 16)"), t)),
            ("huge dimension", _npy(_header(shape="(1, 2, 8, 99999999999999999999999)"), t)),
            ("2^62", _npy(_header(shape="(1, 2, 4611686018427387904, 16)"), t)),
            ("no descr", _npy("{'fortran_order': False, 'shape': (1, 2, 8, 16), }", t)),
            ("no shape", _npy("{'descr': '<f4', 'fortran_order': False, }", t)),
            ("unknown type", _npy(_header("<q9"), t)), ("structured type", _npy(_header().replace("'<f4'", "[('a', '<f4')]"), t)),
            ("object type", _npy(_header("|O"), t)), ("shape is not a tuple", _npy(_header(shape="8"), t)),
            ("garbage header", _npy("{{{{'descr'", t))):
        yield Bad("npy/" + name, give={"k": data}, says=["k.npy"], codes=(3,))
    ok = files.safetensors_bytes([("k", "F32", np.ones((1, 2, N, 16), np.float32))])

    def st(header, data=t):
        raw = header.encode()
        return struct.pack("<Q", len(raw)) + raw + data

    def entry(dtype="F32", shape="[1,2,8,16]", offsets="[0,%d]" % body):
        return '{"dtype":"%s","shape":%s,"data_offsets":%s}' % (dtype, shape, offsets)
    for name, data in (
            ("empty", b""), ("7 bytes", b"1234567"), ("header beyond the file", struct.pack("<Q", 1 << 40) + ok[8:]),
            ("header 2^63", struct.pack("<Q", 1 << 63) + ok[8:]), ("cut data", ok[:-4]), ("cut header", ok[:30]),
            ("not JSON", st("not json at all")), ("JSON list", st("[1,2]")), ("other name", st('{"x":%s}' % entry())),
            ("duplicate", st('{"k":%s,"k":%s}' % (entry(), entry()))), ("unknown type", st('{"k":%s}' % entry("F33"))),
            ("F64", st('{"k":%s}' % entry("F64", "[1,2,4,16]"))), ("negative shape", st('{"k":%s}' % entry(shape="[1,-2,8,16]"))),
            ("shape and bytes differ", st('{"k":%s}' % entry(shape="[1,2,7,16]"))),
            ("offsets reversed", st('{"k":%s}' % entry(offsets="[%d,0]" % body))),
            ("offsets beyond", st('{"k":%s}' % entry(offsets="[4,%d]" % (body + 4)))),
            ("product overflows", st('{"k":%s}' % entry(shape="[4294967296,4294967296,4294967296,16]"))),
            ("no offsets", st('{"k":{"dtype":"F32","shape":[1,2,8,16]}}'))):
        yield Bad("safetensors/" + name, give={"stk": data}, args=["--k", "{stk}"], drop=("--k",), says=["stk.safetensors"],
                  codes=(3,))
    yield Bad("file/missing", give={"k": None}, says=["k.npy"], codes=(3,))
    yield Bad("file/folder", args=["--k", "{dir}"], drop=("--k",), says=["{dir}"], codes=(3,))


def command_line():
    yield Bad("option/unknown", args=["--bogus"], says=["--bogus"], codes=(2,))
    yield Bad("option/misspelt", args=["--causl"], says=["--causl", "--causal"], codes=(2,))
    yield Bad("option/without its value", args=["--scale"], says=["--scale"], codes=(2,))
    yield Bad("option/stray word", args=["stray"], says=["stray"], codes=(2,))
    yield Bad("option/no -o", outs=(), says=["-o"], codes=(2,))
    for option in ("--variant", "--q", "--k", "--v"):
        yield Bad("option/no " + option, drop=(option,), says=[option], codes=(2,))
    yield Bad("output/no folder", outs=("-o", "nowhere/o.npy"), says=["nowhere"], codes=(2, 3))
    yield Bad("output/unknown suffix", outs=("-o", "o.txt"), says=["o.txt"], codes=(2, 3))
    yield Bad("output/lse cannot be written", args=["--lse", "{dir}/nowhere/lse.npy"], says=["nowhere"], codes=(2, 3))
    yield Bad("output/mask cannot be written", args=["--mask-out", "{dir}/nowhere/m.npy"], says=["nowhere"], codes=(2, 3))
    wide = np.zeros((1, 1, 33000, 1), np.float16)
    yield Bad("output/mask too big", give={n: wide for n in "qkv"}, args=["--mask-out", "{dir}/mask.npy"],
              says=[("1073741824", "2^30", "1089000000")], codes=(2, 3, 4))

    def unknown_command(fovea, folder):
        code, out, err = check.tool(fovea, ["rnu"])
        if code != 2 or out or err.count("\n") != 1 or "rnu" not in err or "run" not in err.replace("rnu", ""):
            raise Failure("exit %d, %r, %r" % (code, out[:80], err[:200]))
    unknown_command.name = "command/unknown"
    yield unknown_command

    def keeps_the_old(fovea, folder):
        """A failing run leaves an existing output file as it was."""
        path = os.path.join(folder, "o.npy")
        with open(path, "wb") as f:
            f.write(b"before")
        Bad("", "topk:k=-1", ["-1"])(fovea, folder)
        if open(path, "rb").read() != b"before":
            raise Failure("the existing output was changed")
    keeps_the_old.name = "output/an old file stays"
    yield keeps_the_old


def everything():
    for source in (names, syntax, ranges, structure, tensors, hostile, command_line):
        for bad in source():
            yield "error/" + bad.name, bad
