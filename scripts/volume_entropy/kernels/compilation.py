"""How kernels are compiled, and where the machine code is kept between jobs.

`kernel` marks what Python calls; its machine code is cached. `inlined` and `pasted` mark what kernels call; it becomes
part of its callers and is never cached alone. None may use threads of its own, and none reassociates a floating-point
sum: with `fma` written out, AVX2 and AVX-512 give the same bytes.
"""

import hashlib
import os
import pickle
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import binding as llvm
from numba.core import compiler, types
from numba.core.caching import NullCache
from numba.core.runtime import _nrt_python
from numba.core.serialize import dumps
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

# error_model: a division by zero gives inf or NaN as IEEE 754 says, with no branch in the loop.
OPTIONS = {"nogil": True, "error_model": "numpy"}


def inlined(function: Function) -> Function:
    """Compile a function that only kernels call; without the wrappers for Python, a sixth of the compile time."""
    compiled: Function = numba.njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def pasted(function: Function) -> Function:
    """Compile a function that only kernels call, and that LLVM makes a part of them before it does anything else.

    For a loop over classes within one over voxels: LLVM must unroll it, and then vectorise the one around it. Of an
    `inlined` one it does so for 3 classes, while 4 take 19 ns a voxel instead of 2.1; written out by numba itself
    (`inline="always"`) they take 16, since LLVM then finds rows that may overlap, and takes a voxel at a time.
    """
    compiled: Function = numba.njit(**OPTIONS, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(
        function
    )
    return compiled


def named_for(what: object) -> Callable[[Function], Function]:
    """Give a function a name of its own for what it was made for, such as a number of classes.

    The symbol of its machine code is made of its name and a number that counts within a process. Code for 3 and for 4
    classes that two processes have cached may so have one symbol, and a third that loads both runs one for the other.
    """

    def rename(function: Function) -> Function:
        function.__qualname__ += f"_{what}"
        return function

    return rename


def kernel(function: Function) -> Function:
    """Compile a function that Python calls, when it is first called, or take it from the cache."""
    compiled: Any = numba.njit(**OPTIONS)(function)
    if not numba.config.DISABLE_JIT:
        folder = cache_folder()
        if folder is not None:
            compiled._cache = KernelCache(folder, function)
    result: Function = compiled
    return result


if numba.config.DISABLE_JIT:

    def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
        """a · b + c, rounded once (but for a rounding through float64, one case in 10⁸)."""
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

else:

    @intrinsic  # type: ignore[untyped-decorator, unused-ignore]
    def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
        """a · b + c of float32, rounded once."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fma(*arguments)

        return types.float32(types.float32, types.float32, types.float32), generate


def cache_folder() -> Path | None:
    """The folder for machine code of this user, this CPU and these sources; None where there can be none.

    `NUMBA_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`. The hash of the kernels' sources is part of the name,
    since a kernel's machine code contains the functions it calls, also those of other files.
    """
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cpu = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    folder = Path(base) / "volume-entropy" / "numba" / f"{cpu}-{_SOURCES}"
    if not folder.is_absolute():
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What lies here is unpickled: a folder that another user owns is not ours to trust.
        return folder if folder.stat().st_uid == os.geteuid() else None
    except (OSError, AttributeError):
        return None


def _source_hash() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    folder = Path(__file__).parent
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# Taken before any kernel is imported, since every kernel's module imports this one first.
_SOURCES = _source_hash()


def _sources_changed() -> bool:
    """Whether the sources were replaced since this process began, as an update during a run does.

    Which of the two versions this process holds is not known, so that its machine code must neither be kept under the
    name of one, nor be taken from there: it would give the numbers of the other, to every later job.
    """
    try:
        return _source_hash() != _SOURCES
    except OSError:
        return True


def _loaded_code(function: Any) -> str:
    """A hash of the bytecode and constants of a function and of all that it calls, as this process holds them.

    The files may say something else by now, or say it again: a module that was read while its file was changed for a
    moment is known by nothing but its code. What a kernel was made for (a number of classes) is in its closure.
    """
    digest, seen = hashlib.sha256(), set()

    def visit(value: Any) -> None:
        its_function = getattr(value, "py_func", value)
        code = getattr(its_function, "__code__", None)
        if code is None:
            if isinstance(value, int | float | str | np.generic):
                digest.update(repr(value).encode())
        elif code not in seen:
            seen.add(code)
            constants = [constant for constant in code.co_consts if not hasattr(constant, "co_code")]
            digest.update(code.co_code + repr((constants, code.co_names)).encode())
            for name in code.co_names:
                visit(its_function.__globals__.get(name))
            for cell in its_function.__closure__ or ():
                visit(cell.cell_contents)

    visit(function)
    return digest.hexdigest()[:12]


@cache
def _declare_runtime() -> None:
    """Tell LLVM where the functions of numba's runtime are that machine code calls.

    It needs nothing of what numba would compile with: loading that costs 0.4 s of a job (with scipy installed, 0.25 s
    without). Nor the runtime's own machine code, which `rtsys.initialize` makes in 17 ms: what a kernel uses of it is
    part of the kernel.
    """
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class KernelCache(NullCache):  # type: ignore[misc, unused-ignore]
    """Machine code of one kernel: one file a signature, whole or absent.

    numba's own cache keeps an index beside the code; two jobs that start at once can leave an index that points one
    signature to the code of another, and a full disk or a damaged file ends the job. Here a file is written aside,
    renamed, and checked by its hash; whatever goes wrong means compiling, without a warning.
    """

    def __init__(self, folder: Path, function: Callable[..., Any]) -> None:
        self._folder = folder
        self._name = f"{function.__module__}.{function.__name__}"
        self._function = function

    @property
    def cache_path(self) -> str:
        """Where the files lie."""
        return str(self._folder)

    def _path(self, signature: Any, codegen: Any) -> Path:
        what = (signature, codegen.magic_tuple(), _loaded_code(self._function))
        key = hashlib.sha256(repr(what).encode()).hexdigest()[:24]
        return self._folder / f"{self._name}-{key}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for a signature, or None."""
        if _sources_changed():
            return None
        try:
            _declare_runtime()
            content = self._path(sig, target_context.codegen()).read_bytes()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(content[32:]))  # noqa: S301
        except Exception:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function; a disk that is full or read-only is no reason to fail."""
        if data.library.has_dynamic_globals or _sources_changed():
            return
        try:
            path = self._path(sig, data.codegen)
            aside = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
            content = dumps(data._reduce())
            try:
                aside.write_bytes(hashlib.sha256(content).digest() + content)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except Exception:
            return
