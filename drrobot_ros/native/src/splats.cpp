#include "splats.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace drr {
namespace {

// Position on a curve through 10-bit cells: neighbours on it are neighbours in space.
uint32_t morton(const float* x, const float* low, float scale) {
    uint32_t code = 0;
    for (int c = 0; c < 3; ++c) {
        uint32_t v = static_cast<uint32_t>(std::clamp((x[c] - low[c]) * scale, 0.0f, 1023.0f));
        v = (v | v << 16) & 0x030000ffu;
        v = (v | v << 8) & 0x0300f00fu;
        v = (v | v << 4) & 0x030c30c3u;
        v = (v | v << 2) & 0x09249249u;
        code |= v << c;
    }
    return code;
}

// The splats of a link, those that face the same way and lie close together next to each other: a
// group is then mostly drawn as a whole or not at all.
std::vector<int> ordered(
    int32_t n, const int32_t* link, int l, const float* means, const float* normals) {
    std::vector<std::pair<uint64_t, int>> keys;
    float low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int i = 0; i < n; ++i) {
        if (link[i] != l) continue;
        keys.push_back({0, i});
        for (int c = 0; c < 3; ++c) {
            low[c] = std::min(low[c], means[3 * i + c]);
            high[c] = std::max(high[c], means[3 * i + c]);
        }
    }
    float size = 1e-9f;
    for (int c = 0; c < 3; ++c) size = std::max(size, high[c] - low[c]);
    for (auto& [key, i] : keys) {
        uint64_t side = 0;
        if (normals)
            for (int c = 0; c < 3; ++c) side |= static_cast<uint64_t>(normals[3 * i + c] > 0) << c;
        key = side << 32 | morton(means + 3 * i, low, 1023.0f / size);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<int> order;
    for (const auto& [key, i] : keys) order.push_back(i);
    return order;
}

void put(SplatGroup& g, int lane, const float* q, const float* scale) {
    const float norm = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    const float k = norm > 0 ? 1 / norm : 0;
    const float w = q[0] * k, x = q[1] * k, y = q[2] * k, z = q[3] * k;
    const float R[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                        2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                        2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) g.shape[3 * r + c][lane] = R[3 * r + c] * scale[c];
}

}  // namespace
}  // namespace drr

extern "C" {

// means [n,3], quats [n,4] wxyz, scales [n,3], opacities [n], colors [n,3],
// normals [n,3] (null: none), link [n] (0..n_links-1).
drr_splats* drr_splats_create(int32_t n, int32_t n_links, const float* means, const float* quats,
                              const float* scales, const float* opacities, const float* colors,
                              const float* normals, const int32_t* link) {
    auto* handle = new drr_splats;
    drr::LinkSplats& s = handle->splats;
    s.n_links = n_links;
    s.centers.assign(static_cast<size_t>(n_links) * 3, 0.0f);
    for (int l = 0; l < n_links; ++l) {
        const std::vector<int> order = drr::ordered(n, link, l, means, normals);
        for (size_t k = 0; k < order.size(); ++k) {
            const int i = order[k], lane = static_cast<int>(k % drr::GROUP);
            if (lane == 0) {
                drr::SplatGroup empty;
                std::memset(&empty, 0, sizeof empty);
                empty.link = l;
                // Padding lies on the first splat of its group so that it projects to a sane place.
                for (int c = 0; c < 3; ++c)
                    for (int pad = 0; pad < drr::GROUP; ++pad) empty.mean[c][pad] = means[3 * i + c];
                s.groups.push_back(empty);
                s.source.resize(s.source.size() + drr::GROUP, -1);
            }
            drr::SplatGroup& g = s.groups.back();
            s.source[s.source.size() - drr::GROUP + lane] = i;
            for (int c = 0; c < 3; ++c) {
                g.mean[c][lane] = means[3 * i + c];
                g.color[c][lane] = colors[3 * i + c];
                if (normals) g.normal[c][lane] = normals[3 * i + c];
                s.centers[3 * l + c] += means[3 * i + c] / static_cast<float>(order.size());
            }
            drr::put(g, lane, quats + 4 * i, scales + 3 * i);
            g.opacity[lane] = opacities[i];
        }
    }
    return handle;
}

// colors [n,3], in the order the splats were given.
void drr_splats_set_colors(drr_splats* handle, const float* colors) {
    drr::LinkSplats& s = handle->splats;
    for (size_t at = 0; at < s.source.size(); ++at) {
        const int32_t i = s.source[at];
        if (i < 0) continue;
        for (int c = 0; c < 3; ++c) s.groups[at / drr::GROUP].color[c][at % drr::GROUP] = colors[3 * i + c];
    }
}

void drr_splats_destroy(drr_splats* handle) { delete handle; }

}  // extern "C"
