// Gaussians on the image, LANES at a time: what projecting them and its derivative share.
#pragma once
#include "raster.hpp"

namespace drr {

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

}  // namespace drr
