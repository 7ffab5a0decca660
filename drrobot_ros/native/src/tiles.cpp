// One tile of an image: compositing and its derivative.
#include <cstring>

#include "raster.hpp"

namespace drr {
namespace {

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

// Transmittance 1 inside the image; pixels of the tile outside it are done from the start.
void start_transmittance(const TilePlace& p, float* T) {
    for (int i = 0; i < TILE * TILE; ++i) T[i] = 1.0f;
    if (p.width == TILE && p.height == TILE) return;
    for (int y = 0; y < TILE; ++y)
        for (int x = 0; x < TILE; ++x)
            if (x >= p.width || y >= p.height) T[block_position(x, y)] = -1.0f;
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
        for (int y = p.y0; y < p.y0 + p.height; ++y) {
            const size_t row = (size_t)y * in.width + p.x0;
            if (with_alpha) std::memset(alpha_image + row, 0, p.width * sizeof(float));
            float* out = image + row * channels + start;
            for (int x = 0; x < p.width; ++x)
                for (int d = 0; d < D; ++d) out[(size_t)x * channels + d] = back[d];
        }
        return;
    }

    alignas(64) float T[TILE * TILE];
    alignas(64) float sum[D][TILE * TILE];
    start_transmittance(p, T);
    std::memset(sum, 0, sizeof sum);
    uint32_t open = 0;  // blocks with a pixel that is not done
    for (int b = 0; b < BLOCKS; ++b)
        if (any(load(T + b * LANES) > 0.0f)) open |= 1u << b;

    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    uint32_t n_used = 0;
    for (uint32_t e = begin; e < end && open; ++e) {
        const Entry entry = entries[e];
        const Splat& s = view.splats[entry.splat];
        uint32_t todo = blocks_touched(s, (float)p.x0, (float)p.y0) & open;
        uint32_t composited = 0;
        const vf x_rel = px - s.mx, y_rel = py - s.my;
        while (todo) {
            const int b = __builtin_ctz(todo);
            todo &= todo - 1;
            const vf u = exponent(s, x_rel + block_x(b), y_rel + block_y(b));
            const vf t = load(T + b * LANES);
            const vi inside = (u >= MIN_U) & (t > 0.0f);
            const vf a = min(exp2(u), splat(MAX_ALPHA));
            const vf next = t - a * t;
            const vi add = inside & (next > MIN_T);
            const vf w = keep(add, t - next);
            for (int d = 0; d < D; ++d)
                store(sum[d] + b * LANES, load(sum[d] + b * LANES) + s.color[d] * w);
            // A pixel that would fall to MIN_T is done: its sign says so.
            const vf new_t = select(inside, select(add, next, -t), t);
            store(T + b * LANES, new_t);
            composited |= (uint32_t)any(add) << b;
            open &= ~((uint32_t)!any(new_t > 0.0f) << b);
        }
        if (keep_record && with_alpha) {
            view.used[entry.slot] = composited != 0;
            entries[begin + n_used] = entry;
            view.blocks[begin + n_used] = composited;
            n_used += composited != 0;
        }
    }

    float* final_T = view.final_T.data() + (size_t)tile * TILE * TILE;
    if (keep_record && with_alpha) {
        view.n_used[tile] = n_used;
        for (int i = 0; i < TILE * TILE; ++i) final_T[i] = T[i] < 0.0f ? -T[i] : T[i];
    }
    const bool divide = in.depth == DRR_DEPTH_EXPECTED && start + D == channels;
    for (int y = 0; y < p.height; ++y) {
        const size_t row = (size_t)(p.y0 + y) * in.width + p.x0;
        float* out = image + row * channels + start;
        for (int x = 0; x < p.width; ++x) {
            const int i = block_position(x, y);
            const float t = T[i] < 0.0f ? -T[i] : T[i], alpha = 1.0f - t;
            if (with_alpha) alpha_image[row + x] = alpha;
            for (int d = 0; d < D; ++d) {
                float value = sum[d][i] + t * back[d];
                if (divide && d == D - 1) value /= alpha > 1e-10f ? alpha : 1e-10f;
                out[(size_t)x * channels + d] = value;
            }
        }
    }
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#define DRR_NO_SHUFFLE
#endif

// out[k] = sum of the lanes of v[k], for k < K <= 16.
template <int K>
DRR_INLINE void sum_lanes(const vf* v, float* out) {
#if defined(DRR_NO_SHUFFLE)
    for (int k = 0; k < K; ++k) out[k] = sum(v[k]);
#else
    typedef Vec<4>::f f4;
    typedef Vec<4>::fu f4u;
    f4 q[(K + 3) / 4 * 4] = {};
    for (int k = 0; k < K; ++k) {
        alignas(64) f4 part[LANES / 4];
        std::memcpy(part, &v[k], sizeof part);
        q[k] = part[0] + part[1];
        for (int i = 2; i < LANES / 4; ++i) q[k] += part[i];
    }
    for (int k = 0; k < K; k += 4) {
        const f4 a = __builtin_shufflevector(q[k], q[k + 1], 0, 4, 1, 5) +
                     __builtin_shufflevector(q[k], q[k + 1], 2, 6, 3, 7);
        const f4 b = __builtin_shufflevector(q[k + 2], q[k + 3], 0, 4, 1, 5) +
                     __builtin_shufflevector(q[k + 2], q[k + 3], 2, 6, 3, 7);
        *(f4u*)(out + k) = __builtin_shufflevector(a, b, 0, 1, 4, 5) +
                           __builtin_shufflevector(a, b, 2, 3, 6, 7);
    }
#endif
}

template <int D>
void backward(
    const drr_raster_input& in, int tile, int chunk, const View& view, const float* image,
    const float* alpha_image, const float* image_gradient, const float* alpha_gradient,
    Record* records) {
    const uint32_t n_used = view.n_used[tile];
    if (n_used == 0) return;
    const TilePlace p = place_of(in, view.lists, tile);
    const int start = chunk * MAX_CHANNELS, channels = image_channels(in);
    const bool divide = in.depth == DRR_DEPTH_EXPECTED && start + D == channels;

    // Per pixel: dL/d(sums), and rest = the part of the image, weighted by the gradient, that lies
    // behind the splat in turn.
    alignas(64) float T[TILE * TILE], rest[TILE * TILE], grad[D][TILE * TILE];
    start_transmittance(p, T);
    if (p.width < TILE || p.height < TILE) {
        std::memset(rest, 0, sizeof rest);
        std::memset(grad, 0, sizeof grad);
    }
    const float* final_T = view.final_T.data() + (size_t)tile * TILE * TILE;
    for (int y = 0; y < p.height; ++y) {
        const size_t row = (size_t)(p.y0 + y) * in.width + p.x0;
        for (int x = 0; x < p.width; ++x) {
            const int i = block_position(x, y);
            const float* out = image + (row + x) * channels + start;
            const float* g = image_gradient + (row + x) * channels + start;
            float g_alpha = chunk == 0 && alpha_gradient ? alpha_gradient[row + x] : 0.0f;
            float r = 0.0f;
            for (int d = 0; d < D; ++d) {
                float gd = g[d];
                if (divide && d == D - 1) {
                    const float alpha = alpha_image[row + x];
                    gd /= alpha > 1e-10f ? alpha : 1e-10f;
                    // value = sum / alpha: dL/d(sum) * sum = g * value, and alpha takes its share.
                    r += g[d] * out[d];
                    if (alpha > 1e-10f) g_alpha -= gd * out[d];
                } else {
                    r += gd * out[d];
                }
                grad[d][i] = gd;
            }
            rest[i] = r - final_T[i] * g_alpha;
        }
    }

    const Entry* entries = view.lists.entries.data();
    const uint32_t begin = view.lists.tile_begin[tile];
    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    for (uint32_t e = begin; e < begin + n_used; ++e) {
        const Entry entry = entries[e];
        const Splat& s = view.splats[entry.splat];
        uint32_t todo = view.blocks[e];
        const vf x_rel = px - s.mx, y_rel = py - s.my;
        vf m[6 + D] = {};
        while (todo) {
            const int b = __builtin_ctz(todo);
            todo &= todo - 1;
            const vf dx = x_rel + block_x(b), dy = y_rel + block_y(b);
            const vf u = exponent(s, dx, dy);
            const vf t = load(T + b * LANES);
            const vf full = exp2(u), a = min(full, splat(MAX_ALPHA));
            const vf next = t - a * t;
            // As in the forward pass, except that T is 0 once a pixel is done.
            const vi inside = u >= MIN_U, stays = next > MIN_T, add = inside & stays;
            const vf w = keep(add, t - next);
            vf cg = s.color[0] * load(grad[0] + b * LANES);
            m[6] += w * load(grad[0] + b * LANES);
            for (int d = 1; d < D; ++d) {
                const vf g = load(grad[d] + b * LANES);
                cg += s.color[d] * g;
                m[6 + d] += w * g;
            }
            const vf r = load(rest + b * LANES) - w * cg;
            store(rest + b * LANES, r);
            store(T + b * LANES, select(inside, keep(stays, next), t));
            // dL/dalpha = T c.g - rest / (1 - alpha); none where alpha is bounded.
            const vi free = add & (full <= MAX_ALPHA);
            const vf v = keep(free, a * (t * cg - r / (1.0f - a)));
            const vf vx = v * dx, vy = v * dy;
            m[0] += v;
            m[1] += vx;
            m[2] += vy;
            m[3] += vx * dx;
            m[4] += vx * dy;
            m[5] += vy * dy;
        }
        alignas(64) float total[16] = {};
        sum_lanes<6 + D>(m, total);
        float* out = &records[entry.slot].v;
        if (chunk > 0)
            for (int k = 0; k < 6; ++k) total[k] += out[k];
        std::memcpy(out, total, sizeof total);
    }
}

}  // namespace

void forward_tile(
    const drr_raster_input& in, int camera, int tile, int chunk, bool keep_record, View& view,
    float* image, float* alpha) {
    switch (chunk_size(in, chunk)) {
        case 1: return forward<1>(in, camera, tile, chunk, keep_record, view, image, alpha);
        case 2: return forward<2>(in, camera, tile, chunk, keep_record, view, image, alpha);
        case 3: return forward<3>(in, camera, tile, chunk, keep_record, view, image, alpha);
        default: return forward<4>(in, camera, tile, chunk, keep_record, view, image, alpha);
    }
}

void backward_tile(
    const drr_raster_input& in, int tile, int chunk, const View& view, const float* image,
    const float* alpha, const float* image_gradient, const float* alpha_gradient,
    Record* records) {
    switch (chunk_size(in, chunk)) {
        case 1:
            return backward<1>(
                in, tile, chunk, view, image, alpha, image_gradient, alpha_gradient, records);
        case 2:
            return backward<2>(
                in, tile, chunk, view, image, alpha, image_gradient, alpha_gradient, records);
        case 3:
            return backward<3>(
                in, tile, chunk, view, image, alpha, image_gradient, alpha_gradient, records);
        default:
            return backward<4>(
                in, tile, chunk, view, image, alpha, image_gradient, alpha_gradient, records);
    }
}

}  // namespace drr
