// How much of every pixel a set of triangles covers, by samples: one bit each of a pixel's word.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "parallel.hpp"

namespace drr {
namespace {

struct Corner {
    float x, y;  // in samples
};

// Sets the bits of the samples inside a triangle; SIDE samples along a pixel's side.
template <int SIDE>
void draw(const Corner& a, const Corner& b, const Corner& c, int width, int height,
          uint64_t* words) {
    const float low = std::min({a.y, b.y, c.y}), high = std::max({a.y, b.y, c.y});
    if (!(high > 0) || !(low < height * SIDE)) return;
    const int first = static_cast<int>(std::ceil(std::max(low, 0.0f) - 0.5f));
    const int last = static_cast<int>(std::floor(std::min(high, height * SIDE - 0.5f) - 0.5f));
    const Corner from[3] = {a, b, c}, to[3] = {b, c, a};
    for (int row = first; row <= last; ++row) {
        const float y = row + 0.5f;
        float left = 1e30f, right = -1e30f;
        for (int k = 0; k < 3; ++k) {
            if ((from[k].y <= y) == (to[k].y <= y)) continue;
            const float t = (y - from[k].y) / (to[k].y - from[k].y);
            const float x = from[k].x + t * (to[k].x - from[k].x);
            left = std::min(left, x), right = std::max(right, x);
        }
        if (!(right > 0) || !(left < width * SIDE)) continue;
        const int begin = static_cast<int>(std::ceil(std::max(left, 0.0f) - 0.5f));
        const int end = static_cast<int>(std::floor(std::min(right, width * SIDE - 0.5f) - 0.5f));
        uint64_t* line = words + static_cast<size_t>(row / SIDE) * width;
        const int shift = SIDE * (row % SIDE);
        for (int pixel = begin / SIDE; pixel * SIDE <= end; ++pixel) {
            const int p = std::max(begin - pixel * SIDE, 0);
            const int q = std::min(end - pixel * SIDE, SIDE - 1);
            line[pixel] |= (((uint64_t{1} << (q - p + 1)) - 1) << p) << shift;
        }
    }
}

struct View {
    int width, height;
    float fx, fy, cx, cy, near_plane;
};

template <int SIDE>
void cover(const float* vertices, int n_faces, const int32_t* faces, const View& v,
           float* coverage) {
    static thread_local std::vector<uint64_t> words;
    words.assign(static_cast<size_t>(v.width) * v.height, 0);
    const auto project = [&](const float* p) {
        return Corner{SIDE * (v.fx * p[0] / p[2] + v.cx), SIDE * (v.fy * p[1] / p[2] + v.cy)};
    };
    for (int f = 0; f < n_faces; ++f) {
        const float* p[3];
        for (int k = 0; k < 3; ++k) p[k] = vertices + 3 * static_cast<size_t>(faces[3 * f + k]);
        Corner c[4];
        int n = 0;
        for (int k = 0; k < 3; ++k) {
            const float *a = p[k], *b = p[k == 2 ? 0 : k + 1];
            const bool seen = a[2] >= v.near_plane;
            if (seen) c[n++] = project(a);
            if (seen == (b[2] >= v.near_plane)) continue;
            const float t = (v.near_plane - a[2]) / (b[2] - a[2]);
            const float cut[3] = {a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), v.near_plane};
            c[n++] = project(cut);
        }
        for (int k = 2; k < n; ++k) draw<SIDE>(c[0], c[k - 1], c[k], v.width, v.height, words.data());
    }
    for (size_t i = 0; i < words.size(); ++i)
        coverage[i] = __builtin_popcountll(words[i]) * (1.0f / (SIDE * SIDE));
}

}  // namespace
}  // namespace drr

extern "C" {

// n images of the same faces [n_faces,3]: vertices [n,n_vertices,3] in the camera's frame, m;
// intrinsics fx, fy, cx, cy; coverage [n,height,width] 0..1 by side x side samples per pixel (1 or 8).
// What is nearer than near_plane is cut off.
void drr_mesh_coverage(int32_t n, int32_t n_vertices, const float* vertices, int32_t n_faces,
                       const int32_t* faces, int32_t width, int32_t height, const float* intrinsics,
                       float near_plane, int32_t side, float* coverage) {
    const drr::View view = {width,         height,        intrinsics[0], intrinsics[1],
                            intrinsics[2], intrinsics[3], near_plane};
    drr::parallel_for(n, [&](int i, int) {
        const float* own = vertices + 3 * static_cast<size_t>(n_vertices) * i;
        float* out = coverage + static_cast<size_t>(width) * height * i;
        if (side == 1) drr::cover<1>(own, n_faces, faces, view, out);
        else drr::cover<8>(own, n_faces, faces, view, out);
    });
}

}  // extern "C"
