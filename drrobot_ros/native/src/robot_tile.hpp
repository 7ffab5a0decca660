// One tile of the robot's image: compositing, residuals, and their derivatives in the twists of the
// robot's bodies (links that move as one). Arrays of a tile are in block order (splat.hpp).
#pragma once
#include <cstdint>
#include <vector>

#include "gauss_newton.hpp"
#include "link_projection.hpp"
#include "tiles.hpp"

namespace drr {

constexpr int TILE_PIXELS = TILE * TILE;

inline TilePlace tile_place(int width, int height, int tiles_x, int tile) {
    TilePlace p;
    p.x0 = tile % tiles_x * TILE;
    p.y0 = tile / tiles_x * TILE;
    p.width = width - p.x0 < TILE ? width - p.x0 : TILE;
    p.height = height - p.y0 < TILE ? height - p.y0 : TILE;
    return p;
}

// What a tile shows; channels that nobody asked for hold nothing.
struct alignas(64) TileImage {
    float alpha[TILE_PIXELS];
    float channel[4][TILE_PIXELS];  // premultiplied red, green, blue, depth
};

// The splats that weigh more than the cutoff somewhere in a block of a tile, front to back.
struct BlockLists {
    static constexpr int AHEAD = 4;  // readable past the end of every list
    uint32_t* splats;
    uint32_t capacity;  // of each block
    uint32_t count[BLOCKS];
    const uint32_t* of(int block) const { return splats + (size_t)block * capacity; }
};

struct CompositeOptions {
    bool color, depth;
    bool record;       // make the block lists
    float cutoff;
    uint8_t* visible;  // set for the splats in the lists; by splat
};
// Composites the `count` splats of `entries`.
void composite_tile(const TilePlace& p, const Splat* splats, const Entry* entries, uint32_t count,
                    const CompositeOptions& options, BlockLists& lists, TileImage& image);

// Residuals of a tile, and what they are in terms of its channels: the colour residual c is
// of_color[c] * channel[c] + of_alpha[c] * alpha + constant, and so on.
enum { MASK = 3, DEPTH = 4, RESIDUALS = 5 };
struct alignas(64) TileResiduals {
    float residual[RESIDUALS][TILE_PIXELS];
    float of_color[3][TILE_PIXELS];
    float of_depth[TILE_PIXELS];
    float of_alpha[RESIDUALS][TILE_PIXELS];
    uint32_t blocks;  // in which some residual depends on the image
};

// Residuals times the square root of their weights, except that without `weigh` colour and mask are
// left as they are, for the blur. `s` gets the tile's statistics.
void tile_residuals(const drr_view& view, const TilePlace& p, const TileImage& image, bool weigh,
                    TileResiduals& r, drr_statistics& s);
// The same for a tile without the robot; residuals are made only without `weigh`.
void empty_tile_residuals(const drr_view& view, const TilePlace& p, bool weigh, TileResiduals& r,
                          drr_statistics& s);

// Huber's cost of |r| and the weight of its square.
DRR_INLINE vf huber(vf r, float limit, vf& weight) {
    const vi inlier = at_least(splat(limit), r);
    const vf quotient = limit / max(r, splat(limit));
    weight = select(inlier, splat(1.0f), quotient);
    return select(inlier, 0.5f * r * r, limit * (r - 0.5f * limit));
}

}  // namespace drr
