// The recursive Newton-Euler algorithm and its exact reverse derivative.
// Source: R. Featherstone, Rigid Body Dynamics Algorithms, 2008, table 5.1; the reverse pass is the
// transpose of its linearisation, with rotations differentiated as small turns.
#pragma once
#include "dynamics_tree.hpp"

namespace drr {

template <class V>
struct RneaRow {
    Spatial<V> v, a, f;           // velocity, acceleration, force of everything above it
    Spatial<V> f_bar, v_bar, a_bar;  // and what the result changes with them
};

template <class T>
class Rnea {
  public:
    using V = LaneVector<T>;
    using Vec = Vec3<V>;

    explicit Rnea(Tree3<T>& tree_) : tree(tree_), plan(tree_.plan) {}

    Tree3<T>& tree;
    const Plan& plan;
    RneaRow<V>* row_state = nullptr;  // [rows]
    const V* q = nullptr;             // [nq]; v and a null: zero
    const V* v = nullptr;
    const V* a = nullptr;
    T gravity[3] = {0, 0, 0};
    T friction_velocity = 0;  // zero: no damping, no friction

    // tau: [nv], overwritten.
    void forward(V* tau) {
        sweep_out();
        for (int k = 0; k < plan.nv; ++k) tau[k] = V{};
        for (int i = plan.size() - 1; i >= 0; --i) {
            const PlanRow& row = plan.rows[i];
            if (!row.moves) continue;
            const Spatial<V>& f = row_state[i].f;
            add_joint_force(row, f, tau);
            if (row.parent >= 0) row_state[row.parent].f += tree.force_out_of(i, f);
        }
    }

    // After `forward`: adds to the gradients of q [nq], v [nv], a [nv] (each may be null) and of the
    // packed numbers [links * PACKED] (null: not wanted) for the gradient tau_bar [nv]. With `tangent`
    // q_bar is [nv], along the velocities, instead of the numbers of q.
    void reverse(const V* tau_bar, V* q_bar, V* v_bar, V* a_bar, V* numbers_bar, bool tangent) {
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            RneaRow<V>& state = row_state[i];
            state.v_bar = state.a_bar = Spatial<V>{};
            state.f_bar = row.parent < 0 ? Spatial<V>{} : tree.motion_into(i, row_state[row.parent].f_bar);
            const T scale = tree.of(row)[MULTIPLIER];
            const V* t = tau_bar + row.v;
            switch (row.kind) {
                case PLAN_REVOLUTE: state.f_bar.a.z += t[0] * scale; break;
                case PLAN_PRISMATIC: state.f_bar.l.z += t[0] * scale; break;
                case PLAN_BALL: state.f_bar.a += Vec{t[0], t[1], t[2]}; break;
                case PLAN_SHIFT: state.f_bar.l += Vec{t[0], t[1], t[2]}; break;
                default: break;
            }
        }
        for (int i = plan.size() - 1; i >= 0; --i) {
            if (plan.rows[i].moves) {
                reverse_force(i, numbers_bar);
                reverse_joint(i, tau_bar, q_bar, v_bar, a_bar, numbers_bar, tangent);
            } else if (numbers_bar) {
                reverse_joint(i, tau_bar, q_bar, v_bar, a_bar, numbers_bar, tangent);
            }
        }
    }

  private:
    Vec triple(const V* x, int k) const { return x ? Vec{x[k], x[k + 1], x[k + 2]} : Vec{}; }
    V single(const V* x, int k) const { return x ? x[k] : V{}; }

    void sweep_out() {
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            RneaRow<V>& state = row_state[i];
            const T* n = tree.of(row);
            state.f = Spatial<V>{};
            const bool above_moves = row.parent >= 0 && plan.rows[row.parent].moves;
            if (above_moves) {
                if (v) state.v = tree.motion_into(i, row_state[row.parent].v);
                state.a = tree.motion_into(i, row_state[row.parent].a);
            } else {
                state.v = Spatial<V>{};
                state.a.a = Vec{};
                const Vec up{broadcast<T>(-gravity[0]), broadcast<T>(-gravity[1]), broadcast<T>(-gravity[2])};
                state.a.l = tree.into(i, row.parent < 0 ? up : row_state[row.parent].a.l);
            }
            if (!row.moves) continue;
            Spatial<V>&m = state.v, &acc = state.a;
            const T scale = n[MULTIPLIER];
            if (row.kind == PLAN_REVOLUTE) {
                if (v) {
                    const V rate = v[row.v] * scale;
                    m.a.z += rate;
                    acc.a += cross_z(m.a) * rate, acc.l += cross_z(m.l) * rate;
                }
                if (a) acc.a.z += a[row.v] * scale;
            } else if (row.kind == PLAN_PRISMATIC) {
                if (v) {
                    const V rate = v[row.v] * scale;
                    m.l.z += rate;
                    acc.l += cross_z(m.a) * rate;
                }
                if (a) acc.l.z += a[row.v] * scale;
            } else if (row.kind == PLAN_BALL) {
                if (v) {
                    const Vec rate = triple(v, row.v);
                    m.a += rate;
                    acc.a += cross(m.a, rate), acc.l += cross(m.l, rate);
                }
                if (a) acc.a += triple(a, row.v);
            } else if (row.kind == PLAN_SHIFT) {
                if (v) {
                    const Vec rate = triple(v, row.v);
                    m.l += rate;
                    acc.l += cross(m.a, rate);
                }
                if (a) acc.l += triple(a, row.v);
            }
            if (row.has_inertia) state.f = force(n, m, acc);
        }
    }

    // Momentum (angular about the origin, linear) of a body.
    DRR_INLINE static Spatial<V> momentum(const T* n, const Spatial<V>& m) {
        const T* h = n + FIRST;
        return {sym_const(n + INERTIA, m.a) + cross_const(h, m.l), m.l * n[MASS] - cross_const(h, m.a)};
    }
    DRR_INLINE Spatial<V> force(const T* n, const Spatial<V>& m, const Spatial<V>& acc) const {
        Spatial<V> f = momentum(n, acc);
        if (v) {
            const Spatial<V> p = momentum(n, m);
            f.a += cross(m.a, p.a) + cross(m.l, p.l);
            f.l += cross(m.a, p.l);
        }
        return f;
    }

    void add_joint_force(const PlanRow& row, const Spatial<V>& f, V* tau) const {
        const T* n = tree.of(row);
        const T scale = n[MULTIPLIER];
        switch (row.kind) {
            case PLAN_REVOLUTE: tau[row.v] += f.a.z * scale; break;
            case PLAN_PRISMATIC: tau[row.v] += f.l.z * scale; break;
            case PLAN_BALL: tau[row.v] += f.a.x, tau[row.v + 1] += f.a.y, tau[row.v + 2] += f.a.z; break;
            case PLAN_SHIFT: tau[row.v] += f.l.x, tau[row.v + 1] += f.l.y, tau[row.v + 2] += f.l.z; break;
            default: return;
        }
        for (int k = row.v; k < row.v + dofs(row.kind); ++k) {
            if (a) tau[k] += a[k] * (n[ARMATURE] * scale * scale);
            if (!v || friction_velocity == 0) continue;
            tau[k] += v[k] * (n[DAMPING] * scale * scale);
            if (n[FRICTION] != 0)
                tau[k] += hyperbolic_tangent<T>(V(v[k] * (scale / friction_velocity))) * (n[FRICTION] * scale);
        }
    }

    // f = I a + v x* I v: from f_bar to v_bar, a_bar and the inertia.
    DRR_INLINE void reverse_force(int i, V* numbers_bar) {
        const PlanRow& row = plan.rows[i];
        if (!row.has_inertia) return;
        RneaRow<V>& state = row_state[i];
        const T* n = tree.of(row);
        const Vec &ma = state.f_bar.a, &ml = state.f_bar.l;
        state.a_bar += momentum(n, state.f_bar);  // a symmetric operator
        Spatial<V> momentum_bar{};
        if (v) {
            const Vec &w = state.v.a, &u = state.v.l;
            const Spatial<V> p = momentum(n, state.v);
            momentum_bar = {cross(ma, w), cross(ma, u) + cross(ml, w)};
            state.v_bar.a += cross(p.a, ma) + cross(p.l, ml);
            state.v_bar.l += cross(p.l, ma);
            state.v_bar += momentum(n, momentum_bar);
        }
        if (!numbers_bar) return;
        V* out = numbers_bar + (size_t)row.source * PACKED;
        add_inertia_gradient(out, state.f_bar, state.a);
        if (v) add_inertia_gradient(out, momentum_bar, state.v);
    }
    // Of x . I y.
    DRR_INLINE static void add_inertia_gradient(V* out, const Spatial<V>& x, const Spatial<V>& y) {
        out[MASS] += dot(x.l, y.l);
        add_to(out + FIRST, cross(y.l, x.a) + cross(x.l, y.a));
        V* I = out + INERTIA;
        I[0] += x.a.x * y.a.x;
        I[1] += x.a.x * y.a.y + x.a.y * y.a.x;
        I[2] += x.a.x * y.a.z + x.a.z * y.a.x;
        I[3] += x.a.y * y.a.y;
        I[4] += x.a.y * y.a.z + x.a.z * y.a.y;
        I[5] += x.a.z * y.a.z;
    }

    void reverse_joint(int i, const V* tau_bar, V* q_bar, V* v_bar, V* a_bar, V* numbers_bar, bool tangent) {
        const PlanRow& row = plan.rows[i];
        RneaRow<V>& state = row_state[i];
        const T* n = tree.of(row);
        const T scale = n[MULTIPLIER];
        Spatial<V>&vb = state.v_bar, &ab = state.a_bar;
        // What the parent's motion became, before the joint's own was added.
        Spatial<V> m = state.v, acc = state.a;
        V* dv = v_bar ? v_bar + row.v : nullptr;
        V* da = a_bar ? a_bar + row.v : nullptr;
        if (row.kind == PLAN_REVOLUTE) {
            if (v) {
                const V rate = v[row.v] * scale;
                V g = dot(cross_z(m.a), ab.a) + dot(cross_z(m.l), ab.l);
                vb.a += z_cross(ab.a) * rate, vb.l += z_cross(ab.l) * rate;
                g += vb.a.z;
                if (dv) dv[0] += g * scale;
                acc.a -= cross_z(m.a) * rate, acc.l -= cross_z(m.l) * rate;
                m.a.z -= rate;
            }
            if (a) acc.a.z -= a[row.v] * scale;
            if (da) da[0] += ab.a.z * scale;
        } else if (row.kind == PLAN_PRISMATIC) {
            if (v) {
                const V rate = v[row.v] * scale;
                V g = dot(cross_z(m.a), ab.l);
                vb.a += z_cross(ab.l) * rate;
                g += vb.l.z;
                if (dv) dv[0] += g * scale;
                acc.l -= cross_z(m.a) * rate;
                m.l.z -= rate;
            }
            if (a) acc.l.z -= a[row.v] * scale;
            if (da) da[0] += ab.l.z * scale;
        } else if (row.kind == PLAN_BALL) {
            if (v) {
                const Vec rate = triple(v, row.v);
                Vec g = cross(ab.a, m.a) + cross(ab.l, m.l);
                vb.a += cross(rate, ab.a), vb.l += cross(rate, ab.l);
                g += vb.a;
                if (dv) add_to(dv, g);
                acc.a -= cross(m.a, rate), acc.l -= cross(m.l, rate);
                m.a -= rate;
            }
            if (a) acc.a -= triple(a, row.v);
            if (da) add_to(da, ab.a);
        } else if (row.kind == PLAN_SHIFT) {
            if (v) {
                const Vec rate = triple(v, row.v);
                Vec g = cross(ab.l, m.a);
                vb.a += cross(rate, ab.l);
                g += vb.l;
                if (dv) add_to(dv, g);
                acc.l -= cross(m.a, rate);
                m.l -= rate;
            }
            if (a) acc.l -= triple(a, row.v);
            if (da) add_to(da, ab.l);
        }
        reverse_placement(i, m, acc, q_bar, numbers_bar, tangent);
        if (row.kind != PLAN_FIXED) reverse_at_joint(row, tau_bar, v_bar, a_bar, numbers_bar);
    }

    void reverse_placement(int i, const Spatial<V>& m, const Spatial<V>& acc, V* q_bar, V* numbers_bar,
                           bool tangent) {
        const PlanRow& row = plan.rows[i];
        RneaRow<V>& state = row_state[i];
        RneaRow<V>* up = row.parent < 0 ? nullptr : &row_state[row.parent];
        const Spatial<V>&vb = state.v_bar, &ab = state.a_bar, &f = state.f;
        const Vec& p = tree.place[i].p;
        // Motions go down by X, so their gradients go up by its transpose, like forces.
        const Vec ab_l = tree.out_of(i, ab.l);
        Vec vb_l{};
        if (up) {
            up->a_bar.a += tree.out_of(i, ab.a) + cross(p, ab_l);
            up->a_bar.l += ab_l;
            if (v) {
                vb_l = tree.out_of(i, vb.l);
                up->v_bar.a += tree.out_of(i, vb.a) + cross(p, vb_l);
                up->v_bar.l += vb_l;
            }
        }
        if (!q_bar && !numbers_bar) return;
        // f_bar of the parent, seen here: what this row's force met on its way up.
        Spatial<V> g = state.f_bar;
        if (row.kind == PLAN_REVOLUTE && !numbers_bar) {
            V r = ab.a.x * acc.a.y - ab.a.y * acc.a.x + ab.l.x * acc.l.y - ab.l.y * acc.l.x;
            r += f.a.x * g.a.y - f.a.y * g.a.x + f.l.x * g.l.y - f.l.y * g.l.x;
            if (v) r += vb.a.x * m.a.y - vb.a.y * m.a.x + vb.l.x * m.l.y - vb.l.y * m.l.x;
            q_bar[tangent ? row.v : row.q] += r * tree.of(row)[MULTIPLIER];
            return;
        }
        if (row.kind == PLAN_FIXED && !numbers_bar) return;
        g = up ? tree.motion_into(i, up->f_bar) : Spatial<V>{};
        Vec r = cross(ab.a, acc.a) + cross(ab.l, acc.l) + cross(f.a, g.a) + cross(f.l, g.l);
        if (v) r += cross(vb.a, m.a) + cross(vb.l, m.l);
        Vec p_bar{};
        if (up) {
            p_bar = cross(ab_l, up->a.a) + cross(tree.out_of(i, f.l), up->f_bar.a);
            if (v) p_bar += cross(vb_l, up->v.a);
        }
        place_gradient(tree, i, q, r, p_bar, q_bar, numbers_bar, tangent);
    }

  public:
    // From a small turn r (row's axes) and a shift p_bar (parent's axes) of a row's placement to the
    // numbers that make it.
    static void place_gradient(const Tree3<T>& tree, int i, const V* q, const Vec& r, const Vec& p_bar,
                               V* q_bar, V* numbers_bar, bool tangent) {
        const PlanRow& row = tree.plan.rows[i];
        const T* n = tree.of(row);
        const Vec p_head = row.own_head ? mat_const_t(n + HEAD_R, p_bar) : p_bar;
        Vec r_head = tree.turned(i, r);
        V* out = q_bar ? q_bar + (tangent ? row.v : row.q) : nullptr;
        V driven{};
        switch (row.kind) {
            case PLAN_REVOLUTE:
                driven = r.z;
                break;
            case PLAN_PRISMATIC:
                driven = p_head.z;
                r_head += z_cross(p_head) * tree.place[i].travel;
                break;
            case PLAN_BALL:
                if (out && tangent) add_to(out, r);
                if (out && !tangent) tree.quaternion_gradient(q + row.q, r, out);
                break;
            case PLAN_SHIFT:
                if (out) add_to(out, p_head);
                r_head += cross(Vec{q[row.q], q[row.q + 1], q[row.q + 2]}, p_head);
                break;
            default:
                break;
        }
        const bool scalar = row.kind == PLAN_REVOLUTE || row.kind == PLAN_PRISMATIC;
        if (scalar && out) out[0] += driven * n[MULTIPLIER];
        if (!numbers_bar) return;
        V* numbers = numbers_bar + (size_t)row.source * PACKED;
        if (scalar) numbers[OFFSET] += driven;
        if (!row.own_head) return;
        add_rotation_gradient(n + HEAD_R, r_head, numbers + HEAD_R);
        add_to(numbers + HEAD_P, p_bar);
    }

  private:
    // Armature, damping and friction.
    void reverse_at_joint(const PlanRow& row, const V* tau_bar, V* v_bar, V* a_bar, V* numbers_bar) {
        const T* n = tree.of(row);
        const T scale = n[MULTIPLIER], square = scale * scale;
        V* out = numbers_bar ? numbers_bar + (size_t)row.source * PACKED : nullptr;
        for (int k = row.v; k < row.v + dofs(row.kind); ++k) {
            if (a_bar) a_bar[k] += tau_bar[k] * (n[ARMATURE] * square);
            if (out && a) out[ARMATURE] += tau_bar[k] * a[k] * square;
            if (!v || friction_velocity == 0) continue;
            if (v_bar) v_bar[k] += tau_bar[k] * (n[DAMPING] * square);
            if (out) out[DAMPING] += tau_bar[k] * v[k] * square;
            if (n[FRICTION] == 0 && !out) continue;
            const V t = hyperbolic_tangent<T>(V(v[k] * (scale / friction_velocity)));
            if (v_bar) v_bar[k] += tau_bar[k] * (T(1) - t * t) * (n[FRICTION] * square / friction_velocity);
            if (out) out[FRICTION] += tau_bar[k] * t * scale;
        }
    }
};

}  // namespace drr
