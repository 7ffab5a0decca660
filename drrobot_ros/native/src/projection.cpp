// Gaussians to splats.
#include "projection.hpp"

#include <cstring>

namespace drr {
namespace {

DRR_INLINE bool finite(float x) {
    uint32_t b;
    std::memcpy(&b, &x, 4);
    return (b & 0x7f800000u) != 0x7f800000u;
}

}  // namespace

Camera make_camera(const drr_raster_input& in, int camera) {
    Camera c;
    const float* V = in.viewmats + 16 * (size_t)camera;
    const float* K = in.Ks + 9 * (size_t)camera;
    for (int r = 0; r < 3; ++r) {
        for (int k = 0; k < 3; ++k) c.R[3 * r + k] = V[4 * r + k];
        c.t[r] = V[4 * r + 3];
    }
    c.fx = K[0];
    c.fy = K[4];
    c.cx = K[2];
    c.cy = K[5];
    const float margin_x = 0.3f * (0.5f * in.width / c.fx);
    const float margin_y = 0.3f * (0.5f * in.height / c.fy);
    c.slope_x_min = -(c.cx / c.fx + margin_x);
    c.slope_x_max = (in.width - c.cx) / c.fx + margin_x;
    c.slope_y_min = -(c.cy / c.fy + margin_y);
    c.slope_y_max = (in.height - c.cy) / c.fy + margin_y;
    return c;
}

void fill_colors(
    const drr_raster_input& in, int camera, int chunk, int first, int last, View& view) {
    const int start = chunk * MAX_CHANNELS, size = chunk_size(in, chunk);
    const float* colors =
        in.colors + (in.colors_per_camera ? (size_t)camera * in.n * in.channels : 0);
    for (int i = first; i < last; ++i) {
        if (view.rects[i].count() == 0) continue;
        Splat& s = view.splats[i];
        for (int k = 0; k < size; ++k)
            s.color[k] = start + k < in.channels ? colors[(size_t)i * in.channels + start + k]
                                                 : s.depth;
    }
}

void project(const drr_raster_input& in, int camera, int first, int last, View& view) {
    const Camera& c = view.camera;
    const float* colors =
        in.colors + (in.colors_per_camera ? (size_t)camera * in.n * in.channels : 0);
    constexpr float INF = __builtin_inff();
    for (int base = first; base < last; base += LANES) {
        int32_t index[LANES];
        for (int l = 0; l < LANES; ++l) index[l] = base + l < last ? base + l : last - 1;
        const Gaussians g = load_gaussians(in, index);
        const Projection o = project_lanes(g, c, in.eps2d, in.antialiased);
        const vf mx = c.fx * o.x * o.inv_z + c.cx;
        const vf my = c.fy * o.y * o.inv_z + c.cy;
        const vf inv_det = 1.0f / o.det;
        const vf lo = log2(o.opacity);
        const vf S = lo - MIN_U;  // the ellipse alpha = 1/255: base-2 falloff S
        const vf reach = (2.0f / LOG2E) * S;
        const vf rx = sqrt(reach * o.xx), ry = sqrt(reach * o.yy);
        // NaN fails every comparison.
        vi ok = (o.z >= in.near_plane) & (o.z <= in.far_plane) & (o.norm2 > 0.0f) &
                (o.norm2 < INF) & (o.det > 0.0f) & (o.det < INF) & (inv_det < INF) &
                (o.opacity >= 1.0f / 255.0f) & (o.opacity < INF) & (mx + rx > 0.0f) &
                (mx - rx < (float)in.width) & (my + ry > 0.0f) & (my - ry < (float)in.height);
        const uint32_t visible = bits(ok);

        // First and last pixel whose centre may be inside, then tiles.
        const vf w1 = splat((float)in.width), h1 = splat((float)in.height), zero{};
        const vi x0 = to_int(min(max(mx - rx - 0.51f + 1.0f, zero), w1));  // a ceil, bounded
        const vi x1 = to_int(min(max(mx + rx - 0.49f + 1.0f, zero), w1));
        const vi y0 = to_int(min(max(my - ry - 0.51f + 1.0f, zero), h1));
        const vi y1 = to_int(min(max(my + ry - 0.49f + 1.0f, zero), h1));

        const vf inv_xx = 1.0f / o.xx, inv_yy = 1.0f / o.yy;
        alignas(64) float f[11][LANES];
        store(f[0], mx);
        store(f[1], my);
        store(f[2], (0.5f * LOG2E) * o.yy * inv_det);
        store(f[3], (0.5f * LOG2E) * inv_yy);
        store(f[4], o.xy * inv_yy);
        store(f[5], lo);
        // A little larger than exact: rounding must not lose a pixel.
        store(f[6], 1.00001f * reach * o.det * inv_yy);
        store(f[7], o.det * inv_yy * inv_yy);
        store(f[8], o.xy * inv_xx * rx);
        store(f[9], 1.0001f * ry + 0.01f);
        store(f[10], o.z);
        alignas(64) int32_t r[4][LANES];
        store_i(r[0], x0);
        store_i(r[1], x1);
        store_i(r[2], y0);
        store_i(r[3], y1);

        const int count = last - base < LANES ? last - base : LANES;
        for (int l = 0; l < count; ++l) {
            const int i = base + l;
            TileRect rect = {0, 0, 0, 0};
            bool draw = (visible >> l & 1) && r[0][l] < r[1][l] && r[2][l] < r[3][l];
            const float* color = colors + (size_t)i * in.channels;
            for (int k = 0; k < in.channels; ++k) draw &= finite(color[k]);
            if (draw) {
                rect.x0 = (int16_t)(r[0][l] / TILE);
                rect.x1 = (int16_t)((r[1][l] - 1) / TILE + 1);
                rect.y0 = (int16_t)(r[2][l] / TILE);
                rect.y1 = (int16_t)((r[3][l] - 1) / TILE + 1);
                Splat& s = view.splats[i];
                float* to = &s.mx;
                for (int k = 0; k < 11; ++k) to[k] = f[k][l];
                for (int k = 0; k < MAX_CHANNELS; ++k)
                    s.color[k] = k < in.channels ? color[k] : s.depth;
            }
            view.rects[i] = rect;
            view.depths[i] = f[10][l];
        }
    }
}

}  // namespace drr
