#include "simd.hpp"

#ifndef DRR_ISA
#define DRR_ISA "baseline"
#endif

extern "C" {
const char* drr_isa() { return DRR_ISA; }
int drr_lanes() { return drr::LANES; }

// The best instruction set among baseline, avx2 and avx512 that this processor and its operating
// system can run.
const char* drr_best_isa() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return "avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
    return "baseline";
}
}
