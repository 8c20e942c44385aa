// Readers: a few threads for the blocking reads shards must not do themselves (log, ledger). Views have their turns, so that who replays much waits
// behind himself. Bounded in requests, and in bytes: what is read to be sent is counted from before the read until its holder lets go of it. Used by
// shards. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace licet::stream {

class Readers {
  public:
    enum class Pool : std::uint8_t { streams, pages };
    using Held = std::shared_ptr<void>;  // bytes of a pool; they are free again when the last copy goes

    explicit Readers(int threads);
    ~Readers();

    // In the turn of `of`. False when the queue is full or the readers have stopped: the caller ends its stream with `overloaded`.
    [[nodiscard]] bool submit(const void* of, std::function<void()> job);
    // The same once the pool has so many bytes free; who waits for bytes waits in turn, too.
    [[nodiscard]] bool submit(const void* of, Pool pool, std::size_t bytes, std::function<void(Held)> job);
    // At once; null: the pool has not so many free, or others wait for them.
    [[nodiscard]] Held try_hold(Pool pool, std::size_t bytes);
    // What turned out to be needed on top: counted though the pool may not have it.
    [[nodiscard]] Held charge(Pool pool, std::size_t bytes);
    // Whether somebody waits for bytes of it.
    [[nodiscard]] bool short_of(Pool pool) const;

    void stop();

  private:
    struct State;
    static Held hold(std::shared_ptr<State> state, Pool pool, std::size_t bytes);
    void run();
    const std::shared_ptr<State> state_;  // outlives the readers in what is held
    std::vector<std::thread> threads_;
};

}  // namespace licet::stream
