// Gaussians bound to links, grouped eight to a vector so that one link pose serves a whole group.
#pragma once
#include <cstdint>
#include <vector>

namespace drr {

constexpr int GROUP = 8;

struct SplatGroup {
    int32_t link;
    float mean[3][GROUP];   // link frame, m
    float shape[9][GROUP];  // R(quat) diag(scale), row-major, link frame, m
    float normal[3][GROUP]; // unit, outward, link frame; 0 where a splat has none
    float opacity[GROUP];   // 0 in the padding
    float color[3][GROUP];
};

// Groups in link order; `splat` i is lane i % GROUP of group i / GROUP.
struct Splats {
    int32_t n_links = 0;
    std::vector<SplatGroup> groups;
    int count() const { return static_cast<int>(groups.size()) * GROUP; }
};

}  // namespace drr

struct drr_splats {
    drr::Splats splats;
};
