"""Puts the peers into a virtual environment of their own: Python packages by pip, ggml from the source package of
llama-cpp-python, and the small C parts of this folder. What cannot be had is skipped by name; fovea never needs any of it."""
import glob
import os
import shutil
import subprocess
import sys
import tarfile

PACKAGES = ("numpy", "torch==2.13.0", "onnxruntime", "onnx", "openvino")
SOURCE = "llama-cpp-python"
HERE = os.path.dirname(os.path.abspath(__file__))
NATIVE = {"best": ["-march=native"], "avx2": ["-mavx2", "-mfma", "-mf16c"]}


def call(command, **more):
    print("+ " + " ".join(command), file=sys.stderr, flush=True)
    return subprocess.run(command, check=True, **more)


def skip(what, why):
    print("peers: SKIPPED %s: %s" % (what, why), file=sys.stderr, flush=True)


def python(folder):
    return os.path.join(folder, "venv", "bin", "python")


def install_packages(folder):
    if not os.path.exists(python(folder)):
        call([sys.executable, "-m", "venv", os.path.join(folder, "venv")])
    for package in PACKAGES:
        try:
            call([python(folder), "-m", "pip", "install", "--quiet", package])
        except subprocess.CalledProcessError as e:
            skip(package, "pip ended with %d" % e.returncode)


def ggml_source(folder):
    """The folder of ggml's own CMakeLists.txt, unpacked from the newest source package."""
    work = os.path.join(folder, "source")
    os.makedirs(work, exist_ok=True)
    if not glob.glob(os.path.join(work, "*.tar.gz")):
        call([python(folder), "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", SOURCE], cwd=work)
    archive = sorted(glob.glob(os.path.join(work, "*.tar.gz")))[-1]
    unpacked = archive[:-len(".tar.gz")]
    if not os.path.isdir(unpacked):
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(work)
    source = os.path.join(unpacked, "vendor", "llama.cpp", "ggml")
    package = os.path.join(source, "ggml.pc.in")
    if not os.path.exists(package):  # the source package leaves this template out, and configuring asks for it
        open(package, "w").close()
    return source


def install_ggml(folder, jobs):
    library = os.path.join(folder, "lib", "ggml_shim.so")
    if os.path.exists(library) and os.path.getmtime(library) > os.path.getmtime(os.path.join(HERE, "ggml_shim.c")):
        return
    source, build = ggml_source(folder), os.path.join(folder, "ggml")
    call(["cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_NATIVE=ON",
          "-DGGML_OPENMP=OFF", "-DGGML_BUILD_TESTS=OFF", "-DGGML_BUILD_EXAMPLES=OFF"], stdout=subprocess.DEVNULL)
    call(["cmake", "--build", build, "-j%d" % jobs], stdout=subprocess.DEVNULL)
    libraries = os.path.join(build, "src")
    call(["cc", "-O2", "-shared", "-fPIC", "-I", os.path.join(source, "include"), "-o", library,
          os.path.join(HERE, "ggml_shim.c"), "-L" + libraries, "-Wl,-rpath," + libraries, "-lggml-cpu", "-lggml-base"])


def install_own(folder):
    """plain.c twice for each instruction set, and flush.c."""
    library = os.path.join(folder, "lib")
    os.makedirs(library, exist_ok=True)
    for isa, flags in NATIVE.items():
        for name, more in (("plain", []), ("plain-fast", ["-ffast-math"])):
            call(["cc", "-O3", *more, *flags, "-shared", "-fPIC", "-o", os.path.join(library, "%s-%s.so" % (name, isa)),
                  os.path.join(HERE, "plain.c"), "-lm"])
    call(["cc", "-O2", "-shared", "-fPIC", "-o", os.path.join(library, "flush.so"), os.path.join(HERE, "flush.c")])


def install(folder, jobs):
    os.makedirs(folder, exist_ok=True)
    install_packages(folder)
    install_own(folder)
    if not shutil.which("cmake"):
        skip("ggml", "no cmake")
    else:
        try:
            install_ggml(folder, jobs)
        except (subprocess.CalledProcessError, OSError, IndexError) as e:
            skip("ggml", str(e))
    if not shutil.which("c++") and not shutil.which("g++"):
        skip("FlexAttention", "torch.compile needs a C++ compiler")


def installed(folder):
    return os.path.exists(python(folder)) and os.path.exists(os.path.join(folder, "lib", "flush.so"))
