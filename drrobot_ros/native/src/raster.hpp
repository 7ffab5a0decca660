// A differentiable rasterizer of 3D Gaussians: what its phases share.
//
//   project    per Gaussian: centre, conic, opacity, tiles touched      (projection.cpp)
//   bin        depth sort once, front-to-back list per tile             (binning.cpp)
//   forward    per tile: composite                                      (forward.cpp)
//   backward   per tile: front to back again, moments per slot          (backward.cpp)
//   gather     per Gaussian: sum of its slots in a fixed order, chain rule of the projection
//                                                                       (projection_backward.cpp)
//
// Results are the same bits for any number of threads. Semantics are gsplat's: alpha = min(0.999,
// o exp(-s)), skipped below 1/255; a pixel stops before its transmittance falls to 1e-4; eps2d is
// added to the projected covariance; pixel centres lie at +0.5. A Gaussian with a value that is not
// finite, a zero quaternion, or its centre outside [near, far] is not drawn and has no gradient.
#pragma once
#include <cstdint>
#include <vector>

#include "binning.hpp"
#include "memory.hpp"
#include "splat.hpp"

extern "C" {

enum { DRR_DEPTH_NONE = 0, DRR_DEPTH_SUM = 1, DRR_DEPTH_EXPECTED = 2 };

// Arrays are row-major float32. The image has channels + (depth != NONE) channels, depth last.
struct drr_raster_input {
    int32_t n, cameras, channels, width, height;
    int32_t colors_per_camera;  // colors are [cameras, n, channels], else [n, channels]
    int32_t depth;              // DRR_DEPTH_...
    int32_t antialiased;        // opacity * sqrt(det(cov) / det(cov + eps2d))
    float near_plane, far_plane, eps2d;
    const float* means;        // [n, 3]
    const float* quats;        // [n, 4] wxyz
    const float* scales;       // [n, 3]
    const float* opacities;    // [n]
    const float* colors;       // null if channels is 0
    const float* viewmats;     // [cameras, 4, 4] world to camera
    const float* Ks;           // [cameras, 3, 3] without skew
    const float* backgrounds;  // [cameras, channels] or null; the depth channel has none
};

// Gradients, all overwritten; null where not wanted.
struct drr_raster_gradient {
    float *means, *quats, *scales, *opacities, *colors, *viewmats;
};
}

namespace drr {

struct Camera {
    float R[9], t[3];
    float fx, fy, cx, cy;
    float slope_x_min, slope_x_max, slope_y_min, slope_y_max;  // bounds of x/z, y/z in the Jacobian
};
Camera make_camera(const drr_raster_input& in, int camera);

// One camera's image on its way.
struct View {
    Camera camera;
    Buffer<Splat> splats;    // [n]; meaningful where the rect is not empty
    Buffer<TileRect> rects;  // [n]
    Buffer<float> depths;    // [n]
    TileLists lists;
    // The entries that some pixel composited, moved to the front of each tile's list:
    Buffer<uint32_t> n_used;  // [tiles]
    Buffer<uint32_t> blocks;  // [entries] which blocks of the tile composited them
    Buffer<uint8_t> used;     // [slots]
    Buffer<float> final_T;    // [tiles, 256] block order
};

// What a tile adds to its slot, and after the gather a splat's sum.
// With v = dL/dalpha * alpha: moments of v in (p, dy) of splat.hpp, then dL/dcolor.
struct alignas(64) Record {
    float v, v_p, v_y, v_pp, v_py, v_yy;
    float color[MAX_CHANNELS];
    float unused[6];
};
static_assert(sizeof(Record) == 64, "one cache line");

struct Raster {
    std::vector<View> views;  // never shrinks, to keep the memory
    Buffer<Record> records;   // [all slots of all views]
    std::vector<uint32_t> record_begin;
    Buffer<double> camera_sums;
};

constexpr int GAUSSIAN_BLOCK = 512;  // Gaussians per task

// Projects Gaussians [first, last) into view.splats, rects and depths; colours of chunk 0.
void project(const drr_raster_input& in, int camera, int first, int last, View& view);
// Puts colours of channels [4 * chunk, ...) into the splats.
void fill_colors(
    const drr_raster_input& in, int camera, int chunk, int first, int last, View& view);
// Chain rule from the summed records to the gradients of Gaussians [first, last); adds to them
// except for camera 0, which overwrites. camera_sum [12] gets dL/d(R, t), row-major 3x4.
void project_backward(
    const drr_raster_input& in, int camera, int first, int last, const View& view,
    const Record* records, const drr_raster_gradient& gradient, double* camera_sum);
// Colour gradients of one chunk alone.
void gather_colors(
    const drr_raster_input& in, int camera, int chunk, int first, int last, const View& view,
    const Record* records, float* colors);

inline int image_channels(const drr_raster_input& in) {
    return in.channels + (in.depth != DRR_DEPTH_NONE);
}
inline int chunk_count(const drr_raster_input& in) {
    return (image_channels(in) + MAX_CHANNELS - 1) / MAX_CHANNELS;
}
// Channels in a chunk.
inline int chunk_size(const drr_raster_input& in, int chunk) {
    int left = image_channels(in) - chunk * MAX_CHANNELS;
    return left < MAX_CHANNELS ? left : MAX_CHANNELS;
}

// Composites one tile. `keep` notes what the backward pass needs.
void forward_tile(
    const drr_raster_input& in, int camera, int tile, int chunk, bool keep, View& view,
    float* image, float* alpha);
// Writes the records of one tile; chunks after the first add to the moments.
void backward_tile(
    const drr_raster_input& in, int tile, int chunk, const View& view, const float* image,
    const float* image_gradient, const float* alpha_gradient, Record* records);

}  // namespace drr
