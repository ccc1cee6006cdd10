"""fovea through ctypes on the built libfovea.so: exactly what a host program calls."""
import ctypes as C
import math
import os

import numpy as np

import rows
from engine import Missing, Prepared, Unfit
from inputs import aligned

NAMES = ("fovea", "fovea fast")
DTYPE = {"f32": 0, "bf16": 1, "f16": 2}


class Strides(C.Structure):
    _fields_ = [(n, C.c_int64) for n in ("batch", "head", "token")]


class Problem(C.Structure):
    _fields_ = [("struct_size", C.c_size_t)] + [(n, C.c_int64) for n in ("batch", "hq", "hkv", "lq", "lk", "d", "dv")] + [
        ("dtype", C.c_int), ("precision", C.c_int), ("q", Strides), ("k", Strides), ("v", Strides), ("o", Strides),
        ("causal", C.c_int), ("scale", C.c_double), ("softcap", C.c_double), ("alibi", C.c_int), ("has_sink", C.c_int),
        ("sink", C.c_double), ("has_sinks", C.c_int), ("has_bias", C.c_int), ("bias_batch", C.c_int64),
        ("bias_head", C.c_int64), ("bias_row", C.c_int64), ("nseq", C.c_int64), ("cu_q", C.c_void_p), ("cu_k", C.c_void_p),
        ("nrows", C.c_int64), ("rows", C.c_void_p), ("page_size", C.c_int64), ("page_table_stride", C.c_int64),
        ("page_count", C.c_int64)]


class Arguments(C.Structure):
    _fields_ = [("struct_size", C.c_size_t)] + [(n, C.c_void_p) for n in (
        "q", "k", "v", "k_rows", "v_rows", "pages", "bias", "sinks", "o", "lse", "row_max", "mask", "kept")]


class Error(C.Structure):
    _fields_ = [("status", C.c_int), ("text", C.c_char * 504)]


class Array(C.Structure):
    _fields_ = [("data", C.c_void_p), ("dim", C.c_int64 * 8), ("rank", C.c_int), ("type", C.c_char), ("handle", C.c_void_p)]


class Cost(C.Structure):
    _fields_ = [(n, C.c_double) for n in ("visible_pairs", "dense_pairs", "density", "flops", "bytes")] + [
        (n, C.c_char_p) for n in ("kernel", "isa", "driver")]


ALLOCATE = C.CFUNCTYPE(C.c_void_p, C.c_void_p, C.c_size_t, C.c_size_t)
RELEASE = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p)
LOAD = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_char_p, C.POINTER(Array), C.c_void_p, C.c_size_t)
UNLOAD = C.CFUNCTYPE(None, C.c_void_p, C.POINTER(Array))


class ContextOptions(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("allocate", ALLOCATE), ("release", RELEASE), ("allocator_user", C.c_void_p),
                ("run", C.c_void_p), ("run_user", C.c_void_p), ("threads", C.c_uint), ("log", C.c_void_p),
                ("log_user", C.c_void_p), ("load", LOAD), ("unload", UNLOAD), ("load_user", C.c_void_p), ("isa", C.c_char_p),
                ("seed", C.c_uint64), ("tuning", C.c_char_p)]


class Library:
    """The loaded library and a context of the asked threads and instruction set."""

    def __init__(self, settings):
        path = os.path.join(settings.build, ".libs", "libfovea.so")
        if not os.path.exists(path):
            raise Missing("no %s: build fovea first (with shared libraries), or name its build directory by --build" % path)
        self.lib = C.CDLL(path)
        for name in ("version", "context_isa", "context_tuning_source"):
            getattr(self.lib, "fovea_" + name).restype = C.c_char_p
        self.lib.fovea_plan_workspace.restype = C.c_size_t
        for name in ("fma", "bf16", "read"):
            getattr(self.lib, "fovea_measure_" + name).restype = C.c_double
        self.blocks = None  # the block mask that file:blocks stands for while a plan is made
        self.load, self.unload = LOAD(self.give), UNLOAD(lambda user, array: None)
        options = ContextOptions(struct_size=C.sizeof(ContextOptions), threads=settings.threads, load=self.load,
                                 unload=self.unload, isa=b"avx2" if settings.isa == "avx2" else None)
        self.context = C.c_void_p()
        self.call("context_create", C.byref(options), C.byref(self.context))

    def give(self, user, path, array, why, n):
        array[0].data = self.blocks.ctypes.data
        array[0].rank = self.blocks.ndim
        for i, extent in enumerate(self.blocks.shape):
            array[0].dim[i] = extent
        array[0].type = b"b"
        return 0

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.lib, "fovea_" + name)(*arguments, C.byref(error)) != 0:
            raise RuntimeError("fovea_%s: %s" % (name, error.text.decode()))

    def limits(self):
        """GFLOP/s and GB/s of this moment, about 0.2 s."""
        measure = self.lib.fovea_measure_fma, self.lib.fovea_measure_bf16
        found = {"fma": measure[0](self.context, C.c_double(0.05)), "bf16": measure[1](self.context, C.c_double(0.05))}
        found["read"] = self.lib.fovea_measure_read(self.context, C.c_size_t(256 << 20), C.c_double(0.1))
        return found


library = None


def start(settings):
    global library
    library = Library(settings)


def version():
    lib, context = library.lib, library.context
    return "%s, %s, tuning: %s" % tuple(text.decode() for text in (
        lib.fovea_version(), lib.fovea_context_isa(context), lib.fovea_context_tuning_source(context)))


def strides(x):
    return Strides(*(s // x.itemsize for s in x.strides[:3]))


def describe(case, output, fast):
    """The problem, and the arrays it points to."""
    row, problem = case.row, Problem()
    if row.dtype != "bf16" and fast:
        raise Unfit("fast precision is a matter of bf16 inputs")
    room = C.create_string_buffer(4096)  # should the struct of this library be larger than ours
    library.lib.fovea_problem_init(room, *(C.c_int64(getattr(row, n)) for n in ("batch", "hq", "hkv", "lq", "lk", "d", "dv")),
                                   DTYPE[row.dtype])
    C.memmove(C.byref(problem), room, C.sizeof(problem))
    if problem.struct_size != C.sizeof(problem):
        raise RuntimeError("fovea_problem has %d bytes in the library and %d in engine_fovea.py: fovea.h changed"
                           % (problem.struct_size, C.sizeof(problem)))
    problem.precision = int(fast)
    problem.q, problem.k, problem.v, problem.o = (strides(x) for x in (case.q, case.k, case.v, output))
    problem.causal = int(row.causal)
    problem.scale = row.scale
    keep = []
    if case.bias is not None:
        problem.has_bias, problem.bias_head, problem.bias_row = 1, row.lq * row.lk, row.lk
    if row.mask == "docs":
        ends = np.concatenate([[0], np.cumsum(rows.lengths_of_documents(row))]).astype(np.int64)
        problem.nseq, problem.cu_q, problem.cu_k = len(ends) - 1, ends.ctypes.data, ends.ctypes.data
        keep.append(ends)
    return problem, keep


def spec(row):
    if row.mask == "window":
        return "window:window=%d" % row.arg
    if row.mask == "blocks":
        lists = rows.blocks_of(row)
        library.blocks = np.zeros((1, len(lists), -(-row.lk // rows.BLOCK)), np.uint8)
        for i, columns in enumerate(lists):
            library.blocks[0, i, columns] = 1
        return "blocks:mask=file:blocks,bq=%d,bk=%d" % (rows.BLOCK, rows.BLOCK)
    return "dense"


def prepare(name, case):
    output = case.output()
    problem, keep = describe(case, output, name == "fovea fast")
    recipe, plan = C.c_void_p(), C.c_void_p()
    library.call("recipe_parse", library.context, spec(case.row).encode(), C.byref(recipe))
    library.call("plan_create", library.context, C.byref(problem), recipe, C.byref(plan))
    library.lib.fovea_recipe_destroy(recipe)
    size = library.lib.fovea_plan_workspace(plan)
    workspace = aligned((max(size, 64),), np.uint8)
    arguments = Arguments(struct_size=C.sizeof(Arguments), q=case.q.ctypes.data, k=case.k.ctypes.data, v=case.v.ctypes.data,
                          bias=case.bias.ctypes.data if case.bias is not None else None, o=output.ctypes.data)
    error = Error()
    execute = library.lib.fovea_execute
    execute.argtypes = [C.c_void_p, C.c_void_p, C.c_void_p, C.c_size_t, C.c_void_p]
    given = plan.value, C.addressof(arguments), workspace.ctypes.data, size, C.addressof(error)

    def run():
        if execute(*given):
            raise RuntimeError(error.text.decode())

    return Prepared(run, lambda: output, note=first_line(plan), keep=(Plan(plan), keep, arguments, workspace, error))


class Plan:
    """Frees the plan with the Prepared that holds it."""

    def __init__(self, plan):
        self.plan = plan

    def __del__(self):
        library.lib.fovea_plan_destroy(self.plan)


def first_line(plan):
    cost, error = Cost(), Error()
    if library.lib.fovea_plan_cost(plan, C.byref(cost), C.byref(error)) or math.isnan(cost.flops):
        return ""
    return "%s, driver %s" % (cost.kernel.decode(), cost.driver.decode())
