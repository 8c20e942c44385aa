// WebhookSender: posts what is due, on threads of its own that share nothing with delivery of events: claims one delivery at a time, signs it, posts
// it, and writes down what came of it. At least once: a node that dies in between leaves the delivery to another, under the same webhook-id. Built by
// main. docs/quotas.md.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/time.h"
#include "server/ports/crypto.h"
#include "server/ports/http_post.h"
#include "server/ports/metrics.h"
#include "server/ports/subject_keys.h"
#include "server/ports/webhooks.h"

namespace licet::app {

class WebhookSender {
  public:
    struct Parts {
        std::shared_ptr<ports::WebhookStore> store;
        std::shared_ptr<ports::HttpPoster> poster;
        std::shared_ptr<const ports::KeyWrapping> wrapping;
        std::shared_ptr<const ports::Crypto> crypto;
        std::shared_ptr<const Clock> clock;
        std::shared_ptr<ports::Metrics> metrics;
        std::function<std::uint32_t()> random;
        int attempts_max = 17;
        std::int64_t retry_first_ms = 5'000;
        unsigned threads = 4;
    };
    explicit WebhookSender(Parts parts);
    ~WebhookSender() { stop(); }

    void start();
    void stop();   // what is being posted ends soon; it is tried again
    void hurry();  // something is due

    // Posts the next that is due, on this thread; false: nothing is, or the store cannot be used.
    bool post_one();

  private:
    void run();
    [[nodiscard]] ports::WebhookOutcome post(const ports::WebhookDue& due) const;
    [[nodiscard]] Result<std::string> signatures(const ports::WebhookDue& due, std::int64_t timestamp_s) const;
    [[nodiscard]] ports::WebhookOutcome outcome_of(const ports::WebhookDue& due, const Result<ports::HttpPosted>& posted) const;
    [[nodiscard]] ports::WebhookOutcome failed(const ports::WebhookDue& due, int status, std::string error, std::int64_t at_least_ms = 0) const;

    const Parts parts_;
    ports::Counter &delivered_, &failed_, &dead_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::uint64_t hurried_ = 0;
    bool stopping_ = false;
    std::int64_t pruned_ns_ = 0;
    std::vector<std::thread> threads_;
};

}  // namespace licet::app
