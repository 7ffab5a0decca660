// Vectors of floats on GCC/Clang vector extensions: one source, compiled once per instruction set.
//
//   vf, vi    LANES floats / 32-bit integers: 8 lanes, or 16 where the compiler has AVX-512
//   Vec<N>    the same for an explicit number of lanes (a multiple of 4)
//
// Arithmetic, comparison and shifts are the plain operators. A comparison gives a vi whose lanes are
// 0 or -1; `select` and `bits` take such masks.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace drr {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif

template <int N>
struct Vec {
    typedef float f __attribute__((vector_size(4 * N)));
    typedef int32_t i __attribute__((vector_size(4 * N)));
    typedef double d __attribute__((vector_size(8 * N)));
    // The same types for memory without alignment; they may alias anything.
    typedef float fu __attribute__((vector_size(4 * N), aligned(4), may_alias));
    typedef int32_t iu __attribute__((vector_size(4 * N), aligned(4), may_alias));
};

using vf = Vec<LANES>::f;
using vi = Vec<LANES>::i;
using vd = Vec<LANES>::d;

#define DRR_INLINE inline __attribute__((always_inline))

DRR_INLINE vf splat(float x) { return x - vf{}; }
DRR_INLINE vi splat_i(int32_t x) { return x - vi{}; }
DRR_INLINE vf load(const float* p) { return *(const Vec<LANES>::fu*)p; }
DRR_INLINE void store(float* p, vf x) { *(Vec<LANES>::fu*)p = x; }
DRR_INLINE vi load_i(const int32_t* p) { return *(const Vec<LANES>::iu*)p; }
DRR_INLINE void store_i(int32_t* p, vi x) { *(Vec<LANES>::iu*)p = x; }

// 0, 1, 2, ... in the lanes.
DRR_INLINE vf lane_index() {
    vf r{};
    for (int i = 0; i < LANES; ++i) r[i] = (float)i;
    return r;
}

// a >= b and a > b. Where vectors are wider than registers GCC compares operators' lanes one by one;
// these go half by half.
#if defined(__AVX__)
DRR_INLINE vi at_least(vf a, vf b) { return a >= b; }
DRR_INLINE vi above(vf a, vf b) { return a > b; }
#else
struct Halves {
    Vec<LANES / 2>::f low, high;
};
DRR_INLINE Halves halves(vf a) {
    Halves h;
    std::memcpy(&h, &a, sizeof h);
    return h;
}
DRR_INLINE vi join(Vec<LANES / 2>::i low, Vec<LANES / 2>::i high) {
    vi r;
    std::memcpy(&r, &low, sizeof low);
    std::memcpy((char*)&r + sizeof low, &high, sizeof high);
    return r;
}
DRR_INLINE vi at_least(vf a, vf b) {
    const Halves x = halves(a), y = halves(b);
    return join(x.low >= y.low, x.high >= y.high);
}
DRR_INLINE vi above(vf a, vf b) {
    const Halves x = halves(a), y = halves(b);
    return join(x.low > y.low, x.high > y.high);
}
#endif

DRR_INLINE vf select(vi mask, vf a, vf b) {
#if defined(__AVX__)
    return mask ? a : b;
#else
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
#endif
}
DRR_INLINE vi select_i(vi mask, vi a, vi b) { return mask ? a : b; }
// a where the mask is set, else +0; also clears NaN and inf.
DRR_INLINE vf keep(vi mask, vf a) { return (vf)((vi)a & mask); }

// If one argument is NaN these give b: min(x, bound) and max(x, bound) are bounded for any x.
DRR_INLINE vf min(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return select(above(b, a), a, b);
#endif
}
DRR_INLINE vf max(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return select(above(a, b), a, b);
#endif
}
DRR_INLINE vf abs(vf a) { return (vf)((vi)a & 0x7fffffff); }
DRR_INLINE vi to_int(vf a) { return __builtin_convertvector(a, vi); }  // towards zero
DRR_INLINE vf to_float(vi a) { return __builtin_convertvector(a, vf); }
DRR_INLINE vd to_double(vf a) { return __builtin_convertvector(a, vd); }

DRR_INLINE vf sqrt(vf a) {
#if defined(__AVX512F__)
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX__)
    return (vf)_mm256_sqrt_ps((__m256)a);
#else
    vf r{};
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_sqrtf(a[i]);
    return r;
#endif
}

// 1 / a to 2e-7 relative, for normal a whose reciprocal is normal.
DRR_INLINE vf reciprocal(vf a) {
#if defined(__AVX512F__)
    vf r = (vf)_mm512_rcp14_ps((__m512)a);
    return r * (2.0f - a * r);
#elif defined(__AVX__)
    vf r = (vf)_mm256_rcp_ps((__m256)a);
    return r * (2.0f - a * r);
#else
    return 1.0f / a;
#endif
}

// One bit per lane of a comparison's result, lane 0 lowest.
DRR_INLINE uint32_t bits(vi mask) {
#if defined(__AVX512DQ__)
    return (uint32_t)_mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX__)
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif defined(__SSE2__)
    __m128 half[2];
    std::memcpy(half, &mask, sizeof half);
    return (uint32_t)(_mm_movemask_ps(half[0]) | (_mm_movemask_ps(half[1]) << 4));
#else
    uint32_t r = 0;
    for (int i = 0; i < LANES; ++i) r |= (uint32_t)(mask[i] & 1) << i;
    return r;
#endif
}
DRR_INLINE bool any(vi mask) { return bits(mask) != 0; }

// Sum of the lanes, always in the same order.
DRR_INLINE float sum(vf a) {
    float lane[LANES];
    store(lane, a);
    for (int n = LANES / 2; n > 0; n /= 2)
        for (int i = 0; i < n; ++i) lane[i] += lane[i + n];
    return lane[0];
}

DRR_INLINE vf round_nearest(vf x) {
#if defined(__AVX512F__)
    return (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX__)
    return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    return to_float(to_int(x + 16384.5f) - 16384);  // for |x| < 16384
#endif
}

// 2^x to 1.5e-7 relative for -126 <= x <= 126; outside, a meaningless number.
DRR_INLINE vf exp2(vf x) {
    vf n = round_nearest(x);
    vf f = x - n;
    vf p = 1.32546024e-3f * f + 9.67199918e-3f;
    p = p * f + 5.55077932e-2f;
    p = p * f + 2.40222319e-1f;
    p = p * f + 6.93146930e-1f;
    p = p * f + 1.0f;
    return (vf)((vi)p + (to_int(n) << 23));
}

// e^x to 1e-6 relative; x is bounded to +-87.
DRR_INLINE vf exp(vf x) { return exp2(min(max(x, splat(-87.0f)), splat(87.0f)) * 1.44269504f); }

// log2(x) to 1e-7 for positive normal x; elsewhere a meaningless number.
DRR_INLINE vf log2(vf x) {
    vi bits_of_x = (vi)x;
    vi e = (bits_of_x - 0x3f3504f3) >> 23;  // so that the mantissa lies in [sqrt(1/2), sqrt(2))
    vf m = (vf)(bits_of_x - (e << 23));
    vf t = (m - 1.0f) / (m + 1.0f);
    vf t2 = t * t;
    vf p = 0.32059890f * t2 + 0.41219859f;
    p = p * t2 + 0.57707802f;
    p = p * t2 + 0.96179669f;
    p = p * t2 + 2.88539008f;
    return to_float(e) + t * p;
}

}  // namespace drr
