// Gradients of splats to gradients of Gaussians and camera.
#include "projection.hpp"

#include <cstring>

namespace drr {

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
