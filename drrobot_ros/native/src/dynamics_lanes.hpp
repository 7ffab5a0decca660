// Many robots at once: every number is a vector whose lanes are the elements of a batch.
#pragma once
#include <cmath>
#include <cstring>
#include <cstddef>

#include "dynamics_trig.hpp"

namespace drr {

// Lanes<T>::V holds one number of LANES (float) or LANES / 2 (double) elements of a batch.
template <class T>
struct Lanes;
template <>
struct Lanes<float> {
    static constexpr int W = LANES;
    typedef float V __attribute__((vector_size(4 * LANES)));
};
template <>
struct Lanes<double> {
    static constexpr int W = LANES / 2;
    typedef double V __attribute__((vector_size(8 * (LANES / 2))));
};

template <class T>
using LaneVector = typename Lanes<T>::V;

template <class V>
struct Vec3 {
    V x, y, z;
};

template <class V>
DRR_INLINE Vec3<V> operator+(const Vec3<V>& a, const Vec3<V>& b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class V>
DRR_INLINE Vec3<V> operator-(const Vec3<V>& a, const Vec3<V>& b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class V>
DRR_INLINE Vec3<V> operator-(const Vec3<V>& a) {
    return {-a.x, -a.y, -a.z};
}
template <class V, class S>
DRR_INLINE Vec3<V> operator*(const Vec3<V>& a, const S& s) {
    return {a.x * s, a.y * s, a.z * s};
}
template <class V>
DRR_INLINE void operator+=(Vec3<V>& a, const Vec3<V>& b) {
    a.x += b.x, a.y += b.y, a.z += b.z;
}
template <class V>
DRR_INLINE void operator-=(Vec3<V>& a, const Vec3<V>& b) {
    a.x -= b.x, a.y -= b.y, a.z -= b.z;
}
template <class V>
DRR_INLINE V dot(const Vec3<V>& a, const Vec3<V>& b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <class V>
DRR_INLINE Vec3<V> cross(const Vec3<V>& a, const Vec3<V>& b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
template <class V, class T>
DRR_INLINE Vec3<V> cross_const(const T* a, const Vec3<V>& b) {
    return {a[1] * b.z - a[2] * b.y, a[2] * b.x - a[0] * b.z, a[0] * b.y - a[1] * b.x};
}
// z x a, a x z for the unit vector z.
template <class V>
DRR_INLINE Vec3<V> z_cross(const Vec3<V>& a) {
    return {-a.y, a.x, V{}};
}
template <class V>
DRR_INLINE Vec3<V> cross_z(const Vec3<V>& a) {
    return {a.y, -a.x, V{}};
}

// Symmetric matrix: xx xy xz yy yz zz.
template <class V>
struct Sym3 {
    V xx, xy, xz, yy, yz, zz;
};
template <class V>
DRR_INLINE Vec3<V> operator*(const Sym3<V>& a, const Vec3<V>& b) {
    return {a.xx * b.x + a.xy * b.y + a.xz * b.z, a.xy * b.x + a.yy * b.y + a.yz * b.z,
            a.xz * b.x + a.yz * b.y + a.zz * b.z};
}
template <class V>
DRR_INLINE void operator+=(Sym3<V>& a, const Sym3<V>& b) {
    a.xx += b.xx, a.xy += b.xy, a.xz += b.xz, a.yy += b.yy, a.yz += b.yz, a.zz += b.zz;
}
// constant symmetric matrix (6 numbers) times a vector.
template <class V, class T>
DRR_INLINE Vec3<V> sym_const(const T* s, const Vec3<V>& b) {
    return {s[0] * b.x + s[1] * b.y + s[2] * b.z, s[1] * b.x + s[3] * b.y + s[4] * b.z,
            s[2] * b.x + s[4] * b.y + s[5] * b.z};
}

// By columns.
template <class V>
struct Mat3 {
    Vec3<V> x, y, z;
};
template <class V>
DRR_INLINE Vec3<V> operator*(const Mat3<V>& m, const Vec3<V>& a) {
    return m.x * a.x + m.y * a.y + m.z * a.z;
}
template <class V>
DRR_INLINE Vec3<V> transposed(const Mat3<V>& m, const Vec3<V>& a) {
    return {dot(m.x, a), dot(m.y, a), dot(m.z, a)};
}
template <class V>
DRR_INLINE Mat3<V> operator*(const Mat3<V>& a, const Mat3<V>& b) {
    return {a * b.x, a * b.y, a * b.z};
}
// Row-major constants times a vector, and transposed.
template <class V, class T>
DRR_INLINE Vec3<V> mat_const(const T* m, const Vec3<V>& a) {
    return {m[0] * a.x + m[1] * a.y + m[2] * a.z, m[3] * a.x + m[4] * a.y + m[5] * a.z,
            m[6] * a.x + m[7] * a.y + m[8] * a.z};
}
template <class V, class T>
DRR_INLINE Vec3<V> mat_const_t(const T* m, const Vec3<V>& a) {
    return {m[0] * a.x + m[3] * a.y + m[6] * a.z, m[1] * a.x + m[4] * a.y + m[7] * a.z,
            m[2] * a.x + m[5] * a.y + m[8] * a.z};
}

template <class T>
DRR_INLINE LaneVector<T> broadcast(T x) {
    return x - LaneVector<T>{};
}
template <class T>
DRR_INLINE Vec3<LaneVector<T>> broadcast3(const T* x) {
    return {broadcast<T>(x[0]), broadcast<T>(x[1]), broadcast<T>(x[2])};
}

// Column j of rows [first, first + W) of a row-major array with `width` columns and `rows` rows;
// lanes past the end repeat the last row.
template <class T>
DRR_INLINE LaneVector<T> load_column(const T* data, size_t width, size_t j, size_t first, size_t rows) {
    constexpr int W = Lanes<T>::W;
    LaneVector<T> r;
    if (first + W <= rows) {
        const T* p = data + first * width + j;
        for (int i = 0; i < W; ++i) r[i] = p[i * width];
    } else {
        for (int i = 0; i < W; ++i) {
            size_t row = first + i < rows ? first + i : rows - 1;
            r[i] = data[row * width + j];
        }
    }
    return r;
}
template <class T>
DRR_INLINE void store_column(T* data, size_t width, size_t j, size_t first, size_t rows,
                             const LaneVector<T>& x) {
    constexpr int W = Lanes<T>::W;
    const int n = first + W <= rows ? W : (int)(rows - first);
    for (int i = 0; i < n; ++i) data[(first + i) * width + j] = x[i];
}
// Sum of the lanes that are within the batch.
template <class T>
DRR_INLINE double lane_sum(const LaneVector<T>& x, int valid) {
    double sum = 0;
    for (int i = 0; i < valid; ++i) sum += x[i];
    return sum;
}

}  // namespace drr
