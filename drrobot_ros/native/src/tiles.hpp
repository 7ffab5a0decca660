// A tile's pixels in block order, and where they are in the image.
#pragma once
#include <cstring>

#include "raster.hpp"

namespace drr {

struct TilePlace {
    int x0, y0, width, height;  // px; width and height are less than TILE at the image's border
};

DRR_INLINE TilePlace place_of(const drr_raster_input& in, const TileLists& lists, int tile) {
    TilePlace p;
    p.x0 = tile % lists.tiles_x * TILE;
    p.y0 = tile / lists.tiles_x * TILE;
    p.width = in.width - p.x0 < TILE ? in.width - p.x0 : TILE;
    p.height = in.height - p.y0 < TILE ? in.height - p.y0 : TILE;
    return p;
}

// Position in a tile's arrays of its pixel (x, y).
DRR_INLINE int block_position(int x, int y) {
    const int block = x / BLOCK_W * 4 + y / BLOCK_H;
    return block * LANES + y % BLOCK_H * BLOCK_W + x % BLOCK_W;
}

// Calls fn(position, x, y, n) for every run of n pixels of the tile that lie side by side in its
// arrays, from `position` on, and in the image.
template <class Fn>
DRR_INLINE void for_pixel_runs(const TilePlace& p, Fn&& fn) {
    for (int y = 0; y < p.height; ++y) {
        const int in_row = y / BLOCK_H * LANES + y % BLOCK_H * BLOCK_W;
        for (int x = 0; x < p.width; x += BLOCK_W) {
            const int i = in_row + x / BLOCK_W * 4 * LANES;
            if (x + BLOCK_W <= p.width)
                fn(i, x, y, BLOCK_W);  // a constant: the compiler unrolls it
            else
                fn(i, x, y, p.width - x);
        }
    }
}

// Transmittance 1 inside the image; pixels of the tile outside it are done from the start: -1.
inline void start_transmittance(const TilePlace& p, float* T) {
    for (int i = 0; i < TILE * TILE; ++i) T[i] = 1.0f;
    if (p.width == TILE && p.height == TILE) return;
    for (int y = 0; y < TILE; ++y)
        for (int x = 0; x < TILE; ++x)
            if (x >= p.width || y >= p.height) T[block_position(x, y)] = -1.0f;
}

}  // namespace drr
