#include "blurred_rows.hpp"

#include <algorithm>

namespace drr {
namespace {

template <class Fn>
void each(Runner run, int n, Fn&& fn) {
    using F = std::remove_reference_t<Fn>;
    run(n, [](void* f, int i) { (*(F*)f)(i); }, (void*)&fn);
}

// Box blur of n items of `size` floats (a multiple of LANES) along one axis; ends repeat.
void blur_line(const float* in, float* out, int n, size_t stride, int size, int radius) {
    const float scale = 1.0f / (2 * radius + 1);
    const auto at = [&](int i) { return in + std::clamp(i, 0, n - 1) * stride; };
    for (int k = 0; k < size; k += LANES) {
        vf sum{};
        for (int i = -radius; i <= radius; ++i) sum += load(at(i) + k);
        for (int i = 0; i < n; ++i) {
            store(out + i * stride + k, sum * scale);
            sum += load(at(i + radius + 1) + k) - load(at(i - radius) + k);
        }
    }
}

}  // namespace

void BlurredRows::start(const drr_view& view, const Bodies* bodies, int x0, int y0, int x1, int y1) {
    view_ = view;
    bodies_ = bodies;
    width_ = view.width;
    height_ = view.height;
    first_ = view.target ? 0 : MASK;
    residuals_ = (view.target ? 3 : 0) + (view.mask ? 1 : 0);
    const size_t pixels = (size_t)width_ * height_;
    planes_.reserve(pixels * residuals_);
    other_planes_.reserve(pixels * residuals_);
    x0_ = y0_ = x1_ = y1_ = 0;
    if (!bodies || x0 >= x1) return;
    // What the blur reaches.
    const int reach = view.blur_radius * view.blur_passes;
    x0_ = std::max(0, x0 - reach);
    y0_ = std::max(0, y0 - reach);
    x1_ = std::min(width_, x1 + reach);
    y1_ = std::min(height_, y1 + reach);
    row_size_ = residuals_ * bodies->padded;
    const size_t size = (size_t)(x1_ - x0_) * (y1_ - y0_) * row_size_;
    std::memset(rows_.reserve(size), 0, size * sizeof(float));
    other_rows_.reserve(size);
}

void BlurredRows::set_residuals(const TilePlace& p, const TileResiduals& r) {
    for (int k = 0; k < residuals_; ++k) {
        const float* from = r.residual[first_ + k];
        float* to = plane(k);
        for_pixel_runs(p, [&](int i, int x, int y, int n) {
            std::memcpy(to + (size_t)(p.y0 + y) * width_ + p.x0 + x, from + i, n * sizeof(float));
        });
    }
}

void BlurredRows::blur_planes(Runner run) {
    const int W = width_, H = height_, radius = view_.blur_radius;
    const float scale = 1.0f / (2 * radius + 1);
    each(run, residuals_, [&](int k) {
        static thread_local std::vector<float> line;
        line.resize(W + 2 * radius);
        float* in = plane(k);
        float* other = other_planes_.data() + (size_t)k * W * H;
        for (int pass = 0; pass < view_.blur_passes; ++pass) {
            for (int y = 0; y < H; ++y) {
                const float* from = in + (size_t)y * W;
                float* to = other + (size_t)y * W;
                std::fill_n(line.data(), radius, from[0]);
                std::memcpy(line.data() + radius, from, W * sizeof(float));
                std::fill_n(line.data() + radius + W, radius, from[W - 1]);
                std::memset(to, 0, W * sizeof(float));
                for (int i = 0; i <= 2 * radius; ++i) {
                    const float* shifted = line.data() + i;
                    for (int x = 0; x < W; ++x) to[x] += shifted[x];
                }
            }
            for (int y = 0; y < H; ++y) {
                float* to = in + (size_t)y * W;
                std::memset(to, 0, W * sizeof(float));
                for (int i = -radius; i <= radius; ++i) {
                    const float* from = other + (size_t)std::clamp(y + i, 0, H - 1) * W;
                    for (int x = 0; x < W; ++x) to[x] += scale * scale * from[x];
                }
            }
        }
    });
}

void BlurredRows::blur_rows(Runner run) {
    const int w = x1_ - x0_, h = y1_ - y0_, radius = view_.blur_radius;
    const size_t size = row_size_;
    for (int pass = 0; pass < view_.blur_passes; ++pass) {
        each(run, h, [&](int y) {
            const size_t at = y * w * size;
            blur_line(rows_.data() + at, other_rows_.data() + at, w, size, row_size_, radius);
        });
        each(run, w, [&](int x) {
            const size_t at = x * size;
            blur_line(other_rows_.data() + at, rows_.data() + at, h, w * size, row_size_, radius);
        });
    }
}

void BlurredRows::weigh_row(int y, drr_statistics& s, NormalSums* sums) {
    const int W = width_;
    const size_t pixels = (size_t)W * height_;
    const float* r = planes_.data() + (size_t)y * W;
    const float* mask = r + (residuals_ - 1) * pixels;
    float* weight = weights_.data() + (size_t)y * 2 * W;  // colour, mask: square roots
    const float limit = view_.robust;
    if (view_.target) {
        const float inverse = 1.0f / view_.color_sigma;
        float cost = 0;
        for (int x = 0; x < W; ++x) {
            const float a = r[x], b = r[x + pixels], c = r[x + 2 * pixels];
            const float e = inverse * __builtin_sqrtf(a * a + b * b + c * c);
            cost += e <= limit ? 0.5f * e * e : limit * (e - 0.5f * limit);
            weight[x] = inverse * __builtin_sqrtf(e <= limit ? 1.0f : limit / e);
        }
        s.color_cost += cost;
    }
    if (view_.mask) {
        const float inverse = 1.0f / view_.mask_sigma;
        float cost = 0;
        for (int x = 0; x < W; ++x) {
            const float e = inverse * __builtin_fabsf(mask[x]);
            cost += e <= limit ? 0.5f * e * e : limit * (e - 0.5f * limit);
            weight[W + x] = inverse * __builtin_sqrtf(e <= limit ? 1.0f : limit / e);
        }
        s.mask_cost += cost;
    }
    if (!sums || y < y0_ || y >= y1_) return;
    const int padded = bodies_->padded;
    for (int x = x0_; x < x1_; ++x) {
        float* at = row(x, y);
        for (int k = 0; k < residuals_; ++k, at += padded) {
            const float scale = first_ + k < MASK ? weight[x] : weight[W + x];
            for (int j = 0; j < padded; j += LANES) store(at + j, load(at + j) * scale);
            at[padded - 1] = scale * r[k * pixels + x];
        }
    }
    sums->products.assign((size_t)padded * padded, 0.0f);
    add_products(row(x0_, y), (x1_ - x0_) * residuals_, padded, sums->products.data());
}

int BlurredRows::blur(Runner run, drr_statistics& s, std::vector<NormalSums>& sums) {
    blur_planes(run);
    if (x1_ > x0_) blur_rows(run);
    weights_.reserve((size_t)2 * width_ * height_);
    statistics_.assign(height_, drr_statistics{});
    const bool summed = x1_ > x0_;
    const int first = summed ? y0_ : 0, count = summed ? y1_ - y0_ : 0;
    if ((int)sums.size() < count) sums.resize(count);
    for (int i = 0; i < count; ++i) sums[i].pairs.clear();
    each(run, height_, [&](int y) {
        const bool own = y >= first && y < first + count;
        weigh_row(y, statistics_[y], own ? &sums[y - first] : nullptr);
    });
    for (const drr_statistics& row : statistics_) {
        s.color_cost += row.color_cost;
        s.mask_cost += row.mask_cost;
    }
    return count;
}

}  // namespace drr
