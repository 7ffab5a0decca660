// Front-to-back lists of the splats that may touch each tile of an image.
#pragma once
#include <cstdint>

#include "memory.hpp"

namespace drr {

constexpr int TILE = 16;  // px

// Tiles [x0, x1) x [y0, y1); x1 <= x0 or y1 <= y0 for a splat that touches none.
struct TileRect {
    int16_t x0, y0, x1, y1;
    int count() const { return x1 > x0 && y1 > y0 ? (x1 - x0) * (y1 - y0) : 0; }
};

// One splat in one tile. Slots are numbered splat by splat, so what tiles write to their slots can
// be gathered per splat in a fixed order, whatever the threads did.
struct Entry {
    uint32_t splat;
    uint32_t slot;
};

struct TileLists {
    int tiles_x = 0, tiles_y = 0;
    uint32_t n_entries = 0;
    Buffer<uint32_t> tile_begin;   // [tiles_x * tiles_y + 1], tile t has [tile_begin[t], tile_begin[t+1])
    Buffer<Entry> entries;         // [n_entries], each tile's by increasing depth, ties by index
    Buffer<uint32_t> splat_begin;  // [n_splats + 1], splat i has slots [splat_begin[i], splat_begin[i+1])

    // depth[i] must be positive wherever rect[i] is not empty.
    void build(int n_splats, const float* depth, const TileRect* rect, int width, int height);

  private:
    Buffer<uint64_t> keys_, keys_other_;
    Buffer<uint32_t> cursor_;
};

}  // namespace drr
