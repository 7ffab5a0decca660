// Articulated registration of a robot's surface to a depth image, many hypotheses at a time.
//
// A hypothesis is joint positions and a camera pose. Every point of the surface that faces the camera
// and is not hidden by the robot itself is drawn to the nearest surface seen:
//
//   minimise  sum_i area_i rho( (x_i - y_i)^T (n n^T + spring I) (x_i - y_i) ) + priors
//
// with rho Geman and McClure's function and y_i (normal n) looked up in a grid of voxels, so that a step
// of a hypothesis takes some 25 us. Sums are taken per link and joined by the links' motion columns, as
// in gauss_newton.hpp. The scale of rho shrinks from stage to stage: at first far surfaces attract, at
// last only what fits counts.
//
//   surface_placement   points in the camera frame, which of them are seen, the score
//   surface_fit         normal equations, steps, drr_fit_surface
//
// The twin in Python is drrobot_ros/estimation/surface_fit.py.
#pragma once
#include <vector>

#include "kinematics.hpp"

extern "C" {

// Points of the robot's surface, sorted by link; link frame, m.
struct drr_surface {
    int32_t n;
    const float* mean;    // [n,3]
    const float* normal;  // [n,3] outward
    const float* area;    // [n] m^2
    const int32_t* link;  // [n]
};

// What a depth camera sees; camera frame, m.
struct drr_depth_scene {
    int32_t width, height;
    float fx, fy, cx, cy;
    const float* depth;      // [H,W], 0 unknown
    int32_t size[3];         // voxels along x, y, z
    float origin[3];         // corner of the first
    float cell;              // their size
    const int32_t* nearest;  // [z,y,x] index of the nearest sample
    const float* sample;     // [m,8] point, normal toward the camera, weight, unused
};

struct drr_fit_stage {
    int32_t iterations;
    float scale;       // of the robust function, m
    float spring;      // weight of the distance along the surface
    float min_cosine;  // of the two normals; below, a pair does not count
};

// What is free, limits and priors. Weights are in the cost's own unit, m^4 per squared rad or m.
struct drr_fit_problem {
    const int32_t* v_to_q;       // [nv] position of a scalar velocity, -1: held fixed
    const double* lower;         // [nq]
    const double* upper;         // [nq]
    const double* joint_weight;  // [nv] of the distance from the start
    double T_prior[16];          // expected camera pose
    double camera_weight[2];     // of the shift and the turn from it
    int32_t camera_free;
    float damping;
    float max_step;              // rad or m
};

// How a hypothesis is scored: the area of the robot's surface that is seen where it should be, less
// what should be seen and is not.
struct drr_fit_score {
    float tolerance;   // m: of a point that fits
    float min_cosine;  // of its normal and the one seen
    float free_space;  // penalty of a point in front of what is seen: the camera looks through it
    float hidden;      // penalty of a point behind what is seen
};

struct drr_fit_result {
    double score;      // m^2
    double explained;  // m^2, as the camera sees it: of points that fit
    double visible;    // m^2, as the camera sees it: of all points in the image
};
}

namespace drr {

// The surface's points at one hypothesis.
class SurfacePlacement {
  public:
    void place(const Tree& tree, const drr_surface& surface, const drr_depth_scene& scene,
               const double* q, const Pose& T_base_camera);
    drr_fit_result score(const drr_surface& surface, const drr_depth_scene& scene,
                         const drr_fit_score& s) const;

    std::vector<Pose> link, joint;     // base frame
    std::vector<float> point, normal;  // [n,3] camera frame
    std::vector<uint8_t> visible;      // faces the camera, is in the image, not behind the robot

  private:
    std::vector<int32_t> cell_;      // of the coarse depth buffer, -1: does not face the camera
    std::vector<float> nearest_z_;
};

// The sample nearest to a point, or null outside the grid.
const float* nearest_sample(const drr_depth_scene& scene, const float* x);

inline float dot3(const float* a, const float* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

}  // namespace drr
