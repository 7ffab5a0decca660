// Sums of J^T J and J^T r over pixels: by pairs of bodies in their twists, or by parameters.
#pragma once
#include "bodies.hpp"
#include "robot_jacobian.hpp"

namespace drr {

// Sums [6, 6] of two bodies a <= b, row-major in the twists of a; b = -1: of a and the residual [6].
struct PairSum {
    int16_t a, b;
    float sum[36];
};

// What one tile (or row of the image) contributes.
struct NormalSums {
    std::vector<PairSum> pairs;
    std::vector<float> products;  // [padded, padded] by parameters; empty: none
};

// Adds rows^T rows of n rows [n, padded] to H [padded, padded], its upper triangle of LANES blocks.
void add_products(const float* rows, int n, int padded, float* H);

// Rows of the parameters of a block: out [LANES, rows, padded], column `parameters` being 0.
void expand_block(const BlockJacobian& J, int rows, const Bodies& bodies, float* out);

// Accumulates a tile.
class TileSums {
  public:
    void start(const Bodies& bodies, NormalSums& out);
    template <class R>
    void add(const BlockJacobian& J, const TileResiduals& residuals, int block);
    void finish();

  private:
    // Pairs pay while few bodies share a block.
    static constexpr int MAX_PAIRED = 5;
    vf* pair(int a, int b);
    template <int COUNT>
    void add_pairs(const BlockJacobian& J, const vf* residual);

    const Bodies* bodies_ = nullptr;
    NormalSums* out_ = nullptr;
    std::vector<int16_t> slot_;  // [bodies, bodies + 1], the last column for b = -1
    std::vector<std::pair<int16_t, int16_t>> used_;
    std::vector<Buffer<vf>> sums_;
    Buffer<float> rows_;
};

template <int COUNT>
void TileSums::add_pairs(const BlockJacobian& J, const vf* residual) {
    for (int k = 0; k < J.count; ++k) {
        const vf* Y = J.value(k);
        vf* G = pair(J.body[k], -1);
        for (int i = 0; i < 6; ++i)
            for (int r = 0; r < COUNT; ++r) G[i] += Y[i * COUNT + r] * residual[r];
        G = pair(J.body[k], J.body[k]);
        for (int i = 0; i < 6; ++i)
            for (int j = i; j < 6; ++j) {
                vf sum = G[6 * i + j];
                for (int r = 0; r < COUNT; ++r) sum += Y[i * COUNT + r] * Y[j * COUNT + r];
                G[6 * i + j] = sum;
            }
        for (int m = k + 1; m < J.count; ++m) {
            const bool swap = J.body[m] < J.body[k];
            const vf* A = swap ? J.value(m) : Y;
            const vf* B = swap ? Y : J.value(m);
            G = pair(J.body[swap ? m : k], J.body[swap ? k : m]);
            for (int i = 0; i < 6; ++i)
                for (int j = 0; j < 6; ++j) {
                    vf sum = G[6 * i + j];
                    for (int r = 0; r < COUNT; ++r) sum += A[i * COUNT + r] * B[j * COUNT + r];
                    G[6 * i + j] = sum;
                }
        }
    }
}

template <class R>
void TileSums::add(const BlockJacobian& J, const TileResiduals& residuals, int block) {
    vf residual[R::COUNT];
    for (int r = 0; r < R::COUNT; ++r)
        residual[r] = load(residuals.residual[R::residual(r)] + block * LANES);
    if (J.count <= MAX_PAIRED) return add_pairs<R::COUNT>(J, residual);
    const int padded = bodies_->padded;
    float* rows = rows_.reserve((size_t)LANES * RESIDUALS * padded);
    expand_block(J, R::COUNT, *bodies_, rows);
    for (int l = 0; l < LANES; ++l)
        for (int r = 0; r < R::COUNT; ++r)
            rows[(l * R::COUNT + r) * padded + padded - 1] = residual[r][l];
    out_->products.resize((size_t)padded * padded, 0.0f);
    add_products(rows, LANES * R::COUNT, padded, out_->products.data());
}

// H [n, n] and g [n] of all tiles, in their order.
void assemble(const Bodies& bodies, const std::vector<const NormalSums*>& sums, int n, double* H,
              double* g);

}  // namespace drr
