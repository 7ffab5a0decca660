// The tracker's inner loop: one call renders the robot and accumulates the Gauss-Newton normal
// equations of the image residuals in joint velocities and the camera twist.
//
//   Y_pixel,body = sum_i dO/dalpha_i * alpha_i * (m(x) . D_i),   m = (1, dx, dy, dx^2, dx dy, dy^2)
//
// Forward mode: D_i [6 moments, 6 twists] is the derivative of log alpha_i in the twist of the body
// that carries Gaussian i. A pixel's derivative in the parameters is Y X, with X the body's twist per
// parameter; where few bodies meet, H = sum X_a^T (sum_pixels w Y_a^T Y_b) X_b needs no product with X
// per pixel, and the image's share of the work does not depend on the number of parameters.
//
//   robot_image      poses, projection (link_projection), tile lists, compositing (robot_composite)
//   bodies           links that move as one, X
//   robot_residuals  residuals, robust weights, statistics of a tile
//   robot_jacobian   Y of a tile, LANES pixels at a time
//   normal_sums      the sums over pixels; blurred_rows where residuals are blurred
//   region_score     drr_region_scores
//
// The twin in Python is drrobot_ros/estimation/normal_equations.py.
#pragma once
#include <cstdint>

extern "C" {

// One image at one pyramid level. Null pointers switch a residual off.
struct drr_view {
    int32_t width, height;
    float fx, fy, cx, cy;
    float near_plane, eps2d;
    float inset_px;             // splats move inward along their normals by this much on the image:
                                // dilation and overlap push the rendered contour outward
    float cull;                 // splats whose normal leaves the camera by more than this cosine are
                                // not drawn; 1: all are drawn
    int32_t camera_link;        // the link that carries the camera, -1: fixed to the base
    double T_camera[16];        // T_base_camera, or T_link_camera
    double twist_center[3];     // camera frame, m: the camera twist turns about this point
    const float* target;        // [H,W,3] observed colour 0..1
    const float* color_weight;  // [H,W] 0..1; null: 1
    const float* background;    // [H,W,3] what is behind the robot; null: the observed colour
    const float* mask;          // [H,W] probability that a pixel shows the robot
    const float* mask_weight;   // [H,W] 0..1; null: 1
    const float* weight;        // [H,W] 0..1, 0 = ignore this pixel; null: 1
    const float* depth;         // [H,W] m, <= 0 or NaN where unknown
    float color_sigma, mask_sigma, depth_sigma;  // residual noise: colour, alpha, m
    float robust;               // Huber threshold (depth: Geman-McClure scale) in sigmas
    float gain[3], bias[3];     // colour seen = gain * colour of the splats + bias
    int32_t blur_radius, blur_passes;  // box blur of colour and mask residuals, 0: none
};

// Which velocities are estimated and where their columns are.
struct drr_parameters {
    int32_t n;                       // columns in all
    const int32_t* velocity_column;  // [nv] column or -1
    int32_t camera_column;           // first of six columns (v, w), or -1
    float cutoff;                    // where a splat's alpha * T stays below it in a block of pixels,
                                     // it has no tangent; 0: exact
};

struct drr_statistics {
    double cost;                       // half the robust sum of squares, in sigmas
    double color_cost, mask_cost, depth_cost;
    double color_count, mask_count, depth_count;  // pixels that entered each residual
    double inside;                     // sum of alpha over valid pixels
    double inside_error;               // sum of alpha * mean |colour residual|
    double intersection, union_;       // of alpha with the mask
    double depth_inliers;              // depth pixels within 2 sigma
    double fit[3][5];                  // per channel: sums of w, w x, w y, w x x, w x y (x splat colour, y seen)
    int32_t n_visible;                 // splats with a derivative anywhere
};

struct drr_images {
    float* rgb;       // [H,W,3] premultiplied, over black
    float* alpha;     // [H,W]
    float* depth;     // [H,W] premultiplied by alpha
    float* jacobian;  // [H,W,5,n]: rgb, alpha, premultiplied depth
};
}
