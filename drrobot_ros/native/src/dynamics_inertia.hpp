// Mass matrix and forward dynamics of one block of a batch.
// Source: R. Featherstone, Rigid Body Dynamics Algorithms, 2008: the composite-rigid-body algorithm
// (table 6.2), the articulated-body algorithm (table 7.1).
#pragma once
#include "dynamics_tree.hpp"

namespace drr {

template <class V>
DRR_INLINE Sym3<V> sym_plus_outer(const Sym3<V>& s, const Vec3<V>& a, const Vec3<V>& b, V k) {
    // s + k (a b^T + b a^T) / 2
    const V h = k * 0.5f;
    return {s.xx + k * a.x * b.x,
            s.xy + h * (a.x * b.y + a.y * b.x),
            s.xz + h * (a.x * b.z + a.z * b.x),
            s.yy + k * a.y * b.y,
            s.yz + h * (a.y * b.z + a.z * b.y),
            s.zz + k * a.z * b.z};
}
template <class V>
DRR_INLINE Sym3<V> sym_of_columns(const Vec3<V>& x, const Vec3<V>& y, const Vec3<V>& z) {
    return {x.x, y.x, z.x, y.y, z.y, z.z};
}
template <class V>
DRR_INLINE Vec3<V> column(const Sym3<V>& s, int k) {
    return k == 0 ? Vec3<V>{s.xx, s.xy, s.xz} : k == 1 ? Vec3<V>{s.xy, s.yy, s.yz} : Vec3<V>{s.xz, s.yz, s.zz};
}
template <class V>
DRR_INLINE Sym3<V> inverse(const Sym3<V>& s) {
    const V a = s.yy * s.zz - s.yz * s.yz, b = s.xz * s.yz - s.xy * s.zz, c = s.xy * s.yz - s.xz * s.yy;
    const V k = 1.0f / (s.xx * a + s.xy * b + s.xz * c);
    return {a * k, b * k, c * k, (s.xx * s.zz - s.xz * s.xz) * k, (s.xy * s.xz - s.xx * s.yz) * k,
            (s.xx * s.yy - s.xy * s.xy) * k};
}

// out_of applied to both sides of a symmetric matrix, and of a general one (by columns).
template <class T, class V>
DRR_INLINE Sym3<V> turn_sym(const Tree3<T>& tree, int i, const Sym3<V>& s) {
    const Vec3<V> a = tree.out_of(i, column(s, 0)), b = tree.out_of(i, column(s, 1)),
                  c = tree.out_of(i, column(s, 2));
    // rows of (R S) are R (rows): turn again along the other index
    const Vec3<V> r0 = tree.out_of(i, Vec3<V>{a.x, b.x, c.x}), r1 = tree.out_of(i, Vec3<V>{a.y, b.y, c.y}),
                  r2 = tree.out_of(i, Vec3<V>{a.z, b.z, c.z});
    return {r0.x, r0.y, r0.z, r1.y, r1.z, r2.z};
}
template <class T, class V>
DRR_INLINE Mat3<V> turn_mat(const Tree3<T>& tree, int i, const Mat3<V>& m) {
    const Vec3<V> a = tree.out_of(i, m.x), b = tree.out_of(i, m.y), c = tree.out_of(i, m.z);
    const Vec3<V> r0 = tree.out_of(i, Vec3<V>{a.x, b.x, c.x}), r1 = tree.out_of(i, Vec3<V>{a.y, b.y, c.y}),
                  r2 = tree.out_of(i, Vec3<V>{a.z, b.z, c.z});
    return {{r0.x, r1.x, r2.x}, {r0.y, r1.y, r2.y}, {r0.z, r1.z, r2.z}};
}

// ---- mass matrix -------------------------------------------------------------------------------

template <class V>
struct Composite {
    V mass;
    Vec3<V> first;
    Sym3<V> inertia;  // about the row's origin
};

template <class T>
class Crba {
  public:
    using V = LaneVector<T>;
    using Vec = Vec3<V>;

    explicit Crba(Tree3<T>& tree_) : tree(tree_), plan(tree_.plan) {}

    Tree3<T>& tree;
    const Plan& plan;
    Composite<V>* body = nullptr;  // [rows]

    // M: [nv, nv], overwritten.
    void run(V* M) {
        for (int k = 0; k < plan.nv * plan.nv; ++k) M[k] = V{};
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            const T* n = tree.of(row);
            const T* s = n + INERTIA;
            if (!row.has_inertia) {
                body[i] = Composite<V>{};
                continue;
            }
            body[i] = {broadcast<T>(n[MASS]), broadcast3<T>(n + FIRST),
                       {broadcast<T>(s[0]), broadcast<T>(s[1]), broadcast<T>(s[2]), broadcast<T>(s[3]),
                        broadcast<T>(s[4]), broadcast<T>(s[5])}};
        }
        for (int i = plan.size() - 1; i >= 0; --i) {
            const PlanRow& row = plan.rows[i];
            if (!row.moves) continue;
            if (row.parent >= 0 && plan.rows[row.parent].moves) add_to_parent(i);
            if (row.kind != PLAN_FIXED) columns(i, M);
        }
    }

  private:
    void add_to_parent(int i) {
        Composite<V>& up = body[plan.rows[i].parent];
        const Composite<V>& c = body[i];
        const Vec& p = tree.place[i].p;
        const Vec h = tree.out_of(i, c.first);
        Sym3<V> I = turn_sym(tree, i, c.inertia);
        const V trace = T(2) * dot(h, p) + c.mass * dot(p, p);
        I.xx += trace, I.yy += trace, I.zz += trace;
        I = sym_plus_outer(I, h, p, V{} - T(2));
        I = sym_plus_outer(I, p, p, -c.mass);
        up.mass += c.mass;
        up.first += h + p * c.mass;
        up.inertia += I;
    }

    void columns(int i, V* M) {
        const PlanRow& row = plan.rows[i];
        const Composite<V>& c = body[i];
        const int n = dofs(row.kind);
        const bool linear = row.kind == PLAN_PRISMATIC || row.kind == PLAN_SHIFT;
        for (int k = 0; k < n; ++k) {
            Vec e{};
            const int along = n == 1 ? 2 : k;
            (along == 0 ? e.x : along == 1 ? e.y : e.z) += T(1);
            Spatial<V> f;
            if (linear)
                f = {cross(c.first, e), e * c.mass};
            else
                f = {column(c.inertia, along), cross(e, c.first)};
            const T scale = tree.of(row)[MULTIPLIER];
            f.a = f.a * scale, f.l = f.l * scale;
            write(row, row.v + k, k + 1, f, M, true);
            M[(row.v + k) * (plan.nv + 1)] += tree.of(row)[ARMATURE] * scale * scale;
            int j = i;
            while (plan.rows[j].parent >= 0) {
                f = tree.force_out_of(j, f);
                j = plan.rows[j].parent;
                if (!plan.rows[j].moves) break;
                write(plan.rows[j], row.v + k, dofs(plan.rows[j].kind), f, M, false);
            }
        }
    }
    // Entries of column v against the first `count` motions of a row at or above.
    void write(const PlanRow& row, int v, int count, const Spatial<V>& f, V* M, bool own) {
        const T scale = tree.of(row)[MULTIPLIER];
        const bool scalar = row.kind == PLAN_REVOLUTE || row.kind == PLAN_PRISMATIC;
        const Vec& x = row.kind == PLAN_REVOLUTE || row.kind == PLAN_BALL ? f.a : f.l;
        for (int k = 0; k < count; ++k) {
            const V value = scalar ? x.z * scale : k == 0 ? x.x : k == 1 ? x.y : x.z;
            const int u = row.v + k;
            M[u * plan.nv + v] += value;
            if (!own || u != v) M[v * plan.nv + u] += value;
        }
    }
};

// ---- dense factorisation: for trees with coupled joints -----------------------------------------

// M = L D L^T in place: L below the diagonal, 1 / D on it.
template <class V, class T>
inline void factor(V* M, int n) {
    for (int j = 0; j < n; ++j) {
        V d = M[j * n + j];
        for (int k = 0; k < j; ++k) {
            const V l = M[j * n + k];
            d -= l * l / M[k * n + k];
        }
        const V inv = T(1) / d;
        for (int i = j + 1; i < n; ++i) {
            V x = M[i * n + j];
            for (int k = 0; k < j; ++k) x -= M[i * n + k] * M[k * n + j];
            M[j * n + i] = x;  // D L, kept above the diagonal
            M[i * n + j] = x * inv;
        }
        M[j * n + j] = inv;
    }
}
template <class V>
inline void solve(const V* M, int n, V* x) {
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < i; ++k) x[i] -= M[i * n + k] * x[k];
    for (int i = 0; i < n; ++i) x[i] *= M[i * n + i];
    for (int i = n - 1; i >= 0; --i)
        for (int k = i + 1; k < n; ++k) x[i] -= M[k * n + i] * x[k];
}

// ---- articulated bodies --------------------------------------------------------------------------

template <class V>
struct Articulated {
    Sym3<V> A, C;  // angular from angular, linear from linear
    Mat3<V> B;     // angular from linear, by columns
    Spatial<V> U[3];
    Sym3<V> D_inv;  // xx alone for one degree of freedom
    Spatial<V> p, a;
    Vec3<V> u;
};

template <class T>
class Aba {
  public:
    using V = LaneVector<T>;
    using Vec = Vec3<V>;

    explicit Aba(Tree3<T>& tree_) : tree(tree_), plan(tree_.plan) {}

    Tree3<T>& tree;
    const Plan& plan;
    Articulated<V>* body = nullptr;  // [rows]

    // The articulated inertias: all that does not depend on velocity and force.
    void factor_tree() {
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            Articulated<V>& b = body[i];
            const T* n = tree.of(row);
            const T *s = n + INERTIA, *h = n + FIRST;
            b.A = b.C = Sym3<V>{};
            b.B = Mat3<V>{};
            if (!row.has_inertia || !row.moves) continue;
            b.A = {broadcast<T>(s[0]), broadcast<T>(s[1]), broadcast<T>(s[2]),
                   broadcast<T>(s[3]), broadcast<T>(s[4]), broadcast<T>(s[5])};
            b.C.xx = b.C.yy = b.C.zz = broadcast<T>(n[MASS]);
            const V x = broadcast<T>(h[0]), y = broadcast<T>(h[1]), z = broadcast<T>(h[2]);
            b.B = {{V{}, z, -y}, {-z, V{}, x}, {y, -x, V{}}};
        }
        for (int i = plan.size() - 1; i >= 0; --i) {
            const PlanRow& row = plan.rows[i];
            if (!row.moves) continue;
            Articulated<V>& b = body[i];
            hold_joint(row, b);
            if (row.parent >= 0 && plan.rows[row.parent].moves) add_to_parent(i);
        }
    }

    // x [nv]: forces in, the accelerations they make out; bodies at rest, no gravity.
    void solve(V* x) {
        for (int i = 0; i < plan.size(); ++i) body[i].p = Spatial<V>{};
        for (int i = plan.size() - 1; i >= 0; --i) {
            const PlanRow& row = plan.rows[i];
            if (!row.moves) continue;
            Articulated<V>& b = body[i];
            const Vec f = row.kind == PLAN_REVOLUTE || row.kind == PLAN_BALL ? b.p.a : b.p.l;
            if (row.kind == PLAN_REVOLUTE || row.kind == PLAN_PRISMATIC)
                b.u.x = x[row.v] / tree.of(row)[MULTIPLIER] - f.z;
            else if (row.kind != PLAN_FIXED)
                b.u = Vec{x[row.v], x[row.v + 1], x[row.v + 2]} - f;
            if (row.parent < 0 || !plan.rows[row.parent].moves) continue;
            Spatial<V> p = b.p;
            p += pushed(row, b);
            body[row.parent].p += tree.force_out_of(i, p);
        }
        for (int i = 0; i < plan.size(); ++i) {
            const PlanRow& row = plan.rows[i];
            Articulated<V>& b = body[i];
            const bool above_moves = row.parent >= 0 && plan.rows[row.parent].moves;
            b.a = above_moves ? tree.motion_into(i, body[row.parent].a) : Spatial<V>{};
            if (row.kind == PLAN_FIXED) continue;
            const Spatial<V>* U = b.U;
            if (row.kind == PLAN_REVOLUTE || row.kind == PLAN_PRISMATIC) {
                const V acc = (b.u.x - dot(U[0].a, b.a.a) - dot(U[0].l, b.a.l)) * b.D_inv.xx;
                (row.kind == PLAN_REVOLUTE ? b.a.a.z : b.a.l.z) += acc;
                x[row.v] = acc / tree.of(row)[MULTIPLIER];
            } else {
                Vec rest = b.u;
                rest.x -= dot(U[0].a, b.a.a) + dot(U[0].l, b.a.l);
                rest.y -= dot(U[1].a, b.a.a) + dot(U[1].l, b.a.l);
                rest.z -= dot(U[2].a, b.a.a) + dot(U[2].l, b.a.l);
                const Vec acc = b.D_inv * rest;
                (row.kind == PLAN_BALL ? b.a.a : b.a.l) += acc;
                x[row.v] = acc.x, x[row.v + 1] = acc.y, x[row.v + 2] = acc.z;
            }
        }
    }

  private:
    // U = I S, D = S^T U, and the inertia that is left when the joint gives way.
    void hold_joint(const PlanRow& row, Articulated<V>& b) {
        const T armature = tree.of(row)[ARMATURE];
        switch (row.kind) {
            case PLAN_REVOLUTE:
                b.U[0] = {column(b.A, 2), {b.B.x.z, b.B.y.z, b.B.z.z}};
                b.D_inv.xx = T(1) / (b.A.zz + armature);
                give_way(b, 1);
                break;
            case PLAN_PRISMATIC:
                b.U[0] = {b.B.z, column(b.C, 2)};
                b.D_inv.xx = T(1) / (b.C.zz + armature);
                give_way(b, 1);
                break;
            case PLAN_BALL: {
                b.U[0] = {column(b.A, 0), {b.B.x.x, b.B.y.x, b.B.z.x}};
                b.U[1] = {column(b.A, 1), {b.B.x.y, b.B.y.y, b.B.z.y}};
                b.U[2] = {column(b.A, 2), {b.B.x.z, b.B.y.z, b.B.z.z}};
                Sym3<V> D = b.A;
                D.xx += armature, D.yy += armature, D.zz += armature;
                b.D_inv = inverse(D);
                give_way(b, 3);
                break;
            }
            case PLAN_SHIFT: {
                b.U[0] = {b.B.x, column(b.C, 0)};
                b.U[1] = {b.B.y, column(b.C, 1)};
                b.U[2] = {b.B.z, column(b.C, 2)};
                Sym3<V> D = b.C;
                D.xx += armature, D.yy += armature, D.zz += armature;
                b.D_inv = inverse(D);
                give_way(b, 3);
                break;
            }
            default:
                break;
        }
    }
    void give_way(Articulated<V>& b, int n) {
        for (int k = 0; k < n; ++k) {
            // Column k of U D^-1.
            Spatial<V> w;
            if (n == 1) {
                w = {b.U[0].a * b.D_inv.xx, b.U[0].l * b.D_inv.xx};
            } else {
                const Vec d = column(b.D_inv, k);
                w = {b.U[0].a * d.x + b.U[1].a * d.y + b.U[2].a * d.z,
                     b.U[0].l * d.x + b.U[1].l * d.y + b.U[2].l * d.z};
            }
            const Spatial<V>& u = b.U[k];
            subtract(b.A, w.a, u.a);
            subtract(b.C, w.l, u.l);
            b.B.x -= w.a * u.l.x, b.B.y -= w.a * u.l.y, b.B.z -= w.a * u.l.z;
        }
    }
    // Upper triangle of a b^T; the sum over k is symmetric.
    DRR_INLINE static void subtract(Sym3<V>& s, const Vec& a, const Vec& b) {
        s.xx -= a.x * b.x, s.xy -= a.x * b.y, s.xz -= a.x * b.z;
        s.yy -= a.y * b.y, s.yz -= a.y * b.z, s.zz -= a.z * b.z;
    }
    void add_to_parent(int i) {
        const Articulated<V>& b = body[i];
        Articulated<V>& up = body[plan.rows[i].parent];
        const Vec& p = tree.place[i].p;
        const Sym3<V> A = turn_sym(tree, i, b.A), C = turn_sym(tree, i, b.C);
        const Mat3<V> B = turn_mat(tree, i, b.B);
        // B' = B + [p] C;  A' = A + [p] B^T + ([p] B^T)^T - [p] C [p] = A + [p] B'^T + B [p]^T
        const Mat3<V> moved{B.x + cross(p, column(C, 0)), B.y + cross(p, column(C, 1)),
                            B.z + cross(p, column(C, 2))};
        // [p] B'^T: column j is p x (row j of B')
        const Vec x = cross(p, Vec{moved.x.x, moved.y.x, moved.z.x}), y = cross(p, Vec{moved.x.y, moved.y.y, moved.z.y}),
                  z = cross(p, Vec{moved.x.z, moved.y.z, moved.z.z});
        // B [p]^T: row i is p x (row i of B)
        const Vec r0 = cross(p, Vec{B.x.x, B.y.x, B.z.x}), r1 = cross(p, Vec{B.x.y, B.y.y, B.z.y}),
                  r2 = cross(p, Vec{B.x.z, B.y.z, B.z.z});
        up.A += A;
        up.A += Sym3<V>{x.x + r0.x, y.x + r0.y, z.x + r0.z, y.y + r1.y, z.y + r1.z, z.z + r2.z};
        up.B.x += moved.x, up.B.y += moved.y, up.B.z += moved.z;
        up.C += C;
    }
    // U D^-1 u.
    DRR_INLINE Spatial<V> pushed(const PlanRow& row, const Articulated<V>& b) const {
        if (row.kind == PLAN_FIXED) return Spatial<V>{};
        if (row.kind == PLAN_REVOLUTE || row.kind == PLAN_PRISMATIC) {
            const V k = b.u.x * b.D_inv.xx;
            return {b.U[0].a * k, b.U[0].l * k};
        }
        const Vec k = b.D_inv * b.u;
        return {b.U[0].a * k.x + b.U[1].a * k.y + b.U[2].a * k.z,
                b.U[0].l * k.x + b.U[1].l * k.y + b.U[2].l * k.z};
    }
};

}  // namespace drr
