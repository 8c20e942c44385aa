#include "server/redis/tickets.h"

#include <chrono>
#include <deque>
#include <map>
#include <mutex>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/redis/connection.h"

namespace licet::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Value = Result<std::optional<std::string>>;

constexpr auto kRetryPause = std::chrono::milliseconds(limits::ticket_store_timeout_ms);

class RedisTickets final : public ports::TicketStore {
  public:
    RedisTickets(std::string host, std::uint16_t port, const std::string& region)
        : prefix_("licet:" + region + ":ticket:"), connection_(std::move(host), port, limits::ticket_store_timeout_ms) {}

    Status put(const ports::Sha256& digest, const std::string& value, int lifetime_ms) override {
        const auto reply = ask({"SET", key(digest), value, "PX", std::to_string(lifetime_ms), "NX"});
        if (!reply || reply->type != REDIS_REPLY_STATUS) return unreachable();
        return success();
    }
    // One command of a server that runs them one after another: of all who ask, one has it.
    Value take(const ports::Sha256& digest) override { return read("GETDEL", digest); }
    Value look(const ports::Sha256& digest) override { return read("GET", digest); }

  private:
    static Error unreachable() { return {Errc::unavailable, "what keeps the tickets cannot be reached", {}}; }
    [[nodiscard]] std::string key(const ports::Sha256& digest) const { return prefix_ + hex(digest); }

    Value read(const char* command, const ports::Sha256& digest) {
        const auto reply = ask({command, key(digest)});
        if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL)) return unreachable();
        if (reply->type == REDIS_REPLY_NIL) return std::optional<std::string>();
        return std::optional<std::string>(std::in_place, reply->str, reply->len);
    }

    // Who queues behind an attempt that failed does not wait for one of their own.
    Reply ask(const std::vector<std::string>& words) {
        const std::lock_guard lock(mutex_);
        if (Steady::now() < down_until_) return nullptr;
        const bool fresh = !connection_.connected();
        auto reply = connection_.command(words);
        // A connection Redis ended since it was last used. GETDEL may have been done then, its answer lost: asked again it finds nothing, which is
        // a ticket lost, never one used twice.
        if (!reply && !fresh) reply = connection_.command(words);
        if (!reply) down_until_ = Steady::now() + kRetryPause;
        return reply;
    }

    const std::string prefix_;
    std::mutex mutex_;
    Connection connection_;
    Steady::time_point down_until_{};
};

class MemoryTickets final : public ports::TicketStore {
  public:
    explicit MemoryTickets(std::shared_ptr<const Clock> clock) : clock_(std::move(clock)) {}

    Status put(const ports::Sha256& digest, const std::string& value, int lifetime_ms) override {
        const std::lock_guard lock(mutex_);
        const auto now = clock_->monotonic_ns();
        while (!order_.empty() && order_.front().first <= now) {
            kept_.erase(order_.front().second);
            order_.pop_front();
        }
        const auto until = now + lifetime_ms * std::int64_t{1'000'000};
        kept_[digest] = {value, until};
        order_.emplace_back(until, digest);
        return success();
    }
    Value take(const ports::Sha256& digest) override {
        const std::lock_guard lock(mutex_);
        auto found = at(digest);
        kept_.erase(digest);
        return found;
    }
    Value look(const ports::Sha256& digest) override {
        const std::lock_guard lock(mutex_);
        return at(digest);
    }

  private:
    struct Kept {
        std::string value;
        std::int64_t until_ns = 0;
    };
    [[nodiscard]] std::optional<std::string> at(const ports::Sha256& digest) const {
        const auto found = kept_.find(digest);
        if (found == kept_.end() || found->second.until_ns <= clock_->monotonic_ns()) return std::nullopt;
        return found->second.value;
    }

    const std::shared_ptr<const Clock> clock_;
    std::mutex mutex_;
    // By digest: what the time of a search tells is of digests, from which no ticket can be guessed.
    std::map<ports::Sha256, Kept> kept_;
    std::deque<std::pair<std::int64_t, ports::Sha256>> order_;  // all live as long, nearly: in the order they end
};

}  // namespace

std::shared_ptr<ports::TicketStore> make_ticket_store(std::string host, std::uint16_t port, std::string region) {
    return std::make_shared<RedisTickets>(std::move(host), port, region);
}
std::shared_ptr<ports::TicketStore> make_single_node_ticket_store(std::shared_ptr<const Clock> clock) {
    return std::make_shared<MemoryTickets>(std::move(clock));
}

}  // namespace licet::redis
