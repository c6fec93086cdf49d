"""The processor's peak: multiplications and additions a second of its own instructions, on one core.

    python benchmarks/peak.py

A few lines of C do nothing but multiply and add in registers: fp32 in AVX-512 or else AVX2, and bf16 where
the processor multiplies in it.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROUNDS, CHAINS = 4_000_000, 12  # chains hide how long an instruction takes until its result is there
CODE = r"""
#include <immintrin.h>
#define TWELVE(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11)
#ifdef __AVX512F__
#define FLOATS __m512
#define OP(name) _mm512_##name
#else
#define FLOATS __m256
#define OP(name) _mm256_##name
#endif
#define ZERO(i) s[i] = OP(setzero_ps)();
#define SUM(i) total = OP(add_ps)(total, s[i]);
#define FP32(i) s[i] = OP(fmadd_ps)(a, a, s[i]); __asm__ volatile("" : "+v"(s[i]));
#define BF16(i) s[i] = _mm512_dpbf16_ps(s[i], a, a); __asm__ volatile("" : "+v"(s[i]));
float fp32(long rounds) {
    FLOATS a = OP(set1_ps)(1e-9f), s[12], total = OP(setzero_ps)();
    TWELVE(ZERO)
    for (long r = 0; r < rounds; r++) { TWELVE(FP32) }
    TWELVE(SUM)
    return ((float *)&total)[0];
}
#ifdef __AVX512BF16__
float bf16(long rounds) {
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-9f), _mm512_set1_ps(1e-9f));
    FLOATS s[12], total = OP(setzero_ps)();
    TWELVE(ZERO)
    for (long r = 0; r < rounds; r++) { TWELVE(BF16) }
    TWELVE(SUM)
    return ((float *)&total)[0];
}
#endif
"""
WIDTHS = {"avx512f": 16, "avx2": 8}  # floats at once
OPTIONS = {"avx512f": "-mavx512f", "avx512_bf16": "-mavx512bf16", "avx2": "-mavx2", "fma": "-mfma"}


def peak(kind: str) -> float | None:
    """Return one core's multiplications a second in "fp32" or "bf16", or None where that cannot be tried."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    told = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    has = [flag for flag in OPTIONS if flag in told]
    needed = "avx512_bf16" if kind == "bf16" else "fma"
    if not compiler or needed not in has:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "peak.c", Path(folder) / "peak.so"
        source.write_text(CODE)
        options = ["-O2", "-shared", "-fPIC", *(OPTIONS[flag] for flag in has)]
        subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True)
        work = getattr(ctypes.CDLL(str(library)), kind)
        work.argtypes, work.restype = [ctypes.c_long], ctypes.c_float
        each = min(_seconds(work) for _ in range(9))
    width = next(width for flag, width in WIDTHS.items() if flag in has)
    return ROUNDS * CHAINS * width * (2 if kind == "bf16" else 1) / each


def _seconds(work: ctypes._FuncPointer) -> float:
    start = time.process_time()
    work(ROUNDS)
    return time.process_time() - start


if __name__ == "__main__":
    for kind in ("fp32", "bf16"):
        found = peak(kind)
        print(f"{kind}: {found / 1e9:.0f} GMAC/s on one core" if found else f"{kind}: cannot be tried here")
