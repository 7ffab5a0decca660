// Compositing one tile of an image.
#include "tiles.hpp"

namespace drr {
namespace {

// Adds one splat to the given blocks of a tile; returns those in which it counted for some pixel.
template <int D>
DRR_INLINE uint32_t composite(
    const Splat& s, uint32_t blocks, vf px, vf py, float* T, float (*sum)[TILE * TILE]) {
    const vf x = px - s.mx, y = py - s.my;
    uint32_t composited = 0;
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
        for (int d = 0; d < D; ++d) store(sum[d] + at, load(sum[d] + at) + s.color[d] * w);
        // A pixel whose transmittance would fall to MIN_T is done: the sign says so.
        store(T + at, select(inside, select(add, next, -t), t));
        composited |= (uint32_t)any(add) << b;
    }
    return composited;
}

template <int D>
void fill_background(
    const TilePlace& p, int width, int channels, const float* back, float* image, float* alpha) {
    for (int y = p.y0; y < p.y0 + p.height; ++y) {
        const size_t row = (size_t)y * width + p.x0;
        if (alpha) std::memset(alpha + row, 0, p.width * sizeof(float));
        float* out = image + row * channels;
        for (int x = 0; x < p.width; ++x)
            for (int d = 0; d < D; ++d) out[(size_t)x * channels + d] = back[d];
    }
}

template <int D>
void forward(
    const drr_raster_input& in, int camera, int tile, int chunk, bool keep_record, View& view,
    float* image, float* alpha_image) {
    const TilePlace p = place_of(in, view.lists, tile);
    const int start = chunk * MAX_CHANNELS, channels = image_channels(in);
    const float* background =
        in.backgrounds ? in.backgrounds + (size_t)camera * in.channels : nullptr;
    float back[D];
    for (int d = 0; d < D; ++d)
        back[d] = background && start + d < in.channels ? background[start + d] : 0.0f;

    Entry* entries = view.lists.entries.data();
    const bool with_alpha = chunk == 0;
    const uint32_t begin = view.lists.tile_begin[tile];
    // Later chunks find the list cut down to the entries that count.
    const uint32_t end = keep_record && !with_alpha ? begin + view.n_used[tile]
                                                    : view.lists.tile_begin[tile + 1];
    if (begin == end) {
        if (keep_record && with_alpha) view.n_used[tile] = 0;
        return fill_background<D>(p, in.width, channels, back, image + start,
                                  with_alpha ? alpha_image : nullptr);
    }

    alignas(64) float T[TILE * TILE];
    alignas(64) float sum[D][TILE * TILE];
    start_transmittance(p, T);
    std::memset(sum, 0, sizeof sum);
    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    uint32_t n_used = 0;
    // In batches, so that which blocks to visit is known long before it is branched on.
    constexpr uint32_t BATCH = 16;
    uint32_t blocks[BATCH];
    for (uint32_t first = begin; first < end; first += BATCH) {
        uint32_t open = 0;  // blocks with a pixel that is not done
        for (int b = 0; b < BLOCKS; ++b)
            open |= (uint32_t)any(above(load(T + b * LANES), vf{})) << b;
        if (!open) break;
        const uint32_t count = end - first < BATCH ? end - first : BATCH;
        for (uint32_t i = 0; i < count; ++i) {
            const Splat& s = view.splats[entries[first + i].splat];
            blocks[i] = blocks_touched(s, (float)p.x0, (float)p.y0) & open;
        }
        for (uint32_t i = 0; i < count; ++i) {
            const Entry entry = entries[first + i];
            const uint32_t composited =
                composite<D>(view.splats[entry.splat], blocks[i], px, py, T, sum);
            if (keep_record && with_alpha) {
                view.used[entry.slot] = composited != 0;
                entries[begin + n_used] = entry;
                view.blocks[begin + n_used] = composited;
                n_used += composited != 0;
            }
        }
    }
    if (keep_record && with_alpha) {
        view.n_used[tile] = n_used;
        float* final_T = view.final_T.data() + (size_t)tile * TILE * TILE;
        for (int i = 0; i < TILE * TILE; i += LANES) store(final_T + i, abs(load(T + i)));
    }

    const bool divide = in.depth == DRR_DEPTH_EXPECTED && start + D == channels;
    float* alpha_tile = T;
    for (int i = 0; i < TILE * TILE; i += LANES) {
        const vf t = abs(load(T + i)), alpha = 1.0f - t;
        store(alpha_tile + i, alpha);
        for (int d = 0; d < D; ++d) {
            vf value = load(sum[d] + i) + t * back[d];
            if (divide && d == D - 1) value = value / max(alpha, splat(1e-10f));
            store(sum[d] + i, value);
        }
    }
    for_pixel_runs(p, [&](int i, int x, int y, int n) {
        const size_t pixel = (size_t)(p.y0 + y) * in.width + p.x0 + x;
        if (with_alpha) std::memcpy(alpha_image + pixel, alpha_tile + i, n * sizeof(float));
        float* out = image + pixel * channels + start;
        for (int l = 0; l < n; ++l)
            for (int d = 0; d < D; ++d) out[l * channels + d] = sum[d][i + l];
    });
}

}  // namespace

void forward_tile(
    const drr_raster_input& in, int camera, int tile, int chunk, bool keep_record, View& view,
    float* image, float* alpha) {
    const auto kernel = [&]() {
        switch (chunk_size(in, chunk)) {
            case 1: return forward<1>;
            case 2: return forward<2>;
            case 3: return forward<3>;
            default: return forward<4>;
        }
    }();
    kernel(in, camera, tile, chunk, keep_record, view, image, alpha);
}

}  // namespace drr
