#include "normal_sums.hpp"

#include <algorithm>
#include <array>

namespace drr {

void add_products(const float* rows, int n, int padded, float* H) {
    for (int i = 0; i < padded; i += LANES)
        for (int j = i; j < padded; j += LANES) {
            vf sums[LANES];
            for (int k = 0; k < LANES; ++k) sums[k] = load(H + (size_t)(i + k) * padded + j);
            for (int row = 0; row < n; ++row) {
                const float* x = rows + (size_t)row * padded;
                const vf y = load(x + j);
                for (int k = 0; k < LANES; ++k) sums[k] += x[i + k] * y;
            }
            for (int k = 0; k < LANES; ++k) store(H + (size_t)(i + k) * padded + j, sums[k]);
        }
}

void expand_block(const BlockJacobian& J, int rows, const Bodies& bodies, float* out) {
    const int padded = bodies.padded;
    for (int l = 0; l < LANES; ++l)
        for (int r = 0; r < rows; ++r)
            for (int j = 0; j < padded; j += LANES) {
                vf sum{};
                for (int k = 0; k < J.count; ++k) {
                    const float* Y = (const float*)J.value(k) + r * LANES + l;
                    const float* X = bodies.twists_f.data() + (size_t)J.body[k] * 6 * padded + j;
                    for (int t = 0; t < 6; ++t) sum += Y[t * rows * LANES] * load(X + t * padded);
                }
                store(out + (size_t)(l * rows + r) * padded + j, sum);
            }
}

void TileSums::start(const Bodies& bodies, NormalSums& out) {
    bodies_ = &bodies;
    out_ = &out;
    used_.clear();
    const size_t size = (size_t)bodies.count * (bodies.count + 1);
    if (slot_.size() != size) slot_.assign(size, -1);
}

vf* TileSums::pair(int a, int b) {
    int16_t& slot = slot_[(size_t)a * (bodies_->count + 1) + (b < 0 ? bodies_->count : b)];
    if (slot < 0) {
        slot = (int16_t)used_.size();
        used_.push_back({(int16_t)a, (int16_t)b});
        if (sums_.size() < used_.size()) sums_.resize(used_.size() + 16);
        std::memset((void*)sums_[slot].reserve(36), 0, 36 * sizeof(vf));
    }
    return sums_[slot].data();
}

void TileSums::finish() {
    for (size_t k = 0; k < used_.size(); ++k) {
        const auto [a, b] = used_[k];
        slot_[(size_t)a * (bodies_->count + 1) + (b < 0 ? bodies_->count : b)] = -1;
        PairSum pair;
        pair.a = a;
        pair.b = b;
        const vf* G = sums_[k].data();
        for (int i = 0; i < (b < 0 ? 6 : 36); ++i) pair.sum[i] = sum(G[i]);
        if (a == b)
            for (int i = 0; i < 6; ++i)
                for (int j = 0; j < i; ++j) pair.sum[6 * i + j] = pair.sum[6 * j + i];
        out_->pairs.push_back(pair);
    }
}

void assemble(const Bodies& bodies, const std::vector<const NormalSums*>& sums, int n, double* H,
              double* g) {
    const int P = bodies.padded, B = bodies.count;
    static thread_local std::vector<int32_t> slot;
    static thread_local std::vector<std::array<double, 36>> total;
    static thread_local std::vector<std::pair<int, int>> pairs;
    static thread_local std::vector<double> out, products;
    slot.assign((size_t)B * (B + 1), -1);
    total.clear();
    pairs.clear();
    products.clear();
    for (const NormalSums* part : sums) {
        for (const PairSum& p : part->pairs) {
            int32_t& at = slot[(size_t)p.a * (B + 1) + (p.b < 0 ? B : p.b)];
            if (at < 0) {
                at = (int32_t)total.size();
                total.emplace_back();
                total.back().fill(0.0);
                pairs.push_back({p.a, p.b});
            }
            double* to = total[at].data();
            for (int i = 0; i < (p.b < 0 ? 6 : 36); ++i) to[i] += p.sum[i];
        }
        const std::vector<float>& own = part->products;
        if (own.empty()) continue;
        products.resize((size_t)P * P, 0.0);
        for (size_t i = 0; i < own.size(); ++i) products[i] += own[i];
    }
    // X_a^T G_ab X_b; a pair of different bodies counts twice, transposed.
    out.assign((size_t)P * P, 0.0);
    std::fill_n(g, n, 0.0);
    static thread_local std::vector<double> right;
    right.resize((size_t)6 * P);
    for (size_t k = 0; k < pairs.size(); ++k) {
        const auto [a, b] = pairs[k];
        const double* G = total[k].data();
        const double* X = &bodies.twists[(size_t)a * 6 * P];
        if (b < 0) {
            for (int t = 0; t < 6; ++t)
                for (int i = 0; i < n; ++i) g[i] += X[t * P + i] * G[t];
            continue;
        }
        const double* Z = &bodies.twists[(size_t)b * 6 * P];
        for (int t = 0; t < 6; ++t) {
            double* to = &right[(size_t)t * P];
            for (int j = 0; j < P; ++j) {
                double value = 0;
                for (int u = 0; u < 6; ++u) value += G[6 * t + u] * Z[u * P + j];
                to[j] = value;
            }
        }
        const double scale = a == b ? 0.5 : 1.0;
        for (int i = 0; i < n; ++i) {
            double x[6];
            bool any = false;
            for (int t = 0; t < 6; ++t) {
                x[t] = scale * X[t * P + i];
                any |= x[t] != 0.0;
            }
            if (!any) continue;
            double* to = &out[(size_t)i * P];
            for (int j = 0; j < P; ++j)
                to[j] += x[0] * right[j] + x[1] * right[P + j] + x[2] * right[2 * P + j] +
                         x[3] * right[3 * P + j] + x[4] * right[4 * P + j] + x[5] * right[5 * P + j];
        }
    }
    for (int i = 0; i < n; ++i)
        for (int j = i; j < n; ++j)
            H[i * n + j] = H[j * n + i] = out[(size_t)i * P + j] + out[(size_t)j * P + i];
    if (products.empty()) return;
    for (int i = 0; i < n; ++i) {
        for (int j = i; j < n; ++j) {
            const double value = products[(size_t)i * P + j];
            H[i * n + j] += value;
            if (j > i) H[j * n + i] += value;
        }
        g[i] += products[(size_t)i * P + P - 1];
    }
}

}  // namespace drr
