// A small persistent pool of threads. No OpenMP: its barriers fight torch's own pool.
//
//   parallel_for(n, [&](int task, int worker) { ... });
//
// runs the tasks 0..n-1, each once, in any order, on num_threads() threads, the caller being worker 0.
// Results must not depend on which worker runs which task; worker < MAX_THREADS, and two calls of fn
// at the same time in one parallel_for have different workers. A second caller while the pool is busy,
// and a nested call, run their tasks themselves as worker 0: scratch memory indexed by the worker has
// to belong to the call. fn must not throw. After fork() the child makes a new pool.
#pragma once
#include <type_traits>

namespace drr {

constexpr int MAX_THREADS = 64;

int num_threads();
void set_num_threads(int n);

using TaskFunction = void (*)(void* closure, int task, int worker);
void run_tasks(int n_tasks, TaskFunction function, void* closure);

template <class Fn>
inline void parallel_for(int n_tasks, Fn&& fn) {
    using F = std::remove_reference_t<Fn>;
    run_tasks(
        n_tasks, [](void* f, int task, int worker) { (*(F*)f)(task, worker); }, (void*)&fn);
}

}  // namespace drr
