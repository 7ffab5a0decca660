// Splats of links on the image, and how they move there with their link.
#pragma once
#include <vector>

#include "gauss_newton.hpp"
#include "kinematics.hpp"
#include "memory.hpp"
#include "splat.hpp"
#include "splats.hpp"

namespace drr {

// Derivative of log alpha in the twist of the splat's body (camera axes, about the body's centre):
// d(log alpha)/d(twist t) = sum_m moment[t][m] * (1, dx, dy, dx^2, dx dy, dy^2)[m].
struct alignas(64) Tangent {
    float moment[6][6];
    float depth[6];  // d(depth)/d(twist t)
    float unused[6];
};

// Projects groups [first, last) to splats, rects and depths.
void project_links(const LinkSplats& splats, const drr_view& view, const Pose* T_camera_link,
                   int first, int last, Splat* out, TileRect* rects, float* depths);

// Tangents of a group's splats whose `visible` is set; center [3]: what its twist turns about.
void group_tangents(const SplatGroup& group, const drr_view& view, const Pose& T_camera_link,
                    const float* center, const uint8_t* visible, Tangent* out);

}  // namespace drr
