#include "gauss_newton.hpp"

#include <algorithm>

#include "blurred_rows.hpp"
#include "robot_image.hpp"

namespace drr {
namespace {

// Everything one evaluation needs, kept between calls to save the allocations.
struct Workspace {
    RobotImage robot;
    Bodies bodies;
    std::vector<int16_t> body_of_group;
    Buffer<Tangent> tangents;  // by splat
    std::vector<drr_statistics> statistics;
    std::vector<NormalSums> tile_sums, row_sums;
    BlurredRows blurred;
};

void add_statistics(drr_statistics& a, const drr_statistics& b) {
    a.color_cost += b.color_cost, a.mask_cost += b.mask_cost, a.depth_cost += b.depth_cost;
    a.color_count += b.color_count, a.mask_count += b.mask_count, a.depth_count += b.depth_count;
    a.inside += b.inside, a.inside_error += b.inside_error;
    a.intersection += b.intersection, a.union_ += b.union_;
    a.depth_inliers += b.depth_inliers;
    for (int c = 0; c < 3; ++c)
        for (int k = 0; k < 5; ++k) a.fit[c][k] += b.fit[c][k];
}

void find_tangents(const LinkSplats& splats, const drr_view& view, Workspace& ws) {
    const int groups = static_cast<int>(splats.groups.size());
    ws.body_of_group.resize(groups);
    ws.tangents.reserve(splats.count());
    for_tasks(true, (groups + GROUP_CHUNK - 1) / GROUP_CHUNK, [&](int task) {
        for (int g = task * GROUP_CHUNK; g < std::min(groups, (task + 1) * GROUP_CHUNK); ++g) {
            const int link = splats.groups[g].link, body = ws.bodies.of_link[link];
            ws.body_of_group[g] = static_cast<int16_t>(body);
            if (body < 0) continue;
            group_tangents(splats.groups[g], view, ws.robot.T_camera_link[link],
                           &ws.bodies.center[3 * body], ws.robot.visible.data() + g * GROUP,
                           ws.tangents.data() + g * GROUP);
        }
    });
}

// Copies a tile into the images that are wanted.
void write_images(const drr_images& images, const RobotImage& robot, int t) {
    const TilePlace p = robot.place(t);
    const bool empty = robot.empty(t);
    const TileImage& from = robot.images[t];
    for_pixel_runs(p, [&](int i, int x, int y, int n) {
        const size_t at = static_cast<size_t>(p.y0 + y) * robot.width + p.x0 + x;
        for (int l = 0; l < n; ++l) {
            if (images.alpha) images.alpha[at + l] = empty ? 0.0f : from.alpha[i + l];
            if (images.depth) images.depth[at + l] = empty ? 0.0f : from.channel[3][i + l];
            if (images.rgb)
                for (int c = 0; c < 3; ++c)
                    images.rgb[3 * (at + l) + c] = empty ? 0.0f : from.channel[c][i + l];
        }
    });
}

// Jacobian images of a tile: of the channels themselves, which are linear residuals too.
void write_jacobian(float* to, int n, const MovingSplats& moving, const Workspace& ws, int t) {
    const RobotImage& robot = ws.robot;
    const TilePlace p = robot.place(t);
    const auto at = [&](int x, int y) {
        return to + (static_cast<size_t>(p.y0 + y) * robot.width + p.x0 + x) * RESIDUALS * n;
    };
    for (int y = 0; y < p.height; ++y)
        std::memset(at(0, y), 0, sizeof(float) * p.width * RESIDUALS * n);
    if (robot.empty(t)) return;
    static thread_local TileResiduals r;
    std::memset(&r, 0, sizeof r);
    r.blocks = ALL_BLOCKS;
    for (int i = 0; i < TILE_PIXELS; ++i)
        r.of_color[0][i] = r.of_color[1][i] = r.of_color[2][i] = r.of_depth[i] =
            r.of_alpha[MASK][i] = 1.0f;
    static thread_local std::vector<float> rows;
    const int padded = ws.bodies.padded;
    rows.resize(static_cast<size_t>(LANES) * RESIDUALS * padded);
    tile_jacobian<Rows<true, true, true>>(
        moving, p, robot.images[t], r, robot.block_lists[t], [&](int b, const BlockJacobian& J) {
            expand_block(J, RESIDUALS, ws.bodies, rows.data());
            for (int l = 0; l < LANES; ++l) {
                const int x = b / 4 * BLOCK_W + l % BLOCK_W, y = b % 4 * BLOCK_H + l / BLOCK_W;
                if (x >= p.width || y >= p.height) continue;
                for (int c = 0; c < RESIDUALS; ++c)
                    std::memcpy(at(x, y) + c * n, &rows[(l * RESIDUALS + c) * padded],
                                n * sizeof(float));
            }
        });
}

// Starts the blur around the tiles with the robot.
void start_blur(const drr_view& view, bool want_sums, Workspace& ws) {
    int x0 = view.width, y0 = view.height, x1 = 0, y1 = 0;
    for (int t = 0; t < ws.robot.tiles(); ++t) {
        if (ws.robot.empty(t)) continue;
        const TilePlace p = ws.robot.place(t);
        x0 = std::min(x0, p.x0), y0 = std::min(y0, p.y0);
        x1 = std::max(x1, p.x0 + p.width), y1 = std::max(y1, p.y0 + p.height);
    }
    ws.blurred.start(view, want_sums ? &ws.bodies : nullptr, x0, y0, x1, y1);
}

// Residuals of a tile, and their derivatives into sums or rows to be blurred.
void evaluate_tile(const drr_view& view, bool blur, bool want_sums, const MovingSplats& moving, int t,
                   Workspace& ws) {
    static thread_local TileResiduals residuals;
    static thread_local TileSums sums;
    const RobotImage& robot = ws.robot;
    const TilePlace p = robot.place(t);
    drr_statistics& s = ws.statistics[t];
    const bool empty = robot.empty(t);
    if (empty)
        empty_tile_residuals(view, p, !blur, residuals, s);
    else
        tile_residuals(view, p, robot.images[t], !blur, residuals, s);
    if (blur) ws.blurred.set_residuals(p, residuals);
    if (!want_sums) return;
    ws.tile_sums[t].pairs.clear();
    ws.tile_sums[t].products.clear();
    if (empty) return;
    if (blur)
        with_rows(view.target, view.mask, false, [&](auto rows) {
            using R = decltype(rows);
            tile_jacobian<R>(moving, p, robot.images[t], residuals, robot.block_lists[t],
                             [&](int b, const BlockJacobian& J) { ws.blurred.add<R>(p, J, b); });
        });
    sums.start(ws.bodies, ws.tile_sums[t]);
    with_rows(!blur && view.target, !blur && view.mask, view.depth, [&](auto rows) {
        using R = decltype(rows);
        tile_jacobian<R>(moving, p, robot.images[t], residuals, robot.block_lists[t],
                         [&](int b, const BlockJacobian& J) { sums.add<R>(J, residuals, b); });
    });
    sums.finish();
}

void run_on_pool(int n, void (*call)(void*, int), void* closure) {
    parallel_for(n, [&](int i, int) { call(closure, i); });
}

void evaluate(const Tree& tree, const LinkSplats& splats, const double* q, const drr_view& view,
              const drr_parameters& par, double* H, double* g, drr_statistics& stats,
              const drr_images* images, Workspace& ws) {
    float* jacobian = images ? images->jacobian : nullptr;
    const bool want_jacobian = par.n > 0 && (H || jacobian), want_sums = par.n > 0 && H;
    const bool residuals = view.target || view.mask;
    const bool blur = residuals && view.blur_radius > 0 && view.blur_passes > 0;
    const bool color = view.target || jacobian || (images && images->rgb);
    const bool depth = view.depth || jacobian || (images && images->depth);
    RobotImage& robot = ws.robot;

    robot.project(tree, splats, q, view, true);
    robot.composite(color, depth, want_jacobian, par.cutoff, true);
    MovingSplats moving = {robot.splats.data(), nullptr, nullptr, 0};
    if (want_jacobian) {
        ws.bodies.build(tree, splats, view, par, robot.link.data(), robot.joint.data(),
                        robot.T_camera_base, robot.T_camera_link.data());
        find_tangents(splats, view, ws);
        moving = {robot.splats.data(), ws.tangents.data(), ws.body_of_group.data(), ws.bodies.count};
        for (int i = 0; i < robot.n_splats; ++i) stats.n_visible += robot.visible[i];
    }

    const int n_tiles = robot.tiles();
    ws.statistics.assign(n_tiles, drr_statistics{});
    if (static_cast<int>(ws.tile_sums.size()) < n_tiles) ws.tile_sums.resize(n_tiles);
    if (blur) start_blur(view, want_sums, ws);
    for_tasks(true, n_tiles, [&](int t) {
        if (images) write_images(*images, robot, t);
        if (jacobian) write_jacobian(jacobian, par.n, moving, ws, t);
        evaluate_tile(view, blur, want_sums, moving, t, ws);
    });

    // Tiles in their order: the sums do not depend on the number of threads.
    for (const drr_statistics& tile : ws.statistics) add_statistics(stats, tile);
    int n_rows = 0;
    if (blur) n_rows = ws.blurred.blur(run_on_pool, stats, ws.row_sums);
    stats.cost = stats.color_cost + stats.mask_cost + stats.depth_cost;
    if (!want_sums) return;
    std::vector<const NormalSums*> all;
    for (int t = 0; t < n_tiles; ++t) all.push_back(&ws.tile_sums[t]);
    for (int y = 0; y < n_rows; ++y) all.push_back(&ws.row_sums[y]);
    assemble(ws.bodies, all, par.n, H, g);
}

Workspace& workspace() {
    static thread_local Workspace ws;
    return ws;
}

}  // namespace
}  // namespace drr

extern "C" {

// Largest number of parameters one call takes.
int32_t drr_max_parameters() { return 256; }

// Renders the robot at q and returns the residuals' statistics; with H [n,n] and g [n] also the
// normal equations; with images also the rendering. Returns 0, or 1 for too many parameters.
int32_t drr_evaluate(const drr_tree* tree, const drr_splats* splats, const double* q,
                     const drr_view* view, const drr_parameters* parameters, double* H, double* g,
                     drr_statistics* statistics, const drr_images* images) {
    if (parameters->n > drr_max_parameters()) return 1;
    *statistics = drr_statistics{};
    drr::evaluate(tree->tree, splats->splats, q, *view, *parameters, H, g, *statistics, images,
                  drr::workspace());
    return 0;
}

}  // extern "C"
