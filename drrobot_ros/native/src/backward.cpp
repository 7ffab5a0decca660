// The derivative of one tile of an image, front to back like the image itself.
#include "tiles.hpp"

namespace drr {
namespace {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#define DRR_NO_SHUFFLE
#endif

// out[k] = sum of the lanes of v[k], for k < K <= 16; always in the same order.
template <int K>
DRR_INLINE void sum_lanes(const vf* v, float* out) {
#if defined(DRR_NO_SHUFFLE)
    for (int k = 0; k < K; ++k) out[k] = sum(v[k]);
#else
    // Within each quarter of 4 lanes: sums of neighbours of a, then of b.
    const auto add_pairs = [](vf a, vf b) {
#if defined(__AVX512F__)
        return __builtin_shufflevector(
                   a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
               __builtin_shufflevector(
                   a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
#else
        return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
               __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
#endif
    };
    typedef Vec<4>::f f4;
    typedef Vec<4>::fu f4u;
    const auto at = [&](int k) { return k < K ? v[k] : vf{}; };
    for (int k = 0; k < K; k += 4) {
        const vf first = add_pairs(at(k), at(k + 1));
        const vf second = k + 2 < K ? add_pairs(at(k + 2), at(k + 3)) : vf{};
        const vf all = add_pairs(first, second);
        f4 part[LANES / 4];
        std::memcpy(part, &all, sizeof part);
#if defined(__AVX512F__)
        *(f4u*)(out + k) = (part[0] + part[2]) + (part[1] + part[3]);
#else
        *(f4u*)(out + k) = part[0] + part[1];
#endif
    }
#endif
}

template <int D>
void backward(
    const drr_raster_input& in, int tile, int chunk, const View& view, const float* image,
    const float* image_gradient, const float* alpha_gradient, Record* records) {
    const uint32_t n_used = view.n_used[tile];
    if (n_used == 0) return;
    const TilePlace p = place_of(in, view.lists, tile);
    const int start = chunk * MAX_CHANNELS, channels = image_channels(in);
    const bool divide = in.depth == DRR_DEPTH_EXPECTED && start + D == channels;

    // Per pixel: dL/d(sum of colour), and `rest`: what lies behind the splat in turn, each part of
    // the image weighted by its gradient. One number instead of a sum per channel.
    alignas(64) float T[TILE * TILE], rest[TILE * TILE], grad[D][TILE * TILE];
    alignas(64) float value[D][TILE * TILE];
    start_transmittance(p, T);
    if (p.width < TILE || p.height < TILE) {
        std::memset(rest, 0, sizeof rest);
        std::memset(grad, 0, sizeof grad);
        std::memset(value, 0, sizeof value);
    }
    const bool with_alpha = chunk == 0 && alpha_gradient;
    if (!with_alpha) std::memset(rest, 0, sizeof rest);
    for_pixel_runs(p, [&](int i, int x, int y, int n) {
        const size_t pixel = (size_t)(p.y0 + y) * in.width + p.x0 + x;
        const float* out = image + pixel * channels + start;
        const float* g = image_gradient + pixel * channels + start;
        for (int l = 0; l < n; ++l)
            for (int d = 0; d < D; ++d) {
                value[d][i + l] = out[l * channels + d];
                grad[d][i + l] = g[l * channels + d];
            }
        if (with_alpha) std::memcpy(rest + i, alpha_gradient + pixel, n * sizeof(float));
    });
    const float* final_T = view.final_T.data() + (size_t)tile * TILE * TILE;
    for (int i = 0; i < TILE * TILE; i += LANES) {
        const vf t = load(final_T + i), alpha = 1.0f - t;
        vf g_alpha = load(rest + i), r{};  // until here rest held dL/dalpha
        for (int d = 0; d < D; ++d) {
            vf g = load(grad[d] + i);
            const vf whole = g * load(value[d] + i);  // dL/d(sum) * sum
            r += whole;
            if (divide && d == D - 1) {
                // value = sum / max(alpha, 1e-10): alpha takes its share.
                g = g / max(alpha, splat(1e-10f));
                g_alpha -= keep(alpha > 1e-10f, g * load(value[d] + i));
                store(grad[d] + i, g);
            }
        }
        store(rest + i, r - t * g_alpha);
    }

    const Entry* entries = view.lists.entries.data();
    const uint32_t begin = view.lists.tile_begin[tile];
    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    for (uint32_t e = begin; e < begin + n_used; ++e) {
        const Entry entry = entries[e];
        const Splat& s = view.splats[entry.splat];
        uint32_t todo = view.blocks[e];
        const vf x = px - s.mx, y = py - s.my;
        vf m[6 + D] = {};
        while (todo) {
            const int b = __builtin_ctz(todo);
            todo &= todo - 1;
            const vf dy = y + BLOCK_CORNERS.y[b], p = x + BLOCK_CORNERS.x[b] - s.kx * dy;
            const vf u = exponent(s, p, dy);
            const vf t = load(T + b * LANES);
            const vf full = exp2(u), a = min(full, splat(MAX_ALPHA));
            const vf next = t - a * t;
            // As in the forward pass, except that T is 0 once a pixel is done.
            const vi inside = at_least(u, splat(MIN_U)), stays = above(next, splat(MIN_T)), add = inside & stays;
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
            const vi free = add & at_least(splat(MAX_ALPHA), full);
            const vf v = keep(free, a * (t * cg - r * reciprocal(1.0f - a)));
            const vf vp = v * p, vy = v * dy;
            m[0] += v;
            m[1] += vp;
            m[2] += vy;
            m[3] += vp * p;
            m[4] += vp * dy;
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

void backward_tile(
    const drr_raster_input& in, int tile, int chunk, const View& view, const float* image,
    const float* image_gradient, const float* alpha_gradient, Record* records) {
    const auto kernel = [&]() {
        switch (chunk_size(in, chunk)) {
            case 1: return backward<1>;
            case 2: return backward<2>;
            case 3: return backward<3>;
            default: return backward<4>;
        }
    }();
    kernel(in, tile, chunk, view, image, image_gradient, alpha_gradient, records);
}

}  // namespace drr
