#include "robot_image.hpp"

#include <algorithm>

namespace drr {

void RobotImage::project(const Tree& tree, const LinkSplats& robot, const double* q,
                         const drr_view& view, bool threaded) {
    width = view.width;
    height = view.height;
    n_splats = robot.count();
    link.resize(tree.n_links);
    joint.resize(tree.n_links);
    T_camera_link.resize(tree.n_links);
    tree.forward(q, link.data(), joint.data());
    const Pose T = pose_from_matrix(view.T_camera);
    T_camera_base = inverse(view.camera_link < 0 ? T : compose(link[view.camera_link], T));
    for (int l = 0; l < tree.n_links; ++l) T_camera_link[l] = compose(T_camera_base, link[l]);

    splats.reserve(n_splats);
    rects.reserve(n_splats);
    depths.reserve(n_splats);
    const int groups = static_cast<int>(robot.groups.size());
    for_tasks(threaded, (groups + GROUP_CHUNK - 1) / GROUP_CHUNK, [&](int i) {
        const int first = i * GROUP_CHUNK;
        project_links(robot, view, T_camera_link.data(), first, std::min(groups, first + GROUP_CHUNK),
                      splats.data(), rects.data(), depths.data());
    });
    lists.build(n_splats, depths.data(), rects.data(), width, height);
}

void RobotImage::composite(bool color, bool depth, bool record, float cutoff, bool threaded) {
    const int n = tiles();
    images.reserve(n);
    block_lists.resize(n);
    constexpr size_t AHEAD = BlockLists::AHEAD;
    if (record) {
        listed_.reserve((lists.n_entries + n * AHEAD) * BLOCKS);
        std::memset(visible.reserve(n_splats), 0, n_splats);
    }
    const CompositeOptions options = {color, depth, record, cutoff, visible.data()};
    for_tasks(threaded, n, [&](int t) {
        const uint32_t begin = lists.tile_begin[t], count = lists.tile_begin[t + 1] - begin;
        if (count == 0) return;
        if (record) {
            block_lists[t].splats = listed_.data() + (begin + t * AHEAD) * BLOCKS;
            block_lists[t].capacity = count + AHEAD;
        }
        composite_tile(place(t), splats.data(), lists.entries.data() + begin, count, options,
                       block_lists[t], images[t]);
    });
}

}  // namespace drr
