// Eight floats, whatever the instruction set: splat groups and parameter blocks are eight wide.
// simd.hpp's vf follows the widest registers instead.
#pragma once
#include <cstdlib>
#include <new>

#include "simd.hpp"

namespace drr {

using f8 = Vec<8>::f;
using i8 = Vec<8>::i;

DRR_INLINE f8 splat8(float x) { return x - f8{}; }
DRR_INLINE f8 load8(const float* p) { return *(const Vec<8>::fu*)p; }
DRR_INLINE void store8(float* p, f8 x) { *(Vec<8>::fu*)p = x; }
DRR_INLINE f8 min8(f8 a, f8 b) { return a < b ? a : b; }
DRR_INLINE f8 max8(f8 a, f8 b) { return a > b ? a : b; }
DRR_INLINE f8 keep8(i8 mask, f8 a) { return (f8)((i8)a & mask); }

DRR_INLINE f8 sqrt8(f8 a) {
#if defined(__AVX__)
    return (f8)_mm256_sqrt_ps((__m256)a);
#else
    f8 r{};
    for (int i = 0; i < 8; ++i) r[i] = __builtin_sqrtf(a[i]);
    return r;
#endif
}

// One bit per lane of a comparison's result, lane 0 lowest.
DRR_INLINE uint32_t bits8(i8 mask) {
#if defined(__AVX__)
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif defined(__SSE2__)
    __m128 half[2];
    std::memcpy(half, &mask, sizeof half);
    return (uint32_t)(_mm_movemask_ps(half[0]) | (_mm_movemask_ps(half[1]) << 4));
#else
    uint32_t r = 0;
    for (int i = 0; i < 8; ++i) r |= (uint32_t)(mask[i] & 1) << i;
    return r;
#endif
}

// e^x for -87 <= x <= 0 to 3e-7 relative.
DRR_INLINE f8 exp8_negative(f8 x) {
    x = max8(x, splat8(-87.0f)) * 1.44269504f;
    i8 n = __builtin_convertvector(x - 0.5f, i8);
    f8 f = x - __builtin_convertvector(n, f8);
    f8 p = 0.0013333558f * f + 0.0096181291f;
    p = p * f + 0.0555041087f;
    p = p * f + 0.2402265070f;
    p = p * f + 0.6931471806f;
    p = p * f + 1.0f;
    return (f8)((i8)p + (n << 23));
}

// Storage for f8 in a std::vector.
template <class T>
struct Aligned {
    using value_type = T;
    Aligned() = default;
    template <class U>
    Aligned(const Aligned<U>&) {}
    T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
    void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
    template <class U>
    bool operator==(const Aligned<U>&) const { return true; }
    template <class U>
    bool operator!=(const Aligned<U>&) const { return false; }
};

}  // namespace drr
