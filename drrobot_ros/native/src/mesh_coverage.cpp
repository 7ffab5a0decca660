// How much of every pixel a robot's meshes cover, by samples: one bit each of a pixel's word.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "parallel.hpp"

namespace drr {
namespace {

struct Corner {
    float x, y;  // in samples
};

struct View {
    int width, height;
    float fx, fy, cx, cy, near_plane;
};

// Pixels of an image, a bit for each of SIDE x SIDE samples.
template <int SIDE>
struct Samples {
    int width, height;
    uint64_t* words;

    // Samples lie at halves.
    static int first_after(float at) { return static_cast<int>(std::ceil(at - 0.5f)); }
    static int last_before(float at) { return static_cast<int>(std::floor(at - 0.5f)); }

    // Bits of columns [x0, x1] and of rows [y0, y1] of a pixel.
    static uint64_t columns(int x0, int x1) {
        const uint64_t row = (uint64_t{2} << x1) - (uint64_t{1} << x0);
        return SIDE == 8 ? row * 0x0101010101010101u : SIDE == 4 ? row * 0x1111u : row;
    }
    static uint64_t rows(int y0, int y1) {
        return (~uint64_t{0} << (SIDE * y0)) & (~uint64_t{0} >> (64 - SIDE * (y1 + 1)));
    }

    // Whether all samples of a box of at most 2 x 2 pixels are covered; of larger ones false. Most of
    // a robot's small triangles lie behind others. One branch: what it is told by is not guessed.
    bool covered(int x0, int x1, int y0, int y1) const {
        const int left = x0 / SIDE, right = x1 / SIDE, top = y0 / SIDE, bottom = y1 / SIDE;
        if (((right - left) | (bottom - top)) > 1) return false;
        const int x = left == right ? x1 % SIDE : SIDE - 1, y = top == bottom ? y1 % SIDE : SIDE - 1;
        const int from_x = left == right ? x0 % SIDE : 0, from_y = top == bottom ? y0 % SIDE : 0;
        const uint64_t west = columns(x0 % SIDE, x), east = columns(from_x, x1 % SIDE);
        const uint64_t north = rows(y0 % SIDE, y), south = rows(from_y, y1 % SIDE);
        const uint64_t* high = words + static_cast<size_t>(top) * width;
        const uint64_t* low = words + static_cast<size_t>(bottom) * width;
        const uint64_t open = (north & west & ~high[left]) | (north & east & ~high[right]) |
                              (south & west & ~low[left]) | (south & east & ~low[right]);
        return open == 0;
    }

    // Sets the bits of the samples inside a triangle.
    void draw(Corner a, Corner b, Corner c) {
        if (b.y < a.y) std::swap(a, b);
        if (c.y < b.y) std::swap(b, c);
        if (b.y < a.y) std::swap(a, b);
        const float low = std::max(a.y, 0.0f);
        const float high = std::min(c.y, static_cast<float>(height * SIDE));
        const float west = std::max(std::min({a.x, b.x, c.x}), 0.0f);
        const float east = std::min(std::max({a.x, b.x, c.x}), width * SIDE - 0.5f);
        if (!(high >= low) || !(east >= west)) return;
        // Without the row that lies at the lowest corner: what has no height has no slope.
        const int first = first_after(low), last = first_after(high) - 1;
        const int x0 = first_after(west), x1 = last_before(east);
        if (first > last || x0 > x1 || covered(x0, x1, first, last)) return;
        const float along = (c.x - a.x) / (c.y - a.y);
        const float upper = (b.x - a.x) / (b.y - a.y), lower = (c.x - b.x) / (c.y - b.y);
        for (int row = first; row <= last; ++row) {
            const float y = row + 0.5f;
            const bool above = y < b.y;
            const float one = a.x + (y - a.y) * along;
            const float other = b.x + (y - b.y) * (above ? upper : lower);
            const float left = std::max(std::min(one, other), 0.0f);
            const float right = std::min(std::max(one, other), width * SIDE - 0.5f);
            const int begin = first_after(left), end = last_before(right);
            uint64_t* line = words + static_cast<size_t>(row / SIDE) * width;
            const int shift = SIDE * (row % SIDE);
            for (int pixel = begin / SIDE; pixel * SIDE <= end; ++pixel) {
                const int p = std::max(begin - pixel * SIDE, 0);
                const int q = std::min(end - pixel * SIDE, SIDE - 1);
                line[pixel] |= (((uint64_t{1} << (q - p + 1)) - 1) << p) << shift;
            }
        }
    }
};

// Draws one face of three points [x, y, z], what is nearer than the near plane cut off.
template <int SIDE>
void draw_cut(const float* const* p, const View& v, Samples<SIDE>& samples) {
    Corner c[4];
    int n = 0;
    const auto add = [&](const float* at) {
        c[n++] = {SIDE * (v.fx * at[0] / at[2] + v.cx), SIDE * (v.fy * at[1] / at[2] + v.cy)};
    };
    for (int k = 0; k < 3; ++k) {
        const float *a = p[k], *b = p[k == 2 ? 0 : k + 1];
        const bool seen = a[2] >= v.near_plane;
        if (seen) add(a);
        if (seen == (b[2] >= v.near_plane)) continue;
        const float t = (v.near_plane - a[2]) / (b[2] - a[2]);
        const float cut[3] = {a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), v.near_plane};
        add(cut);
    }
    for (int k = 2; k < n; ++k) samples.draw(c[0], c[k - 1], c[k]);
}

template <int SIDE>
void cover(int n_vertices, const float* points, int n_faces, const int32_t* faces, const View& v,
           float* coverage) {
    std::vector<Corner> corner(n_vertices);
    for (int i = 0; i < n_vertices; ++i) {
        const float* p = points + 3 * static_cast<size_t>(i);
        const float scale = SIDE / p[2];
        corner[i] = {v.fx * p[0] * scale + SIDE * v.cx, v.fy * p[1] * scale + SIDE * v.cy};
    }
    // Every part of the faces has an image of its own.
    const int parts = n_faces < 1000 ? 1 : num_threads();
    const size_t pixels = static_cast<size_t>(v.width) * v.height;
    std::vector<uint64_t> words(pixels * parts, 0);
    parallel_for(parts, [&](int part, int) {
        Samples<SIDE> samples{v.width, v.height, words.data() + pixels * part};
        const auto at = [&](int i) { return static_cast<int64_t>(n_faces) * i / parts; };
        for (int64_t f = at(part); f < at(part + 1); ++f) {
            const int32_t* face = faces + 3 * f;
            const float* p[3];
            for (int k = 0; k < 3; ++k) p[k] = points + 3 * static_cast<size_t>(face[k]);
            if (std::min({p[0][2], p[1][2], p[2][2]}) >= v.near_plane)
                samples.draw(corner[face[0]], corner[face[1]], corner[face[2]]);
            else
                draw_cut<SIDE>(p, v, samples);
        }
    });
    for (size_t i = 0; i < pixels; ++i) {
        uint64_t word = words[i];
        for (int part = 1; part < parts; ++part) word |= words[pixels * part + i];
        coverage[i] = __builtin_popcountll(word) * (1.0f / (SIDE * SIDE));
    }
}

}  // namespace
}  // namespace drr

extern "C" {

// Vertices [first[n_links],3] hang on links, those of link i being first[i] to first[i+1]; poses
// T [n_links,3,4] of the links in the camera. Intrinsics fx, fy, cx, cy; coverage [height,width] 0..1
// by side x side samples per pixel (1, 4 or 8). What is nearer than near_plane is cut off.
void drr_mesh_coverage(int32_t n_links, const int32_t* first, const float* T, const float* vertices,
                       int32_t n_faces, const int32_t* faces, int32_t width, int32_t height,
                       const float* intrinsics, float near_plane, int32_t side, float* coverage) {
    const drr::View view = {width,         height,        intrinsics[0], intrinsics[1],
                            intrinsics[2], intrinsics[3], near_plane};
    const int n = first[n_links];
    std::vector<float> points(3 * static_cast<size_t>(n));
    for (int link = 0; link < n_links; ++link) {
        const float* M = T + 12 * link;
        for (int i = first[link]; i < first[link + 1]; ++i) {
            const float* a = vertices + 3 * static_cast<size_t>(i);
            float* b = points.data() + 3 * static_cast<size_t>(i);
            for (int k = 0; k < 3; ++k)
                b[k] = M[4 * k] * a[0] + M[4 * k + 1] * a[1] + M[4 * k + 2] * a[2] + M[4 * k + 3];
        }
    }
    if (side == 1) drr::cover<1>(n, points.data(), n_faces, faces, view, coverage);
    else if (side == 4) drr::cover<4>(n, points.data(), n_faces, faces, view, coverage);
    else drr::cover<8>(n, points.data(), n_faces, faces, view, coverage);
}

}  // extern "C"
