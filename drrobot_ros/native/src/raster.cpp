// The phases in order, and the C interface.
#include "raster.hpp"

#include <cstring>
#include <mutex>
#include <new>

#include "parallel.hpp"

namespace drr {
namespace {

// Finished rasters are kept for the next image: fresh memory costs more than the work in it.
std::mutex idle_mutex;
std::vector<Raster*> idle;
constexpr size_t MAX_IDLE = 4;

Raster* take_raster() {
    std::lock_guard<std::mutex> lock(idle_mutex);
    if (idle.empty()) return new Raster;
    Raster* raster = idle.back();
    idle.pop_back();
    return raster;
}

void give_raster(Raster* raster) {
    {
        std::lock_guard<std::mutex> lock(idle_mutex);
        if (idle.size() < MAX_IDLE) {
            idle.push_back(raster);
            return;
        }
    }
    delete raster;
}

int block_count(const drr_raster_input& in) {
    return (in.n + GAUSSIAN_BLOCK - 1) / GAUSSIAN_BLOCK;
}

// Calls fn(camera, first, last, block) for every block of Gaussians of every camera.
template <class Fn>
void for_gaussians(const drr_raster_input& in, int cameras, Fn&& fn) {
    const int blocks = block_count(in);
    parallel_for(blocks * cameras, [&](int task, int) {
        const int first = task % blocks * GAUSSIAN_BLOCK;
        const int last = first + GAUSSIAN_BLOCK < in.n ? first + GAUSSIAN_BLOCK : in.n;
        fn(task / blocks, first, last, task % blocks);
    });
}

template <class Fn>
void for_tiles(const drr_raster_input& in, const Raster& raster, Fn&& fn) {
    const TileLists& lists = raster.views[0].lists;
    const int tiles = lists.tiles_x * lists.tiles_y;
    parallel_for(tiles * in.cameras, [&](int task, int) { fn(task / tiles, task % tiles); });
}

void forward(const drr_raster_input& in, bool keep, Raster& raster, float* image, float* alpha) {
    if (raster.views.size() < (size_t)in.cameras) raster.views.resize(in.cameras);
    for (int c = 0; c < in.cameras; ++c) {
        View& view = raster.views[c];
        view.camera = make_camera(in, c);
        view.splats.reserve(in.n);
        view.rects.reserve(in.n);
        view.depths.reserve(in.n);
    }
    for_gaussians(in, in.cameras, [&](int c, int first, int last, int) {
        project(in, c, first, last, raster.views[c]);
    });
    // Reserved here, not in the tasks: those must not throw.
    std::vector<unsigned char> failed(in.cameras, 0);
    parallel_for(in.cameras, [&](int c, int) {
        View& view = raster.views[c];
        try {
            TileLists& lists = view.lists;
            lists.build(in.n, view.depths.data(), view.rects.data(), in.width, in.height);
            if (!keep) return;
            const int tiles = lists.tiles_x * lists.tiles_y;
            view.n_used.reserve(tiles);
            view.final_T.reserve((size_t)tiles * TILE * TILE);
            view.blocks.reserve(lists.n_entries);
            view.used.reserve(lists.n_entries);
            std::memset(view.used.data(), 0, lists.n_entries);
        } catch (const std::bad_alloc&) {
            failed[c] = 1;
        }
    });
    for (unsigned char f : failed)
        if (f) throw std::bad_alloc();
    const size_t pixels = (size_t)in.width * in.height, channels = image_channels(in);
    for (int chunk = 0; chunk < chunk_count(in); ++chunk) {
        if (chunk > 0)
            for_gaussians(in, in.cameras, [&](int c, int first, int last, int) {
                fill_colors(in, c, chunk, first, last, raster.views[c]);
            });
        for_tiles(in, raster, [&](int c, int tile) {
            forward_tile(in, c, tile, chunk, keep, raster.views[c], image + c * pixels * channels,
                         alpha + c * pixels);
        });
    }
}

void backward(
    const drr_raster_input& in, Raster& raster, const float* image, const float* image_gradient,
    const float* alpha_gradient, const drr_raster_gradient& out) {
    raster.record_begin.assign(in.cameras + 1, 0);
    for (int c = 0; c < in.cameras; ++c)
        raster.record_begin[c + 1] = raster.record_begin[c] + raster.views[c].lists.n_entries;
    raster.records.reserve(raster.record_begin[in.cameras]);
    const int blocks = block_count(in);
    raster.camera_sums.reserve((size_t)blocks * in.cameras * 12);
    const auto records = [&](int c) { return raster.records.data() + raster.record_begin[c]; };
    const size_t pixels = (size_t)in.width * in.height, channels = image_channels(in);

    const int chunks = chunk_count(in);
    for (int chunk = 0; chunk < chunks; ++chunk) {
        if (chunks > 1)
            for_gaussians(in, in.cameras, [&](int c, int first, int last, int) {
                fill_colors(in, c, chunk, first, last, raster.views[c]);
            });
        for_tiles(in, raster, [&](int c, int tile) {
            backward_tile(in, tile, chunk, raster.views[c], image + c * pixels * channels,
                          image_gradient + c * pixels * channels,
                          alpha_gradient ? alpha_gradient + c * pixels : nullptr, records(c));
        });
        if (out.colors && chunk < chunks - 1)
            for_gaussians(in, 1, [&](int, int first, int last, int) {
                for (int c = 0; c < in.cameras; ++c)
                    gather_colors(in, c, chunk, first, last, raster.views[c], records(c), out.colors);
            });
    }
    for_gaussians(in, 1, [&](int, int first, int last, int block) {
        for (int c = 0; c < in.cameras; ++c)
            project_backward(in, c, first, last, raster.views[c], records(c), out,
                             &raster.camera_sums[((size_t)c * blocks + block) * 12]);
    });
    if (!out.viewmats) return;
    for (int c = 0; c < in.cameras; ++c) {
        double sum[16] = {};
        for (int b = 0; b < blocks; ++b)
            for (int k = 0; k < 12; ++k)
                sum[k] += raster.camera_sums[((size_t)c * blocks + b) * 12 + k];
        for (int k = 0; k < 16; ++k) out.viewmats[16 * c + k] = (float)sum[k];
    }
}

}  // namespace
}  // namespace drr

extern "C" {

// Renders image [cameras, height, width, channels (+ 1)] and alpha [cameras, height, width].
// With keep, *handle gets what drr_raster_backward needs, to be released; else it may be null.
// Returns 0, or 1 when there is not enough memory.
int32_t drr_raster_forward(
    const drr_raster_input* in, int32_t keep, float* image, float* alpha, void** handle) {
    drr::Raster* raster = nullptr;
    try {
        raster = drr::take_raster();
        drr::forward(*in, keep != 0, *raster, image, alpha);
    } catch (const std::bad_alloc&) {
        delete raster;
        return 1;
    }
    if (keep)
        *handle = raster;
    else
        drr::give_raster(raster);
    return 0;
}

// Gradients of the inputs, from those of the image and (if not null) of alpha. in and image are the
// forward pass's; the handle can be used again. Returns 0, or 1 without enough memory.
int32_t drr_raster_backward(
    void* handle, const drr_raster_input* in, const float* image, const float* image_gradient,
    const float* alpha_gradient, const drr_raster_gradient* out) {
    try {
        drr::backward(*in, *(drr::Raster*)handle, image, image_gradient, alpha_gradient, *out);
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

void drr_raster_release(void* handle) {
    if (handle) drr::give_raster((drr::Raster*)handle);
}
}
