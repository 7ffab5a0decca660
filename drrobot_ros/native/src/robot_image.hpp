// The robot's image at one configuration: what drr_evaluate and drr_region_scores begin with.
#pragma once
#include <vector>

#include "binning.hpp"
#include "parallel.hpp"
#include "robot_tile.hpp"

namespace drr {

template <class F>
void for_tasks(bool threaded, int n, const F& fn) {
    if (threaded)
        parallel_for(n, [&](int i, int) { fn(i); });
    else
        for (int i = 0; i < n; ++i) fn(i);
}

constexpr int GROUP_CHUNK = 32;  // groups per task

class RobotImage {
  public:
    // Poses, splats on the image, tile lists. `threaded`: use the pool.
    void project(const Tree& tree, const LinkSplats& splats, const double* q, const drr_view& view,
                 bool threaded);
    // Composites all tiles. With a record, `block_lists` name the splats that weigh more than the cutoff.
    void composite(bool color, bool depth, bool record, float cutoff, bool threaded);

    int tiles() const { return lists.tiles_x * lists.tiles_y; }
    TilePlace place(int tile) const { return tile_place(width, height, lists.tiles_x, tile); }
    bool empty(int tile) const { return lists.tile_begin[tile] == lists.tile_begin[tile + 1]; }

    int width = 0, height = 0, n_splats = 0;
    std::vector<Pose> link, joint, T_camera_link;
    Pose T_camera_base;
    Buffer<Splat> splats;
    Buffer<TileRect> rects;
    Buffer<float> depths;
    TileLists lists;
    Buffer<TileImage> images;   // by tile; nothing where the tile is empty
    std::vector<BlockLists> block_lists;  // by tile
    Buffer<uint8_t> visible;    // by splat

  private:
    Buffer<uint32_t> listed_;
};

}  // namespace drr
