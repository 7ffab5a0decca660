// Scores of robot configurations by the image's edges along the rendered outline.
#include <algorithm>
#include <cmath>

#include "robot_image.hpp"

namespace drr {
namespace {

// Mean over the outline of the image's gradient across it, at most `limit`. The outline is where
// alpha, smoothed by (1 2 1)/4 twice per axis, has a gradient (Sobel); its length is its weight.
double contour_score(const drr_view& view, const RobotImage& robot, const float* gradient,
                     float limit) {
    const int w = view.width, h = view.height;
    static thread_local std::vector<float> alpha, line;
    alpha.assign(static_cast<size_t>(w) * h, 0.0f);
    int left = w, top = h, right = 0, bottom = 0;
    for (int t = 0; t < robot.tiles(); ++t) {
        if (robot.empty(t)) continue;
        const TilePlace p = robot.place(t);
        left = std::min(left, p.x0), top = std::min(top, p.y0);
        right = std::max(right, p.x0 + p.width), bottom = std::max(bottom, p.y0 + p.height);
        for_pixel_runs(p, [&](int i, int x, int y, int n) {
            std::memcpy(&alpha[static_cast<size_t>(p.y0 + y) * w + p.x0 + x],
                        robot.images[t].alpha + i, n * sizeof(float));
        });
    }
    if (left >= right) return 0.0;
    left = std::max(left - 3, 1), top = std::max(top - 3, 1);
    right = std::min(right + 3, w - 1), bottom = std::min(bottom + 3, h - 1);
    line.assign(std::max(w, h), 0.0f);
    for (int pass = 0; pass < 2; ++pass) {
        for (int y = top; y < bottom; ++y) {
            float* a = &alpha[static_cast<size_t>(y) * w];
            for (int x = left; x < right; ++x) line[x] = 0.25f * (a[x - 1] + 2 * a[x] + a[x + 1]);
            std::copy(line.begin() + left, line.begin() + right, a + left);
        }
        for (int x = left; x < right; ++x) {
            float* a = &alpha[x];
            const size_t s = w;
            for (int y = top; y < bottom; ++y)
                line[y] = 0.25f * (a[(y - 1) * s] + 2 * a[y * s] + a[(y + 1) * s]);
            for (int y = top; y < bottom; ++y) a[y * s] = line[y];
        }
    }
    double sum = 0, length = 0;
    for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x) {
            const size_t at = static_cast<size_t>(y) * w + x;
            if (view.weight && !(view.weight[at] > 0)) continue;
            const float* a = &alpha[at];
            const float gx = (a[1 - w] - a[-1 - w]) + 2 * (a[1] - a[-1]) + (a[w + 1] - a[w - 1]);
            const float gy = (a[w - 1] - a[-w - 1]) + 2 * (a[w] - a[-w]) + (a[w + 1] - a[1 - w]);
            const float m = std::sqrt(gx * gx + gy * gy);
            if (m < 1e-3f) continue;
            const float across = std::abs(gradient[2 * at] * gx + gradient[2 * at + 1] * gy);
            sum += std::min(across, limit * m);
            length += m;
        }
    return length > 0 ? sum / length : 0.0;
}

}  // namespace
}  // namespace drr

extern "C" {

// Scores n hypotheses: q [n,nq], T_camera [n,4,4] (null: the view's own), gradient [H,W,2] of the
// image's strongest channel, per px.
void drr_contour_scores(const drr_tree* tree, const drr_splats* splats, int32_t n, const double* q,
                        const double* T_camera, const drr_view* view, const float* gradient,
                        float limit, double* scores) {
    const int nq = tree->tree.nq;
    drr::parallel_for(n, [&](int i, int) {
        static thread_local drr::RobotImage robot;
        drr_view own = *view;
        if (T_camera) std::memcpy(own.T_camera, T_camera + 16 * i, sizeof own.T_camera);
        robot.project(tree->tree, splats->splats, q + static_cast<size_t>(i) * nq, own, false);
        robot.composite(false, false, false, 0.0f, false);
        scores[i] = drr::contour_score(own, robot, gradient, limit);
    });
}

}  // extern "C"
