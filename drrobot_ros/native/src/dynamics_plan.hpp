// The order of computation of a tree, and how its numbers are packed.
//
// Frames are the moved joint frames, turned so that every revolute and prismatic axis is z: the
// motion subspace of a joint is then a unit vector. A floating row becomes two: three translations,
// then a ball. Python packs the numbers (robot/dynamics/packing.py).
#pragma once
#include <cstdint>
#include <vector>

namespace drr {

enum PlanKind { PLAN_FIXED = 0, PLAN_REVOLUTE = 1, PLAN_PRISMATIC = 2, PLAN_BALL = 3, PLAN_SHIFT = 4 };

// Offsets of one tree row's numbers.
enum Packed {
    HEAD_R = 0,    // joint frame at rest in the parent's joint frame, row-major
    HEAD_P = 9,
    TAIL_R = 12,   // link frame in its joint frame
    TAIL_P = 21,
    MASS = 24,
    FIRST = 25,    // mass times centre of mass, joint frame
    INERTIA = 28,  // about the joint frame's origin: xx xy xz yy yz zz
    MULTIPLIER = 34,
    OFFSET = 35,
    ARMATURE = 36,
    DAMPING = 37,
    FRICTION = 38,
    PACKED = 40,
};

struct PlanRow {
    PlanKind kind;
    int parent;        // plan row, -1 for the base
    int source;        // tree row
    int q, v;          // first index, -1 if fixed
    bool own_head;     // false: head is the identity (second half of a floating row)
    bool has_inertia;  // false: first half of a floating row
    bool moves;        // some joint above it or its own
    int ancestor;      // nearest plan row at or above the parent that has a joint, -1
};

struct Plan {
    int n_links = 0, nq = 0, nv = 0;
    bool coupled = false;  // two rows share a velocity
    std::vector<PlanRow> rows;
    std::vector<int> row_of_link;

    Plan(int n_links, int nq, int nv, const int32_t* parent, const int32_t* type, const int32_t* q_index,
         const int32_t* v_index);
    int size() const { return (int)rows.size(); }
};

inline int dofs(PlanKind kind) {
    return kind == PLAN_FIXED ? 0 : kind == PLAN_REVOLUTE || kind == PLAN_PRISMATIC ? 1 : 3;
}

}  // namespace drr

struct drr_plan {
    drr::Plan plan;
};
