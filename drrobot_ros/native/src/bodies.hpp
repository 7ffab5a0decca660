// Links that move as one, and their twists per parameter.
#pragma once
#include <cstdint>
#include <vector>

#include "gauss_newton.hpp"
#include "kinematics.hpp"
#include "link_projection.hpp"
#include "memory.hpp"

namespace drr {

// Bodies are links with the same motion; their twists are in the camera's axes about their centre.
struct Bodies {
    int count = 0;
    int padded = 0;                 // parameters and one more, rounded up to LANES
    std::vector<int16_t> of_link;   // -1: does not move
    std::vector<float> center;      // [count, 3] camera frame, m
    std::vector<double> twists;     // [count, 6, padded]
    Buffer<float> twists_f;         // the same

    void build(const Tree& tree, const LinkSplats& splats, const drr_view& view,
               const drr_parameters& parameters, const Pose* link, const Pose* joint,
               const Pose& T_camera_base, const Pose* T_camera_link);

  private:
    std::vector<Twist> columns_;
    std::vector<int32_t> leader_;  // link whose body a link belongs to
};

}  // namespace drr
