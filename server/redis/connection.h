// One hiredis connection with deadlines, reconnecting on the next command after a failure; private to this folder. One thread at a time.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace licet::redis {

struct ReplyFree {
    void operator()(redisReply* r) const noexcept { freeReplyObject(r); }
};
using Reply = std::unique_ptr<redisReply, ReplyFree>;

class Connection {
  public:
    Connection(std::string host, std::uint16_t port, int timeout_ms) : host_(std::move(host)), port_(port), timeout_ms_(timeout_ms) {}

    // Null after an I/O error, an error reply or a timeout; the connection is then dropped.
    [[nodiscard]] Reply command(const std::vector<std::string>& words);
    // All in one round trip; as many replies, or none: as above, if any failed.
    [[nodiscard]] std::vector<Reply> commands(const std::vector<std::vector<std::string>>& all);
    // Waits for a pushed message (after SUBSCRIBE) until the deadline. Null: none came or the connection failed.
    [[nodiscard]] Reply message(std::chrono::steady_clock::time_point deadline);
    [[nodiscard]] bool connected() const noexcept { return context_ != nullptr; }

  private:
    bool connect();
    // Written when the first reply is asked for.
    bool append(const std::vector<std::string>& words);
    Reply reply();
    struct ContextFree {
        void operator()(redisContext* c) const noexcept { redisFree(c); }
    };
    const std::string host_;
    const std::uint16_t port_;
    const int timeout_ms_;
    std::unique_ptr<redisContext, ContextFree> context_;
};

}  // namespace licet::redis
