#include "binning.hpp"

#include <cstring>
#include <utility>

namespace drr {
namespace {

// Stable sort of n keys by their upper 32 bits, 11 bits at a time; returns the array with the result.
uint64_t* radix_sort(uint64_t* from, uint64_t* to, int n) {
    constexpr int BITS = 11, SIZE = 1 << BITS, PASSES = 3;
    uint32_t count[PASSES][SIZE];
    std::memset(count, 0, sizeof count);
    for (int i = 0; i < n; ++i) {
        uint32_t k = (uint32_t)(from[i] >> 32);
        for (int p = 0; p < PASSES; ++p) ++count[p][(k >> (p * BITS)) & (SIZE - 1)];
    }
    for (int p = 0; p < PASSES; ++p) {
        uint32_t* c = count[p];
        int shift = 32 + p * BITS;
        if (n == 0 || c[(from[0] >> shift) & (SIZE - 1)] == (uint32_t)n) continue;  // all equal here
        uint32_t start = 0;
        for (int b = 0; b < SIZE; ++b) {
            uint32_t here = c[b];
            c[b] = start;
            start += here;
        }
        for (int i = 0; i < n; ++i) to[c[(from[i] >> shift) & (SIZE - 1)]++] = from[i];
        std::swap(from, to);
    }
    return from;
}

}  // namespace

void TileLists::build(
    int n_splats, const float* depth, const TileRect* rect, int width, int height) {
    tiles_x = (width + TILE - 1) / TILE;
    tiles_y = (height + TILE - 1) / TILE;
    const int n_tiles = tiles_x * tiles_y;

    // Positive floats sort like their bits.
    uint64_t* keys = keys_.reserve(n_splats);
    uint32_t* first = splat_begin.reserve(n_splats + 1);
    uint32_t* begin = tile_begin.reserve(n_tiles + 1);
    std::memset(begin, 0, (n_tiles + 1) * sizeof *begin);
    int n_visible = 0;
    uint64_t slots = 0;
    for (int i = 0; i < n_splats; ++i) {
        first[i] = (uint32_t)slots;
        TileRect r = rect[i];
        int count = r.count();
        if (count == 0) continue;
        uint32_t bits;
        std::memcpy(&bits, &depth[i], 4);
        keys[n_visible++] = (uint64_t)bits << 32 | (uint32_t)i;
        slots += count;
        for (int y = r.y0; y < r.y1; ++y)
            for (int x = r.x0; x < r.x1; ++x) ++begin[y * tiles_x + x + 1];
    }
    if (slots > UINT32_MAX) throw std::bad_alloc();
    first[n_splats] = (uint32_t)slots;
    n_entries = (uint32_t)slots;
    keys = radix_sort(keys, keys_other_.reserve(n_visible), n_visible);

    for (int t = 0; t < n_tiles; ++t) begin[t + 1] += begin[t];
    uint32_t* cursor = cursor_.reserve(n_tiles);
    std::memcpy(cursor, begin, n_tiles * sizeof *cursor);
    Entry* out = entries.reserve(slots);
    for (int k = 0; k < n_visible; ++k) {
        uint32_t i = (uint32_t)keys[k];
        TileRect r = rect[i];
        uint32_t slot = first[i];
        for (int y = r.y0; y < r.y1; ++y)
            for (int x = r.x0; x < r.x1; ++x) out[cursor[y * tiles_x + x]++] = {i, slot++};
    }
}

}  // namespace drr
