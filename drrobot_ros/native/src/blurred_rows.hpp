// Colour and mask residuals blurred by box filters, and their derivatives with them.
#pragma once
#include "normal_sums.hpp"

namespace drr {

// Runs fn(task) for tasks 0..n-1, on the pool's threads or one after the other.
using Runner = void (*)(int n, void (*call)(void*, int), void* closure);

class BlurredRows {
  public:
    // Residual planes and, with bodies, derivatives in the tiles of [x0, x1) x [y0, y1) px.
    void start(const drr_view& view, const Bodies* bodies, int x0, int y0, int x1, int y1);
    void set_residuals(const TilePlace& p, const TileResiduals& residuals);
    template <class R>
    void add(const TilePlace& p, const BlockJacobian& J, int block);
    // Blurs, adds to the statistics and, with bodies, puts the sums of each image row into `sums`.
    int blur(Runner run, drr_statistics& s, std::vector<NormalSums>& sums);

  private:
    float* plane(int k) { return planes_.data() + (size_t)k * width_ * height_; }
    float* row(int x, int y) {
        return rows_.data() + ((size_t)(y - y0_) * (x1_ - x0_) + (x - x0_)) * row_size_;
    }
    void blur_planes(Runner run);
    void blur_rows(Runner run);
    void weigh_row(int y, drr_statistics& s, NormalSums* sums);

    drr_view view_;
    const Bodies* bodies_ = nullptr;
    int width_ = 0, height_ = 0, x0_ = 0, y0_ = 0, x1_ = 0, y1_ = 0;
    int residuals_ = 0, first_ = 0, row_size_ = 0;
    Buffer<float> planes_, other_planes_, rows_, other_rows_, weights_;
    std::vector<drr_statistics> statistics_;
};

template <class R>
void BlurredRows::add(const TilePlace& p, const BlockJacobian& J, int block) {
    static thread_local Buffer<float> expanded;
    expand_block(J, R::COUNT, *bodies_, expanded.reserve((size_t)LANES * row_size_));
    for (int l = 0; l < LANES; ++l) {
        const int x = block / 4 * BLOCK_W + l % BLOCK_W, y = block % 4 * BLOCK_H + l / BLOCK_W;
        if (x < p.width && y < p.height)
            std::memcpy(row(p.x0 + x, p.y0 + y), expanded.data() + (size_t)l * row_size_,
                        row_size_ * sizeof(float));
    }
}

}  // namespace drr
