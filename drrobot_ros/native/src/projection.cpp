// Gaussians to splats, and gradients back.
#include <cstring>

#include "raster.hpp"

namespace drr {
namespace {

DRR_INLINE bool finite(float x) {
    uint32_t b;
    std::memcpy(&b, &x, 4);
    return (b & 0x7f800000u) != 0x7f800000u;
}

// LANES Gaussians, one to a lane.
struct Gaussians {
    vf p[3], q[4], s[3], o;
};

DRR_INLINE Gaussians load_gaussians(const drr_raster_input& in, const int32_t* index) {
    alignas(64) float a[11][LANES];
    for (int l = 0; l < LANES; ++l) {
        const size_t i = (size_t)index[l];
        for (int k = 0; k < 3; ++k) a[k][l] = in.means[3 * i + k];
        for (int k = 0; k < 4; ++k) a[3 + k][l] = in.quats[4 * i + k];
        for (int k = 0; k < 3; ++k) a[7 + k][l] = in.scales[3 * i + k];
        a[10][l] = in.opacities[i];
    }
    Gaussians g;
    for (int k = 0; k < 3; ++k) g.p[k] = load(a[k]);
    for (int k = 0; k < 4; ++k) g.q[k] = load(a[3 + k]);
    for (int k = 0; k < 3; ++k) g.s[k] = load(a[7 + k]);
    g.o = load(a[10]);
    return g;
}

// Everything between the Gaussian and its conic that the backward pass uses again.
struct Projection {
    vf qn[4], inv_norm, norm2;      // unit quaternion; 1 / |q|; |q|^2
    vf R[9];                        // rotation
    vf M[9];                        // camera rotation * R * diag(scales)
    vf x, y, z, inv_z;              // camera frame
    vf j00, j02, j11, j12;          // Jacobian of the perspective projection
    vi clamped_x, clamped_y;        // its slope was bounded
    vf U[6];                        // Jacobian * M
    vf n[3];                        // cross product of U's rows
    vf xx0, xy, yy0, det0;          // covariance U U^T and its determinant
    vf xx, yy, det;                 // with eps2d on the diagonal
    vf opacity, compensation;
};

DRR_INLINE Projection project_lanes(
    const Gaussians& g, const Camera& c, float eps2d, bool antialiased) {
    Projection o;
    o.norm2 = g.q[0] * g.q[0] + g.q[1] * g.q[1] + g.q[2] * g.q[2] + g.q[3] * g.q[3];
    o.inv_norm = 1.0f / sqrt(o.norm2);
    for (int k = 0; k < 4; ++k) o.qn[k] = g.q[k] * o.inv_norm;
    const vf w = o.qn[0], i = o.qn[1], j = o.qn[2], k = o.qn[3];
    o.R[0] = 1.0f - 2.0f * (j * j + k * k);
    o.R[1] = 2.0f * (i * j - w * k);
    o.R[2] = 2.0f * (i * k + w * j);
    o.R[3] = 2.0f * (i * j + w * k);
    o.R[4] = 1.0f - 2.0f * (i * i + k * k);
    o.R[5] = 2.0f * (j * k - w * i);
    o.R[6] = 2.0f * (i * k - w * j);
    o.R[7] = 2.0f * (j * k + w * i);
    o.R[8] = 1.0f - 2.0f * (i * i + j * j);
    for (int r = 0; r < 3; ++r)
        for (int col = 0; col < 3; ++col)
            o.M[3 * r + col] = (c.R[3 * r] * o.R[col] + c.R[3 * r + 1] * o.R[3 + col] +
                                c.R[3 * r + 2] * o.R[6 + col]) *
                               g.s[col];
    o.x = c.R[0] * g.p[0] + c.R[1] * g.p[1] + c.R[2] * g.p[2] + c.t[0];
    o.y = c.R[3] * g.p[0] + c.R[4] * g.p[1] + c.R[5] * g.p[2] + c.t[1];
    o.z = c.R[6] * g.p[0] + c.R[7] * g.p[1] + c.R[8] * g.p[2] + c.t[2];
    o.inv_z = 1.0f / o.z;
    const vf slope_x = o.x * o.inv_z, slope_y = o.y * o.inv_z;
    const vf sx = min(max(slope_x, splat(c.slope_x_min)), splat(c.slope_x_max));
    const vf sy = min(max(slope_y, splat(c.slope_y_min)), splat(c.slope_y_max));
    o.clamped_x = sx != slope_x;
    o.clamped_y = sy != slope_y;
    o.j00 = c.fx * o.inv_z;
    o.j11 = c.fy * o.inv_z;
    o.j02 = -sx * o.j00;
    o.j12 = -sy * o.j11;
    for (int col = 0; col < 3; ++col) {
        o.U[col] = o.j00 * o.M[col] + o.j02 * o.M[6 + col];
        o.U[3 + col] = o.j11 * o.M[3 + col] + o.j12 * o.M[6 + col];
    }
    const vf* a = o.U;
    const vf* b = o.U + 3;
    o.xx0 = a[0] * a[0] + a[1] * a[1] + a[2] * a[2];
    o.xy = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    o.yy0 = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
    // |a x b|^2 is the determinant without the cancellation of xx0 yy0 - xy^2.
    o.n[0] = a[1] * b[2] - a[2] * b[1];
    o.n[1] = a[2] * b[0] - a[0] * b[2];
    o.n[2] = a[0] * b[1] - a[1] * b[0];
    o.det0 = o.n[0] * o.n[0] + o.n[1] * o.n[1] + o.n[2] * o.n[2];
    o.xx = o.xx0 + eps2d;
    o.yy = o.yy0 + eps2d;
    o.det = o.det0 + eps2d * (o.xx0 + o.yy0 + eps2d);
    o.compensation = antialiased ? sqrt(o.det0 / o.det) : splat(1.0f);
    o.opacity = g.o * o.compensation;
    return o;
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

void gather_colors(
    const drr_raster_input& in, int camera, int chunk, int first, int last, const View& view,
    const Record* records, float* colors) {
    const int start = chunk * MAX_CHANNELS;
    int size = chunk_size(in, chunk);
    if (start + size > in.channels) size = in.channels - start;
    const bool add = camera > 0 && !in.colors_per_camera;
    if (in.colors_per_camera) colors += (size_t)camera * in.n * in.channels;
    for (int i = first; i < last; ++i) {
        float sum[MAX_CHANNELS] = {0, 0, 0, 0};
        for (uint32_t s = view.lists.splat_begin[i]; s < view.lists.splat_begin[i + 1]; ++s)
            if (view.used[s])
                for (int k = 0; k < MAX_CHANNELS; ++k) sum[k] += records[s].color[k];
        float* out = colors + (size_t)i * in.channels + start;
        for (int k = 0; k < size; ++k) out[k] = add ? out[k] + sum[k] : sum[k];
    }
}

void project_backward(
    const drr_raster_input& in, int camera, int first, int last, const View& view,
    const Record* records, const drr_raster_gradient& gradient, double* camera_sum) {
    const Camera& c = view.camera;
    const int last_chunk = chunk_count(in) - 1;
    const int depth_channel =
        in.depth == DRR_DEPTH_NONE ? -1 : chunk_size(in, last_chunk) - 1;
    if (gradient.colors && last_chunk * MAX_CHANNELS < in.channels)
        gather_colors(in, camera, last_chunk, first, last, view, records, gradient.colors);
    std::memset(camera_sum, 0, 12 * sizeof(double));
    if (camera == 0) {
        const size_t n = (size_t)(last - first), f = (size_t)first;
        if (gradient.means) std::memset(gradient.means + 3 * f, 0, 12 * n);
        if (gradient.quats) std::memset(gradient.quats + 4 * f, 0, 16 * n);
        if (gradient.scales) std::memset(gradient.scales + 3 * f, 0, 12 * n);
        if (gradient.opacities) std::memset(gradient.opacities + f, 0, 4 * n);
    }

    // Gaussians that no pixel composited have no gradient: pack the others.
    int32_t active[GAUSSIAN_BLOCK + LANES];
    Record sums[GAUSSIAN_BLOCK + LANES];
    int count = 0;
    for (int i = first; i < last; ++i) {
        bool any_used = false;
        alignas(64) float sum[16] = {};
        for (uint32_t s = view.lists.splat_begin[i]; s < view.lists.splat_begin[i + 1]; ++s) {
            if (!view.used[s]) continue;
            any_used = true;
            const float* r = &records[s].v;
            for (int k = 0; k < 16; ++k) sum[k] += r[k];
        }
        if (!any_used) continue;
        active[count] = i;
        std::memcpy(&sums[count], sum, sizeof sum);
        ++count;
    }
    if (count == 0) return;
    const int padded = (count + LANES - 1) / LANES * LANES;
    for (int k = count; k < padded; ++k) {
        active[k] = active[count - 1];
        std::memset(&sums[k], 0, sizeof(Record));  // a lane without gradient adds nothing
    }

    vd total[12] = {};
    for (int base = 0; base < padded; base += LANES) {
        const int32_t* index = active + base;
        const Gaussians g = load_gaussians(in, index);
        const Projection o = project_lanes(g, c, in.eps2d, in.antialiased);
        alignas(64) float f[7][LANES];
        for (int l = 0; l < LANES; ++l) {
            const float* r = &sums[base + l].v;
            for (int k = 0; k < 6; ++k) f[k][l] = r[k];
            f[6][l] = depth_channel >= 0 ? sums[base + l].color[depth_channel] : 0.0f;
        }
        const vf v = load(f[0]), v_depth = load(f[6]);

        // dL/ds = -v, s = d^T cov^-1 d / 2. With the rows u0, u1 of U, cov^-1 = L^T diag(wp, wy) L,
        // L = [[1, -kx], [0, 1]], (p, dy) = L d: dL/dU = sum of v (cov^-1 d) (cov^-1 d)^T U.
        const vf wy = 1.0f / o.yy, kx = o.xy * wy, wp = o.yy / o.det;
        const vf v_mx = wp * load(f[1]), v_my = wy * load(f[2]) - kx * v_mx;
        const vf pp = wp * wp * load(f[3]), py = wp * wy * load(f[4]), yy = wy * wy * load(f[5]);
        const vf v_opacity = v / g.o;  // v is dL/d(log opacity)
        vf dU[6];
        for (int k = 0; k < 3; ++k) {
            const vf r = o.U[k] - kx * o.U[3 + k];
            dU[k] = pp * r + py * o.U[3 + k];
            dU[3 + k] = py * r + yy * o.U[3 + k] - kx * dU[k];
        }
        if (in.antialiased) {
            // log compensation = (log det0 - log det) / 2, det0 = |n|^2, n = u0 x u1.
            const vf v_det0 = v / o.det0;
            for (int k = 0; k < 3; ++k) {
                const int i = (k + 1) % 3, j = (k + 2) % 3;
                const vf* a = o.U;
                const vf* b = o.U + 3;
                const vf w = wp * (a[k] - kx * b[k]);
                dU[k] += v_det0 * (b[i] * o.n[j] - b[j] * o.n[i]) - v * w;
                dU[3 + k] += v_det0 * (o.n[i] * a[j] - o.n[j] * a[i]) - v * (wy * b[k] - kx * w);
            }
        }
        vf dM[9], dj00{}, dj02{}, dj11{}, dj12{};
        for (int k = 0; k < 3; ++k) {
            dM[k] = o.j00 * dU[k];
            dM[3 + k] = o.j11 * dU[3 + k];
            dM[6 + k] = o.j02 * dU[k] + o.j12 * dU[3 + k];
            dj00 += dU[k] * o.M[k];
            dj02 += dU[k] * o.M[6 + k];
            dj11 += dU[3 + k] * o.M[3 + k];
            dj12 += dU[3 + k] * o.M[6 + k];
        }
        // j02 = -fx x / z^2; where the slope is bounded, -fx slope / z.
        vf d[3];
        d[0] = o.j00 * v_mx - keep(~o.clamped_x, o.j00 * o.inv_z * dj02);
        d[1] = o.j11 * v_my - keep(~o.clamped_y, o.j11 * o.inv_z * dj12);
        const vf twice_x = select(o.clamped_x, splat(1.0f), splat(2.0f));
        const vf twice_y = select(o.clamped_y, splat(1.0f), splat(2.0f));
        d[2] = v_depth - o.inv_z * (o.j00 * (o.x * v_mx + dj00) +
                                    o.j11 * (o.y * v_my + dj11) +
                                    twice_x * o.j02 * dj02 + twice_y * o.j12 * dj12);

        if (gradient.viewmats) {
            for (int r = 0; r < 3; ++r) {
                for (int k = 0; k < 3; ++k) {
                    vf t = d[r] * g.p[k];
                    for (int m = 0; m < 3; ++m)
                        t += dM[3 * r + m] * (o.R[3 * k + m] * g.s[m]);
                    total[4 * r + k] += to_double(t);
                }
                total[4 * r + 3] += to_double(d[r]);
            }
        }
        vf dA[9];  // of A = R diag(s)
        for (int k = 0; k < 3; ++k)
            for (int m = 0; m < 3; ++m)
                dA[3 * k + m] =
                    c.R[k] * dM[m] + c.R[3 + k] * dM[3 + m] + c.R[6 + k] * dM[6 + m];
        alignas(64) float out[11][LANES];
        for (int k = 0; k < 3; ++k) {
            store(out[k], c.R[k] * d[0] + c.R[3 + k] * d[1] + c.R[6 + k] * d[2]);
            store(out[7 + k], dA[k] * o.R[k] + dA[3 + k] * o.R[3 + k] + dA[6 + k] * o.R[6 + k]);
        }
        store(out[10], v_opacity);
        for (int k = 0; k < 3; ++k)
            for (int m = 0; m < 3; ++m) dA[3 * k + m] *= g.s[m];  // now dL/dR
        const vf w = o.qn[0], x = o.qn[1], y = o.qn[2], z = o.qn[3];
        vf dq[4];
        dq[0] = 2.0f * (x * (dA[7] - dA[5]) + y * (dA[2] - dA[6]) + z * (dA[3] - dA[1]));
        dq[1] = 2.0f * (w * (dA[7] - dA[5]) + y * (dA[1] + dA[3]) + z * (dA[2] + dA[6]) -
                        2.0f * x * (dA[4] + dA[8]));
        dq[2] = 2.0f * (w * (dA[2] - dA[6]) + x * (dA[1] + dA[3]) + z * (dA[5] + dA[7]) -
                        2.0f * y * (dA[0] + dA[8]));
        dq[3] = 2.0f * (w * (dA[3] - dA[1]) + x * (dA[2] + dA[6]) + y * (dA[5] + dA[7]) -
                        2.0f * z * (dA[0] + dA[4]));
        const vf along = w * dq[0] + x * dq[1] + y * dq[2] + z * dq[3];
        for (int k = 0; k < 4; ++k) store(out[3 + k], (dq[k] - along * o.qn[k]) * o.inv_norm);

        const int lanes = count - base < LANES ? count - base : LANES;
        for (int l = 0; l < lanes; ++l) {
            const size_t i = (size_t)index[l];
            if (gradient.means)
                for (int k = 0; k < 3; ++k) gradient.means[3 * i + k] += out[k][l];
            if (gradient.quats)
                for (int k = 0; k < 4; ++k) gradient.quats[4 * i + k] += out[3 + k][l];
            if (gradient.scales)
                for (int k = 0; k < 3; ++k) gradient.scales[3 * i + k] += out[7 + k][l];
            if (gradient.opacities) gradient.opacities[i] += out[10][l];
        }
    }
    for (int k = 0; k < 12; ++k)
        for (int l = 0; l < LANES; ++l) camera_sum[k] += total[k][l];
}

}  // namespace drr
