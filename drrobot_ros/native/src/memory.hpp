// A growing array that never initialises or copies its content, and keeps its memory.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <new>

namespace drr {

template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : data_(other.data_), capacity_(other.capacity_) {
        other.data_ = nullptr;
        other.capacity_ = 0;
    }
    ~Buffer() { std::free(data_); }

    // Room for n items; what was there is lost when it has to grow. Throws std::bad_alloc.
    T* reserve(size_t n) {
        if (n > capacity_ || !data_) {
            size_t wanted = n + n / 4 + 64;
            size_t bytes = (wanted * sizeof(T) + 63) / 64 * 64;
            std::free(data_);
            capacity_ = 0;
            data_ = static_cast<T*>(std::aligned_alloc(64, bytes));
            if (!data_) throw std::bad_alloc();
            capacity_ = wanted;
        }
        return data_;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

  private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

}  // namespace drr
