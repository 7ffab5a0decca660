#include "parallel.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <system_error>
#include <thread>
#include <time.h>
#include <vector>

namespace drr {
namespace {

int default_threads() {
    if (const char* text = std::getenv("DRROBOT_NUM_THREADS")) {
        int n = std::atoi(text);
        if (n >= 1) return n < MAX_THREADS ? n : MAX_THREADS;
    }
    int n = (int)std::thread::hardware_concurrency();
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
    return n < 1 ? 1 : (n > 8 ? 8 : n);
}

inline void pause_cpu() {
#if defined(__SSE2__)
    __builtin_ia32_pause();
#endif
}

double now_us() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

// After its last task a worker spins this long before it sleeps: the phases of one image follow
// each other within microseconds, and waking a sleeping thread costs tens of them.
constexpr double SPIN_US = 40.0;

constexpr int CLOSED = 1 << 30;  // a value of Pool::next that no job's number of tasks reaches

struct Pool {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<std::thread> threads;
    std::atomic<unsigned> generation{0};  // counts the jobs; workers wait for it to change
    std::atomic<int> next{CLOSED};        // the next task of the job; opened last, closed first
    std::atomic<int> inside{0};           // workers that may be running tasks of the job
    int n_tasks = 0;
    TaskFunction function = nullptr;
    void* closure = nullptr;

    void take(int worker) {
        // The claim comes before any look at the job: a claimed task proves that the job is set up.
        // In statements of their own, as the operands of a comparison come in any order.
        for (;;) {
            const int t = next.fetch_add(1);
            if (t >= n_tasks) return;
            function(closure, t, worker);
        }
    }

    void work(int worker, unsigned seen) {
        for (;;) {
            double until = now_us() + SPIN_US;
            while (generation.load() == seen) {
                for (int i = 0; i < 32; ++i) pause_cpu();
                if (now_us() > until) {
                    std::unique_lock<std::mutex> lock(mutex);
                    wake.wait(lock, [&] { return generation.load() != seen; });
                }
            }
            seen = generation.load();
            if (worker >= num_threads()) continue;
            inside.fetch_add(1);
            take(worker);
            inside.fetch_sub(1);
        }
    }

    void run(int tasks, int workers, TaskFunction f, void* c) {
        try {
            while ((int)threads.size() < workers - 1) {
                int worker = (int)threads.size() + 1;
                unsigned seen = generation.load();
                threads.emplace_back([this, worker, seen] { work(worker, seen); });
            }
        } catch (const std::system_error&) {
            // No more threads to be had: those there are do the work, at least the caller.
        }
        n_tasks = tasks;
        function = f;
        closure = c;
        next.store(0);
        {
            std::lock_guard<std::mutex> lock(mutex);
            generation.fetch_add(1);
        }
        wake.notify_all();
        take(0);
        next.store(CLOSED);
        // A worker that sleeps or comes late finds the job closed and is not waited for.
        for (int i = 0; inside.load() > 0; ++i) {
            if (i < 2000)
                pause_cpu();
            else
                sched_yield();
        }
    }
};

std::atomic<int> thread_count{0};
std::atomic<bool> busy{false};
Pool* pool = nullptr;

// The child of a fork has none of the parent's threads: forget the pool (its memory leaks, once).
void forget_pool() {
    pool = nullptr;
    busy.store(false);
}

}  // namespace

int num_threads() {
    int n = thread_count.load(std::memory_order_relaxed);
    if (n == 0) thread_count.store(n = default_threads());
    return n;
}

void set_num_threads(int n) {
    thread_count.store(n < 1 ? default_threads() : (n > MAX_THREADS ? MAX_THREADS : n));
}

void run_tasks(int n_tasks, TaskFunction function, void* closure) {
    int workers = num_threads() < n_tasks ? num_threads() : n_tasks;
    if (workers <= 1 || busy.exchange(true, std::memory_order_acquire)) {
        for (int t = 0; t < n_tasks; ++t) function(closure, t, 0);
        return;
    }
    if (!pool) {
        static bool registered = pthread_atfork(nullptr, nullptr, forget_pool) == 0;
        (void)registered;
        pool = new Pool;  // never destroyed: its threads live as long as the process
    }
    pool->run(n_tasks, workers, function, closure);
    busy.store(false, std::memory_order_release);
}

}  // namespace drr

extern "C" {
int drr_num_threads() { return drr::num_threads(); }
void drr_set_num_threads(int n) { drr::set_num_threads(n); }
}
