"""The processor's peak: multiplications and additions a second of its own instructions, on one core.

    python benchmarks/peak.py

A few lines of C do nothing but multiply and add in registers, in AVX-512 fp32 and bf16 where there is both.
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
float fp32(long rounds) {
    __m512 a = _mm512_set1_ps(1e-9f), s[12];
#define ZERO(i) s[i] = _mm512_setzero_ps();
    TWELVE(ZERO)
    for (long r = 0; r < rounds; r++) {
#define FP32(i) s[i] = _mm512_fmadd_ps(a, a, s[i]); __asm__ volatile("" : "+v"(s[i]));
        TWELVE(FP32)
    }
    __m512 total = _mm512_setzero_ps();
#define SUM(i) total = _mm512_add_ps(total, s[i]);
    TWELVE(SUM)
    return _mm512_reduce_add_ps(total);
}
float bf16(long rounds) {
    __m512 s[12];
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-9f), _mm512_set1_ps(1e-9f));
    TWELVE(ZERO)
    for (long r = 0; r < rounds; r++) {
#define BF16(i) s[i] = _mm512_dpbf16_ps(s[i], a, a); __asm__ volatile("" : "+v"(s[i]));
        TWELVE(BF16)
    }
    __m512 total = _mm512_setzero_ps();
    TWELVE(SUM)
    return _mm512_reduce_add_ps(total);
}
"""


def peak(kind: str) -> float | None:
    """Return one core's multiplications a second in "fp32" or "bf16", or None where that cannot be tried."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if not compiler or "avx512_bf16" not in flags:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "peak.c", Path(folder) / "peak.so"
        source.write_text(CODE)
        options = ["-O2", "-shared", "-fPIC", "-mavx512f", "-mavx512bf16"]
        subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True)
        work = getattr(ctypes.CDLL(str(library)), kind)
        work.argtypes, work.restype = [ctypes.c_long], ctypes.c_float
        each = min(_seconds(work) for _ in range(9))
    return ROUNDS * CHAINS * (16 if kind == "fp32" else 32) / each


def _seconds(work: ctypes._FuncPointer) -> float:
    start = time.process_time()
    work(ROUNDS)
    return time.process_time() - start


if __name__ == "__main__":
    for kind in ("fp32", "bf16"):
        found = peak(kind)
        print(f"{kind}: {found / 1e9:.0f} GMAC/s on one core" if found else f"{kind}: cannot be tried here")
