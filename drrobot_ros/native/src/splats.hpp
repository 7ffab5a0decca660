// Gaussians bound to links, LANES to a group so that one link pose serves a whole group.
#pragma once
#include <cstdint>
#include <vector>

#include "simd.hpp"

namespace drr {

constexpr int GROUP = LANES;

struct alignas(64) SplatGroup {
    float mean[3][GROUP];   // link frame, m
    float shape[9][GROUP];  // R(quat) diag(scale), row-major, link frame, m
    float normal[3][GROUP]; // unit, outward, link frame; 0 where a splat has none
    float opacity[GROUP];   // 0 in the padding
    float color[3][GROUP];
    int32_t link;
};

// Groups in link order; `splat` i is lane i % GROUP of group i / GROUP.
struct LinkSplats {
    int32_t n_links = 0;
    std::vector<SplatGroup> groups;
    std::vector<int32_t> source;  // [groups * GROUP] which splat as given lies there, -1 in the padding
    std::vector<float> centers;  // [n_links, 3] mean of the link's splats, link frame, m
    int count() const { return static_cast<int>(groups.size()) * GROUP; }
};

}  // namespace drr

struct drr_splats {
    drr::LinkSplats splats;
};
