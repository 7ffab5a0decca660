#include "robot_tile.hpp"

namespace drr {
namespace {

// Observed planes of a tile; zero outside the image, and where a plane is not given its default.
struct alignas(64) Observed {
    float weight[TILE_PIXELS], color_weight[TILE_PIXELS], mask_weight[TILE_PIXELS];
    float seen[3][TILE_PIXELS], behind[3][TILE_PIXELS];
    float mask[TILE_PIXELS], depth[TILE_PIXELS];
};

bool whole(const TilePlace& p) { return p.width == TILE && p.height == TILE; }

void gather(const float* plane, int width, const TilePlace& p, float* to) {
    if (!whole(p)) std::memset(to, 0, sizeof(float) * TILE_PIXELS);
    for_pixel_runs(p, [&](int i, int x, int y, int n) {
        const float* from = plane + (size_t)(p.y0 + y) * width + p.x0 + x;
        std::memcpy(to + i, from, n * sizeof(float));
    });
}

void gather_color(const float* plane, int width, const TilePlace& p, float (*to)[TILE_PIXELS]) {
    if (!whole(p)) std::memset(to, 0, sizeof(float) * 3 * TILE_PIXELS);
    for_pixel_runs(p, [&](int i, int x, int y, int n) {
        const float* from = plane + 3 * ((size_t)(p.y0 + y) * width + p.x0 + x);
        for (int l = 0; l < n; ++l)
            for (int c = 0; c < 3; ++c) to[c][i + l] = from[3 * l + c];
    });
}

void gather_weight(const float* plane, int width, const TilePlace& p, float* to) {
    if (plane) return gather(plane, width, p, to);
    if (!whole(p)) std::memset(to, 0, sizeof(float) * TILE_PIXELS);
    for_pixel_runs(p, [&](int i, int, int, int n) {
        for (int l = 0; l < n; ++l) to[i + l] = 1.0f;
    });
}

// Sums of each three neighbours of 3 LANES numbers.
DRR_INLINE vf sum_triples(const vf* x) {
#if defined(__AVX512F__)
    // Every third lane from k on: first of x[0] and x[1], then the rest from x[2].
    vf total{};
    for (int k = 0; k < 3; ++k) {
        alignas(64) int32_t first[LANES], second[LANES];
        for (int l = 0; l < LANES; ++l) {
            const int from = 3 * l + k;
            first[l] = from < 2 * LANES ? from : 0;
            second[l] = from < 2 * LANES ? l : LANES + from - 2 * LANES;
        }
        const __m512 low = _mm512_permutex2var_ps((__m512)x[0], (__m512i)load_i(first), (__m512)x[1]);
        total += (vf)_mm512_permutex2var_ps(low, (__m512i)load_i(second), (__m512)x[2]);
    }
    return total;
#else
    alignas(64) float value[3 * LANES];
    for (int k = 0; k < 3; ++k) store(value + k * LANES, x[k]);
    vf total{};
    for (int l = 0; l < LANES; ++l) total[l] = value[3 * l] + value[3 * l + 1] + value[3 * l + 2];
    return total;
#endif
}

// The statistics' sums, a lane each.
struct LaneSums {
    vf color_cost{}, mask_cost{}, depth_cost{}, depth_count{}, depth_inliers{};
    vf inside{}, inside_error{}, intersection{}, union_{};
    vf fit_weight{}, fit[3][4] = {};
    bool fitted = false;

    void add_to(drr_statistics& s) const {
        s.color_cost += sum(color_cost);
        s.mask_cost += sum(mask_cost);
        s.depth_cost += sum(depth_cost);
        s.depth_count += sum(depth_count);
        s.depth_inliers += sum(depth_inliers);
        s.inside += sum(inside);
        s.inside_error += sum(inside_error);
        s.intersection += sum(intersection);
        s.union_ += sum(union_);
        if (!fitted) return;
        for (int c = 0; c < 3; ++c) {
            s.fit[c][0] += sum(fit_weight);
            for (int k = 0; k < 4; ++k) s.fit[c][k + 1] += sum(fit[c][k]);
        }
    }
};

void count_pixels(const drr_view& view, const TilePlace& p, drr_statistics& s) {
    if (view.target) s.color_count += p.width * p.height;
    if (view.mask) s.mask_count += p.width * p.height;
}

// Colour: residuals and coefficients of the block at `i`; returns where some weight is.
vi color_block(const drr_view& view, const Observed& o, const TileImage& image, bool weigh, int i,
               TileResiduals& r, LaneSums& sums) {
    const vf alpha = load(image.alpha + i), weight = load(o.weight + i);
    const vf w = weight * load(o.color_weight + i);
    const vi counts = above(w, vf{});
    vf residual[3], of_alpha[3], off{}, squares{};
    for (int c = 0; c < 3; ++c) {
        const vf seen = load(o.seen[c] + i), out = load(image.channel[c] + i);
        const vf behind = load((view.background ? o.behind[c] : o.seen[c]) + i);
        const vf own = view.gain[c] * out + view.bias[c] * alpha;
        residual[c] = keep(counts, w * (own + (1.0f - alpha) * behind - seen));
        of_alpha[c] = keep(counts, w * (view.bias[c] - behind));
        squares += residual[c] * residual[c];
        off += abs(own - alpha * seen);
    }
    off = keep(above(weight, vf{}), off * (1.0f / 3.0f) * weight);
    sums.inside_error += off;
    const vi solid = at_least(alpha, splat(0.7f)) & above(weight, vf{});
    if (any(solid)) {
        const vf inverse = 1.0f / max(alpha, splat(0.7f));
        const vf e = off * inverse / weight * (1.0f / view.color_sigma);
        const vf f = keep(solid, weight / (1.0f + e * e));  // Cauchy: wrong pixels must not set the light
        sums.fitted = true;
        sums.fit_weight += f;
        for (int c = 0; c < 3; ++c) {
            const vf x = load(image.channel[c] + i) * inverse;
            const vf y = keep(solid, load(o.seen[c] + i));
            const vf fx = f * x, fy = f * y;
            sums.fit[c][0] += fx;
            sums.fit[c][1] += fy;
            sums.fit[c][2] += fx * x;
            sums.fit[c][3] += fx * y;
        }
    }
    vf scale = splat(1.0f);
    if (weigh) {
        sums.color_cost += huber(sqrt(squares) * (1.0f / view.color_sigma), view.robust, scale);
        scale = sqrt(scale) * (1.0f / view.color_sigma);
    }
    for (int c = 0; c < 3; ++c) {
        store(r.residual[c] + i, scale * residual[c]);
        store(r.of_color[c] + i, keep(counts, scale * w * view.gain[c]));
        store(r.of_alpha[c] + i, scale * of_alpha[c]);
    }
    return counts;
}

vi mask_block(const drr_view& view, const Observed& o, const TileImage& image, bool weigh, int i,
              TileResiduals& r, LaneSums& sums) {
    const vf alpha = load(image.alpha + i), weight = load(o.weight + i), mask = load(o.mask + i);
    const vi valid = above(weight, vf{});
    sums.intersection += keep(valid, weight * min(alpha, mask));
    sums.union_ += keep(valid, weight * max(alpha, mask));
    const vf w = weight * load(o.mask_weight + i);
    const vi counts = above(w, vf{});
    const vf residual = keep(counts, w * (alpha - mask));
    vf scale = splat(1.0f);
    if (weigh) {
        sums.mask_cost += huber(abs(residual) * (1.0f / view.mask_sigma), view.robust, scale);
        scale = sqrt(scale) * (1.0f / view.mask_sigma);
    }
    store(r.residual[MASK] + i, scale * residual);
    store(r.of_alpha[MASK] + i, keep(counts, scale * w));
    return counts;
}

// Depth: z_rendered - z_seen where the robot covers the pixel well; Geman-McClure.
vi depth_block(const drr_view& view, const Observed& o, const TileImage& image, int i,
               TileResiduals& r, LaneSums& sums) {
    const vf alpha = load(image.alpha + i), seen = load(o.depth + i);
    const vi counts = above(seen, vf{}) & (seen < __builtin_inff()) &
                      at_least(alpha, splat(0.7f)) & above(load(o.weight + i), vf{});
    const vf inverse = 1.0f / max(alpha, splat(0.7f)), z = load(image.channel[3] + i) * inverse;
    const float limit = 2.0f * view.robust, s2 = limit * limit;
    const vf e = keep(counts, (z - seen) * (1.0f / view.depth_sigma));
    const vf d = s2 + e * e;
    sums.depth_cost += 0.5f * s2 * e * e / d;
    sums.depth_count += keep(counts, splat(1.0f));
    sums.depth_inliers += keep(counts & (abs(e) < 2.0f), splat(1.0f));
    const vf scale = keep(counts, (s2 / view.depth_sigma) / d);
    store(r.residual[DEPTH] + i, e * (s2 / d));
    store(r.of_depth + i, scale * inverse);
    store(r.of_alpha[DEPTH] + i, -scale * z * inverse);
    return counts;
}

}  // namespace

void tile_residuals(const drr_view& view, const TilePlace& p, const TileImage& image, bool weigh,
                    TileResiduals& r, drr_statistics& s) {
    static thread_local Observed o;
    gather_weight(view.weight, view.width, p, o.weight);
    if (view.target) {
        gather_color(view.target, view.width, p, o.seen);
        if (view.background) gather_color(view.background, view.width, p, o.behind);
        gather_weight(view.color_weight, view.width, p, o.color_weight);
    }
    if (view.mask) {
        gather(view.mask, view.width, p, o.mask);
        gather_weight(view.mask_weight, view.width, p, o.mask_weight);
    }
    if (view.depth) gather(view.depth, view.width, p, o.depth);
    count_pixels(view, p, s);
    LaneSums sums;
    r.blocks = 0;
    for (int b = 0; b < BLOCKS; ++b) {
        const int i = b * LANES;
        const vf alpha = load(image.alpha + i);
        vi counts{};
        sums.inside += load(o.weight + i) * alpha;
        if (view.target) counts |= color_block(view, o, image, weigh, i, r, sums);
        if (view.mask) counts |= mask_block(view, o, image, weigh, i, r, sums);
        if (view.depth) counts |= depth_block(view, o, image, i, r, sums);
        r.blocks |= (uint32_t)any(counts & above(alpha, vf{})) << b;
    }
    sums.add_to(s);
}

void empty_tile_residuals(const drr_view& view, const TilePlace& p, bool weigh, TileResiduals& r,
                          drr_statistics& s) {
    const bool color = view.target && view.background;
    if (!weigh || !whole(p)) {
        static const TileImage nothing = {};
        return tile_residuals(view, p, nothing, weigh, r, s);
    }
    count_pixels(view, p, s);
    if (!view.mask && !color) return;
    vf mask_cost{}, color_cost{}, union_{}, unused;
    const float inv_mask = 1.0f / view.mask_sigma, inv_color = 1.0f / view.color_sigma;
    const vf zero{};
    for (int y = 0; y < TILE; ++y)
        for (int x = 0; x < TILE; x += LANES) {
            const size_t at = (size_t)(p.y0 + y) * view.width + p.x0 + x;
            const vf weight = view.weight ? load(view.weight + at) : splat(1.0f);
            if (view.mask) {
                const vf w = view.mask_weight ? weight * load(view.mask_weight + at) : weight;
                const vf m = load(view.mask + at);
                union_ += keep(above(weight, zero), weight * max(m, zero));
                mask_cost += huber(keep(above(w, zero), abs(w * m)) * inv_mask, view.robust, unused);
            }
            if (color) {
                const vf w = view.color_weight ? weight * load(view.color_weight + at) : weight;
                vf squares[3];
                for (int k = 0; k < 3; ++k) {
                    const vf d = load(view.background + 3 * at + k * LANES) -
                                 load(view.target + 3 * at + k * LANES);
                    squares[k] = d * d;
                }
                const vf e = keep(above(w, zero), w * sqrt(sum_triples(squares)));
                color_cost += huber(e * inv_color, view.robust, unused);
            }
        }
    s.mask_cost += sum(mask_cost);
    s.color_cost += sum(color_cost);
    s.union_ += sum(union_);
}

}  // namespace drr
