// One block of a batch: the joints' placement, and what moves with it. See dynamics_plan.hpp for the
// frames. Everything here is for LANES robots at once.
#pragma once
#include "dynamics_lanes.hpp"
#include "dynamics_plan.hpp"

namespace drr {

template <class V>
struct Spatial {
    Vec3<V> a, l;  // angular, linear; a force: moment, force
};
template <class V>
DRR_INLINE void operator+=(Spatial<V>& x, const Spatial<V>& y) {
    x.a += y.a, x.l += y.l;
}

// Placement of a row in its parent.
template <class V>
struct Place {
    V c, s;        // revolute: cosine and sine
    V travel;      // prismatic
    Mat3<V> turn;  // ball
    Vec3<V> p;     // origin in the parent's frame
};

template <class T>
class Tree3 {
  public:
    using V = LaneVector<T>;
    using Vec = Vec3<V>;

    Tree3(const Plan& plan_, const T* numbers_) : plan(plan_), numbers(numbers_) {}

    const Plan& plan;
    const T* numbers;
    Place<V>* place = nullptr;  // [rows]

    const T* of(const PlanRow& row) const { return numbers + (size_t)row.source * PACKED; }

    // q: [nq] lanes.
    void set(const V* q) {
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            const T* n = of(row);
            Place<V>& at = place[i];
            at.p = row.own_head ? broadcast3<T>(n + HEAD_P) : Vec{};
            switch (row.kind) {
                case PLAN_REVOLUTE:
                    sine_cosine<T>(V(q[row.q] * n[MULTIPLIER] + n[OFFSET]), at.s, at.c);
                    break;
                case PLAN_PRISMATIC:
                    at.travel = q[row.q] * n[MULTIPLIER] + n[OFFSET];
                    at.p += Vec{at.travel * n[2], at.travel * n[5], at.travel * n[8]};
                    break;
                case PLAN_BALL:
                    set_ball(q + row.q, at.turn);
                    break;
                case PLAN_SHIFT:
                    at.p += mat_const(n + HEAD_R, Vec{q[row.q], q[row.q + 1], q[row.q + 2]});
                    break;
                default:
                    break;
            }
        }
    }

    // Parent's coordinates of a vector to the row's, and back.
    DRR_INLINE Vec into(int i, const Vec& x) const {
        const PlanRow& row = plan.rows[i];
        const Place<V>& at = place[i];
        const Vec y = row.own_head ? mat_const_t(of(row) + HEAD_R, x) : x;
        if (row.kind == PLAN_REVOLUTE) return {at.c * y.x + at.s * y.y, at.c * y.y - at.s * y.x, y.z};
        if (row.kind == PLAN_BALL) return transposed(at.turn, y);
        return y;
    }
    DRR_INLINE Vec out_of(int i, const Vec& x) const {
        const PlanRow& row = plan.rows[i];
        const Vec y = turned(i, x);
        return row.own_head ? mat_const(of(row) + HEAD_R, y) : y;
    }
    // From the row's frame to the one before the joint's rotation.
    DRR_INLINE Vec turned(int i, const Vec& x) const {
        const Place<V>& at = place[i];
        if (plan.rows[i].kind == PLAN_REVOLUTE)
            return {at.c * x.x - at.s * x.y, at.s * x.x + at.c * x.y, x.z};
        if (plan.rows[i].kind == PLAN_BALL) return at.turn * x;
        return x;
    }
    DRR_INLINE Spatial<V> motion_into(int i, const Spatial<V>& m) const {
        return {into(i, m.a), into(i, m.l + cross(m.a, place[i].p))};
    }
    DRR_INLINE Spatial<V> force_out_of(int i, const Spatial<V>& f) const {
        const Vec force = out_of(i, f.l);
        return {out_of(i, f.a) + cross(place[i].p, force), force};
    }

    // Adds the gradient of a quaternion, given that of a small rotation r about the moved axes.
    void quaternion_gradient(const V* q, const Vec& r, V* q_bar) const {
        const V w = q[0], x = q[1], y = q[2], z = q[3];
        const V k = T(2) / (w * w + x * x + y * y + z * z);
        q_bar[0] -= k * (x * r.x + y * r.y + z * r.z);
        q_bar[1] += k * (w * r.x + y * r.z - z * r.y);
        q_bar[2] += k * (w * r.y + z * r.x - x * r.z);
        q_bar[3] += k * (w * r.z + x * r.y - y * r.x);
    }

  private:
    // Quaternions need not be unit.
    static void set_ball(const V* q, Mat3<V>& m) {
        const V w = q[0], x = q[1], y = q[2], z = q[3];
        const V s = T(2) / (w * w + x * x + y * y + z * z);
        const V xx = s * x * x, yy = s * y * y, zz = s * z * z, xy = s * x * y, xz = s * x * z,
                yz = s * y * z, wx = s * w * x, wy = s * w * y, wz = s * w * z;
        m.x = {T(1) - yy - zz, xy + wz, xz - wy};
        m.y = {xy - wz, T(1) - xx - zz, yz + wx};
        m.z = {xz + wy, yz - wx, T(1) - xx - yy};
    }
};

// Adds half of M [r]x, lane by lane, to nine accumulators: the gradient of a rotation M (constant,
// row-major) of which only its part along the rotations counts.
template <class V, class T>
DRR_INLINE void add_rotation_gradient(const T* m, const Vec3<V>& r, V* out) {
    for (int i = 0; i < 3; ++i) {
        const T a = m[3 * i] / 2, b = m[3 * i + 1] / 2, c = m[3 * i + 2] / 2;
        out[3 * i] += b * r.z - c * r.y;
        out[3 * i + 1] += c * r.x - a * r.z;
        out[3 * i + 2] += a * r.y - b * r.x;
    }
}
template <class V>
DRR_INLINE void add_to(V* out, const Vec3<V>& x) {
    out[0] += x.x, out[1] += x.y, out[2] += x.z;
}

}  // namespace drr
