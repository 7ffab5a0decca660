#include "splats.hpp"

#include <cmath>
#include <cstring>

extern "C" {

// means [n,3], quats [n,4] wxyz, scales [n,3], opacities [n], colors [n,3],
// normals [n,3] (null: none), link [n] (0..n_links-1).
drr_splats* drr_splats_create(int32_t n, int32_t n_links, const float* means, const float* quats,
                              const float* scales, const float* opacities, const float* colors,
                              const float* normals, const int32_t* link) {
    auto* handle = new drr_splats;
    drr::Splats& s = handle->splats;
    s.n_links = n_links;
    for (int l = 0; l < n_links; ++l) {
        int lane = drr::GROUP;
        for (int i = 0; i < n; ++i) {
            if (link[i] != l) continue;
            if (lane == drr::GROUP) {
                drr::SplatGroup empty;
                std::memset(&empty, 0, sizeof empty);
                empty.link = l;
                // Padding lies on the first splat of its group so that it projects to a sane place.
                for (int k = 0; k < drr::GROUP; ++k)
                    for (int c = 0; c < 3; ++c) empty.mean[c][k] = means[3 * i + c];
                s.groups.push_back(empty);
                lane = 0;
            }
            drr::SplatGroup& g = s.groups.back();
            const float* q = quats + 4 * i;
            const float norm = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
            const float k = norm > 0 ? 1 / norm : 0;
            const float w = q[0] * k, x = q[1] * k, y = q[2] * k, z = q[3] * k;
            const float R[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                                2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                                2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
            for (int r = 0; r < 3; ++r) {
                g.mean[r][lane] = means[3 * i + r];
                g.color[r][lane] = colors[3 * i + r];
                if (normals) g.normal[r][lane] = normals[3 * i + r];
                for (int c = 0; c < 3; ++c)
                    g.shape[3 * r + c][lane] = R[3 * r + c] * scales[3 * i + c];
            }
            g.opacity[lane] = opacities[i];
            ++lane;
        }
    }
    return handle;
}

void drr_splats_destroy(drr_splats* handle) { delete handle; }

}  // extern "C"
