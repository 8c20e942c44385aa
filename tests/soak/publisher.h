// Publishes the events of one product, numbered densely, at a rate or as fast as those who keep up follow. One thread each. Used by soak_client.cc.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <random>

#include "tests/soak/caller.h"
#include "tests/soak/stats.h"

namespace soak {

class Publisher {
  public:
    Publisher(World& world, Product& product, unsigned seed) : world_(world), product_(product), caller_(world, "desk"), random_(seed) {
        static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (auto& c : filler_) c = kLetters[random_() % kLetters.size()];
    }

    void run() {
        double due = 0;
        for (auto last = now_ns(); !world_.stopping; ::usleep(5000)) {
            const double rate = product_.rate;
            const auto now = now_ns();
            std::uint32_t many = 0;
            if (rate > 0) {
                due = std::min(due + static_cast<double>(now - last) / 1e9 * rate, rate);  // at most a second's, after a stop
                many = std::min(static_cast<std::uint32_t>(due), kMost);
                due -= many;
            } else {
                const auto ahead = product_.begun - std::min(product_.begun.load(), product_.reached.load());
                many = ahead < kWindow ? std::min(kWindow - ahead, kMost) : 0;
            }
            last = now;
            if (many != 0) publish(many, false);
        }
        publish(1, true);
    }

  private:
    static constexpr std::uint32_t kMost = 256, kWindow = 1024;

    // Who the next event is about: anybody of those whose consent stands, and now and then somebody who withdrew.
    std::uint32_t someone() {
        if (product_.kind == Class::steady) return 0;
        if (product_.kind == Class::wavering) return 1 + static_cast<std::uint32_t>(random_() % (product_.subjects.size() - 1));
        const std::uint32_t first = product_.first_given, last = product_.last_given, from = first > 8 ? first - 8 : 1;
        return from + static_cast<std::uint32_t>(random_() % std::max(1U, last - from));
    }

    // `last`: the final event is nobody's, or of one who never withdraws, so that everybody can see the end.
    void publish(std::uint32_t many, bool last) {
        const auto first = product_.begun.load();
        const auto now = now_ns();
        const auto ms = static_cast<std::uint32_t>(wall_ms() - product_.origin_ms);
        body_.clear();
        for (auto n = first; n < first + many; ++n) {
            auto& chunk = product_.chunks[n / Product::kChunk];
            if (!chunk) chunk = std::make_unique<Event[]>(Product::kChunk);
            Event& event = chunk[n % Product::kChunk];
            event.begun_ns = now;
            event.begun_ms = ms;
            event.subject = last ? 0 : someone();
            const auto from = body_.size();
            body_.append(R"({"user":{"email":")").append(email(product_, event.subject)).append(R"("},"id":")").append(std::to_string(n));
            body_.append(R"(","time":"2026-03-01T10:00:00Z","text":")");
            const auto so_far = body_.size() - from + 2, size = std::max<std::size_t>(so_far, 200 + random_() % 1849);
            body_.append(filler_, random_() % (filler_.size() - 2048), size - so_far).append("\"}");
            event.data_bytes = static_cast<std::uint16_t>(body_.size() - from);
            body_ += '\n';
        }
        product_.begun.store(first + many, std::memory_order_release);
        // Until it is taken: nothing of it may be published out of order, and what was taken before its answer was lost is a duplicate to the server.
        while (true) {
            const int status = caller_.request("POST", "/v1/products/" + product_.name + "/events", "application/x-ndjson", body_);
            if (status == 200 && member(caller_.body(), "rejected") == "0") break;
            if (status != 0 && status != 503 && status != 429) {
                std::fprintf(stderr, "publishing to %s: %d %.300s\n", product_.name.c_str(), status, caller_.body().c_str());
                failed = true;
                return;
            }
            ++retried;
            ::usleep(50'000);
        }
        const auto acknowledged = static_cast<std::uint32_t>(wall_ms() - product_.origin_ms);
        for (auto n = first; n < first + many; ++n) product_.at(n).acknowledged_ms = acknowledged;
        product_.acknowledged.store(first + many, std::memory_order_release);
    }

  public:
    std::atomic<bool> failed{false};
    std::atomic<std::uint64_t> retried{0};

  private:
    World& world_;
    Product& product_;
    Caller caller_;
    std::minstd_rand random_;
    std::string filler_ = std::string(64 * 1024, ' '), body_;
};

}  // namespace soak
