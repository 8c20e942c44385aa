// Roster: the sessions of one view, and who of them is still to be told of what its tapes got last. Kept by the shard, in turns: a session that is
// reached later takes more at once. One shard thread; not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace licet::stream {

class Session;

class Roster {
  public:
    [[nodiscard]] const std::vector<std::shared_ptr<Session>>& all() const noexcept { return sessions_; }
    [[nodiscard]] bool empty() const noexcept { return sessions_.empty(); }

    // The session keeps its place for it.
    void add(std::shared_ptr<Session> session);
    void remove(Session& session);

    // Everyone is to be told (again), beginning with who waits longest.
    void begin_round() noexcept { left_ = sessions_.size(); }
    // Who is next; null: everyone was told.
    [[nodiscard]] std::shared_ptr<Session> next() noexcept;

  private:
    std::vector<std::shared_ptr<Session>> sessions_;
    std::size_t turn_ = 0, left_ = 0;  // left_ sessions from turn_ on, in a circle
};

}  // namespace licet::stream
