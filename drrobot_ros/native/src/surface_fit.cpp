#include "surface_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "parallel.hpp"

namespace drr {
namespace {

struct Workspace {
    SurfacePlacement placed;
    std::vector<Twist> columns;
    std::vector<double> X, H, g, step, start;
    std::vector<int> where, column;
};

// Sums of one link: A = sum w J^T J over rows J = [d, x cross d], b = sum w J^T r; camera axes.
struct LinkSums {
    double A[21], b[6];

    void add(const float* x, const float* d, float weight, float r) {
        const float J[6] = {d[0],
                            d[1],
                            d[2],
                            x[1] * d[2] - x[2] * d[1],
                            x[2] * d[0] - x[0] * d[2],
                            x[0] * d[1] - x[1] * d[0]};
        int k = 0;
        for (int i = 0; i < 6; ++i) {
            const float wj = weight * J[i];
            b[i] += wj * r;
            for (int j = 0; j <= i; ++j) A[k++] += wj * J[j];
        }
    }
};

// Adds the pairs of the link whose points begin at `i`; returns where the next link's begin.
int add_pairs(const drr_surface& surface, const drr_depth_scene& scene, const drr_fit_stage& stage,
              const SurfacePlacement& placed, int i, LinkSums& sums, bool& any) {
    static const float AXES[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    const float s2 = stage.scale * stage.scale;
    for (const int l = surface.link[i]; i < surface.n && surface.link[i] == l; ++i) {
        if (!placed.visible[i]) continue;
        const float* x = &placed.point[3 * i];
        const float* y = nearest_sample(scene, x);
        if (!y || dot3(&placed.normal[3 * i], y + 3) < stage.min_cosine) continue;
        const float d[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
        const float along = dot3(d, y + 3);
        const float squared = along * along + stage.spring * dot3(d, d);
        const float f = s2 / (s2 + squared), w = surface.area[i] * y[6] * f * f;
        sums.add(x, y + 3, w, along);
        for (int k = 0; k < 3; ++k) sums.add(x, AXES[k], w * stage.spring, d[k]);
        any = true;
    }
    return i;
}

// A twist of the base frame in the camera's axes, about the lens.
void push_twist(const Twist& t, double sign, const Pose& T_base_camera, std::vector<double>& X) {
    const double* c = T_base_camera.p;
    const double v[3] = {t.v[0] + t.w[1] * c[2] - t.w[2] * c[1], t.v[1] + t.w[2] * c[0] - t.w[0] * c[2],
                         t.v[2] + t.w[0] * c[1] - t.w[1] * c[0]};
    const double* R = T_base_camera.R;
    for (int k = 0; k < 3; ++k) X.push_back(sign * (R[k] * v[0] + R[3 + k] * v[1] + R[6 + k] * v[2]));
    for (int k = 0; k < 3; ++k)
        X.push_back(sign * (R[k] * t.w[0] + R[3 + k] * t.w[1] + R[6 + k] * t.w[2]));
}

// H += X^T A X, g += X^T b for the columns `where`.
void join(const LinkSums& sums, int n, Workspace& ws) {
    double A[36];
    for (int a = 0, at = 0; a < 6; ++a)
        for (int b = 0; b <= a; ++b) A[6 * a + b] = A[6 * b + a] = sums.A[at++];
    for (size_t a = 0; a < ws.where.size(); ++a) {
        double AX[6] = {};
        for (int r = 0; r < 6; ++r) {
            for (int k = 0; k < 6; ++k) AX[r] += A[6 * r + k] * ws.X[6 * a + k];
            ws.g[ws.where[a]] += sums.b[r] * ws.X[6 * a + r];
        }
        for (size_t b = 0; b <= a; ++b) {
            double h = 0;
            for (int r = 0; r < 6; ++r) h += AX[r] * ws.X[6 * b + r];
            ws.H[static_cast<size_t>(ws.where[a]) * n + ws.where[b]] += h;
            if (a != b) ws.H[static_cast<size_t>(ws.where[b]) * n + ws.where[a]] += h;
        }
    }
}

void add_surface(const Tree& tree, const drr_surface& surface, const drr_depth_scene& scene,
                 const drr_fit_stage& stage, const Pose& T_base_camera, int n, int camera_column,
                 Workspace& ws) {
    ws.columns.resize(static_cast<size_t>(tree.n_links) * tree.nv);
    tree.columns(ws.placed.link.data(), ws.placed.joint.data(), ws.columns.data());
    for (int i = 0; i < surface.n;) {
        const int l = surface.link[i];
        LinkSums sums = {};
        bool any = false;
        i = add_pairs(surface, scene, stage, ws.placed, i, sums, any);
        if (!any) continue;
        ws.X.clear(), ws.where.clear();
        for (int j = 0; j < tree.nv; ++j) {
            const Twist& t = ws.columns[static_cast<size_t>(l) * tree.nv + j];
            bool moves = false;
            for (int k = 0; k < 3; ++k) moves = moves || t.v[k] != 0 || t.w[k] != 0;
            if (ws.column[j] < 0 || !moves) continue;
            push_twist(t, 1.0, T_base_camera, ws.X);
            ws.where.push_back(ws.column[j]);
        }
        // The camera's twist is about the base's origin: it moves the whole robot the other way.
        for (int k = 0; k < 6 && camera_column >= 0; ++k) {
            Twist t = {};
            (k < 3 ? t.v[k] : t.w[k - 3]) = 1.0;
            push_twist(t, -1.0, T_base_camera, ws.X);
            ws.where.push_back(camera_column + k);
        }
        join(sums, n, ws);
    }
}

// Rotation vector of R S^T.
void turn_between(const double* R, const double* S, double* out) {
    double D[9];
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            D[3 * i + j] = R[3 * i] * S[3 * j] + R[3 * i + 1] * S[3 * j + 1] + R[3 * i + 2] * S[3 * j + 2];
    const double w[3] = {D[7] - D[5], D[2] - D[6], D[3] - D[1]};
    const double sine = 0.5 * std::sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    const double angle = std::atan2(sine, 0.5 * (D[0] + D[4] + D[8] - 1.0));
    for (int k = 0; k < 3; ++k) out[k] = sine > 1e-9 ? 0.5 * w[k] * angle / sine : 0.5 * w[k];
}

void add_priors(const Tree& tree, const drr_fit_problem& problem, const double* q, const Pose& camera,
                int n, int camera_column, Workspace& ws) {
    for (int j = 0; j < tree.nv; ++j) {
        const int c = ws.column[j];
        if (c < 0) continue;
        const int i = problem.v_to_q[j];
        ws.H[static_cast<size_t>(c) * n + c] += problem.joint_weight[j];
        ws.g[c] += problem.joint_weight[j] * (q[i] - ws.start[i]);
    }
    if (camera_column < 0) return;
    const Pose expected = pose_from_matrix(problem.T_prior);
    double e[6];
    for (int k = 0; k < 3; ++k) e[k] = camera.p[k] - expected.p[k];
    turn_between(camera.R, expected.R, e + 3);
    const double* p = camera.p;
    // Rows of d e / d (v, w): the camera moves with v + w x p and turns with w.
    const double J[6][6] = {{1, 0, 0, 0, p[2], -p[1]}, {0, 1, 0, -p[2], 0, p[0]},
                            {0, 0, 1, p[1], -p[0], 0}, {0, 0, 0, 1, 0, 0},
                            {0, 0, 0, 0, 1, 0},        {0, 0, 0, 0, 0, 1}};
    for (int r = 0; r < 6; ++r) {
        const double w = problem.camera_weight[r / 3];
        for (int a = 0; a < 6; ++a) {
            ws.g[camera_column + a] += w * J[r][a] * e[r];
            for (int b = 0; b < 6; ++b)
                ws.H[static_cast<size_t>(camera_column + a) * n + camera_column + b] +=
                    w * J[r][a] * J[r][b];
        }
    }
}

// Joints pressed against a limit stay there.
void hold_limits(const Tree& tree, const drr_fit_problem& problem, const double* q, int n,
                 Workspace& ws) {
    for (int j = 0; j < tree.nv; ++j) {
        const int c = ws.column[j];
        if (c < 0) continue;
        const int i = problem.v_to_q[j];
        if (!((q[i] <= problem.lower[i] && ws.g[c] > 0) || (q[i] >= problem.upper[i] && ws.g[c] < 0)))
            continue;
        for (int o = 0; o < n; ++o)
            ws.H[static_cast<size_t>(c) * n + o] = ws.H[static_cast<size_t>(o) * n + c] = 0;
        ws.H[static_cast<size_t>(c) * n + c] = 1;
        ws.g[c] = 0;
    }
}

// Solves H x = -g by Cholesky's method in place; false if H is not positive definite.
bool solve(int n, std::vector<double>& H, const std::vector<double>& g, std::vector<double>& x) {
    for (int i = 0; i < n; ++i)
        for (int j = 0; j <= i; ++j) {
            double s = H[static_cast<size_t>(i) * n + j];
            for (int k = 0; k < j; ++k)
                s -= H[static_cast<size_t>(i) * n + k] * H[static_cast<size_t>(j) * n + k];
            if (i == j && !(s > 0)) return false;
            H[static_cast<size_t>(i) * n + j] =
                i == j ? std::sqrt(s) : s / H[static_cast<size_t>(j) * n + j];
        }
    for (int i = 0; i < n; ++i) {
        double s = -g[i];
        for (int k = 0; k < i; ++k) s -= H[static_cast<size_t>(i) * n + k] * x[k];
        x[i] = s / H[static_cast<size_t>(i) * n + i];
    }
    for (int i = n - 1; i >= 0; --i) {
        double s = x[i];
        for (int k = i + 1; k < n; ++k) s -= H[static_cast<size_t>(k) * n + i] * x[k];
        x[i] = s / H[static_cast<size_t>(i) * n + i];
    }
    return true;
}

// The camera pose after a twist of the base frame.
Pose moved(const Pose& T, const double* step) {
    const double* w = step + 3;
    const double angle = std::sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    Pose move = {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {step[0], step[1], step[2]}};
    if (angle > 1e-12) {
        const double x = w[0] / angle, y = w[1] / angle, z = w[2] / angle;
        const double c = std::cos(angle), s = std::sin(angle), k = 1 - c;
        const double R[9] = {c + x * x * k,     x * y * k - z * s, x * z * k + y * s,
                             y * x * k + z * s, c + y * y * k,     y * z * k - x * s,
                             z * x * k - y * s, z * y * k + x * s, c + z * z * k};
        std::memcpy(move.R, R, sizeof R);
    }
    return compose(move, T);
}

void fit(const Tree& tree, const drr_surface& surface, const drr_depth_scene& scene,
         const drr_fit_problem& problem, int n_stages, const drr_fit_stage* stages,
         const drr_fit_score& score, double* q, double* T, drr_fit_result& result) {
    static thread_local Workspace ws;
    ws.start.assign(q, q + tree.nq);
    ws.column.assign(tree.nv, -1);
    int n = 0;
    for (int j = 0; j < tree.nv; ++j)
        if (problem.v_to_q[j] >= 0) ws.column[j] = n++;
    const int camera_column = problem.camera_free ? n : -1;
    if (problem.camera_free) n += 6;
    ws.step.resize(n);
    Pose camera = pose_from_matrix(T);
    for (int s = 0; s < n_stages && n > 0; ++s)
        for (int k = 0; k < stages[s].iterations; ++k) {
            ws.H.assign(static_cast<size_t>(n) * n, 0.0);
            ws.g.assign(n, 0.0);
            ws.placed.place(tree, surface, scene, q, camera);
            add_surface(tree, surface, scene, stages[s], camera, n, camera_column, ws);
            add_priors(tree, problem, q, camera, n, camera_column, ws);
            for (int c = 0; c < n; ++c) {
                double& h = ws.H[static_cast<size_t>(c) * n + c];
                h += problem.damping * h + 1e-6;
            }
            hold_limits(tree, problem, q, n, ws);
            if (!solve(n, ws.H, ws.g, ws.step)) break;
            double longest = 0;
            for (double x : ws.step) longest = std::max(longest, std::abs(x));
            const double shrink = std::min(1.0, problem.max_step / std::max(longest, 1e-12));
            for (double& x : ws.step) x *= shrink;
            for (int j = 0; j < tree.nv; ++j) {
                if (ws.column[j] < 0) continue;
                const int i = problem.v_to_q[j];
                q[i] = std::clamp(q[i] + ws.step[ws.column[j]], problem.lower[i], problem.upper[i]);
            }
            if (camera_column >= 0) camera = moved(camera, &ws.step[camera_column]);
            if (longest < 1e-4) break;
        }
    pose_to_matrix(camera, T);
    ws.placed.place(tree, surface, scene, q, camera);
    result = ws.placed.score(surface, scene, score);
}

}  // namespace
}  // namespace drr

extern "C" {

// Fits n hypotheses in place and scores them: q [n,nq], T_base_camera [n,4,4], results [n].
void drr_fit_surface(const drr_tree* tree, const drr_surface* surface, const drr_depth_scene* scene,
                     const drr_fit_problem* problem, int32_t n_stages, const drr_fit_stage* stages,
                     const drr_fit_score* score, int32_t n, double* q, double* T,
                     drr_fit_result* results) {
    const size_t nq = tree->tree.nq;
    drr::parallel_for(n, [&](int i, int) {
        drr::fit(tree->tree, *surface, *scene, *problem, n_stages, stages, *score, q + nq * i,
                 T + static_cast<size_t>(16) * i, results[i]);
    });
}

}  // extern "C"
