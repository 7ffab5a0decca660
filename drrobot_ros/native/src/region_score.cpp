// Scores of robot configurations by mutual information with the image's colour clusters.
#include <algorithm>
#include <cmath>

#include "robot_image.hpp"

namespace drr {
namespace {

// The image around the robot: a box of it, with room for shifted loads at the ends of its rows.
struct Box {
    int x0, y0, width, height;
    int stride;
    Buffer<float> rgb[3], alpha, wide, dilated;

    // Box of all tiles with the robot, `band` pixels wider; false if there is none.
    bool place(const RobotImage& robot, int band) {
        int left = robot.width, top = robot.height, right = 0, bottom = 0;
        for (int t = 0; t < robot.tiles(); ++t) {
            if (robot.empty(t)) continue;
            const TilePlace p = robot.place(t);
            left = std::min(left, p.x0), top = std::min(top, p.y0);
            right = std::max(right, p.x0 + p.width), bottom = std::max(bottom, p.y0 + p.height);
        }
        if (left >= right) return false;
        x0 = std::max(0, left - band), y0 = std::max(0, top - band);
        width = std::min(robot.width, right + band) - x0;
        height = std::min(robot.height, bottom + band) - y0;
        stride = (width + LANES - 1) / LANES * LANES + 2 * LANES;
        const size_t size = static_cast<size_t>(stride) * height + 2 * LANES;
        for (Buffer<float>& plane : rgb) plane.reserve(size);
        dilated.reserve(size);
        wide.reserve(size);
        std::memset(alpha.reserve(size), 0, size * sizeof(float));
        return true;
    }

    void copy(const RobotImage& robot) {
        for (int t = 0; t < robot.tiles(); ++t) {
            if (robot.empty(t)) continue;
            const TilePlace p = robot.place(t);
            const TileImage& from = robot.images[t];
            for_pixel_runs(p, [&](int i, int x, int y, int n) {
                const size_t at = static_cast<size_t>(p.y0 + y - y0) * stride + p.x0 + x - x0;
                std::memcpy(alpha.data() + at, from.alpha + i, n * sizeof(float));
                for (int c = 0; c < 3; ++c)
                    std::memcpy(rgb[c].data() + at, from.channel[c] + i, n * sizeof(float));
            });
        }
    }

    // Maximum of alpha over a square window, one axis at a time.
    void dilate(int band) {
        static thread_local std::vector<float> line;
        line.assign(stride + 2 * band + LANES, 0.0f);
        for (int y = 0; y < height; ++y) {
            const float* from = alpha.data() + static_cast<size_t>(y) * stride;
            std::memcpy(line.data() + band, from, width * sizeof(float));
            float* to = dilated.data() + static_cast<size_t>(y) * stride;
            for (int x = 0; x < width; x += LANES) {
                vf most = load(&line[x]);
                for (int k = 1; k <= 2 * band; ++k) most = max(most, load(&line[x + k]));
                store(to + x, most);
            }
        }
        for (int y = 0; y < height; ++y) {
            float* to = wide.data() + static_cast<size_t>(y) * stride;
            const int first = std::max(0, y - band), last = std::min(height - 1, y + band);
            for (int x = 0; x < width; x += LANES) {
                vf most{};
                for (int k = first; k <= last; ++k)
                    most = max(most, load(dilated.data() + static_cast<size_t>(k) * stride + x));
                store(to + x, most);
            }
        }
    }
};

double mutual_information(const std::vector<double>& joint, int labels, int clusters) {
    static thread_local std::vector<double> by_label, by_cluster;
    by_label.assign(labels, 0.0);
    by_cluster.assign(clusters, 0.0);
    double total = 0;
    for (int l = 0; l < labels; ++l)
        for (int k = 0; k < clusters; ++k) {
            const double x = joint[static_cast<size_t>(l) * clusters + k];
            total += x, by_label[l] += x, by_cluster[k] += x;
        }
    // sum x log(x total / (by_label by_cluster)), the marginals' logarithms taken out of the sum.
    const auto entropy = [](double x) { return x > 0 ? x * std::log(x) : 0.0; };
    double score = entropy(total);
    for (double x : joint) score += entropy(x);
    for (double x : by_label) score -= entropy(x);
    for (double x : by_cluster) score -= entropy(x);
    return score;
}

double region_score(const drr_view& view, const RobotImage& robot, const uint8_t* cluster,
                    int n_clusters, const float* palette, int n_palette, int band) {
    static thread_local Box box;
    if (!box.place(robot, band)) return 0.0;
    box.copy(robot);
    box.dilate(band);
    // The last label is the band around the robot.
    static thread_local std::vector<double> joint;
    joint.assign(static_cast<size_t>(n_palette + 1) * n_clusters, 0.0);
    double* around = &joint[static_cast<size_t>(n_palette) * n_clusters];
    for (int y = 0; y < box.height; ++y) {
        const size_t row = static_cast<size_t>(y) * box.stride;
        const size_t pixel = static_cast<size_t>(box.y0 + y) * view.width + box.x0;
        for (int x = 0; x < box.width; x += LANES) {
            const vf wide = load(box.wide.data() + row + x);
            uint32_t near = bits(above(wide, vf{}));
            if (box.width - x < LANES) near &= (1u << (box.width - x)) - 1u;
            if (!near) continue;
            const vf alpha = load(box.alpha.data() + row + x);
            alignas(64) float inside[LANES], outside[LANES];
            alignas(64) int32_t label[LANES];
            store(inside, alpha);
            store(outside, wide - alpha);
            if (any(above(alpha, vf{}))) {
                // Nearest palette colour to rgb / alpha: least of alpha |p|^2 - 2 p . rgb.
                vf least = splat(__builtin_inff());
                vi best{};
                const vf r = load(box.rgb[0].data() + row + x), g = load(box.rgb[1].data() + row + x),
                         b = load(box.rgb[2].data() + row + x);
                for (int k = 0; k < n_palette; ++k) {
                    const float* c = palette + 3 * k;
                    const vf d = alpha * (c[0] * c[0] + c[1] * c[1] + c[2] * c[2]) -
                                 2.0f * (c[0] * r + c[1] * g + c[2] * b);
                    const vi closer = above(least, d);
                    least = select(closer, d, least);
                    best = select_i(closer, splat_i(k), best);
                }
                store_i(label, best * n_clusters);
            }
            for (; near; near &= near - 1) {
                const int l = __builtin_ctz(near);
                const float weight = view.weight ? view.weight[pixel + x + l] : 1.0f;
                if (!(weight > 0.0f)) continue;
                const uint8_t seen = cluster[pixel + x + l];
                if (inside[l] > 0.0f) joint[label[l] + seen] += weight * inside[l];
                around[seen] += weight * outside[l];
            }
        }
    }
    return mutual_information(joint, n_palette + 1, n_clusters);
}

}  // namespace
}  // namespace drr

extern "C" {

// Scores n hypotheses by how well the rendered robot explains where which colour is seen: the mutual
// information between the label of a pixel (a palette colour of the robot, or the band around it) and
// its colour cluster, times the number of pixels. It needs no mask and no knowledge of the light.
// q [n,nq], T_camera [n,4,4] (null: the view's own), cluster [H,W] < n_clusters, palette [m,3].
void drr_region_scores(const drr_tree* tree, const drr_splats* splats, int32_t n, const double* q,
                       const double* T_camera, const drr_view* view, const uint8_t* cluster,
                       int32_t n_clusters, const float* palette, int32_t n_palette, int32_t band,
                       double* scores) {
    const int nq = tree->tree.nq;
    drr::parallel_for(n, [&](int i, int) {
        static thread_local drr::RobotImage robot;
        drr_view own = *view;
        if (T_camera) std::memcpy(own.T_camera, T_camera + 16 * i, sizeof own.T_camera);
        robot.project(tree->tree, splats->splats, q + static_cast<size_t>(i) * nq, own, false);
        robot.composite(true, false, false, 0.0f, false);
        scores[i] = drr::region_score(own, robot, cluster, n_clusters, palette, n_palette, band);
    });
}

}  // extern "C"
