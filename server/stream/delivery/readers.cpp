#include "server/stream/delivery/readers.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/fair_queue.h"
#include "base/limits.h"

namespace licet::stream {

struct Readers::State {
    struct Costly {
        std::size_t bytes;
        std::function<void(Held)> job;
    };
    struct Bytes {
        explicit Bytes(std::size_t all) : free(static_cast<std::int64_t>(all)) {}
        FairQueue<const void*, Costly> waiting;
        std::int64_t free;
        [[nodiscard]] bool ready() const { return !waiting.empty() && static_cast<std::int64_t>(waiting.front().bytes) <= free; }
    };
    mutable std::mutex mutex;
    std::condition_variable ready;
    FairQueue<const void*, std::function<void()>> plain;
    std::array<Bytes, 2> pools{Bytes(limits::catch_up_in_flight_max_bytes), Bytes(limits::pages_in_flight_max_bytes)};
    std::size_t turn = 0;
    bool closed = false;

    [[nodiscard]] Bytes& of(Pool pool) { return pools[static_cast<std::size_t>(pool)]; }
    [[nodiscard]] bool full() const {
        return plain.size() + pools[0].waiting.size() + pools[1].waiting.size() >= limits::log_reader_queue_max_requests;
    }
};

Readers::Readers(int threads) : state_(std::make_shared<State>()) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

Readers::~Readers() { stop(); }

Readers::Held Readers::hold(std::shared_ptr<State> state, Pool pool, std::size_t bytes) {
    auto* raw = state.get();
    return Held(raw, [state = std::move(state), pool, bytes](void*) {
        {
            const std::lock_guard lock(state->mutex);
            state->of(pool).free += static_cast<std::int64_t>(bytes);
        }
        state->ready.notify_all();
    });
}

bool Readers::submit(const void* of, std::function<void()> job) {
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->closed || state_->full()) return false;
        state_->plain.push(of, std::move(job));
    }
    state_->ready.notify_one();
    return true;
}

bool Readers::submit(const void* of, Pool pool, std::size_t bytes, std::function<void(Held)> job) {
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->closed || state_->full()) return false;
        state_->of(pool).waiting.push(of, {bytes, std::move(job)});
    }
    state_->ready.notify_one();
    return true;
}

Readers::Held Readers::try_hold(Pool pool, std::size_t bytes) {
    {
        const std::lock_guard lock(state_->mutex);
        auto& from = state_->of(pool);
        if (from.free < static_cast<std::int64_t>(bytes) || !from.waiting.empty()) return nullptr;
        from.free -= static_cast<std::int64_t>(bytes);
    }
    return hold(state_, pool, bytes);
}

Readers::Held Readers::charge(Pool pool, std::size_t bytes) {
    {
        const std::lock_guard lock(state_->mutex);
        state_->of(pool).free -= static_cast<std::int64_t>(bytes);
    }
    return hold(state_, pool, bytes);
}

bool Readers::short_of(Pool pool) const {
    const std::lock_guard lock(state_->mutex);
    const auto& of = state_->of(pool);
    return !of.waiting.empty() && !of.ready();
}

// The three queues in turn, of each the one whose turn it is. Who waits for bytes is not passed by those who need fewer.
void Readers::run() {
    State& s = *state_;
    std::unique_lock lock(s.mutex);
    for (;;) {
        s.ready.wait(lock, [&] { return s.closed || !s.plain.empty() || s.pools[0].ready() || s.pools[1].ready(); });
        if (s.closed) return;
        const std::size_t turn = s.turn++ % 3;
        for (std::size_t i = 0; i < 3; ++i) {
            const std::size_t which = (turn + i) % 3;
            if (which == 2) {
                if (s.plain.empty()) continue;
                auto job = s.plain.pop();
                lock.unlock();
                job();
            } else {
                if (!s.pools[which].ready()) continue;
                auto costly = s.pools[which].waiting.pop();
                s.pools[which].free -= static_cast<std::int64_t>(costly.bytes);
                lock.unlock();
                costly.job(hold(state_, static_cast<Pool>(which), costly.bytes));
                costly.job = nullptr;
            }
            lock.lock();
            break;
        }
    }
}

// What waits is dropped: nobody would be there for the answer. Not under the lock, which what is held needs to let go.
void Readers::stop() {
    FairQueue<const void*, std::function<void()>> plain;
    std::array<FairQueue<const void*, State::Costly>, 2> costly;
    {
        const std::lock_guard lock(state_->mutex);
        state_->closed = true;
        std::swap(plain, state_->plain);
        for (std::size_t i = 0; i < costly.size(); ++i) std::swap(costly[i], state_->pools[i].waiting);
    }
    state_->ready.notify_all();
    for (auto& thread : threads_)
        if (thread.joinable()) thread.join();
}

}  // namespace licet::stream
