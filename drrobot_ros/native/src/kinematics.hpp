// Kinematic tree in C++: link poses and motion columns for the tracker's inner loop.
// The torch twin is drrobot_ros/robot/dynamics/reference.py; both read the same KinematicTree arrays.
#pragma once
#include <cstdint>
#include <vector>

namespace drr {

enum JointType { FIXED = 0, REVOLUTE = 1, PRISMATIC = 2, BALL = 3, FLOATING = 4 };

// Row-major rotation and translation.
struct Pose {
    double R[9];
    double p[3];
};

Pose compose(const Pose& a, const Pose& b);
Pose inverse(const Pose& a);
Pose pose_from_matrix(const double* T);  // row-major 4x4
void pose_to_matrix(const Pose& a, double* T);

// Velocity field of a rigid body: a point p moves with v + w x p.
struct Twist {
    double v[3];
    double w[3];
};

struct Tree {
    int n_links = 0, nq = 0, nv = 0;
    std::vector<int32_t> parent, type, q_index, v_index;
    std::vector<Pose> T_parent_joint, T_joint_link;
    std::vector<double> axis, multiplier, offset;

    // Poses of all links in the base frame; `joint` gets the pose of each joint frame before its
    // motion (what the motion columns are written in).
    void forward(const double* q, Pose* link, Pose* joint) const;

    // Motion columns in the base frame: columns[l * nv + j] is the twist of link l per unit of
    // velocity coordinate j (MuJoCo's velocity coordinates).
    void columns(const Pose* link, const Pose* joint, Twist* columns) const;
};

}  // namespace drr

struct drr_tree {
    drr::Tree tree;
};
