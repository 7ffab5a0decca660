#include "bodies.hpp"

#include <algorithm>

namespace drr {
namespace {

int dofs(const Tree& tree, int l) {
    if (tree.v_index[l] < 0) return 0;
    switch (tree.type[l]) {
        case REVOLUTE:
        case PRISMATIC: return 1;
        case BALL: return 3;
        case FLOATING: return 6;
        default: return 0;
    }
}

void cross(const double* a, const double* b, double* out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

void rotate(const double* R, const double* x, double* out) {
    for (int i = 0; i < 3; ++i) out[i] = R[3 * i] * x[0] + R[3 * i + 1] * x[1] + R[3 * i + 2] * x[2];
}

}  // namespace

void Bodies::build(const Tree& tree, const LinkSplats& splats, const drr_view& view,
                   const drr_parameters& parameters, const Pose* link, const Pose* joint,
                   const Pose& T_camera_base, const Pose* T_camera_link) {
    const int L = tree.n_links, nv = tree.nv;
    padded = (parameters.n + LANES) / LANES * LANES;
    columns_.resize(static_cast<size_t>(L) * nv);
    tree.columns(link, joint, columns_.data());
    count = 0;
    of_link.assign(L, -1);
    leader_.resize(L);
    center.resize(static_cast<size_t>(L) * 3);
    twists.resize(static_cast<size_t>(L) * 6 * padded);
    for (int l = 0; l < L; ++l) {
        bool moves_itself = false;
        for (int d = 0; d < dofs(tree, l); ++d)
            moves_itself |= parameters.velocity_column[tree.v_index[l] + d] >= 0;
        if (tree.parent[l] >= 0 && !moves_itself) {
            leader_[l] = leader_[tree.parent[l]];
            of_link[l] = of_link[leader_[l]];
            continue;
        }
        leader_[l] = l;
        double* out = &twists[static_cast<size_t>(count) * 6 * padded];
        std::fill_n(out, 6 * padded, 0.0);
        // Twists about the body's centre: about the camera they would cancel, and lose digits.
        const float* m = &splats.centers[3 * l];
        const double mean[3] = {m[0], m[1], m[2]};
        double c[3];
        rotate(T_camera_link[l].R, mean, c);
        for (int i = 0; i < 3; ++i) c[i] += T_camera_link[l].p[i];
        double c_base[3];
        rotate(link[l].R, mean, c_base);
        for (int i = 0; i < 3; ++i) c_base[i] += link[l].p[i];
        bool moves = false;
        for (int j = 0; j < nv; ++j) {
            const int column = parameters.velocity_column[j];
            if (column < 0) continue;
            Twist t = columns_[static_cast<size_t>(l) * nv + j];
            if (view.camera_link >= 0) {
                const Twist& k = columns_[static_cast<size_t>(view.camera_link) * nv + j];
                for (int i = 0; i < 3; ++i) t.v[i] -= k.v[i], t.w[i] -= k.w[i];
            }
            double shift[3], v[3], w[3];
            cross(t.w, c_base, shift);
            for (int i = 0; i < 3; ++i) t.v[i] += shift[i];
            rotate(T_camera_base.R, t.v, v);
            rotate(T_camera_base.R, t.w, w);
            for (int i = 0; i < 3; ++i) {
                out[i * padded + column] += v[i];
                out[(3 + i) * padded + column] += w[i];
                moves |= v[i] != 0.0 || w[i] != 0.0;
            }
        }
        if (parameters.camera_column >= 0) {
            // T_base_camera <- T_base_camera * exp about the centre k: dp = -(v + w x (p - k)).
            moves = true;
            double arm[3];
            for (int i = 0; i < 3; ++i) arm[i] = c[i] - view.twist_center[i];
            for (int k = 0; k < 3; ++k) {
                const double e[3] = {k == 0 ? 1.0 : 0.0, k == 1 ? 1.0 : 0.0, k == 2 ? 1.0 : 0.0};
                double v[3];
                cross(e, arm, v);
                double* linear = out + parameters.camera_column + k;
                linear[k * padded] -= 1.0;
                linear[(3 + k) * padded + 3] -= 1.0;
                for (int i = 0; i < 3; ++i) linear[i * padded + 3] -= v[i];
            }
        }
        if (!moves) continue;
        for (int i = 0; i < 3; ++i) center[3 * count + i] = static_cast<float>(c[i]);
        of_link[l] = static_cast<int16_t>(count++);
    }
    const size_t size = static_cast<size_t>(count) * 6 * padded;
    float* f = twists_f.reserve(size);
    for (size_t i = 0; i < size; ++i) f[i] = static_cast<float>(twists[i]);
}

}  // namespace drr
