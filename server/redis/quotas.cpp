#include "server/redis/quotas.h"

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "base/usage_limits.h"
#include "metering/rate_limit.h"
#include "server/redis/connection.h"

namespace licet::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Exchanged = Result<std::optional<ports::QuotaLeases::Answer>>;

constexpr auto kRetryPause = std::chrono::milliseconds(250);
constexpr std::int64_t kKeptMs = 2 * 86'400'000;  // after the span

// Begins every script on a book. KEYS: book, memory. A Redis that was emptied, or that is another run with an older copy, knows less than it did:
// the memory says since when it knows everything, and books of another run are no books.
constexpr std::string_view kRemember =
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) local run=string.match(redis.call('INFO','server'),'run_id:(%w+)') "
    "local m=redis.call('HMGET',KEYS[2],'run','since') local since=tonumber(m[2]) if m[1]~=run or not since then since=now "
    "redis.call('HSET',KEYS[2],'run',run,'since',now) end local function num(n) return string.format('%.0f',n) end "
    "local function part(seq,used,unsettled,ceiling,ended,seen) return "
    "num(seq)..' '..num(used)..' '..num(unsettled)..' '..num(ceiling)..' '..num(ended)..' '..num(seen) end ";
// metering::QuotaBook::exchange. ARGV: who, sequence, used, unsettled, held, wanted, limit, lease ms, when to forget it.
constexpr std::string_view kExchange =
    "local h=redis.call('HGETALL',KEYS[1]) local parts,of={},nil for i=1,#h,2 do if h[i]=='run' then of=h[i+1] else local p={} for n in "
    "string.gmatch(h[i+1],'%d+') do p[#p+1]=tonumber(n) end parts[h[i]]=p end end if of~=run then redis.call('DEL',KEYS[1]) return false end "
    "local lease=tonumber(ARGV[8]) local "
    "who,seq,used,unsettled,held,wanted,limit='p:'..ARGV[1],tonumber(ARGV[2]),tonumber(ARGV[3]),tonumber(ARGV[4]),"
    "tonumber(ARGV[5]),tonumber(ARGV[6]),tonumber(ARGV[7]) local restating=now-since<lease "
    "local p=parts[who] if not p then p={0,0,0,0,0,now} parts[who]=p end "
    "if p[5]==0 and seq>p[1] then if p[1]==0 and restating then p[4]=math.max(p[4],held) end p[1]=seq p[2]=used p[3]=unsettled "
    "p[4]=math.max(p[4],used) p[6]=now local promised=0 for _,x in pairs(parts) do promised=promised+x[4] end "
    "if wanted<p[4] then p[4]=math.max(wanted,used) elseif not restating then p[4]=p[4]+math.min(wanted-p[4],math.max(0,limit-promised)) end "
    "redis.call('HSET',KEYS[1],who,part(p[1],p[2],p[3],p[4],p[5],p[6])) redis.call('PEXPIREAT',KEYS[1],ARGV[9]) end "
    "local a,b,c,doubt=0,0,0,0 for _,x in pairs(parts) do a=a+x[2] b=b+x[4] c=c+x[3] if x[5]==0 and now-x[6]>2*lease then doubt=1 end end "
    "return {num(p[4]),num(a),num(b),num(c),num(doubt)}";
// ARGV: when to forget it, then of each start who, used and whether it has ended (1).
constexpr std::string_view kOpen =
    "if redis.call('HGET',KEYS[1],'run')==run then return 0 end redis.call('DEL',KEYS[1]) redis.call('HSET',KEYS[1],'run',run) "
    "for i=2,#ARGV,3 do local used=tonumber(ARGV[i+1]) redis.call('HSET',KEYS[1],'p:'..ARGV[i],part(0,used,0,used,tonumber(ARGV[i+2]),now)) end "
    "redis.call('PEXPIREAT',KEYS[1],ARGV[1]) return 1";
// ARGV: as of open. metering::QuotaBook::settle.
constexpr std::string_view kSettle =
    "if redis.call('HGET',KEYS[1],'run')~=run then return 0 end for i=2,#ARGV,3 do local used=tonumber(ARGV[i+1]) "
    "redis.call('HSET',KEYS[1],'p:'..ARGV[i],part(0,used,0,used,1,now)) end return 1";
// metering::TokenBucket::take. KEYS: bucket; ARGV: rate, wanted.
constexpr std::string_view kTake =
    "local t=redis.call('TIME') local now=t[1]*1000000+t[2] local b=redis.call('HMGET',KEYS[1],'tokens','at') local "
    "rate,wanted=tonumber(ARGV[1]),tonumber(ARGV[2]) local tokens,at=tonumber(b[1]) or rate,tonumber(b[2]) or now "
    "tokens=math.min(rate,tokens+rate*math.min(math.max(now-at,0),1000000)/1000000) local whole=math.floor(tokens) "
    "local given=math.min(wanted,whole-math.floor(whole/2)) "
    "redis.call('HSET',KEYS[1],'tokens',string.format('%.6f',tokens-given),'at',string.format('%.0f',math.max(now,at))) "
    "redis.call('PEXPIRE',KEYS[1],60000) return string.format('%.0f',given)";

std::string name_of(const ports::QuotaKey& key) {
    return std::to_string(key.contract.value) + (key.metric == metering::QuotaMetric::events ? ":events" : ":bytes") +
           (key.kind == metering::QuotaKind::hard ? ":hard:" : ":soft:") + key.span.name;
}

std::uint64_t number(const redisReply& reply) { return reply.str == nullptr ? 0 : std::strtoull(reply.str, nullptr, 10); }

class RedisQuotas final : public ports::QuotaLeases {
  public:
    explicit RedisQuotas(QuotaOptions options)
        : options_(std::move(options)),
          prefix_("licet:" + options_.region + ":"),
          memory_(prefix_ + "quota-memory"),
          connection_(options_.host, options_.port, limits::quota_store_timeout_ms) {}

    Status remember() override {
        const auto reply = ask({"EVAL", std::string(kRemember) + "return 1", "2", memory_, memory_});
        if (!reply || reply->type != REDIS_REPLY_INTEGER) return unreachable();
        return success();
    }

    Exchanged exchange(const ports::QuotaKey& key, const metering::QuotaStand& stand, std::uint64_t limit) override {
        return answer_in(ask(saying({key, stand, limit})));
    }
    std::vector<Exchanged> exchange_all(const std::vector<Saying>& all) override {
        std::vector<std::vector<std::string>> commands;
        for (const auto& one : all) commands.push_back(saying(one));
        std::vector<Exchanged> out;
        for (const auto& reply : ask_all(commands)) out.push_back(answer_in(reply));
        return out;
    }

    Status open(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& others) override { return tell(kOpen, key, others); }
    Status settle(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& ended) override { return tell(kSettle, key, ended); }

    Result<std::uint64_t> take(ContractNo contract, metering::QuotaMetric metric, std::uint64_t per_second, std::uint64_t wanted) override {
        return taken_in(ask(taking({contract, metric, per_second, wanted})));
    }
    std::vector<Result<std::uint64_t>> take_all(const std::vector<Taking>& all) override {
        std::vector<std::vector<std::string>> commands;
        for (const auto& one : all) commands.push_back(taking(one));
        std::vector<Result<std::uint64_t>> out;
        for (const auto& reply : ask_all(commands)) out.push_back(taken_in(reply));
        return out;
    }
    int restating_ms() const noexcept override { return options_.lease_ms; }

  private:
    static Error unreachable() { return {Errc::unavailable, "what nodes know of quotas cannot be reached", {}}; }

    [[nodiscard]] std::vector<std::string> saying(const Saying& one) const {
        const auto& s = one.stand;
        return on_book(kExchange, one.key,
                       {options_.who, std::to_string(s.sequence), std::to_string(s.used), std::to_string(s.unsettled), std::to_string(s.held),
                        std::to_string(s.wanted), std::to_string(one.limit), std::to_string(options_.lease_ms),
                        std::to_string(one.key.span.until.value + kKeptMs)});
    }
    static Exchanged answer_in(const Reply& reply) {
        if (!reply || (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_NIL)) return unreachable();
        if (reply->type == REDIS_REPLY_NIL) return std::optional<Answer>();
        if (reply->elements != 5) return unreachable();
        const auto at = [&](std::size_t i) { return number(*reply->element[i]); };
        return std::optional(Answer{{at(0), at(1), at(2), at(3)}, at(4) != 0});
    }
    [[nodiscard]] std::vector<std::string> taking(const Taking& one) const {
        const std::string bucket =
            prefix_ + "rate:" + std::to_string(one.contract.value) + (one.metric == metering::QuotaMetric::events ? ":events" : ":bytes");
        return {"EVAL", std::string(kTake), "1", bucket, std::to_string(one.per_second), std::to_string(one.wanted)};
    }
    static Result<std::uint64_t> taken_in(const Reply& reply) {
        if (!reply || reply->type != REDIS_REPLY_STRING) return unreachable();
        return number(*reply);
    }

    [[nodiscard]] std::vector<std::string> on_book(std::string_view body, const ports::QuotaKey& key,
                                                   const std::vector<std::string>& arguments) const {
        std::vector<std::string> words{"EVAL", std::string(kRemember) + std::string(body), "2", prefix_ + "quota:" + name_of(key), memory_};
        words.insert(words.end(), arguments.begin(), arguments.end());
        return words;
    }
    Status tell(std::string_view body, const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& parts) {
        std::vector<std::string> arguments{std::to_string(key.span.until.value + kKeptMs)};
        for (const auto& part : parts)
            arguments.insert(arguments.end(), {part.who(), std::to_string(part.billed(key.metric)), part.ended ? "1" : "0"});
        const auto reply = ask(on_book(body, key, arguments));
        if (!reply || reply->type != REDIS_REPLY_INTEGER) return unreachable();
        return success();
    }

    // Whatever is asked says absolute figures, so that a command whose answer was lost may be sent again.
    Reply ask(const std::vector<std::string>& words) {
        const std::lock_guard lock(mutex_);
        if (Steady::now() < down_until_) return nullptr;
        const bool fresh = !connection_.connected();
        auto reply = connection_.command(words);
        if (!reply && !fresh) reply = connection_.command(words);
        if (!reply) down_until_ = Steady::now() + kRetryPause;
        return reply;
    }

    // As many replies: none of them, when one failed.
    std::vector<Reply> ask_all(const std::vector<std::vector<std::string>>& all) {
        const std::lock_guard lock(mutex_);
        std::vector<Reply> out;
        if (!all.empty() && Steady::now() >= down_until_) {
            const bool fresh = !connection_.connected();
            out = connection_.commands(all);
            if (out.empty() && !fresh) out = connection_.commands(all);
            if (out.empty()) down_until_ = Steady::now() + kRetryPause;
        }
        out.resize(all.size());
        return out;
    }

    const QuotaOptions options_;
    const std::string prefix_, memory_;
    std::mutex mutex_;
    Connection connection_;
    Steady::time_point down_until_{};
};

class MemoryQuotas final : public ports::QuotaLeases {
  public:
    MemoryQuotas(std::string who, std::shared_ptr<const Clock> clock) : who_(std::move(who)), clock_(std::move(clock)) {}

    Status remember() override { return success(); }

    Exchanged exchange(const ports::QuotaKey& key, const metering::QuotaStand& stand, std::uint64_t limit) override {
        const std::lock_guard lock(mutex_);
        const auto at = books_.find(name_of(key));
        if (at == books_.end()) return std::optional<Answer>();
        return std::optional(Answer{at->second.second.exchange(who_, stand, limit), false});
    }
    Status open(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& others) override {
        const std::lock_guard lock(mutex_);
        std::erase_if(books_, [&](const auto& book) { return book.second.first.value + kKeptMs <= key.span.from.value; });
        const auto [at, fresh] = books_.try_emplace(name_of(key), key.span.until, metering::QuotaBook{});
        if (fresh) settle_all(at->second.second, key, others);
        return success();
    }
    Status settle(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& ended) override {
        const std::lock_guard lock(mutex_);
        if (const auto at = books_.find(name_of(key)); at != books_.end()) settle_all(at->second.second, key, ended);
        return success();
    }
    Result<std::uint64_t> take(ContractNo contract, metering::QuotaMetric metric, std::uint64_t per_second, std::uint64_t wanted) override {
        const std::lock_guard lock(mutex_);
        const auto [at, fresh] = buckets_.try_emplace({contract, metric}, per_second);
        return at->second.take(wanted, per_second, clock_->monotonic_ns() / 1000);
    }

  private:
    // A node that is alone has nobody beside it: what others once delivered is past.
    static void settle_all(metering::QuotaBook& book, const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& parts) {
        for (const auto& part : parts) book.settle(part.who(), part.billed(key.metric));
    }

    const std::string who_;
    const std::shared_ptr<const Clock> clock_;
    std::mutex mutex_;
    std::map<std::string, std::pair<UtcMillis, metering::QuotaBook>> books_;  // end of the span, book
    std::map<std::pair<ContractNo, metering::QuotaMetric>, metering::TokenBucket> buckets_;
};

}  // namespace

std::shared_ptr<ports::QuotaLeases> make_quota_leases(QuotaOptions options) { return std::make_shared<RedisQuotas>(std::move(options)); }

std::shared_ptr<ports::QuotaLeases> make_single_node_quota_leases(std::string who, std::shared_ptr<const Clock> clock) {
    return std::make_shared<MemoryQuotas>(std::move(who), std::move(clock));
}

}  // namespace licet::redis
