// Sine, cosine and hyperbolic tangent of all lanes.
#pragma once
#include <cmath>
#include <cstring>

#include "simd.hpp"

namespace drr {

#if defined(__AVX512F__)
DRR_INLINE __m512d fused(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
DRR_INLINE __m512 fused(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
DRR_INLINE __m512d nearest(__m512d a) {
    return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
DRR_INLINE __m512 nearest(__m512 a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
template <class T>
struct Native;
template <>
struct Native<double> {
    typedef __m512d v;
};
template <>
struct Native<float> {
    typedef __m512 v;
};
#define DRR_FAST_TRIG 1
#elif defined(__FMA__)
DRR_INLINE __m256d fused(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
DRR_INLINE __m256 fused(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
DRR_INLINE __m256d nearest(__m256d a) {
    return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
DRR_INLINE __m256 nearest(__m256 a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
template <class T>
struct Native;
template <>
struct Native<double> {
    typedef __m256d v;
};
template <>
struct Native<float> {
    typedef __m256 v;
};
#define DRR_FAST_TRIG 1
#endif

#if defined(DRR_FAST_TRIG)
template <class T>
struct Trig;
template <>
struct Trig<double> {
    typedef int64_t Int __attribute__((vector_size(8 * (LANES / 2))));
    typedef int32_t Short __attribute__((vector_size(4 * (LANES / 2))));
    static constexpr double HEAD = 1.57079632679489661923, TAIL = 6.123233995736766036e-17;
    static constexpr int TERMS = 9;
};
template <>
struct Trig<float> {
    typedef int32_t Int __attribute__((vector_size(4 * LANES)));
    typedef Int Short;
    static constexpr float HEAD = 1.57079637f, TAIL = -4.37113883e-8f;
    static constexpr int TERMS = 5;
};

// To about one unit in the last place for |angle| < 1e8 rad: reduced to a quarter turn in two fused
// steps (which the compiler may not reorder), then the Taylor series.
template <class T, class V>
inline void sine_cosine(const V& angle, V& s, V& c) {
    using K = Trig<T>;
    using N = typename Native<T>::v;
    const V k = (V)nearest((N)(angle * T(0.63661977236758134308)));
    V r = (V)fused((N)k, (N)(V{} - K::HEAD), (N)angle);
    r = (V)fused((N)k, (N)(V{} - K::TAIL), (N)r);
    const V x = r * r;
    V ps{}, pc{};
    for (int i = K::TERMS - 1; i >= 1; --i) {
        // 1 + x t: each term divides by the next two factors of the factorial.
        ps = (T(1) + ps) * x * T(-1.0 / ((2 * i) * (2 * i + 1)));
        pc = (T(1) + pc) * x * T(-1.0 / ((2 * i - 1) * (2 * i)));
    }
    const V sine = r + r * ps, cosine = T(1) + pc;
    const auto quarter = __builtin_convertvector(__builtin_convertvector(k, typename K::Short), typename K::Int);
    const auto odd = (quarter & 1) != 0, turn_s = (quarter & 2) != 0, turn_c = ((quarter + 1) & 2) != 0;
    const V a = odd ? cosine : sine, b = odd ? sine : cosine;
    s = turn_s ? -a : a;
    c = turn_c ? -b : b;
}
#else
template <class T, class V>
inline void sine_cosine(const V& angle, V& s, V& c) {
    constexpr int W = sizeof(V) / sizeof(T);
    for (int i = 0; i < W; ++i) {
        s[i] = std::sin(angle[i]);
        c[i] = std::cos(angle[i]);
    }
}
#endif

template <class T, class V>
inline V hyperbolic_tangent(const V& x) {
    constexpr int W = sizeof(V) / sizeof(T);
    V r{};
    for (int i = 0; i < W; ++i) r[i] = std::tanh(x[i]);
    return r;
}

}  // namespace drr
