// Compositing a tile of the robot; the rasterizer's arithmetic (forward.cpp) with notes for tangents.
#include "robot_tile.hpp"

namespace drr {
namespace {

template <int FIRST, int LAST, bool RECORD>
DRR_INLINE bool add_splat(const Splat* splats, uint32_t id, uint32_t blocks, vf px, vf py, float cutoff,
                          BlockLists& lists, TileImage& image) {
    const Splat& s = splats[id];
    const vf x = px - s.mx, y = py - s.my;
    float* T = image.alpha;
    bool counts = false;
    while (blocks) {
        const int b = __builtin_ctz(blocks), at = b * LANES;
        blocks &= blocks - 1;
        const vf dy = y + BLOCK_CORNERS.y[b], p = x + BLOCK_CORNERS.x[b] - s.kx * dy;
        const vf u = exponent(s, p, dy);
        const vf t = load(T + at);
        const vi inside = at_least(u, splat(MIN_U)) & above(t, vf{});
        const vf a = min(exp2(u), splat(MAX_ALPHA));
        const vf next = t - a * t;
        const vi add = inside & above(next, splat(MIN_T));
        const vf w = keep(add, t - next);
        for (int c = FIRST; c < LAST; ++c)
            store(image.channel[c] + at, load(image.channel[c] + at) + s.color[c] * w);
        // A pixel whose transmittance would fall to MIN_T is done: the sign says so.
        store(T + at, select(inside, select(add, next, -t), t));
        if (RECORD) {
            const bool here = any(above(w, splat(cutoff)));
            lists.splats[(size_t)b * lists.capacity + lists.count[b]] = id;
            lists.count[b] += here;
            counts |= here;
        }
    }
    return counts;
}

// Channels [FIRST, LAST) of red, green, blue, depth.
template <int FIRST, int LAST, bool RECORD>
void composite(const TilePlace& p, const Splat* splats, const Entry* entries, uint32_t n,
               const CompositeOptions& options, BlockLists& lists, TileImage& image) {
    start_transmittance(p, image.alpha);
    for (int c = FIRST; c < LAST; ++c) std::memset(image.channel[c], 0, sizeof image.channel[c]);
    if (RECORD) std::memset(lists.count, 0, sizeof lists.count);
    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    constexpr uint32_t BATCH = 16;
    uint32_t blocks[BATCH];
    for (uint32_t first = 0; first < n; first += BATCH) {
        uint32_t open = 0;  // blocks with a pixel that is not done
        for (int b = 0; b < BLOCKS; ++b)
            open |= (uint32_t)any(above(load(image.alpha + b * LANES), vf{})) << b;
        if (!open) break;
        const uint32_t count = n - first < BATCH ? n - first : BATCH;
        for (uint32_t i = 0; i < count; ++i)
            blocks[i] =
                blocks_touched(splats[entries[first + i].splat], (float)p.x0, (float)p.y0) & open;
        for (uint32_t i = 0; i < count; ++i) {
            const uint32_t id = entries[first + i].splat;
            const bool counts = add_splat<FIRST, LAST, RECORD>(splats, id, blocks[i], px, py,
                                                               options.cutoff, lists, image);
            // Other tiles may set the same byte at the same time.
            if (RECORD && counts) __atomic_store_n(options.visible + id, 1, __ATOMIC_RELAXED);
        }
    }
    if (RECORD)  // for reading ahead
        for (int b = 0; b < BLOCKS; ++b)
            for (int i = 0; i < BlockLists::AHEAD; ++i)
                lists.splats[(size_t)b * lists.capacity + lists.count[b] + i] = 0;
    for (int i = 0; i < TILE_PIXELS; i += LANES)
        store(image.alpha + i, 1.0f - abs(load(image.alpha + i)));
}

template <bool RECORD>
auto kernel(bool color, bool depth) {
    if (color) return depth ? composite<0, 4, RECORD> : composite<0, 3, RECORD>;
    return depth ? composite<3, 4, RECORD> : composite<0, 0, RECORD>;
}

}  // namespace

void composite_tile(const TilePlace& p, const Splat* splats, const Entry* entries, uint32_t count,
                    const CompositeOptions& options, BlockLists& lists, TileImage& image) {
    const auto fn = options.record ? kernel<true>(options.color, options.depth)
                                   : kernel<false>(options.color, options.depth);
    fn(p, splats, entries, count, options, lists, image);
}

}  // namespace drr
