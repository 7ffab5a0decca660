#include "dynamics_plan.hpp"

#include "kinematics.hpp"

namespace drr {

Plan::Plan(int n_links_, int nq_, int nv_, const int32_t* parent, const int32_t* type,
           const int32_t* q_index, const int32_t* v_index)
    : n_links(n_links_), nq(nq_), nv(nv_), row_of_link(n_links_) {
    std::vector<int> users(nv, 0);
    for (int i = 0; i < n_links; ++i) {
        const int above = parent[i] < 0 ? -1 : row_of_link[parent[i]];
        const int q = q_index[i], v = v_index[i];
        if (type[i] == FLOATING) {
            rows.push_back({PLAN_SHIFT, above, i, q, v, true, false, true, -1});
            rows.push_back({PLAN_BALL, size() - 1, i, q + 3, v + 3, false, true, true, -1});
        } else {
            const PlanKind kind = (PlanKind)type[i];
            const bool moves = kind != PLAN_FIXED || (above >= 0 && rows[above].moves);
            rows.push_back({kind, above, i, q, v, true, true, moves, -1});
        }
        row_of_link[i] = size() - 1;
    }
    for (PlanRow& row : rows) {
        int a = row.parent;
        while (a >= 0 && rows[a].kind == PLAN_FIXED) a = rows[a].parent;
        row.ancestor = a;
        for (int k = 0; k < dofs(row.kind); ++k) coupled = coupled || users[row.v + k]++ > 0;
    }
}

}  // namespace drr

extern "C" {

drr_plan* drr_plan_create(int32_t n_links, int32_t nq, int32_t nv, const int32_t* parent,
                          const int32_t* type, const int32_t* q_index, const int32_t* v_index) {
    return new drr_plan{drr::Plan(n_links, nq, nv, parent, type, q_index, v_index)};
}

void drr_plan_destroy(drr_plan* handle) { delete handle; }

}  // extern "C"
