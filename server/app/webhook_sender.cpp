#include "server/app/webhook_sender.h"

#include <algorithm>
#include <chrono>

#include "base/usage_limits.h"
#include "server/app/webhook_signing.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

using ports::WebhookDue;
using ports::WebhookOutcome;
using Then = WebhookOutcome::Then;

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kPruneIntervalNs = 3'600'000'000'000;
constexpr const char* kPosts = "licet_webhook_posts_total";
constexpr const char* kPostsHelp = "Webhooks posted, by what came of it";

}  // namespace

WebhookSender::WebhookSender(Parts parts)
    : parts_(std::move(parts)),
      delivered_(parts_.metrics->counter(kPosts, kPostsHelp, {{"outcome", "delivered"}})),
      failed_(parts_.metrics->counter(kPosts, kPostsHelp, {{"outcome", "failed"}})),
      dead_(parts_.metrics->counter(kPosts, kPostsHelp, {{"outcome", "dead"}})) {}

void WebhookSender::start() {
    for (unsigned i = 0; i < parts_.threads; ++i) threads_.emplace_back([this] { run(); });
}

void WebhookSender::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    parts_.poster->stop();
    for (auto& thread : threads_)
        if (thread.joinable()) thread.join();
}

void WebhookSender::hurry() {
    const std::lock_guard lock(mutex_);
    ++hurried_;
    wake_.notify_all();
}

void WebhookSender::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto seen = hurried_;
        const auto now_ns = parts_.clock->monotonic_ns();
        const bool prune = pruned_ns_ == 0 || now_ns - pruned_ns_ > kPruneIntervalNs;
        if (prune) pruned_ns_ = now_ns;
        lock.unlock();
        if (prune) (void)parts_.store->prune(limits::webhook_kept_days * kDayMs);
        const bool more = post_one();
        lock.lock();
        if (!more) wake_.wait_for(lock, std::chrono::milliseconds(limits::webhook_poll_interval_ms), [&] { return stopping_ || hurried_ != seen; });
    }
}

bool WebhookSender::post_one() {
    const auto due = parts_.store->claim(limits::webhook_lease_ms, parts_.attempts_max);
    if (!due || !*due) return false;
    const auto outcome = post(**due);
    const auto noted = parts_.store->finish(**due, outcome);
    if (!noted) return false;  // the lease runs out, and it is posted again
    if (!*noted) return true;  // somebody else's word holds
    const auto contract = (*due)->endpoint.contract.value;
    const auto& name = (*due)->endpoint.name;
    if (outcome.then == Then::delivered) {
        delivered_.add();
        return true;
    }
    failed_.add();
    if (outcome.then == Then::again) {
        log::info("webhook.failed", {{"contract", contract}, {"webhook", name}, {"attempt", (*due)->attempt}, {"status", outcome.status}});
        return true;
    }
    dead_.add();
    log::warn(outcome.then == Then::gone ? "webhook.gone" : "webhook.dead",
              {{"contract", contract}, {"webhook", name}, {"delivery", (*due)->no}, {"status", outcome.status}});
    return true;
}

WebhookOutcome WebhookSender::post(const WebhookDue& due) const {
    const auto to = ports::parse_web_address(due.endpoint.url);
    if (!to) return failed(due, 0, "the URL is malformed");
    const std::int64_t now_s = parts_.clock->utc_now().value / 1000;
    auto signed_by = signatures(due, now_s);
    if (!signed_by) return failed(due, 0, "its secret cannot be opened on this node");
    return outcome_of(due, parts_.poster->post({*to,
                                                {{"Content-Type", "application/cloudevents+json"},
                                                 {"webhook-id", due.message},
                                                 {"webhook-timestamp", std::to_string(now_s)},
                                                 {"webhook-signature", *std::move(signed_by)}},
                                                due.body}));
}

// By the secret there is, and by the one before it while that holds too.
Result<std::string> WebhookSender::signatures(const WebhookDue& due, std::int64_t timestamp_s) const {
    const std::string context = webhook_secret_context(due.endpoint.id);
    std::string out;
    const auto sign = [&](const ports::WrappedSecret& secret) -> Status {
        const auto key = parts_.wrapping->unwrap(secret.under, as_bytes(secret.wrapped), as_bytes(context));
        if (!key) return key.error();
        out += (out.empty() ? "" : " ") + webhook_signature(*parts_.crypto, (*key)->bytes(), due.message, timestamp_s, due.body);
        return success();
    };
    if (auto done = sign(due.endpoint.secret); !done) return done.error();
    if (due.endpoint.former_until > parts_.clock->utc_now() && !due.endpoint.former.wrapped.empty())
        if (auto done = sign(due.endpoint.former); !done) return done.error();
    return out;
}

WebhookOutcome WebhookSender::outcome_of(const WebhookDue& due, const Result<ports::HttpPosted>& posted) const {
    if (!posted) {
        const std::lock_guard lock(mutex_);
        if (stopping_) return {Then::again, 0, posted.error().detail, 0};  // cut short here: no letter is dead by that
    }
    if (!posted) return failed(due, 0, posted.error().detail);
    const int status = posted->status;
    if (status >= 200 && status < 300) return {Then::delivered, status, {}, 0};
    if (status == 410) return {Then::gone, status, "the endpoint is gone", 0};
    if (status >= 300 && status < 400) return failed(due, status, "redirects are not followed");
    return failed(due, status, "it was not accepted", status == 429 || status == 503 ? retry_after_ms(posted->retry_after) : 0);
}

WebhookOutcome WebhookSender::failed(const WebhookDue& due, int status, std::string error, std::int64_t at_least_ms) const {
    if (due.attempt >= parts_.attempts_max) return {Then::dead, status, std::move(error), 0};
    const auto wait = webhook_wait_ms(due.attempt, parts_.retry_first_ms, parts_.random());
    return {Then::again, status, std::move(error), std::max(wait, at_least_ms)};
}

}  // namespace licet::app
