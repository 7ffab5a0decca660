// The C interface of batched kinematics and dynamics, in float and double.
//
// Arrays are row-major with the batch first: q [n, nq]; v, a, tau and gradients along velocities
// [n, nv]; numbers [links, PACKED]. A null pointer leaves an input at zero or an output out.
// Every function shares the batch among the threads in pieces of a fixed size, so that sums over the
// batch do not depend on how many there are.
#include <algorithm>
#include <cstring>
#include <vector>

#include "dynamics_inertia.hpp"
#include "dynamics_kinematics.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace drr {
namespace {

constexpr int BLOCKS_PER_TASK = 16;

template <class T>
struct Arguments {
    const Plan* plan;
    const T* numbers;
    int64_t n;
    const T *q, *v, *a;
    const T* seed;        // gradient of the result
    const T* gravity;     // [3]
    T friction_velocity;
    T *out, *q_bar, *v_bar, *a_bar;
    double* numbers_bar;  // [links * PACKED], summed over the batch
    const int32_t* links;
    int32_t n_links;
};

// Memory of one block, kept by the thread.
template <class T>
class Arena {
  public:
    using V = LaneVector<T>;
    template <class X>
    X* take(size_t count) {
        const size_t bytes = (count * sizeof(X) + 63) / 64 * 64;
        used_ += bytes;
        return reinterpret_cast<X*>(base_ + used_ - bytes);
    }
    void start(size_t bytes) {
        base_ = buffer_.reserve(bytes);
        used_ = 0;
    }

  private:
    Buffer<unsigned char> buffer_;
    unsigned char* base_ = nullptr;
    size_t used_ = 0;
};

template <class T>
class Block {
  public:
    using V = LaneVector<T>;
    static constexpr int W = Lanes<T>::W;

    Block(const Arguments<T>& x, bool with_numbers)
        : args(x), plan(*x.plan), tree(plan, x.numbers), rnea(tree), crba(tree), aba(tree), poses(tree) {
        static thread_local Arena<T> arena;
        const size_t rows = plan.size(), nv = plan.nv, nq = plan.nq;
        arena.start(rows * (sizeof(Place<V>) + sizeof(RneaRow<V>) + sizeof(Composite<V>) +
                            sizeof(Articulated<V>) + sizeof(KinematicsRow<V>)) +
                    (2 * nq + 8 * nv + nv * nv + 12 * nv + (with_numbers ? plan.n_links * PACKED : 0)) * sizeof(V) +
                    64 * 32);
        tree.place = arena.template take<Place<V>>(rows);
        rnea.row_state = arena.template take<RneaRow<V>>(rows);
        crba.body = arena.template take<Composite<V>>(rows);
        aba.body = arena.template take<Articulated<V>>(rows);
        poses.row_state = arena.template take<KinematicsRow<V>>(rows);
        q = arena.template take<V>(nq), q_bar = arena.template take<V>(nq);
        v = arena.template take<V>(nv), a = arena.template take<V>(nv), tau = arena.template take<V>(nv);
        seed = arena.template take<V>(nv), v_bar = arena.template take<V>(nv), a_bar = arena.template take<V>(nv);
        x_bar = arena.template take<V>(nv);
        M = arena.template take<V>(nv * nv), J = arena.template take<V>(6 * nv);
        numbers_bar = nullptr;
        if (with_numbers) {
            numbers_bar = arena.template take<V>((size_t)plan.n_links * PACKED);
            std::fill(numbers_bar, numbers_bar + (size_t)plan.n_links * PACKED, V{});
        }
        rnea.q = q;
        for (int k = 0; k < 3; ++k) rnea.gravity[k] = x.gravity ? x.gravity[k] : T(0);
        rnea.friction_velocity = x.friction_velocity;
    }

    const Arguments<T>& args;
    const Plan& plan;
    Tree3<T> tree;
    Rnea<T> rnea;
    Crba<T> crba;
    Aba<T> aba;
    LinkPoses<T> poses;
    V *q, *v, *a, *tau, *seed, *q_bar, *v_bar, *a_bar, *x_bar, *M, *J, *numbers_bar;
    size_t first = 0;

    void read(V* to, const T* from, int width) const {
        for (int j = 0; j < width; ++j) to[j] = load_column(from, width, j, first, args.n);
    }
    void write(T* to, const V* from, int width) const {
        for (int j = 0; j < width; ++j) store_column(to, width, j, first, args.n, from[j]);
    }
    void set(size_t first_) {
        first = first_;
        read(q, args.q, plan.nq);
        tree.set(q);
    }
    void read_motion() {
        rnea.v = args.v ? v : nullptr;
        rnea.a = args.a ? a : nullptr;
        if (args.v) read(v, args.v, plan.nv);
        if (args.a) read(a, args.a, plan.nv);
    }
    void clear(V* x, int n) const { std::fill(x, x + n, V{}); }
    // Lanes past the end of the batch repeat its last row: they must not count in sums.
    void mask(V* x, int n) const {
        if (args.n - (int64_t)first >= W) return;
        T inside[W];
        for (int i = 0; i < W; ++i) inside[i] = (int64_t)first + i < args.n;
        V keep;
        std::memcpy(&keep, inside, sizeof keep);
        for (int j = 0; j < n; ++j) x[j] = keep != 0 ? x[j] : V{};
    }

    void inverse_dynamics() {
        read_motion();
        rnea.forward(tau);
        write(args.out, tau, plan.nv);
    }
    void inverse_dynamics_reverse() {
        read_motion();
        rnea.forward(tau);
        read(seed, args.seed, plan.nv);
        mask(seed, plan.nv);
        reverse_rnea();
    }
    void reverse_rnea() {
        clear(q_bar, plan.nq), clear(v_bar, plan.nv), clear(a_bar, plan.nv);
        rnea.reverse(seed, args.q_bar ? q_bar : nullptr, args.v_bar ? v_bar : nullptr,
                     args.a_bar ? a_bar : nullptr, numbers_bar, false);
        if (args.q_bar) write(args.q_bar, q_bar, plan.nq);
        if (args.v_bar) write(args.v_bar, v_bar, plan.nv);
        if (args.a_bar) write(args.a_bar, a_bar, plan.nv);
    }
    // d tau / d(q, v) along the velocities: q_bar, v_bar are [n, nv, nv]; row i is that of tau i.
    void inverse_dynamics_derivatives() {
        read_motion();
        rnea.forward(tau);
        const int nv = plan.nv;
        for (int i = 0; i < nv; ++i) {
            clear(seed, nv);
            seed[i] += T(1);
            clear(x_bar, nv), clear(v_bar, nv), clear(a_bar, nv);
            rnea.reverse(seed, x_bar, args.v_bar ? v_bar : nullptr, args.a_bar ? a_bar : nullptr, nullptr, true);
            for (int j = 0; j < nv; ++j) {
                const size_t at = (size_t)i * nv + j, width = (size_t)nv * nv;
                store_column(args.q_bar, width, at, first, args.n, x_bar[j]);
                if (args.v_bar) store_column(args.v_bar, width, at, first, args.n, v_bar[j]);
                if (args.a_bar) store_column(args.a_bar, width, at, first, args.n, a_bar[j]);
            }
        }
    }

    void mass_matrix() {
        crba.run(M);
        write(args.out, M, plan.nv * plan.nv);
    }
    // M e_j is the inverse dynamics of unit accelerations: its reverse, column by column.
    void mass_matrix_reverse() {
        const int nv = plan.nv;
        rnea.v = nullptr, rnea.a = a;
        for (T& g : rnea.gravity) g = 0;
        clear(q_bar, plan.nq);
        read(M, args.seed, nv * nv);
        mask(M, nv * nv);
        for (int j = 0; j < nv; ++j) {
            clear(a, nv);
            a[j] += T(1);
            for (int i = 0; i < nv; ++i) seed[i] = M[i * nv + j];
            rnea.forward(tau);
            rnea.reverse(seed, args.q_bar ? q_bar : nullptr, nullptr, nullptr, numbers_bar, false);
        }
        if (args.q_bar) write(args.q_bar, q_bar, plan.nq);
    }

    void factor_inertia() {
        if (plan.coupled) {
            crba.run(M);
            factor<V, T>(M, plan.nv);
        } else {
            aba.factor_tree();
        }
    }
    void solve_inertia(V* x) {
        if (plan.coupled)
            solve(M, plan.nv, x);
        else
            aba.solve(x);
    }
    // args.a is tau.
    void forward_dynamics() {
        rnea.v = args.v ? v : nullptr, rnea.a = nullptr;
        if (args.v) read(v, args.v, plan.nv);
        rnea.forward(tau);
        if (args.a)
            read(a, args.a, plan.nv);
        else
            clear(a, plan.nv);
        for (int k = 0; k < plan.nv; ++k) a[k] -= tau[k];
        factor_inertia();
        solve_inertia(a);
        write(args.out, a, plan.nv);
    }
    // args.a is the acceleration that came out; a_bar the gradient of tau. With M a + b = tau, the
    // gradient of tau is g = M^-1 seed, and all others are those of inverse dynamics for -g.
    void forward_dynamics_reverse() {
        read_motion();
        read(seed, args.seed, plan.nv);
        mask(seed, plan.nv);
        factor_inertia();
        solve_inertia(seed);
        if (args.a_bar) write(args.a_bar, seed, plan.nv);
        if (!args.q_bar && !args.v_bar && !numbers_bar) return;
        for (int k = 0; k < plan.nv; ++k) seed[k] = -seed[k];
        rnea.forward(tau);
        clear(q_bar, plan.nq), clear(v_bar, plan.nv);
        rnea.reverse(seed, args.q_bar ? q_bar : nullptr, args.v_bar ? v_bar : nullptr, nullptr, numbers_bar, false);
        if (args.q_bar) write(args.q_bar, q_bar, plan.nq);
        if (args.v_bar) write(args.v_bar, v_bar, plan.nv);
    }
    // out = M^-1 seed.
    void solve_mass_matrix() {
        read(seed, args.seed, plan.nv);
        factor_inertia();
        solve_inertia(seed);
        write(args.out, seed, plan.nv);
    }

    void link_poses() {
        poses.run();
        for (int l = 0; l < args.n_links; ++l) {
            const BasePose<V> at = poses.link(args.links ? args.links[l] : l);
            const V t[12] = {at.R.x.x, at.R.y.x, at.R.z.x, at.p.x, at.R.x.y, at.R.y.y,
                             at.R.z.y, at.p.y, at.R.x.z, at.R.y.z, at.R.z.z, at.p.z};
            const int valid = (int)std::min<int64_t>(args.n - (int64_t)first, W);
            for (int i = 0; i < valid; ++i) {
                T* out = args.out + ((first + i) * args.n_links + l) * 16;
                for (int k = 0; k < 12; ++k) out[k] = t[k][i];
                out[12] = out[13] = out[14] = 0;
                out[15] = 1;
            }
        }
    }
    void link_poses_reverse() {
        poses.run();
        poses.clear_pull();
        for (int l = 0; l < args.n_links; ++l) {
            V g[12];
            for (int k = 0; k < 12; ++k)
                g[k] = load_column(args.seed, (size_t)args.n_links * 16, (size_t)l * 16 + k, first, args.n);
            mask(g, 12);
            poses.add_pose_gradient(args.links ? args.links[l] : l,
                                    {{g[0], g[4], g[8]}, {g[1], g[5], g[9]}, {g[2], g[6], g[10]}},
                                    {g[3], g[7], g[11]}, numbers_bar);
        }
        finish_kinematics();
    }
    void jacobian() {
        poses.run();
        for (int l = 0; l < args.n_links; ++l) {
            clear(J, 6 * plan.nv);
            poses.jacobian(args.links ? args.links[l] : l, J);
            const size_t width = (size_t)6 * plan.nv;
            for (size_t k = 0; k < width; ++k)
                store_column(args.out, args.n_links * width, l * width + k, first, args.n, J[k]);
        }
    }
    void jacobian_reverse() {
        poses.run();
        poses.clear_pull();
        for (int l = 0; l < args.n_links; ++l) {
            const size_t width = (size_t)6 * plan.nv;
            for (size_t k = 0; k < width; ++k)
                J[k] = load_column(args.seed, args.n_links * width, l * width + k, first, args.n);
            mask(J, (int)width);
            poses.reverse_jacobian(args.links ? args.links[l] : l, J, numbers_bar);
        }
        finish_kinematics();
    }
    void finish_kinematics() {
        clear(q_bar, plan.nq);
        poses.reverse(q, args.q_bar ? q_bar : nullptr, numbers_bar);
        if (args.q_bar) write(args.q_bar, q_bar, plan.nq);
    }
};

template <class T>
void run(const Arguments<T>& x, void (Block<T>::*work)()) {
    constexpr int W = Lanes<T>::W;
    const int64_t blocks = (x.n + W - 1) / W;
    const int tasks = (int)((blocks + BLOCKS_PER_TASK - 1) / BLOCKS_PER_TASK);
    const size_t count = (size_t)x.plan->n_links * PACKED;
    std::vector<double> sums(x.numbers_bar ? count * tasks : 0);
    auto piece = [&](int task, int) {
        Block<T> block(x, x.numbers_bar != nullptr);
        const int64_t last = std::min<int64_t>(blocks, (int64_t)(task + 1) * BLOCKS_PER_TASK);
        for (int64_t b = (int64_t)task * BLOCKS_PER_TASK; b < last; ++b) {
            block.set((size_t)b * W);
            (block.*work)();
        }
        if (x.numbers_bar)
            for (size_t k = 0; k < count; ++k) sums[count * task + k] = lane_sum<T>(block.numbers_bar[k], W);
    };
    if (tasks == 1)
        piece(0, 0);
    else
        parallel_for(tasks, piece);
    if (!x.numbers_bar) return;
    for (size_t k = 0; k < count; ++k) x.numbers_bar[k] = 0;
    for (int t = 0; t < tasks; ++t)
        for (size_t k = 0; k < count; ++k) x.numbers_bar[k] += sums[count * t + k];
}

template <class T>
void dispatch(int operation, const Arguments<T>& x) {
    using B = Block<T>;
    static constexpr void (B::*table[])() = {
        &B::link_poses,       &B::link_poses_reverse,       &B::jacobian,
        &B::jacobian_reverse, &B::inverse_dynamics,         &B::inverse_dynamics_reverse,
        &B::mass_matrix,      &B::mass_matrix_reverse,      &B::forward_dynamics,
        &B::forward_dynamics_reverse, &B::inverse_dynamics_derivatives, &B::solve_mass_matrix,
    };
    if (x.n > 0) run<T>(x, table[operation]);
}

}  // namespace
}  // namespace drr

extern "C" {

// The fields are those of robot/dynamics/native.py; all pointers are to T.
struct drr_dynamics_call {
    const drr_plan* plan;
    const void *numbers, *q, *v, *a, *seed, *gravity;
    void *out, *q_bar, *v_bar, *a_bar;
    double* numbers_bar;
    const int32_t* links;
    double friction_velocity;
    int64_t n;
    int32_t n_links;
    int32_t is_double;
    int32_t operation;
};

void drr_dynamics(const drr_dynamics_call* c) {
    auto call = [&](auto zero) {
        using T = decltype(zero);
        drr::Arguments<T> x{&c->plan->plan, (const T*)c->numbers, c->n, (const T*)c->q, (const T*)c->v,
                            (const T*)c->a, (const T*)c->seed, (const T*)c->gravity,
                            (T)c->friction_velocity, (T*)c->out, (T*)c->q_bar, (T*)c->v_bar,
                            (T*)c->a_bar, c->numbers_bar, c->links, c->n_links};
        drr::dispatch<T>(c->operation, x);
    };
    if (c->is_double)
        call(0.0);
    else
        call(0.0f);
}

}  // extern "C"
