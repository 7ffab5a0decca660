#include "gauss_newton.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "binning.hpp"
#include "kinematics.hpp"
#include "lanes8.hpp"
#include "parallel.hpp"
#include "splats.hpp"

namespace drr {
namespace {

constexpr int TILE_PIXELS = TILE * TILE;
constexpr int CHANNELS = 5;  // r, g, b, alpha, depth
constexpr int MOMENTS = 6;
constexpr int MAX_VECTORS = 8;  // 64 parameters
constexpr float ALPHA_MAX = 0.999f;
constexpr float ALPHA_MIN = 1.0f / 255.0f;
constexpr float T_STOP = 1e-4f;

// One splat on the image: what the tiles read.
struct Projected {
    float u, v;
    float A, B, C;  // conic
    float opacity;  // compensated for the dilation
    float reach;    // ln(255 opacity): exponents above it are invisible
    float channel[CHANNELS];
    int32_t x0, x1, y0, y1;  // pixel box, end excluded
};

struct Pair {
    uint16_t pixel;
    uint16_t entry;  // position in the tile's list
    float alpha;
};

struct Tile {
    std::vector<Pair> pairs;
    float T[TILE_PIXELS];
    float out[CHANNELS][TILE_PIXELS];
};

// Everything one evaluation needs, kept between calls to save the allocations.
struct Workspace {
    std::vector<Pose> link, joint;
    std::vector<Twist> columns;
    std::vector<float> twists;  // [links][6][P padded], camera frame
    std::vector<Projected> projected;
    Buffer<float> depth;
    Buffer<TileRect> rect;
    TileLists lists;
    std::vector<Tile> tiles;
    std::vector<uint8_t> visible;
    std::vector<uint32_t> visible_list;
    std::vector<int32_t> slot;
    std::vector<float> tangents;  // [visible][7][P padded]
    std::vector<float> rows, blurred;
    std::vector<double> tile_sums;
    std::vector<drr_statistics> tile_statistics;
};

template <class F>
void run(bool threaded, int n, const F& fn) {
    if (threaded)
        parallel_for(n, [&](int i, int) { fn(i); });
    else
        for (int i = 0; i < n; ++i) fn(i);
}

// --- geometry --------------------------------------------------------------------------------

Pose camera_from_base(const drr_view& view, const std::vector<Pose>& link) {
    const Pose T = pose_from_matrix(view.T_camera);
    return inverse(view.camera_link < 0 ? T : compose(link[view.camera_link], T));
}

// Twists of every link per parameter, in the camera frame: a point p moves with v + w x p.
void camera_twists(const Tree& tree, const drr_view& view, const drr_parameters& par,
                   const Pose& T_camera_base, int padded, Workspace& ws) {
    const int L = tree.n_links, nv = tree.nv;
    ws.columns.resize(static_cast<size_t>(L) * nv);
    tree.columns(ws.link.data(), ws.joint.data(), ws.columns.data());
    ws.twists.assign(static_cast<size_t>(L) * 6 * padded, 0.0f);
    const double* R = T_camera_base.R;
    const double* t = T_camera_base.p;
    for (int l = 0; l < L; ++l) {
        float* out = &ws.twists[static_cast<size_t>(l) * 6 * padded];
        for (int j = 0; j < nv; ++j) {
            const int column = par.velocity_column[j];
            if (column < 0) continue;
            Twist c = ws.columns[static_cast<size_t>(l) * nv + j];
            if (view.camera_link >= 0) {
                const Twist& k = ws.columns[static_cast<size_t>(view.camera_link) * nv + j];
                for (int i = 0; i < 3; ++i) c.v[i] -= k.v[i], c.w[i] -= k.w[i];
            }
            double v[3], w[3];
            for (int i = 0; i < 3; ++i) {
                v[i] = R[3 * i] * c.v[0] + R[3 * i + 1] * c.v[1] + R[3 * i + 2] * c.v[2];
                w[i] = R[3 * i] * c.w[0] + R[3 * i + 1] * c.w[1] + R[3 * i + 2] * c.w[2];
            }
            const double shift[3] = {t[1] * w[2] - t[2] * w[1], t[2] * w[0] - t[0] * w[2],
                                     t[0] * w[1] - t[1] * w[0]};
            for (int i = 0; i < 3; ++i) {
                out[i * padded + column] += static_cast<float>(v[i] + shift[i]);
                out[(3 + i) * padded + column] += static_cast<float>(w[i]);
            }
        }
        if (par.camera_column < 0) continue;
        // T_base_camera <- T_base_camera * exp about the centre c: dp = -(v + w x (p - c)).
        const double* c = view.twist_center;
        for (int k = 0; k < 3; ++k) {
            out[k * padded + par.camera_column + k] -= 1.0f;
            out[(3 + k) * padded + par.camera_column + 3 + k] -= 1.0f;
        }
        const double e_cross_c[3][3] = {{0, -c[2], c[1]}, {c[2], 0, -c[0]}, {-c[1], c[0], 0}};
        for (int k = 0; k < 3; ++k)
            for (int i = 0; i < 3; ++i)
                out[i * padded + par.camera_column + 3 + k] += static_cast<float>(e_cross_c[k][i]);
    }
}

// Camera-frame centre and half-axes of a group, and what the projection makes of them.
struct GroupProjection {
    f8 x, y, z, inv_z;
    f8 away;  // cosine between the normal and the line of sight: positive faces away
    f8 M[9];
    f8 j00, j02, j11, j12;  // the projection's Jacobian
    f8 U[6];                // j * M
    f8 a0, b0, c0, a, b, c, det0, det;
};

void project_group(const SplatGroup& g, const Pose& T, const drr_view& view, GroupProjection& o) {
    const f8 m0 = load8(g.mean[0]), m1 = load8(g.mean[1]), m2 = load8(g.mean[2]);
    float R[9], t[3];
    for (int i = 0; i < 9; ++i) R[i] = static_cast<float>(T.R[i]);
    for (int i = 0; i < 3; ++i) t[i] = static_cast<float>(T.p[i]);
    o.x = R[0] * m0 + R[1] * m1 + R[2] * m2 + t[0];
    o.y = R[3] * m0 + R[4] * m1 + R[5] * m2 + t[1];
    o.z = R[6] * m0 + R[7] * m1 + R[8] * m2 + t[2];
    const f8 n0 = load8(g.normal[0]), n1 = load8(g.normal[1]), n2 = load8(g.normal[2]);
    const f8 nx = R[0] * n0 + R[1] * n1 + R[2] * n2;
    const f8 ny = R[3] * n0 + R[4] * n1 + R[5] * n2;
    const f8 nz = R[6] * n0 + R[7] * n1 + R[8] * n2;
    o.away = (nx * o.x + ny * o.y + nz * o.z) / sqrt8(o.x * o.x + o.y * o.y + o.z * o.z);
    // Constant per call: its change with depth is far below a pixel.
    const f8 inset = view.inset_px / view.fx * max8(o.z, splat8(view.near_plane));
    o.x -= inset * nx;
    o.y -= inset * ny;
    o.z -= inset * nz;
    f8 S[9];
    for (int i = 0; i < 9; ++i) S[i] = load8(g.shape[i]);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            o.M[3 * i + j] = R[3 * i] * S[j] + R[3 * i + 1] * S[3 + j] + R[3 * i + 2] * S[6 + j];
    const f8 z = max8(o.z, splat8(view.near_plane));
    o.inv_z = 1.0f / z;
    // gsplat bounds the slopes of the projection outside the image; so do we.
    const float margin_x = 0.3f * 0.5f * view.width / view.fx;
    const float margin_y = 0.3f * 0.5f * view.height / view.fy;
    const f8 sx = min8(max8(o.x * o.inv_z, splat8(-view.cx / view.fx - margin_x)),
                        splat8((view.width - view.cx) / view.fx + margin_x));
    const f8 sy = min8(max8(o.y * o.inv_z, splat8(-view.cy / view.fy - margin_y)),
                        splat8((view.height - view.cy) / view.fy + margin_y));
    o.j00 = view.fx * o.inv_z;
    o.j11 = view.fy * o.inv_z;
    o.j02 = -view.fx * sx * o.inv_z;
    o.j12 = -view.fy * sy * o.inv_z;
    for (int j = 0; j < 3; ++j) {
        o.U[j] = o.j00 * o.M[j] + o.j02 * o.M[6 + j];
        o.U[3 + j] = o.j11 * o.M[3 + j] + o.j12 * o.M[6 + j];
    }
    o.a0 = o.U[0] * o.U[0] + o.U[1] * o.U[1] + o.U[2] * o.U[2];
    o.b0 = o.U[0] * o.U[3] + o.U[1] * o.U[4] + o.U[2] * o.U[5];
    o.c0 = o.U[3] * o.U[3] + o.U[4] * o.U[4] + o.U[5] * o.U[5];
    o.a = o.a0 + view.eps2d;
    o.b = o.b0;
    o.c = o.c0 + view.eps2d;
    o.det0 = max8(o.a0 * o.c0 - o.b0 * o.b0, splat8(0.0f));
    o.det = o.a * o.c - o.b * o.b;
}

void project(const Splats& splats, const drr_view& view, const std::vector<Pose>& T_camera_link,
             int first, int last, Workspace& ws) {
    for (int gi = first; gi < last; ++gi) {
        const SplatGroup& g = splats.groups[gi];
        GroupProjection o;
        project_group(g, T_camera_link[g.link], view, o);
        const f8 u = view.fx * o.x * o.inv_z + view.cx;
        const f8 v = view.fy * o.y * o.inv_z + view.cy;
        const f8 inv_det = 1.0f / o.det;
        const f8 opacity = load8(g.opacity) * sqrt8(o.det0 * inv_det);
        for (int k = 0; k < GROUP; ++k) {
            Projected& p = ws.projected[gi * GROUP + k];
            const int index = gi * GROUP + k;
            ws.rect[index] = {0, 0, 0, 0};
            const float op = opacity[k];
            if (!(op >= ALPHA_MIN) || !(o.z[k] > view.near_plane) || o.away[k] > view.cull) continue;
            p.reach = std::log(255.0f * op);
            const float extent = std::sqrt(2.0f * p.reach);
            const float rx = extent * std::sqrt(o.a[k]), ry = extent * std::sqrt(o.c[k]);
            const float uk = u[k], vk = v[k];
            if (!(uk + rx > 0 && uk - rx < view.width && vk + ry > 0 && vk - ry < view.height))
                continue;
            p.x0 = std::max(0, static_cast<int>(std::ceil(uk - rx - 0.5f)));
            p.x1 = std::min(view.width, static_cast<int>(std::floor(uk + rx - 0.5f)) + 1);
            p.y0 = std::max(0, static_cast<int>(std::ceil(vk - ry - 0.5f)));
            p.y1 = std::min(view.height, static_cast<int>(std::floor(vk + ry - 0.5f)) + 1);
            if (p.x0 >= p.x1 || p.y0 >= p.y1) continue;
            ws.depth[index] = o.z[k];
            ws.rect[index] = {static_cast<int16_t>(p.x0 / TILE), static_cast<int16_t>(p.y0 / TILE),
                              static_cast<int16_t>((p.x1 - 1) / TILE + 1),
                              static_cast<int16_t>((p.y1 - 1) / TILE + 1)};
            p.u = uk, p.v = vk;
            p.A = o.c[k] * inv_det[k], p.B = -o.b[k] * inv_det[k], p.C = o.a[k] * inv_det[k];
            p.opacity = op;
            for (int c = 0; c < 3; ++c) p.channel[c] = g.color[c][k];
            p.channel[3] = 1.0f;
            p.channel[4] = o.z[k];
        }
    }
}

// --- tiles -----------------------------------------------------------------------------------

// Composites one tile front to back and, for the tangents, notes every pair that counts.
void forward_tile(int t, int tiles_x, float cutoff, bool keep_pairs, Workspace& ws) {
    Tile& tile = ws.tiles[t];
    tile.pairs.clear();
    std::fill_n(tile.T, TILE_PIXELS, 1.0f);
    std::memset(tile.out, 0, sizeof tile.out);
    const int ox = (t % tiles_x) * TILE, oy = (t / tiles_x) * TILE;
    const uint32_t begin = ws.lists.tile_begin[t], end = ws.lists.tile_begin[t + 1];
    static const f8 lane = {0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f};
    bool row_open[TILE];
    std::fill_n(row_open, TILE, true);
    int open_rows = TILE;
    for (uint32_t e = begin; e < end && open_rows > 0; ++e) {
        const Projected& p = ws.projected[ws.lists.entries[e].splat];
        const int y0 = std::max(p.y0 - oy, 0), y1 = std::min(p.y1 - oy, TILE);
        const int x0 = std::max(p.x0 - ox, 0) / 8 * 8, x1 = std::min(p.x1 - ox, TILE);
        bool used = false;
        for (int y = y0; y < y1; ++y) {
            if (!row_open[y]) continue;
            const float dy = oy + y + 0.5f - p.v;
            const float half_cdd = 0.5f * p.C * dy * dy;
            for (int x = x0; x < x1; x += 8) {
                float* T = tile.T + y * TILE + x;
                const f8 dx = lane + (ox + x - p.u);
                const f8 sigma = dx * (0.5f * p.A * dx + p.B * dy) + half_cdd;
                f8 Tv = load8(T);
                const i8 on = (sigma >= 0.0f) & (sigma <= p.reach) & (Tv > T_STOP);
                if (!bits8(on)) continue;
                f8 alpha = min8(p.opacity * exp8_negative(-sigma), splat8(ALPHA_MAX));
                alpha = keep8(on, alpha);
                const f8 weight = alpha * Tv;
                for (int c = 0; c < CHANNELS; ++c) {
                    float* out = tile.out[c] + y * TILE + x;
                    store8(out, load8(out) + weight * p.channel[c]);
                }
                // gsplat leaves out the splat that would close the pixel; closing it with the
                // splat in keeps the same image to 1e-4 and needs no second test.
                store8(T, Tv - weight);
                if (!keep_pairs) continue;
                used = true;
                uint32_t bits = bits8(on & (weight > cutoff));
                while (bits) {
                    const int k = __builtin_ctz(bits);
                    bits &= bits - 1;
                    tile.pairs.push_back({static_cast<uint16_t>(y * TILE + x + k),
                                          static_cast<uint16_t>(e - begin), alpha[k]});
                }
            }
        }
        if (used) ws.visible[ws.lists.entries[e].splat] = 1;
        if (((e - begin) & 15) == 15) {
            open_rows = 0;
            for (int y = 0; y < TILE; ++y) {
                row_open[y] = bits8((load8(tile.T + y * TILE) > T_STOP) |
                                  (load8(tile.T + y * TILE + 8) > T_STOP));
                open_rows += row_open[y];
            }
        }
    }
}

// Derivatives of log alpha's moments and of the depth per parameter, for one visible splat:
// [MOMENTS + 1][padded]. The chain is d/d(twist) (7 x 6) times the twists of the link (6 x P).
void tangent_group(const Splats& splats, const drr_view& view, const std::vector<Pose>& T_camera_link,
                   int gi, int padded, Workspace& ws) {
    const SplatGroup& g = splats.groups[gi];
    bool needed = false;
    for (int k = 0; k < GROUP; ++k) needed |= ws.slot[gi * GROUP + k] >= 0;
    if (!needed) return;
    GroupProjection o;
    project_group(g, T_camera_link[g.link], view, o);
    const f8 inv_det = 1.0f / o.det;
    const f8 A = o.c * inv_det, B = -o.b * inv_det, C = o.a * inv_det;
    const f8 inv_det0 = 1.0f / max8(o.det0, splat8(1e-20f));
    f8 D[7][6];
    for (int t = 0; t < 6; ++t) {
        // Motion of the centre (d) and of the half-axes (dM) under the unit twist t.
        const f8 zero = splat8(0.0f), one = splat8(1.0f);
        f8 dx = zero, dy = zero, dz = zero;
        f8 dM[9] = {};
        const bool turns = t >= 3;
        if (t == 0) dx = one;
        if (t == 1) dy = one;
        if (t == 2) dz = one;
        if (t == 3) {  // about x: (0, -z, y)
            dy = -o.z, dz = o.y;
            for (int j = 0; j < 3; ++j) dM[3 + j] = -o.M[6 + j], dM[6 + j] = o.M[3 + j];
        } else if (t == 4) {  // about y: (z, 0, -x)
            dx = o.z, dz = -o.x;
            for (int j = 0; j < 3; ++j) dM[j] = o.M[6 + j], dM[6 + j] = -o.M[j];
        } else if (t == 5) {  // about z: (-y, x, 0)
            dx = -o.y, dy = o.x;
            for (int j = 0; j < 3; ++j) dM[j] = -o.M[3 + j], dM[3 + j] = o.M[j];
        }
        const f8 du = o.j00 * (dx - o.x * o.inv_z * dz);
        const f8 dv = o.j11 * (dy - o.y * o.inv_z * dz);
        const f8 scale = -dz * o.inv_z;  // d(1/z) / (1/z)
        const f8 dj00 = o.j00 * scale, dj11 = o.j11 * scale;
        const f8 dj02 = -o.j00 * o.inv_z * dx + 2.0f * o.j02 * scale;
        const f8 dj12 = -o.j11 * o.inv_z * dy + 2.0f * o.j12 * scale;
        f8 da = zero, db = zero, dc = zero;
        for (int j = 0; j < 3; ++j) {
            f8 d0 = dj00 * o.M[j] + dj02 * o.M[6 + j];
            f8 d1 = dj11 * o.M[3 + j] + dj12 * o.M[6 + j];
            if (turns) {
                d0 += o.j00 * dM[j] + o.j02 * dM[6 + j];
                d1 += o.j11 * dM[3 + j] + o.j12 * dM[6 + j];
            }
            da += 2.0f * o.U[j] * d0;
            db += o.U[j] * d1 + o.U[3 + j] * d0;
            dc += 2.0f * o.U[3 + j] * d1;
        }
        const f8 ddet0 = da * o.c0 + o.a0 * dc - 2.0f * o.b0 * db;
        const f8 ddet = da * o.c + o.a * dc - 2.0f * o.b * db;
        const f8 dlog = ddet * inv_det;
        D[0][t] = 0.5f * (ddet0 * inv_det0 - dlog);
        D[1][t] = A * du + B * dv;
        D[2][t] = B * du + C * dv;
        D[3][t] = -0.5f * (dc * inv_det - A * dlog);
        D[4][t] = db * inv_det + B * dlog;
        D[5][t] = -0.5f * (da * inv_det - C * dlog);
        D[6][t] = dz;
    }
    const float* X = &ws.twists[static_cast<size_t>(g.link) * 6 * padded];
    for (int k = 0; k < GROUP; ++k) {
        const int slot = ws.slot[gi * GROUP + k];
        if (slot < 0) continue;
        float* out = &ws.tangents[static_cast<size_t>(slot) * (MOMENTS + 1) * padded];
        for (int m = 0; m <= MOMENTS; ++m) {
            for (int b = 0; b < padded; b += 8) {
                f8 sum = D[m][0][k] * load8(X + b);
                for (int t = 1; t < 6; ++t) sum += D[m][t][k] * load8(X + t * padded + b);
                store8(out + m * padded + b, sum);
            }
        }
    }
}

// Jacobians of the tile's pixels: J [TILE_PIXELS][CHANNELS][NV vectors].
template <int NV>
void jacobian_tile(int t, int tiles_x, bool with_color, bool with_depth, f8* J, Workspace& ws) {
    Tile& tile = ws.tiles[t];
    const int ox = (t % tiles_x) * TILE, oy = (t / tiles_x) * TILE;
    const uint32_t begin = ws.lists.tile_begin[t];
    float T[TILE_PIXELS], rest[CHANNELS][TILE_PIXELS];
    std::fill_n(T, TILE_PIXELS, 1.0f);
    std::memcpy(rest, tile.out, sizeof rest);
    std::memset(static_cast<void*>(J), 0, sizeof(f8) * TILE_PIXELS * CHANNELS * NV);
    for (const Pair& pair : tile.pairs) {
        const uint32_t id = ws.lists.entries[begin + pair.entry].splat;
        const Projected& p = ws.projected[id];
        const int px = pair.pixel;
        const float alpha = pair.alpha, before = T[px];
        const float weight = alpha * before;
        T[px] = before - weight;
        const float inv = 1.0f / (1.0f - alpha);
        const float dx = ox + (px % TILE) + 0.5f - p.u, dy = oy + (px / TILE) + 0.5f - p.v;
        const float* tangent =
            &ws.tangents[static_cast<size_t>(ws.slot[id]) * (MOMENTS + 1) * NV * 8];
        const auto tau = [&](int row) { return load8(tangent + 8 * row); };
        // dO = (T c - rest / (1 - alpha)) dalpha; a clamped alpha does not move.
        const float gain = alpha < ALPHA_MAX ? alpha : 0.0f;
        float k[CHANNELS];
        for (int c = 0; c < CHANNELS; ++c) {
            rest[c][px] -= weight * p.channel[c];
            k[c] = gain * (before * p.channel[c] - rest[c][px] * inv);
        }
        f8* Jp = J + static_cast<size_t>(px) * CHANNELS * NV;
        for (int b = 0; b < NV; ++b) {
            const f8 ds = tau(b) + dx * tau(NV + b) + dy * tau(2 * NV + b) + (dx * dx) * tau(3 * NV + b) +
                          (dx * dy) * tau(4 * NV + b) + (dy * dy) * tau(5 * NV + b);
            if (with_color)
                for (int c = 0; c < 3; ++c) Jp[c * NV + b] += k[c] * ds;
            Jp[3 * NV + b] += k[3] * ds;
            if (with_depth) Jp[4 * NV + b] += k[4] * ds + weight * tau(6 * NV + b);
        }
    }
}

// --- residuals -------------------------------------------------------------------------------

double huber(double r, double limit, double& weight) {
    const double a = std::fabs(r);
    if (a <= limit) {
        weight = 1.0;
        return 0.5 * r * r;
    }
    weight = limit / a;
    return limit * (a - 0.5 * limit);
}

double geman_mcclure(double r, double scale, double& weight) {
    const double s2 = scale * scale, d = s2 + r * r;
    weight = s2 * s2 / (d * d);
    return 0.5 * s2 * r * r / d;
}

// Upper triangle of sum w J J^T and sum w J r.
template <int NV>
struct Normal {
    float H[NV * 8][NV * 8];
    float g[NV * 8];

    void clear() { std::memset(static_cast<void*>(this), 0, sizeof *this); }

    void add(const f8* row, float residual, float weight) {
        float r[NV * 8];
        for (int b = 0; b < NV; ++b) store8(r + 8 * b, row[b]);
        for (int b = 0; b < NV; ++b) {
            float* out = g + 8 * b;
            store8(out, load8(out) + (weight * residual) * row[b]);
        }
        for (int i = 0; i < NV * 8; ++i) {
            const float s = weight * r[i];
            if (s == 0.0f) continue;
            for (int b = i / 8; b < NV; ++b) {
                float* out = H[i] + 8 * b;
                store8(out, load8(out) + s * row[b]);
            }
        }
    }
};

void add_statistics(drr_statistics& a, const drr_statistics& b) {
    a.cost += b.cost;
    a.color_cost += b.color_cost, a.mask_cost += b.mask_cost, a.depth_cost += b.depth_cost;
    a.color_count += b.color_count, a.mask_count += b.mask_count, a.depth_count += b.depth_count;
    a.inside += b.inside, a.inside_error += b.inside_error;
    a.intersection += b.intersection, a.union_ += b.union_;
    a.depth_inliers += b.depth_inliers;
    for (int c = 0; c < 3; ++c)
        for (int k = 0; k < 5; ++k) a.fit[c][k] += b.fit[c][k];
}

// The image residuals of one pixel, linear in the rendered channels: colour (3) and mask (1).
struct PixelRows {
    float residual[4];
    float coefficient[4][4];  // of d(r, g, b, alpha)
};

void pixel_rows(const drr_view& v, int i, const float* out, PixelRows& p) {
    const float weight = v.weight ? v.weight[i] : 1.0f;
    std::memset(&p, 0, sizeof p);
    const float alpha = out[3];
    if (v.target) {
        const float w = weight * (v.color_weight ? v.color_weight[i] : 1.0f);
        for (int c = 0; c < 3; ++c) {
            const float seen = v.target[3 * i + c];
            const float behind = v.background ? v.background[3 * i + c] : seen;
            p.residual[c] =
                w * (v.gain[c] * out[c] + v.bias[c] * alpha + (1 - alpha) * behind - seen);
            p.coefficient[c][c] = w * v.gain[c];
            p.coefficient[c][3] = w * (v.bias[c] - behind);
        }
    }
    if (v.mask) {
        const float w = weight * (v.mask_weight ? v.mask_weight[i] : 1.0f);
        p.residual[3] = w * (alpha - v.mask[i]);
        p.coefficient[3][3] = w;
    }
}

void pixel_statistics(const drr_view& v, int i, const float* out, drr_statistics& s) {
    const float weight = v.weight ? v.weight[i] : 1.0f;
    const float alpha = out[3];
    s.inside += weight * alpha;
    if (v.mask) {
        s.intersection += weight * std::min(alpha, v.mask[i]);
        s.union_ += weight * std::max(alpha, v.mask[i]);
    }
    if (!v.target || alpha <= 0.0f) return;
    float error = 0;
    for (int c = 0; c < 3; ++c)
        error += std::fabs(v.gain[c] * out[c] / alpha + v.bias[c] - v.target[3 * i + c]) / 3;
    s.inside_error += weight * alpha * error;
    if (alpha < 0.7f || weight <= 0.0f) return;
    const double e = error / v.color_sigma;
    const double w = weight / (1.0 + e * e);  // Cauchy: wrong pixels must not set the light
    for (int c = 0; c < 3; ++c) {
        const double x = out[c] / alpha, y = v.target[3 * i + c];
        const double terms[5] = {1.0, x, y, x * x, x * y};
        for (int k = 0; k < 5; ++k) s.fit[c][k] += w * terms[k];
    }
}

// Robust cost and weights of the four image rows of a pixel; colour shares one weight.
void pixel_weights(const drr_view& v, const float* residual, float* weights, drr_statistics& s) {
    double w;
    if (v.target) {
        const double n = std::sqrt(residual[0] * residual[0] + residual[1] * residual[1] +
                                   residual[2] * residual[2]);
        s.color_cost += huber(n / v.color_sigma, v.robust, w);
        s.color_count += 1;
        weights[0] = weights[1] = weights[2] = static_cast<float>(w) / (v.color_sigma * v.color_sigma);
    }
    if (v.mask) {
        s.mask_cost += huber(residual[3] / v.mask_sigma, v.robust, w);
        s.mask_count += 1;
        weights[3] = static_cast<float>(w) / (v.mask_sigma * v.mask_sigma);
    }
}

template <int NV>
void combine_row(const float* coefficient, const f8* J, f8* row) {
    for (int b = 0; b < NV; ++b) {
        f8 sum = coefficient[3] * J[3 * NV + b];
        for (int c = 0; c < 3; ++c) sum += coefficient[c] * J[c * NV + b];
        row[b] = sum;
    }
}

// Depth: z_rendered - z_seen where the robot covers the pixel well.
template <int NV>
void depth_row(const drr_view& v, int i, const float* out, const f8* J, Normal<NV>* normal,
               drr_statistics& s) {
    const float seen = v.depth[i], alpha = out[3];
    if (!(seen > 0.0f) || alpha < 0.7f || (v.weight && v.weight[i] <= 0.0f)) return;
    const float z = out[4] / alpha;
    const double r = (z - seen) / v.depth_sigma;
    double w;
    s.depth_cost += geman_mcclure(r, v.robust * 2.0, w);
    s.depth_count += 1;
    s.depth_inliers += std::fabs(r) < 2.0;
    if (!normal) return;
    f8 row[NV];
    for (int b = 0; b < NV; ++b) row[b] = (J[4 * NV + b] - z * J[3 * NV + b]) / alpha;
    normal->add(row, z - seen, static_cast<float>(w) / (v.depth_sigma * v.depth_sigma));
}

// Box blur of `channels` interleaved floats per pixel along one axis; ends repeat.
void box_blur(const float* in, float* out, int n, int stride, int channels, int radius, float* sum) {
    const float inv = 1.0f / (2 * radius + 1);
    std::fill_n(sum, channels, 0.0f);
    const auto at = [&](int i) { return in + static_cast<size_t>(std::clamp(i, 0, n - 1)) * stride; };
    for (int i = -radius; i <= radius; ++i)
        for (int c = 0; c < channels; ++c) sum[c] += at(i)[c];
    for (int i = 0; i < n; ++i) {
        float* o = out + static_cast<size_t>(i) * stride;
        const float* in1 = at(i + radius + 1);
        const float* in0 = at(i - radius);
        for (int c = 0; c < channels; ++c) {
            o[c] = sum[c] * inv;
            sum[c] += in1[c] - in0[c];
        }
    }
}

template <int NV>
void evaluate(const Tree& tree, const Splats& splats, const double* q, const drr_view& view,
              const drr_parameters& par, bool threaded, double* H, double* g, drr_statistics& stats,
              const drr_images* images, Workspace& ws) {
    constexpr int P = NV * 8;
    const int W = view.width, Hh = view.height, n = par.n;
    const int tiles_x = (W + TILE - 1) / TILE, tiles_y = (Hh + TILE - 1) / TILE;
    const int n_tiles = tiles_x * tiles_y;
    const bool want_jacobian = n > 0 && (H || (images && images->jacobian));
    const bool blur = view.blur_radius > 0 && view.blur_passes > 0;
    const bool with_color = view.target || (images && images->jacobian);
    const bool with_depth = view.depth || (images && images->jacobian);

    ws.link.resize(tree.n_links);
    ws.joint.resize(tree.n_links);
    tree.forward(q, ws.link.data(), ws.joint.data());
    const Pose T_camera_base = camera_from_base(view, ws.link);
    std::vector<Pose> T_camera_link(tree.n_links);
    for (int l = 0; l < tree.n_links; ++l) T_camera_link[l] = compose(T_camera_base, ws.link[l]);
    if (want_jacobian) camera_twists(tree, view, par, T_camera_base, P, ws);

    const int groups = static_cast<int>(splats.groups.size());
    ws.projected.resize(splats.count());
    ws.depth.reserve(splats.count());
    ws.rect.reserve(splats.count());
    constexpr int CHUNK = 128;
    run(threaded, (groups + CHUNK - 1) / CHUNK, [&](int i) {
        project(splats, view, T_camera_link, i * CHUNK, std::min(groups, (i + 1) * CHUNK), ws);
    });
    ws.lists.build(splats.count(), ws.depth.data(), ws.rect.data(), W, Hh);
    if (static_cast<int>(ws.tiles.size()) < n_tiles) ws.tiles.resize(n_tiles);
    ws.visible.assign(splats.count(), 0);
    run(threaded, n_tiles,
        [&](int t) { forward_tile(t, tiles_x, par.cutoff, want_jacobian, ws); });

    if (want_jacobian) {
        ws.slot.assign(splats.count(), -1);
        int slots = 0;
        for (int i = 0; i < splats.count(); ++i)
            if (ws.visible[i]) ws.slot[i] = slots++;
        stats.n_visible = slots;
        ws.tangents.resize(static_cast<size_t>(std::max(slots, 1)) * (MOMENTS + 1) * P);
        run(threaded, (groups + CHUNK - 1) / CHUNK, [&](int c) {
            for (int i = c * CHUNK; i < std::min(groups, (c + 1) * CHUNK); ++i)
                tangent_group(splats, view, T_camera_link, i, P, ws);
        });
    }

    // Per tile: Jacobians, residual rows, and either their sums or (blur) the rows themselves.
    constexpr int ROW = 4 * (P + 1);  // four residuals, then their rows
    const int row_size = want_jacobian ? ROW : 4;
    if (blur) ws.rows.resize(static_cast<size_t>(W) * Hh * row_size);
    constexpr int SUMS = P * P + P;
    const bool want_sums = want_jacobian && H;
    if (want_sums) ws.tile_sums.assign(static_cast<size_t>(n_tiles) * SUMS, 0.0);
    ws.tile_statistics.assign(n_tiles, drr_statistics{});
    const auto store_sums = [&](int t, const Normal<NV>& normal) {
        double* sums = &ws.tile_sums[static_cast<size_t>(t) * SUMS];
        for (int i = 0; i < P; ++i) {
            for (int j = i; j < P; ++j) sums[i * P + j] += normal.H[i][j];
            sums[P * P + i] += normal.g[i];
        }
    };
    run(threaded, n_tiles, [&](int t) {
        static thread_local std::vector<f8, Aligned<f8>> J;
        Normal<NV> normal;
        const Tile& tile = ws.tiles[t];
        const bool has_jacobian = want_jacobian && !tile.pairs.empty();
        if (has_jacobian) {
            J.resize(static_cast<size_t>(TILE_PIXELS) * CHANNELS * NV);
            jacobian_tile<NV>(t, tiles_x, with_color, with_depth, J.data(), ws);
        }
        normal.clear();
        drr_statistics& s = ws.tile_statistics[t];
        const int ox = (t % tiles_x) * TILE, oy = (t / tiles_x) * TILE;
        for (int y = oy; y < std::min(oy + TILE, Hh); ++y) {
            for (int x = ox; x < std::min(ox + TILE, W); ++x) {
                const int i = y * W + x, px = (y - oy) * TILE + (x - ox);
                float out[CHANNELS];
                for (int c = 0; c < CHANNELS; ++c) out[c] = tile.out[c][px];
                const f8* Jp = has_jacobian ? J.data() + static_cast<size_t>(px) * CHANNELS * NV : nullptr;
                if (images) {
                    if (images->rgb) std::memcpy(images->rgb + 3 * i, out, 3 * sizeof(float));
                    if (images->alpha) images->alpha[i] = out[3];
                    if (images->depth) images->depth[i] = out[4];
                    if (images->jacobian) {
                        float* to = images->jacobian + static_cast<size_t>(i) * CHANNELS * n;
                        for (int c = 0; c < CHANNELS; ++c)
                            for (int j = 0; j < n; ++j)
                                to[c * n + j] = Jp ? Jp[c * NV + j / 8][j % 8] : 0.0f;
                    }
                }
                pixel_statistics(view, i, out, s);
                PixelRows rows;
                pixel_rows(view, i, out, rows);
                const bool moves = Jp && out[3] > 0.0f;
                if (blur) {
                    float* to = &ws.rows[static_cast<size_t>(i) * row_size];
                    std::memcpy(to, rows.residual, sizeof rows.residual);
                    if (want_jacobian) {
                        f8 row[4][NV];
                        if (moves)
                            for (int k = 0; k < 4; ++k) combine_row<NV>(rows.coefficient[k], Jp, row[k]);
                        else
                            std::memset(static_cast<void*>(row), 0, sizeof row);
                        std::memcpy(to + 4, row, sizeof row);
                    }
                } else {
                    float weights[4] = {0, 0, 0, 0};
                    pixel_weights(view, rows.residual, weights, s);
                    if (moves && want_sums) {
                        f8 row[NV];
                        for (int k = 0; k < 4; ++k) {
                            if (weights[k] <= 0.0f) continue;
                            combine_row<NV>(rows.coefficient[k], Jp, row);
                            normal.add(row, rows.residual[k], weights[k]);
                        }
                    }
                }
                if (view.depth)
                    depth_row<NV>(view, i, out, Jp, moves && want_sums ? &normal : nullptr, s);
            }
        }
        if (want_sums) store_sums(t, normal);
    });

    if (blur) {
        ws.blurred.resize(ws.rows.size());
        for (int pass = 0; pass < view.blur_passes; ++pass) {
            run(threaded, Hh, [&](int y) {
                static thread_local std::vector<float> sum;
                sum.resize(row_size);
                const size_t at = static_cast<size_t>(y) * W * row_size;
                box_blur(&ws.rows[at], &ws.blurred[at], W, row_size, row_size, view.blur_radius, sum.data());
            });
            run(threaded, W, [&](int x) {
                static thread_local std::vector<float> sum;
                sum.resize(row_size);
                const size_t at = static_cast<size_t>(x) * row_size;
                box_blur(&ws.blurred[at], &ws.rows[at], Hh, W * row_size, row_size, view.blur_radius,
                         sum.data());
            });
        }
        run(threaded, n_tiles, [&](int t) {
            Normal<NV> normal;
            normal.clear();
            drr_statistics& s = ws.tile_statistics[t];
            const int ox = (t % tiles_x) * TILE, oy = (t / tiles_x) * TILE;
            for (int y = oy; y < std::min(oy + TILE, Hh); ++y) {
                for (int x = ox; x < std::min(ox + TILE, W); ++x) {
                    const float* from = &ws.rows[static_cast<size_t>(y * W + x) * row_size];
                    float weights[4] = {0, 0, 0, 0};
                    pixel_weights(view, from, weights, s);
                    if (!want_sums) continue;
                    for (int k = 0; k < 4; ++k) {
                        if (weights[k] <= 0.0f) continue;
                        f8 row[NV];
                        std::memcpy(static_cast<void*>(row), from + 4 + k * P, sizeof row);
                        normal.add(row, from[k], weights[k]);
                    }
                }
            }
            if (want_sums) store_sums(t, normal);
        });
    }

    // Tiles in their order: the sums do not depend on the number of threads.
    for (int t = 0; t < n_tiles; ++t) add_statistics(stats, ws.tile_statistics[t]);
    stats.cost = stats.color_cost + stats.mask_cost + stats.depth_cost;
    if (!want_sums) return;
    std::vector<double> total(SUMS, 0.0);
    for (int t = 0; t < n_tiles; ++t)
        for (int k = 0; k < SUMS; ++k) total[k] += ws.tile_sums[static_cast<size_t>(t) * SUMS + k];
    for (int i = 0; i < n; ++i) {
        for (int j = i; j < n; ++j) H[i * n + j] = H[j * n + i] = total[i * P + j];
        g[i] = total[P * P + i];
    }
}

// Maximum over a square window, one axis at a time.
void dilate(const std::vector<float>& in, std::vector<float>& out, int W, int H, int radius) {
    static thread_local std::vector<float> rows;
    rows.resize(in.size());
    out.resize(in.size());
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x) {
            float m = 0;
            for (int k = std::max(0, x - radius); k <= std::min(W - 1, x + radius); ++k)
                m = std::max(m, in[static_cast<size_t>(y) * W + k]);
            rows[static_cast<size_t>(y) * W + x] = m;
        }
    for (int y = 0; y < H; ++y) {
        float* to = &out[static_cast<size_t>(y) * W];
        std::fill_n(to, W, 0.0f);
        for (int k = std::max(0, y - radius); k <= std::min(H - 1, y + radius); ++k)
            for (int x = 0; x < W; ++x) to[x] = std::max(to[x], rows[static_cast<size_t>(k) * W + x]);
    }
}

double region_score(const drr_view& v, const std::vector<float>& rgb, const std::vector<float>& alpha,
                    const uint8_t* cluster, int n_clusters, const float* palette, int n_palette,
                    int band) {
    static thread_local std::vector<float> wide;
    dilate(alpha, wide, v.width, v.height, band);
    const int labels = n_palette + 1;  // the last one: the band around the robot
    std::vector<double> joint(static_cast<size_t>(labels) * n_clusters, 0.0);
    for (size_t i = 0; i < alpha.size(); ++i) {
        const float weight = v.weight ? v.weight[i] : 1.0f;
        if (wide[i] <= 0.0f || weight <= 0.0f) continue;
        const float a = alpha[i];
        if (a > 0.0f) {
            int best = 0;
            float least = std::numeric_limits<float>::max();
            for (int p = 0; p < n_palette; ++p) {
                float d = 0;
                for (int c = 0; c < 3; ++c) {
                    const float e = rgb[3 * i + c] / a - palette[3 * p + c];
                    d += e * e;
                }
                if (d < least) least = d, best = p;
            }
            joint[static_cast<size_t>(best) * n_clusters + cluster[i]] += weight * a;
        }
        joint[static_cast<size_t>(n_palette) * n_clusters + cluster[i]] += weight * (wide[i] - a);
    }
    double total = 0;
    std::vector<double> by_label(labels, 0.0), by_cluster(n_clusters, 0.0);
    for (int l = 0; l < labels; ++l)
        for (int k = 0; k < n_clusters; ++k) {
            const double x = joint[static_cast<size_t>(l) * n_clusters + k];
            total += x, by_label[l] += x, by_cluster[k] += x;
        }
    double score = 0;
    for (int l = 0; l < labels; ++l)
        for (int k = 0; k < n_clusters; ++k) {
            const double x = joint[static_cast<size_t>(l) * n_clusters + k];
            if (x > 0) score += x * std::log(x * total / (by_label[l] * by_cluster[k]));
        }
    return score;
}

using Evaluate = void (*)(const Tree&, const Splats&, const double*, const drr_view&,
                          const drr_parameters&, bool, double*, double*, drr_statistics&,
                          const drr_images*, Workspace&);

Evaluate evaluate_for(int n) {
    static const Evaluate table[MAX_VECTORS] = {evaluate<1>, evaluate<2>, evaluate<3>, evaluate<4>,
                                                evaluate<5>, evaluate<6>, evaluate<7>, evaluate<8>};
    const int vectors = std::max(1, (n + 7) / 8);
    return vectors <= MAX_VECTORS ? table[vectors - 1] : nullptr;
}

Workspace& workspace() {
    static thread_local Workspace ws;
    return ws;
}

}  // namespace
}  // namespace drr

extern "C" {

// Largest number of parameters one call takes.
int32_t drr_max_parameters() { return drr::MAX_VECTORS * 8; }

// Renders the robot at q and returns the residuals' statistics; with H [n,n] and g [n] also the
// normal equations; with images also the rendering. Returns 0, or 1 for too many parameters.
int32_t drr_evaluate(const drr_tree* tree, const drr_splats* splats, const double* q,
                     const drr_view* view, const drr_parameters* parameters, double* H, double* g,
                     drr_statistics* statistics, const drr_images* images) {
    const drr::Evaluate fn = drr::evaluate_for(parameters->n);
    if (!fn) return 1;
    *statistics = drr_statistics{};
    fn(tree->tree, splats->splats, q, *view, *parameters, true, H, g, *statistics, images,
       drr::workspace());
    return 0;
}

// Scores n hypotheses by how well the rendered robot explains where which colour is seen: the mutual
// information between the label of a pixel (a palette colour of the robot, or the band around it) and
// its colour cluster, times the number of pixels. It needs no mask and no knowledge of the light.
// q [n,nq], T_camera [n,4,4] (null: the view's own), cluster [H,W] < n_clusters, palette [m,3].
void drr_region_scores(const drr_tree* tree, const drr_splats* splats, int32_t n, const double* q,
                       const double* T_camera, const drr_view* view, const uint8_t* cluster,
                       int32_t n_clusters, const float* palette, int32_t n_palette, int32_t band,
                       double* scores) {
    const int nq = tree->tree.nq;
    const size_t pixels = static_cast<size_t>(view->width) * view->height;
    drr::parallel_for(n, [&](int i, int) {
        static thread_local std::vector<float> rgb, alpha;
        rgb.resize(3 * pixels);
        alpha.resize(pixels);
        drr_view own = *view;
        if (T_camera) std::memcpy(own.T_camera, T_camera + 16 * i, sizeof own.T_camera);
        own.target = own.mask = own.depth = nullptr;
        const drr_parameters none = {0, nullptr, -1, 0.0f};
        const drr_images images = {rgb.data(), alpha.data(), nullptr, nullptr};
        drr_statistics statistics = {};
        drr::evaluate<1>(tree->tree, splats->splats, q + static_cast<size_t>(i) * nq, own, none, false,
                         nullptr, nullptr, statistics, &images, drr::workspace());
        scores[i] = drr::region_score(own, rgb, alpha, cluster, n_clusters, palette, n_palette, band);
    });
}

}  // extern "C"
