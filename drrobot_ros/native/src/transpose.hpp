// From one vector per field to one record per lane.
#pragma once
#include "simd.hpp"

namespace drr {

// Writes field[k][l] to to[l * stride + k], k < 16, for the lanes l set in `wanted`. `to` and the
// stride are multiples of 64 bytes.
DRR_INLINE void transpose16(const vf* field, float* to, int stride, uint32_t wanted) {
#if defined(__AVX512F__)
    __m512 a[16], b[16];
    for (int k = 0; k < 16; k += 2) {
        a[k] = _mm512_unpacklo_ps((__m512)field[k], (__m512)field[k + 1]);
        a[k + 1] = _mm512_unpackhi_ps((__m512)field[k], (__m512)field[k + 1]);
    }
    for (int k = 0; k < 16; k += 4)
        for (int h = 0; h < 2; ++h) {
            const __m512d low = _mm512_castps_pd(a[k + h]), high = _mm512_castps_pd(a[k + 2 + h]);
            b[k + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            b[k + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    // b[4 q + r]: 128-bit part s has fields 4q..4q+3 of lane 4s + r.
    for (int r = 0; r < 4; ++r) {
        const __m512 even01 = _mm512_shuffle_f32x4(b[r], b[4 + r], 0x88);
        const __m512 even23 = _mm512_shuffle_f32x4(b[8 + r], b[12 + r], 0x88);
        const __m512 odd01 = _mm512_shuffle_f32x4(b[r], b[4 + r], 0xdd);
        const __m512 odd23 = _mm512_shuffle_f32x4(b[8 + r], b[12 + r], 0xdd);
        const __m512 row[4] = {_mm512_shuffle_f32x4(even01, even23, 0x88),
                               _mm512_shuffle_f32x4(odd01, odd23, 0x88),
                               _mm512_shuffle_f32x4(even01, even23, 0xdd),
                               _mm512_shuffle_f32x4(odd01, odd23, 0xdd)};
        for (int s = 0; s < 4; ++s)
            if (wanted >> (4 * s + r) & 1) _mm512_store_ps(to + (4 * s + r) * stride, row[s]);
    }
#else
    alignas(64) float value[16][LANES];
    for (int k = 0; k < 16; ++k) store(value[k], field[k]);
    while (wanted) {
        const int l = __builtin_ctz(wanted);
        wanted &= wanted - 1;
        for (int k = 0; k < 16; ++k) to[l * stride + k] = value[k][l];
    }
#endif
}

}  // namespace drr
