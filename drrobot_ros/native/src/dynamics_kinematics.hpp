// Link poses and Jacobians of one block of a batch, and their exact reverse derivatives.
#pragma once
#include "dynamics_rnea.hpp"

namespace drr {

// A joint frame, and a link frame, in the base.
template <class V>
struct BasePose {
    Mat3<V> R;
    Vec3<V> p;
};
template <class V>
struct KinematicsRow {
    BasePose<V> at;
    Spatial<V> pull;  // moment about the base's origin and force: the gradient on the way down
};

template <class T>
class LinkPoses {
  public:
    using V = LaneVector<T>;
    using Vec = Vec3<V>;

    explicit LinkPoses(Tree3<T>& tree_) : tree(tree_), plan(tree_.plan) {}

    Tree3<T>& tree;
    const Plan& plan;
    KinematicsRow<V>* row_state = nullptr;  // [rows]

    void run() {
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            const Place<V>& at = tree.place[i];
            BasePose<V>& out = row_state[i].at;
            const T* n = tree.of(row);
            Mat3<V> R;
            if (row.parent < 0) {
                R = {{broadcast<T>(n[0]), broadcast<T>(n[3]), broadcast<T>(n[6])},
                     {broadcast<T>(n[1]), broadcast<T>(n[4]), broadcast<T>(n[7])},
                     {broadcast<T>(n[2]), broadcast<T>(n[5]), broadcast<T>(n[8])}};
                out.p = at.p;
            } else {
                const BasePose<V>& up = row_state[row.parent].at;
                R = row.own_head ? times_const(up.R, n + HEAD_R) : up.R;
                out.p = up.p + up.R * at.p;
            }
            if (row.kind == PLAN_REVOLUTE)
                out.R = {R.x * at.c + R.y * at.s, R.y * at.c - R.x * at.s, R.z};
            else if (row.kind == PLAN_BALL)
                out.R = R * at.turn;
            else
                out.R = R;
        }
    }

    DRR_INLINE BasePose<V> link(int l) const {
        const int i = plan.row_of_link[l];
        const BasePose<V>& at = row_state[i].at;
        const T* n = tree.of(plan.rows[i]);
        return {times_const(at.R, n + TAIL_R), at.p + at.R * broadcast3<T>(n + TAIL_P)};
    }

    void clear_pull() {
        for (int i = 0; i < plan.size(); ++i) row_state[i].pull = Spatial<V>{};
    }

    // A gradient (R_bar by columns, p_bar) of a link's pose.
    void add_pose_gradient(int l, const Mat3<V>& R_bar, const Vec& p_bar, V* numbers_bar) {
        const int i = plan.row_of_link[l];
        const BasePose<V> at = link(l);
        const Vec turn = cross(at.R.x, R_bar.x) + cross(at.R.y, R_bar.y) + cross(at.R.z, R_bar.z);
        row_state[i].pull += Spatial<V>{turn + cross(at.p, p_bar), p_bar};
        if (numbers_bar) add_tail_gradient(l, transposed(at.R, turn), p_bar, numbers_bar);
    }
    void add_tail_gradient(int l, const Vec& turn, const Vec& p_bar, V* numbers_bar) {
        const PlanRow& row = plan.rows[plan.row_of_link[l]];
        V* out = numbers_bar + (size_t)row.source * PACKED;
        add_rotation_gradient(tree.of(row) + TAIL_R, turn, out + TAIL_R);
        add_to(out + TAIL_P, transposed(row_state[plan.row_of_link[l]].at.R, p_bar));
    }

    // Sums the pulls down the tree and adds to the gradients of q and of the numbers.
    void reverse(const V* q, V* q_bar, V* numbers_bar) {
        for (int i = plan.size() - 1; i >= 0; --i) {
            const PlanRow& row = plan.rows[i];
            const KinematicsRow<V>& state = row_state[i];
            if (row.parent >= 0) row_state[row.parent].pull += state.pull;
            if (row.kind == PLAN_FIXED && !numbers_bar) continue;
            const Vec about = state.pull.a - cross(state.at.p, state.pull.l);
            const Vec p_bar =
                row.parent < 0 ? state.pull.l : transposed(row_state[row.parent].at.R, state.pull.l);
            Rnea<T>::place_gradient(tree, i, q, transposed(state.at.R, about), p_bar, q_bar, numbers_bar, false);
        }
    }

    // Adds to the columns [6, nv] of a link's Jacobian (linear rows first) at its origin.
    void jacobian(int l, V* J) const {
        const Vec o = link(l).p;
        for (int i = plan.row_of_link[l]; i >= 0; i = plan.rows[i].parent) {
            const PlanRow& row = plan.rows[i];
            const int n = dofs(row.kind);
            if (!n) continue;
            const BasePose<V>& at = row_state[i].at;
            const T scale = tree.of(row)[MULTIPLIER];
            const bool turns = row.kind == PLAN_REVOLUTE || row.kind == PLAN_BALL;
            const Vec arm = o - at.p;
            for (int k = 0; k < n; ++k) {
                const Vec axis = n == 1 ? at.R.z * scale : k == 0 ? at.R.x : k == 1 ? at.R.y : at.R.z;
                const Vec linear = turns ? cross(axis, arm) : axis;
                V* column = J + row.v + k;
                column[0] += linear.x, column[plan.nv] += linear.y, column[2 * plan.nv] += linear.z;
                if (!turns) continue;
                column[3 * plan.nv] += axis.x, column[4 * plan.nv] += axis.y, column[5 * plan.nv] += axis.z;
            }
        }
    }

    // Turns a gradient [6, nv] of that Jacobian into pulls; `reverse` does the rest.
    void reverse_jacobian(int l, const V* J_bar, V* numbers_bar) {
        const Vec o = link(l).p;
        Vec o_bar{};
        for (int i = plan.row_of_link[l]; i >= 0; i = plan.rows[i].parent) {
            const PlanRow& row = plan.rows[i];
            const int n = dofs(row.kind);
            if (!n) continue;
            KinematicsRow<V>& state = row_state[i];
            const T scale = tree.of(row)[MULTIPLIER];
            const bool turns = row.kind == PLAN_REVOLUTE || row.kind == PLAN_BALL;
            const Vec arm = o - state.at.p;
            for (int k = 0; k < n; ++k) {
                const Vec axis = n == 1 ? state.at.R.z * scale : k == 0 ? state.at.R.x : k == 1 ? state.at.R.y : state.at.R.z;
                const V* c = J_bar + row.v + k;
                const Vec linear{c[0], c[plan.nv], c[2 * plan.nv]};
                Vec axis_bar = linear;
                if (turns) {
                    const Vec angular{c[3 * plan.nv], c[4 * plan.nv], c[5 * plan.nv]};
                    const Vec arm_bar = cross(linear, axis);
                    axis_bar = angular + cross(arm, linear);
                    o_bar += arm_bar;
                    state.pull.a -= cross(state.at.p, arm_bar);
                    state.pull.l -= arm_bar;
                }
                // A translation's axis does not turn with its own joint, but neither does the joint turn.
                state.pull.a += cross(axis, axis_bar);
            }
        }
        row_state[plan.row_of_link[l]].pull += Spatial<V>{cross(o, o_bar), o_bar};
        if (numbers_bar) add_tail_gradient(l, Vec{}, o_bar, numbers_bar);
    }

  private:
    // Columns times row-major constants.
    DRR_INLINE static Mat3<V> times_const(const Mat3<V>& R, const T* m) {
        return {R.x * m[0] + R.y * m[3] + R.z * m[6], R.x * m[1] + R.y * m[4] + R.z * m[7],
                R.x * m[2] + R.y * m[5] + R.z * m[8]};
    }
};

}  // namespace drr
