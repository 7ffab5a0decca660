#include "kinematics.hpp"

#include <cmath>
#include <cstring>

namespace drr {
namespace {

void cross(const double* a, const double* b, double* out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

void rotate(const double* R, const double* x, double* out) {
    for (int i = 0; i < 3; ++i) out[i] = R[3 * i] * x[0] + R[3 * i + 1] * x[1] + R[3 * i + 2] * x[2];
}

void rotation_about(const double* axis, double angle, double* R) {
    const double c = std::cos(angle), s = std::sin(angle), k = 1.0 - c;
    const double x = axis[0], y = axis[1], z = axis[2];
    const double out[9] = {c + x * x * k,     x * y * k - z * s, x * z * k + y * s,
                           y * x * k + z * s, c + y * y * k,     y * z * k - x * s,
                           z * x * k - y * s, z * y * k + x * s, c + z * z * k};
    std::memcpy(R, out, sizeof out);
}

// A quaternion of zero length is no rotation, as in MuJoCo.
void rotation_from_quat(const double* q, double* R) {
    double w = q[0], x = q[1], y = q[2], z = q[3];
    const double n = std::sqrt(w * w + x * x + y * y + z * z);
    if (n < 1e-15) {
        w = 1.0;
        x = y = z = 0.0;
    } else {
        w /= n, x /= n, y /= n, z /= n;
    }
    const double out[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                           2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                           2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
    std::memcpy(R, out, sizeof out);
}

Pose identity() {
    Pose a{};
    a.R[0] = a.R[4] = a.R[8] = 1.0;
    return a;
}

void add_rotation(Twist& t, const double* w, const double* anchor) {
    double v[3];
    cross(anchor, w, v);
    for (int i = 0; i < 3; ++i) t.v[i] += v[i], t.w[i] += w[i];
}

}  // namespace

Pose compose(const Pose& a, const Pose& b) {
    Pose c;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            c.R[3 * i + j] = a.R[3 * i] * b.R[j] + a.R[3 * i + 1] * b.R[3 + j] + a.R[3 * i + 2] * b.R[6 + j];
    rotate(a.R, b.p, c.p);
    for (int i = 0; i < 3; ++i) c.p[i] += a.p[i];
    return c;
}

Pose inverse(const Pose& a) {
    Pose b;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) b.R[3 * i + j] = a.R[3 * j + i];
    rotate(b.R, a.p, b.p);
    for (double& x : b.p) x = -x;
    return b;
}

Pose pose_from_matrix(const double* T) {
    Pose a;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) a.R[3 * i + j] = T[4 * i + j];
        a.p[i] = T[4 * i + 3];
    }
    return a;
}

void pose_to_matrix(const Pose& a, double* T) {
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) T[4 * i + j] = a.R[3 * i + j];
        T[4 * i + 3] = a.p[i];
    }
    T[12] = T[13] = T[14] = 0.0;
    T[15] = 1.0;
}

void Tree::forward(const double* q, Pose* link, Pose* joint) const {
    for (int l = 0; l < n_links; ++l) {
        Pose J = parent[l] < 0 ? T_parent_joint[l] : compose(link[parent[l]], T_parent_joint[l]);
        joint[l] = J;
        Pose motion = identity();
        const double* x = q_index[l] < 0 ? nullptr : q + q_index[l];
        switch (type[l]) {
            case REVOLUTE:
                rotation_about(&axis[3 * l], multiplier[l] * x[0] + offset[l], motion.R);
                break;
            case PRISMATIC:
                for (int i = 0; i < 3; ++i)
                    motion.p[i] = axis[3 * l + i] * (multiplier[l] * x[0] + offset[l]);
                break;
            case BALL:
                rotation_from_quat(x, motion.R);
                break;
            case FLOATING:
                for (int i = 0; i < 3; ++i) motion.p[i] = x[i];
                rotation_from_quat(x + 3, motion.R);
                break;
            default:
                break;
        }
        link[l] = compose(compose(J, motion), T_joint_link[l]);
    }
}

void Tree::columns(const Pose* link, const Pose* joint, Twist* out) const {
    for (int l = 0; l < n_links; ++l) {
        Twist* own = out + static_cast<size_t>(l) * nv;
        if (parent[l] < 0)
            std::memset(own, 0, sizeof(Twist) * nv);
        else
            std::memcpy(own, out + static_cast<size_t>(parent[l]) * nv, sizeof(Twist) * nv);
        if (type[l] == FIXED || v_index[l] < 0) continue;
        Twist* column = own + v_index[l];
        double w[3];
        if (type[l] == REVOLUTE) {
            rotate(joint[l].R, &axis[3 * l], w);
            for (double& c : w) c *= multiplier[l];
            add_rotation(column[0], w, joint[l].p);
        } else if (type[l] == PRISMATIC) {
            rotate(joint[l].R, &axis[3 * l], w);
            for (int i = 0; i < 3; ++i) column[0].v[i] += multiplier[l] * w[i];
        } else {
            // Ball and floating: angular velocity in the moved joint frame, as in MuJoCo.
            const Pose moved = compose(link[l], inverse(T_joint_link[l]));
            Twist* angular = column;
            if (type[l] == FLOATING) {
                for (int k = 0; k < 3; ++k)
                    for (int i = 0; i < 3; ++i) column[k].v[i] += joint[l].R[3 * i + k];
                angular = column + 3;
            }
            for (int k = 0; k < 3; ++k) {
                for (int i = 0; i < 3; ++i) w[i] = moved.R[3 * i + k];
                add_rotation(angular[k], w, moved.p);
            }
        }
    }
}

}  // namespace drr

extern "C" {

drr_tree* drr_tree_create(int32_t n_links, int32_t nq, int32_t nv, const int32_t* parent,
                          const int32_t* type, const double* T_parent_joint, const double* axis,
                          const double* T_joint_link, const int32_t* q_index, const int32_t* v_index,
                          const double* multiplier, const double* offset) {
    auto* handle = new drr_tree;
    drr::Tree& t = handle->tree;
    t.n_links = n_links, t.nq = nq, t.nv = nv;
    t.parent.assign(parent, parent + n_links);
    t.type.assign(type, type + n_links);
    t.q_index.assign(q_index, q_index + n_links);
    t.v_index.assign(v_index, v_index + n_links);
    t.axis.assign(axis, axis + 3 * n_links);
    t.multiplier.assign(multiplier, multiplier + n_links);
    t.offset.assign(offset, offset + n_links);
    for (int l = 0; l < n_links; ++l) {
        t.T_parent_joint.push_back(drr::pose_from_matrix(T_parent_joint + 16 * l));
        t.T_joint_link.push_back(drr::pose_from_matrix(T_joint_link + 16 * l));
    }
    return handle;
}

void drr_tree_destroy(drr_tree* handle) { delete handle; }

// T_base_link [n_links, 4, 4] and, where asked for, the geometric Jacobian of every link's origin
// [n_links, 6, nv] (linear above angular, base frame).
void drr_forward_kinematics(const drr_tree* handle, const double* q, double* T_base_link,
                            double* jacobians) {
    const drr::Tree& t = handle->tree;
    std::vector<drr::Pose> link(t.n_links), joint(t.n_links);
    t.forward(q, link.data(), joint.data());
    for (int l = 0; l < t.n_links; ++l) drr::pose_to_matrix(link[l], T_base_link + 16 * l);
    if (!jacobians) return;
    std::vector<drr::Twist> columns(static_cast<size_t>(t.n_links) * t.nv);
    t.columns(link.data(), joint.data(), columns.data());
    for (int l = 0; l < t.n_links; ++l) {
        for (int j = 0; j < t.nv; ++j) {
            const drr::Twist& c = columns[static_cast<size_t>(l) * t.nv + j];
            double at_origin[3];
            drr::cross(c.w, link[l].p, at_origin);
            double* J = jacobians + static_cast<size_t>(l) * 6 * t.nv + j;
            for (int i = 0; i < 3; ++i) {
                J[i * t.nv] = c.v[i] + at_origin[i];
                J[(3 + i) * t.nv] = c.w[i];
            }
        }
    }
}

}  // extern "C"
