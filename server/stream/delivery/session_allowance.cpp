// What a session does about the quotas and rates of its contract: waits for what it may write, tells the subscriber, and ends when nothing is left.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/usage_limits.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

using Short = app::QuotaPurse::Short;
constexpr std::int64_t kMsNs = 1'000'000;

// A purse's header lines, for the edge to send with a refusal (stream::problem).
nlohmann::json header_list(const std::string& lines) {
    auto out = nlohmann::json::array();
    for (std::size_t from = 0, end = 0; (end = lines.find("\r\n", from)) != std::string::npos; from = end + 2) {
        const auto colon = lines.find(": ", from);
        out.push_back({lines.substr(from, colon - from), lines.substr(colon + 2, end - colon - 2)});
    }
    return out;
}

}  // namespace

// True: something has to be heard of the quotas first; then the start goes on.
bool Session::awaits_allowance() {
    if (allowance_) return false;
    auto purse = shard_.purse(request_.contract);
    if (!purse) return false;
    const auto take = [](Session& self, std::shared_ptr<app::QuotaPurse> of) {
        self.allowance_ = std::make_unique<Allowance>(std::move(of), self.usage_of());
    };
    if (purse->known()) {
        take(*this, std::move(purse));
        return false;
    }
    auto wait = [self = shared_from_this(), purse, take] {
        auto heard = self->shard_.services().quotas->await(*purse);
        self->shard_.post([self, purse, take, heard = std::move(heard)] {
            if (self->ended_) return;
            if (!heard) return self->refuse(heard.error());
            take(*self, purse);
            self->load_meter();
        });
    };
    if (!shard_.readers().submit(view_.get(), std::move(wait))) refuse({Errc::overloaded, "too many reads wait for the ledger", {}});
    return true;
}

// Of a contract that has limits now, and had none, or the other way round.
void Session::limits_changed() {
    if (ended_) return;
    auto purse = shard_.purse(request_.contract);
    if (!purse)
        allowance_.reset();
    else if (!allowance_)
        allowance_ = std::make_unique<Allowance>(std::move(purse), usage_of());
    if (allowance_) allowance_->paid_below(replay_until_);
}

void Session::drop_allowance() { allowance_.reset(); }

Error Session::quota_error() const {
    auto& purse = allowance_->purse();
    const auto now = shard_.services().clock->utc_now();
    Error out{Errc::quota_exhausted, "the contract's quota is used up", {}};
    out.members =
        nlohmann::json{{"quotas", purse.states()}, {"retryAfter", purse.retry_after_s(now)}, {"headers", header_list(purse.headers(now))}}.dump();
    return out;
}

Error Session::rate_error() const {
    Error out{Errc::too_many_requests, "the contract's rate leaves nothing for a page", {}};
    out.members = nlohmann::json{{"headers", header_list(allowance_->purse().headers(shard_.services().clock->utc_now()))}}.dump();
    return out;
}

// Cuts `limit` to what is drawn for. False: nothing of it may be begun now.
bool Session::allowed(std::uint64_t& limit) {
    const auto drawn = allowance_->draw(tape(), at_, limit, *meter_, *shard_.services().clock);
    tell_quotas();
    const std::uint64_t until = std::max(drawn.until, under_way_end());  // what was begun is finished
    if (until > at_) {
        limit = std::min(limit, until);
        return true;
    }
    if (drawn.why == Short::exhausted) {
        finish(CloseCode::quota_exhausted, "the contract's quota is used up");
        return false;
    }
    shard_.services().quotas->hurry();
    shard_.awaits_intent(shared_from_this());
    return false;
}

// Whoever waits for a socket holds nothing that others could write.
void Session::leave_unbegun() {
    if (ended_ || !started_ || pull()) return;
    allowance_->leave_from(tape().next_event(under_way_end()));
}

// Goes out between two frames.
void Session::tell_quotas() {
    if (ended_ || leaving_ || !started_ || pull() || request_.head_only) return;
    const auto passed = allowance_->take_warnings();
    for (const std::size_t index : passed) {
        auto state = allowance_->purse().state(index);
        if (state.is_null()) continue;
        state["type"] = "quota";
        const auto text = state.dump();
        if (request_.format == WireFormat::sse)
            control_ += "event: quota\ndata: " + text + "\n\n";
        else
            append_websocket_text(text, control_);
    }
    if (passed.empty()) return;
    shard_.post([self = shared_from_this()] { self->advance(); });
}

// A page is drawn for as a whole before its length is said. What does not come soon is cut off. False: it is waited for, or refused.
bool Session::page_allowed() {
    const std::uint64_t end = own_->end();
    const auto drawn = allowance_->draw(*own_, 0, end, *meter_, *shard_.services().clock, true);
    if (drawn.until >= end) return true;
    const auto now_ns = shard_.now_ns();
    if (page_short_since_ns_ == 0) page_short_since_ns_ = now_ns;
    const auto waited = [&](std::int64_t ms) { return drawn.why == Short::exhausted || now_ns - page_short_since_ns_ > ms * kMsNs; };
    const bool some = own_->completed(0, drawn.until).events > 0;
    if (some && waited(limits::quota_page_gather_ms)) {
        cut_page(drawn.until);
        return true;
    }
    if (!some && waited(limits::quota_page_wait_ms)) {
        auto error = drawn.why == Short::exhausted ? quota_error() : rate_error();
        started_ = false;
        refuse(std::move(error));
        return false;
    }
    page_waiting_ = true;
    shard_.services().quotas->hurry();
    shard_.awaits_intent(shared_from_this());
    return false;
}

void Session::cut_page(std::uint64_t end) {
    auto page = std::make_unique<Tape>(own_->begin());
    page->append_part(*own_, 0, end);
    page->advance(own_->next_event(end));
    own_ = std::move(page);
    page_events_ = own_->totals(0, ~Offset{0}).events;
    until_reached_ = false;
}

}  // namespace licet::stream
