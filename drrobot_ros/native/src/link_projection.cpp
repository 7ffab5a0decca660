#include "link_projection.hpp"

#include <cstring>
#include <type_traits>

#include "transpose.hpp"

namespace drr {
namespace {

// Camera-frame centre and half-axes of a group, and what the projection makes of them.
struct GroupProjection {
    vf x, y, z, inv_z;
    vf away;                // cosine between normal and line of sight, times the distance
    vf M[9];                // half-axes in the camera frame
    vf j00, j02, j11, j12;  // the projection's Jacobian
    vf U[6];                // j * M
    vf xx0, xy, yy0, det0;  // covariance on the image and its determinant
    vf xx, yy, det;         // with eps2d on the diagonal
};

DRR_INLINE GroupProjection project_group(const SplatGroup& g, const Pose& T, const drr_view& view) {
    GroupProjection o;
    float R[9], t[3];
    for (int i = 0; i < 9; ++i) R[i] = static_cast<float>(T.R[i]);
    for (int i = 0; i < 3; ++i) t[i] = static_cast<float>(T.p[i]);
    const vf m0 = load(g.mean[0]), m1 = load(g.mean[1]), m2 = load(g.mean[2]);
    o.x = R[0] * m0 + R[1] * m1 + R[2] * m2 + t[0];
    o.y = R[3] * m0 + R[4] * m1 + R[5] * m2 + t[1];
    o.z = R[6] * m0 + R[7] * m1 + R[8] * m2 + t[2];
    const vf n0 = load(g.normal[0]), n1 = load(g.normal[1]), n2 = load(g.normal[2]);
    const vf nx = R[0] * n0 + R[1] * n1 + R[2] * n2;
    const vf ny = R[3] * n0 + R[4] * n1 + R[5] * n2;
    const vf nz = R[6] * n0 + R[7] * n1 + R[8] * n2;
    o.away = nx * o.x + ny * o.y + nz * o.z;
    const vf near = splat(view.near_plane);
    // Constant per call: its change with depth is far below a pixel.
    const vf inset = (view.inset_px / view.fx) * max(o.z, near);
    o.x -= inset * nx;
    o.y -= inset * ny;
    o.z -= inset * nz;
    vf S[9];
    for (int i = 0; i < 9; ++i) S[i] = load(g.shape[i]);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            o.M[3 * i + j] = R[3 * i] * S[j] + R[3 * i + 1] * S[3 + j] + R[3 * i + 2] * S[6 + j];
    o.inv_z = 1.0f / max(o.z, near);
    // gsplat bounds the slopes of the projection outside the image; so do we.
    const float margin_x = 0.3f * 0.5f * view.width / view.fx;
    const float margin_y = 0.3f * 0.5f * view.height / view.fy;
    const vf sx = min(max(o.x * o.inv_z, splat(-view.cx / view.fx - margin_x)),
                      splat((view.width - view.cx) / view.fx + margin_x));
    const vf sy = min(max(o.y * o.inv_z, splat(-view.cy / view.fy - margin_y)),
                      splat((view.height - view.cy) / view.fy + margin_y));
    o.j00 = view.fx * o.inv_z;
    o.j11 = view.fy * o.inv_z;
    o.j02 = -sx * o.j00;
    o.j12 = -sy * o.j11;
    for (int j = 0; j < 3; ++j) {
        o.U[j] = o.j00 * o.M[j] + o.j02 * o.M[6 + j];
        o.U[3 + j] = o.j11 * o.M[3 + j] + o.j12 * o.M[6 + j];
    }
    o.xx0 = o.U[0] * o.U[0] + o.U[1] * o.U[1] + o.U[2] * o.U[2];
    o.xy = o.U[0] * o.U[3] + o.U[1] * o.U[4] + o.U[2] * o.U[5];
    o.yy0 = o.U[3] * o.U[3] + o.U[4] * o.U[4] + o.U[5] * o.U[5];
    const vf n[3] = {o.U[1] * o.U[5] - o.U[2] * o.U[4], o.U[2] * o.U[3] - o.U[0] * o.U[5],
                     o.U[0] * o.U[4] - o.U[1] * o.U[3]};
    // |U0 x U1|^2 is the determinant without the cancellation of xx0 yy0 - xy^2.
    o.det0 = n[0] * n[0] + n[1] * n[1] + n[2] * n[2];
    o.xx = o.xx0 + view.eps2d;
    o.yy = o.yy0 + view.eps2d;
    o.det = o.det0 + view.eps2d * (o.xx0 + o.yy0 + view.eps2d);
    return o;
}

}  // namespace

void project_links(const LinkSplats& splats, const drr_view& view, const Pose* T_camera_link,
                   int first, int last, Splat* out, TileRect* rects, float* depths) {
    constexpr float INF = __builtin_inff();
    const vf width = splat(static_cast<float>(view.width)), zero{};
    const vf height = splat(static_cast<float>(view.height));
    for (int gi = first; gi < last; ++gi) {
        const SplatGroup& g = splats.groups[gi];
        const GroupProjection o = project_group(g, T_camera_link[g.link], view);
        const vf mx = view.fx * o.x * o.inv_z + view.cx;
        const vf my = view.fy * o.y * o.inv_z + view.cy;
        const vf inv_det = 1.0f / o.det;
        const vf opacity = load(g.opacity) * sqrt(o.det0 * inv_det);
        const vf lo = log2(opacity);
        const vf reach = (2.0f / LOG2E) * (lo - MIN_U);
        const vf rx = sqrt(reach * o.xx), ry = sqrt(reach * o.yy);
        // NaN fails every comparison.
        vi ok = (o.z > view.near_plane) & (o.z < INF) & (o.det > 0.0f) & (o.det < INF) &
                (inv_det < INF) & (opacity >= 1.0f / 255.0f) & (opacity < INF) & (mx + rx > 0.0f) &
                (mx - rx < width) & (my + ry > 0.0f) & (my - ry < height);
        if (view.cull < 1.0f)
            ok &= o.away <= view.cull * sqrt(o.x * o.x + o.y * o.y + o.z * o.z);
        float* depth = depths + gi * GROUP;
        TileRect* rect = rects + gi * GROUP;
        store(depth, o.z);
        // First and last pixel whose centre may be inside, then tiles.
        const vi x0 = to_int(min(max(mx - rx + 0.49f, zero), width));
        const vi x1 = to_int(min(max(mx + rx + 0.51f, zero), width));
        const vi y0 = to_int(min(max(my - ry + 0.49f, zero), height));
        const vi y1 = to_int(min(max(my + ry + 0.51f, zero), height));
        ok &= (x0 < x1) & (y0 < y1);
        // Packed as TileRect has them: two 16-bit numbers to a lane.
        const vi low = ok & (x0 / TILE | (y0 / TILE) << 16);
        const vi high = ok & (((x1 - 1) / TILE + 1) | ((y1 - 1) / TILE + 1) << 16);
        alignas(64) int32_t corner[2][LANES];
        store_i(corner[0], low);
        store_i(corner[1], high);
        for (int l = 0; l < LANES; ++l) {
            std::memcpy(&rect[l].x0, &corner[0][l], 4);
            std::memcpy(&rect[l].x1, &corner[1][l], 4);
        }
        if (!any(ok)) continue;
        const vf inv_xx = 1.0f / o.xx, inv_yy = 1.0f / o.yy;
        const vf field[16] = {
            mx, my, (0.5f * LOG2E) * o.yy * inv_det, (0.5f * LOG2E) * inv_yy, o.xy * inv_yy, lo,
            // A little larger than exact: rounding must not lose a pixel.
            1.00001f * reach * o.det * inv_yy, o.det * inv_yy * inv_yy, o.xy * inv_xx * rx,
            1.0001f * ry + 0.01f, o.z, load(g.color[0]), load(g.color[1]), load(g.color[2]), o.z,
            zero};
        transpose16(field, &out[gi * GROUP].mx, 16, bits(ok));
    }
}

void group_tangents(const SplatGroup& group, const drr_view& view, const Pose& T_camera_link,
                    const float* center, const uint8_t* visible, Tangent* out) {
    uint32_t wanted = 0;
    for (int l = 0; l < GROUP; ++l) wanted |= static_cast<uint32_t>(visible[l] != 0) << l;
    if (!wanted) return;
    const GroupProjection o = project_group(group, T_camera_link, view);
    const vf inv_det = 1.0f / o.det;
    const vf A = o.yy * inv_det, B = -o.xy * inv_det, C = o.xx * inv_det;
    const vf inv_det0 = 1.0f / max(o.det0, splat(1e-20f));
    const vf zero{};
    const vf rx = o.x - center[0], ry = o.y - center[1], rz = o.z - center[2];
    vf field[48];
    for (int i = 42; i < 48; ++i) field[i] = zero;
    // Unrolled: what is zero for a twist costs nothing.
    const auto twist = [&](auto index) __attribute__((always_inline)) {
        constexpr int t = decltype(index)::value;
        // Motion of the centre (d) and of the half-axes (N = dM).
        vf dx = zero, dy = zero, dz = zero;
        vf N[9];
        for (vf& n : N) n = zero;
        if (t == 0) dx = splat(1.0f);
        if (t == 1) dy = splat(1.0f);
        if (t == 2) dz = splat(1.0f);
        if (t == 3) {  // about x: (0, -z, y)
            dy = -rz, dz = ry;
            for (int j = 0; j < 3; ++j) N[3 + j] = -o.M[6 + j], N[6 + j] = o.M[3 + j];
        } else if (t == 4) {  // about y: (z, 0, -x)
            dx = rz, dz = -rx;
            for (int j = 0; j < 3; ++j) N[j] = o.M[6 + j], N[6 + j] = -o.M[j];
        } else if (t == 5) {  // about z: (-y, x, 0)
            dx = -ry, dy = rx;
            for (int j = 0; j < 3; ++j) N[j] = -o.M[3 + j], N[3 + j] = o.M[j];
        }
        const vf scale = -dz * o.inv_z;  // d(1/z) / (1/z)
        const vf du = o.j00 * (dx + o.x * scale);
        const vf dv = o.j11 * (dy + o.y * scale);
        const vf dj00 = o.j00 * scale, dj11 = o.j11 * scale;
        const vf dj02 = -o.j00 * o.inv_z * dx + 2.0f * o.j02 * scale;
        const vf dj12 = -o.j11 * o.inv_z * dy + 2.0f * o.j12 * scale;
        vf dxx = zero, dxy = zero, dyy = zero;
        for (int j = 0; j < 3; ++j) {
            vf d0 = dj00 * o.M[j] + dj02 * o.M[6 + j];
            vf d1 = dj11 * o.M[3 + j] + dj12 * o.M[6 + j];
            if (t >= 3) {
                d0 += o.j00 * N[j] + o.j02 * N[6 + j];
                d1 += o.j11 * N[3 + j] + o.j12 * N[6 + j];
            }
            dxx += 2.0f * o.U[j] * d0;
            dxy += o.U[j] * d1 + o.U[3 + j] * d0;
            dyy += 2.0f * o.U[3 + j] * d1;
        }
        const vf ddet0 = dxx * o.yy0 + o.xx0 * dyy - 2.0f * o.xy * dxy;
        const vf dlog = (dxx * o.yy + o.xx * dyy - 2.0f * o.xy * dxy) * inv_det;
        vf* D = field + 6 * t;
        D[0] = 0.5f * (ddet0 * inv_det0 - dlog);
        D[1] = A * du + B * dv;
        D[2] = B * du + C * dv;
        D[3] = -0.5f * (dyy * inv_det - A * dlog);
        D[4] = dxy * inv_det + B * dlog;
        D[5] = -0.5f * (dxx * inv_det - C * dlog);
        field[36 + t] = dz;
    };
    twist(std::integral_constant<int, 0>());
    twist(std::integral_constant<int, 1>());
    twist(std::integral_constant<int, 2>());
    twist(std::integral_constant<int, 3>());
    twist(std::integral_constant<int, 4>());
    twist(std::integral_constant<int, 5>());
    static_assert(sizeof(Tangent) == 48 * sizeof(float), "three rows of 16");
    for (int k = 0; k < 48; k += 16) transpose16(field + k, &out->moment[0][0] + k, 48, wanted);
}

}  // namespace drr
