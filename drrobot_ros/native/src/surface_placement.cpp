#include <algorithm>
#include <cmath>

#include "surface_fit.hpp"

namespace drr {
namespace {

constexpr int CELL_PX = 4;             // of the coarse depth buffer
constexpr float OWN_THICKNESS = 0.06f;  // m: a point this far behind the robot's front is hidden

}  // namespace

void SurfacePlacement::place(const Tree& tree, const drr_surface& surface,
                             const drr_depth_scene& scene, const double* q,
                             const Pose& T_base_camera) {
    link.resize(tree.n_links), joint.resize(tree.n_links);
    tree.forward(q, link.data(), joint.data());
    const Pose T = inverse(T_base_camera);
    const int n = surface.n;
    point.resize(3 * n), normal.resize(3 * n), visible.resize(n), cell_.resize(n);
    int last = -1;
    float R[9] = {}, p[3] = {};
    for (int i = 0; i < n; ++i) {
        if (surface.link[i] != last) {
            last = surface.link[i];
            const Pose L = compose(T, link[last]);
            for (int k = 0; k < 9; ++k) R[k] = static_cast<float>(L.R[k]);
            for (int k = 0; k < 3; ++k) p[k] = static_cast<float>(L.p[k]);
        }
        for (int k = 0; k < 3; ++k) {
            point[3 * i + k] = dot3(R + 3 * k, surface.mean + 3 * i) + p[k];
            normal[3 * i + k] = dot3(R + 3 * k, surface.normal + 3 * i);
        }
    }
    // What of the robot hides behind the robot: a coarse depth buffer of the facing points.
    const int columns = (scene.width + CELL_PX - 1) / CELL_PX;
    const int rows = (scene.height + CELL_PX - 1) / CELL_PX;
    nearest_z_.assign(static_cast<size_t>(columns) * rows, 1e9f);
    for (int i = 0; i < n; ++i) {
        const float* x = &point[3 * i];
        cell_[i] = -1;
        if (!(x[2] > 0.05f) || -dot3(x, &normal[3 * i]) < 0.1f * x[2]) continue;
        const float s = 1.0f / x[2];
        const int u = static_cast<int>(std::floor((scene.fx * x[0] * s + scene.cx) / CELL_PX));
        const int v = static_cast<int>(std::floor((scene.fy * x[1] * s + scene.cy) / CELL_PX));
        if (u < 0 || v < 0 || u >= columns || v >= rows) continue;
        cell_[i] = v * columns + u;
        for (int b = std::max(0, v - 1); b <= std::min(rows - 1, v + 1); ++b)
            for (int a = std::max(0, u - 1); a <= std::min(columns - 1, u + 1); ++a) {
                float& z = nearest_z_[static_cast<size_t>(b) * columns + a];
                z = std::min(z, x[2]);
            }
    }
    for (int i = 0; i < n; ++i)
        visible[i] = cell_[i] >= 0 && point[3 * i + 2] < nearest_z_[cell_[i]] + OWN_THICKNESS;
}

const float* nearest_sample(const drr_depth_scene& scene, const float* x) {
    int at[3];
    for (int k = 0; k < 3; ++k) {
        at[k] = static_cast<int>(std::floor((x[k] - scene.origin[k]) / scene.cell));
        if (at[k] < 0 || at[k] >= scene.size[k]) return nullptr;
    }
    const size_t voxel = (static_cast<size_t>(at[2]) * scene.size[1] + at[1]) * scene.size[0] + at[0];
    return scene.sample + 8 * static_cast<size_t>(scene.nearest[voxel]);
}

drr_fit_result SurfacePlacement::score(const drr_surface& surface, const drr_depth_scene& scene,
                                       const drr_fit_score& s) const {
    drr_fit_result out = {};
    double missing = 0;
    for (int i = 0; i < surface.n; ++i) {
        if (!visible[i]) continue;
        const float* x = &point[3 * i];
        const float* e = &normal[3 * i];
        const float seen = surface.area[i] * -dot3(x, e) / std::sqrt(dot3(x, x));
        out.visible += seen;
        if (const float* y = nearest_sample(scene, x); y && dot3(e, y + 3) > s.min_cosine) {
            const float d[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
            const float along = dot3(d, y + 3);
            // Along the surface the nearest sample is a voxel's size away.
            const float k = (along * along + 0.1f * dot3(d, d)) / (s.tolerance * s.tolerance);
            out.explained += seen * y[6] / (1.0f + k * k);
        }
        const int u = static_cast<int>(scene.fx * x[0] / x[2] + scene.cx);
        const int v = static_cast<int>(scene.fy * x[1] / x[2] + scene.cy);
        if (u < 0 || v < 0 || u >= scene.width || v >= scene.height) continue;
        const float z = scene.depth[static_cast<size_t>(v) * scene.width + u];
        if (!(z > 0)) continue;
        const float limit = 2.5f * s.tolerance + 0.01f * z;
        const float before = (z - x[2] - limit) / limit, behind = (x[2] - limit - z) / limit;
        missing += seen * s.free_space * std::clamp(before, 0.0f, 1.0f);
        missing += seen * s.hidden * std::clamp(behind, 0.0f, 1.0f);
    }
    out.score = out.explained - missing;
    return out;
}

}  // namespace drr
