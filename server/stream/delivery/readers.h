// Readers: a few threads for the blocking reads shards must not do themselves (log, ledger). Bounded; used by shards. Thread-safe.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/limits.h"

namespace licet::stream {

class Readers {
  public:
    explicit Readers(int threads) : queue_(limits::log_reader_queue_max_requests) {
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([this] {
                while (auto job = queue_.pop()) (*job)();
            });
    }
    ~Readers() { stop(); }

    // False when the queue is full or the readers have stopped: the caller ends its stream with `overloaded`.
    [[nodiscard]] bool submit(std::function<void()> job) { return queue_.try_push(std::move(job)); }

    void stop() {
        queue_.close();
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }

  private:
    BoundedQueue<std::function<void()>> queue_;
    std::vector<std::thread> threads_;
};

}  // namespace licet::stream
