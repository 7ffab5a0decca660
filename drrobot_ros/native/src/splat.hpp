// A Gaussian projected to an image, and which blocks of a tile it touches.
//
// alpha(pixel) = 2^u,  u = lo - (A p^2 + F dy^2),  p = dx - kx dy,  (dx, dy) = pixel centre - (mx, my).
// The pixel is skipped where u < MIN_U (alpha < 1/255); alpha is bounded by MAX_ALPHA. The completed
// square costs what a dx^2 + b dx dy + c dy^2 costs, without its cancellation on long thin splats.
//
// A tile of 16x16 pixels is cut into blocks of LANES pixels, 4 rows high: 4x4 blocks of 4x4 pixels
// where LANES is 16, 8x4 blocks of 2x4 pixels where it is 8. Compact blocks leave fewer lanes idle
// on small ellipses than rows do. Block b lies at column b / 4, row b % 4; its lane l is the pixel
// (l % BLOCK_W, l / BLOCK_W). Arrays of a tile are in block order: value[b * LANES + l].
#pragma once
#include "binning.hpp"
#include "simd.hpp"

namespace drr {

constexpr float LOG2E = 1.44269504f;
constexpr float MIN_U = -7.99435344f;  // log2(1/255)
constexpr float MAX_ALPHA = 0.999f;
constexpr float MIN_T = 1e-4f;  // a pixel is done before its transmittance would fall to this

constexpr int BLOCK_H = 4;
constexpr int BLOCK_W = LANES / BLOCK_H;
constexpr int BLOCK_COLUMNS = TILE / BLOCK_W;
constexpr int BLOCKS = TILE * TILE / LANES;
constexpr uint32_t ALL_BLOCKS = BLOCKS == 32 ? 0xffffffffu : (1u << (BLOCKS & 31)) - 1u;
constexpr int MAX_CHANNELS = 4;  // composited in one pass

struct alignas(64) Splat {
    float mx, my;    // px
    float A, F;      // 1/px^2, of the base-2 logarithm of alpha
    float kx;        // shear
    float lo;        // log2(opacity)
    float SA, E;     // at height dy the ellipse u = MIN_U is centred at dx = kx dy, and its half
                     // width squared is SA - E dy^2 (SA and ry are a little enlarged)
    float dy_right;  // dy of its rightmost point; the leftmost point is opposite
    float ry;        // its half height, px
    float depth;     // camera z
    float color[MAX_CHANNELS];
    float unused;
};
static_assert(sizeof(Splat) == 64, "one cache line");

// The set of blocks that the ellipse of pixels with alpha >= 1/255 touches, as bits; (x0, y0) is the
// tile's corner. Never misses one; may name blocks in which no pixel centre is inside.
DRR_INLINE uint32_t blocks_touched(const Splat& s, float x0, float y0) {
    // Four block rows, in four lanes each: the ellipse's horizontal extent within a row's height.
    typedef Vec<4>::f f4;
    typedef Vec<4>::i i4;
    const f4 row = {0.5f, 4.5f, 8.5f, 12.5f};
    f4 top = row + (y0 - s.my), bottom = top + 3.0f;
    f4 lowest = top > -s.ry ? top : f4{} - s.ry;
    f4 highest = bottom < s.ry ? bottom : f4{} + s.ry;
    i4 hit = lowest <= highest;
    f4 yr = f4{} + s.dy_right, yl = f4{} - s.dy_right;
    yr = yr < lowest ? lowest : yr;
    yr = yr > highest ? highest : yr;
    yl = yl < lowest ? lowest : yl;
    yl = yl > highest ? highest : yl;
    f4 wr = s.SA - s.E * yr * yr, wl = s.SA - s.E * yl * yl;
    wr = wr > 0.0f ? wr : f4{};
    wl = wl > 0.0f ? wl : f4{};
#if defined(__SSE2__)
    wr = (f4)_mm_sqrt_ps((__m128)wr);
    wl = (f4)_mm_sqrt_ps((__m128)wl);
#else
    for (int i = 0; i < 4; ++i) {
        wr[i] = __builtin_sqrtf(wr[i]);
        wl[i] = __builtin_sqrtf(wl[i]);
    }
#endif
    // In pixel columns of the tile, with a little slack for rounding.
    f4 right = s.kx * yr + wr + (s.mx - x0 + 0.01f);
    f4 left = s.kx * yl - wl + (s.mx - x0 - 0.01f);
    left = hit ? left : f4{} + 1e9f;
    // Column c of blocks has pixel centres from c * BLOCK_W + 0.5 to c * BLOCK_W + BLOCK_W - 0.5.
    uint32_t mask = 0;
    for (int c = 0; c < BLOCK_COLUMNS; ++c) {
        i4 in = (left <= c * BLOCK_W + (BLOCK_W - 0.5f)) & (right >= c * BLOCK_W + 0.5f);
#if defined(__SSE2__)
        mask |= (uint32_t)_mm_movemask_ps((__m128)in) << (4 * c);
#else
        for (int i = 0; i < 4; ++i) mask |= (uint32_t)(in[i] & 1) << (4 * c + i);
#endif
    }
    return mask;
}

// Pixel centres of block b relative to the corner of its tile.
DRR_INLINE vf lane_x() {
    vf r{};
    for (int l = 0; l < LANES; ++l) r[l] = (float)(l % BLOCK_W) + 0.5f;
    return r;
}
DRR_INLINE vf lane_y() {
    vf r{};
    for (int l = 0; l < LANES; ++l) r[l] = (float)(l / BLOCK_W) + 0.5f;
    return r;
}
// Corner of block b relative to that of its tile.
struct BlockCorners {
    float x[BLOCKS], y[BLOCKS];
    constexpr BlockCorners() : x(), y() {
        for (int b = 0; b < BLOCKS; ++b) {
            x[b] = (float)(b / 4 * BLOCK_W);
            y[b] = (float)(b % 4 * BLOCK_H);
        }
    }
};
constexpr BlockCorners BLOCK_CORNERS;

// u at pixels, given p and dy there.
DRR_INLINE vf exponent(const Splat& s, vf p, vf dy) { return s.lo - p * (s.A * p) - dy * (s.F * dy); }

}  // namespace drr
