// Derivatives of a tile's residuals in the twists of the robot's bodies, block by block.
//
//   d(residual)/d(twist t) = sum_i kappa_i * (d(log alpha_i)/d(twist t) at the pixel)
//
// summed per body over the splats i in front-to-back order, LANES pixels at once. Joints come in
// only afterwards, so the cost does not depend on how many there are.
#pragma once
#include "robot_tile.hpp"

namespace drr {

// The bodies that move in one block, and their derivatives: value(k)[t * rows + r] of the residual
// rows r in twist t of body[k].
struct BlockJacobian {
    int count = 0;
    std::vector<int16_t> body;

    const vf* value(int k) const { return values_.data() + (size_t)k * SIZE; }

    void start(int n_bodies) {
        count = 0;
        place_.assign(n_bodies, -1);
        body.resize(n_bodies);
        values_.reserve((size_t)n_bodies * SIZE);
    }
    void clear() {
        for (int k = 0; k < count; ++k) place_[body[k]] = -1;
        count = 0;
    }
    // Values of a body, 0 if it is new.
    __attribute__((noinline)) vf* at(int which, int rows) {
        int16_t& k = place_[which];
        if (k < 0) {
            k = (int16_t)count;
            body[count++] = (int16_t)which;
            vf* values = values_.data() + (size_t)k * SIZE;
            for (int i = 0; i < 6 * rows; ++i) values[i] = vf{};
        }
        return values_.data() + (size_t)k * SIZE;
    }

  private:
    static constexpr int SIZE = 6 * RESIDUALS;
    std::vector<int16_t> place_;  // by body; -1: none
    Buffer<vf> values_;
};

// a b + c; the compiler may not take it apart.
DRR_INLINE vf mul_add(vf a, vf b, vf c) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

struct MovingSplats {
    const Splat* splats;
    const Tangent* tangents;
    const int16_t* body;  // per group; -1: does not move
    int n_bodies;
};

// Which residuals are derived, in the order of their rows.
template <bool WITH_COLOR, bool WITH_MASK, bool WITH_DEPTH>
struct Rows {
    static constexpr bool COLOR = WITH_COLOR, MASKED = WITH_MASK, DEEP = WITH_DEPTH;
    static constexpr int COUNT = 3 * COLOR + MASKED + DEEP;
    static constexpr int MASK_ROW = 3 * COLOR, DEPTH_ROW = 3 * COLOR + MASKED;
    // Index of a row in TileResiduals.
    static constexpr int residual(int row) {
        return COLOR && row < 3 ? row : MASKED && row == MASK_ROW ? MASK : DEPTH;
    }
};

// Calls sink(block, BlockJacobian) for every block whose residuals move.
template <class R, class Sink>
void tile_jacobian(const MovingSplats& moving, const TilePlace& p, const TileImage& image,
                   const TileResiduals& residuals, const BlockLists& lists, Sink&& sink) {
    static thread_local BlockJacobian jacobian;
    jacobian.start(moving.n_bodies);
    const vf px = lane_x() + (float)p.x0, py = lane_y() + (float)p.y0;
    for (int b = 0; b < BLOCKS; ++b) {
        if (!lists.count[b] || !(residuals.blocks >> b & 1)) continue;
        const int at = b * LANES;
        vf of_color[3], of_alpha[R::COUNT], of_depth{}, rest[R::COUNT];
        const vf alpha = load(image.alpha + at);
        for (int r = 0; r < R::COUNT; ++r) {
            of_alpha[r] = load(residuals.of_alpha[R::residual(r)] + at);
            rest[r] = of_alpha[r] * alpha;
        }
        if (R::COLOR)
            for (int c = 0; c < 3; ++c) {
                of_color[c] = load(residuals.of_color[c] + at);
                rest[c] += of_color[c] * load(image.channel[c] + at);
            }
        if (R::DEEP) {
            of_depth = load(residuals.of_depth + at);
            rest[R::DEPTH_ROW] += of_depth * load(image.channel[3] + at);
        }
        const vf bx = px + BLOCK_CORNERS.x[b], by = py + BLOCK_CORNERS.y[b];
        vf T = splat(1.0f);
        int previous = -1;
        vf* Y = nullptr;
        const uint32_t *id = lists.of(b), *const end = id + lists.count[b];
        for (; id < end; ++id) {
            // The list is known, so memory need not be waited for.
            __builtin_prefetch(moving.splats + id[BlockLists::AHEAD]);
            for (int line = 0; line < 3; ++line)
                __builtin_prefetch((const char*)(moving.tangents + id[BlockLists::AHEAD]) + 64 * line);
            const Splat& s = moving.splats[*id];
            const vf dx = bx - s.mx, dy = by - s.my;
            const vf u = exponent(s, dx - s.kx * dy, dy);
            const vf full = exp2(u), a = min(full, splat(MAX_ALPHA));
            const vf next = T - a * T;
            // As in compositing, except that T is 0 once a pixel is done.
            const vi inside = at_least(u, splat(MIN_U)), stays = above(next, splat(MIN_T));
            const vi add = inside & stays;
            const vf w = keep(add, T - next);
            T = select(inside, keep(stays, next), T);
            // dO = (T c - rest / (1 - alpha)) dalpha; a bounded alpha does not move.
            const vi free = add & at_least(splat(MAX_ALPHA), full);
            const vf of_rest = keep(free, a * reciprocal(1.0f - a)), own = keep(free, w);
            vf kappa[R::COUNT];
            for (int r = 0; r < R::COUNT; ++r) {
                vf value = of_alpha[r];
                if (R::COLOR && r < 3) value = mul_add(of_color[r], splat(s.color[r]), value);
                if (R::DEEP && r == R::DEPTH_ROW) value = mul_add(of_depth, splat(s.color[3]), value);
                rest[r] = mul_add(-w, value, rest[r]);
                kappa[r] = mul_add(own, value, -(of_rest * rest[r]));
            }
            const int body = moving.body[*id / GROUP];
            if (body < 0) continue;
            if (body != previous) {
                previous = body;
                Y = jacobian.at(body, R::COUNT);
            }
            const Tangent& tangent = moving.tangents[*id];
            const vf xx = dx * dx, xy = dx * dy, yy = dy * dy;
            for (int t = 0; t < 6; ++t) {
                const float* m = tangent.moment[t];
                vf ds = mul_add(dx, splat(m[1]), splat(m[0]));
                ds = mul_add(dy, splat(m[2]), ds);
                ds = mul_add(xx, splat(m[3]), ds);
                ds = mul_add(xy, splat(m[4]), ds);
                ds = mul_add(yy, splat(m[5]), ds);
                for (int r = 0; r < R::COUNT; ++r)
                    Y[t * R::COUNT + r] = mul_add(kappa[r], ds, Y[t * R::COUNT + r]);
            }
            if (R::DEEP) {
                const vf by_depth = of_depth * w;
                for (int t = 2; t < 5; ++t)  // the others do not change the depth
                    Y[t * R::COUNT + R::DEPTH_ROW] += by_depth * tangent.depth[t];
            }
        }
        if (jacobian.count) sink(b, (const BlockJacobian&)jacobian);
        jacobian.clear();
    }
}

// Calls fn(Rows<...>()) for the residuals that are wanted.
template <class Fn>
void with_rows(bool color, bool mask, bool depth, Fn&& fn) {
    switch (color << 2 | mask << 1 | (int)depth) {
        case 1: return fn(Rows<false, false, true>());
        case 2: return fn(Rows<false, true, false>());
        case 3: return fn(Rows<false, true, true>());
        case 4: return fn(Rows<true, false, false>());
        case 5: return fn(Rows<true, false, true>());
        case 6: return fn(Rows<true, true, false>());
        case 7: return fn(Rows<true, true, true>());
        default: return;
    }
}

}  // namespace drr
