// Books of quotas and the ledger's word on them, in memory and under the test's hand: shared by the nodes of a test, reachable or not.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/ports/quota_leases.h"

namespace licet::testing {

class MemoryBooks {
  public:
    std::atomic<bool> reachable{true};
    std::atomic<int> opened{0};
    std::atomic<std::uint64_t> tokens{0};  // of every rate
    std::atomic<int> restating_ms{0};
    void lose() {
        const std::lock_guard lock(mutex);
        books.clear();
    }
    static std::string name(const ports::QuotaKey& key) {
        return std::to_string(key.contract.value) + "/" + std::to_string(static_cast<int>(key.metric)) + std::to_string(static_cast<int>(key.kind)) +
               key.span.name;
    }
    std::mutex mutex;
    std::map<std::string, metering::QuotaBook> books;
};

class MemoryLeases final : public ports::QuotaLeases {
  public:
    MemoryLeases(std::shared_ptr<MemoryBooks> books, std::string who) : books_(std::move(books)), who_(std::move(who)) {}

    Status remember() override { return state(); }
    Result<std::optional<Answer>> exchange(const ports::QuotaKey& key, const metering::QuotaStand& stand, std::uint64_t limit) override {
        if (auto up = state(); !up) return up.error();
        const std::lock_guard lock(books_->mutex);
        const auto at = books_->books.find(MemoryBooks::name(key));
        if (at == books_->books.end()) return std::optional<Answer>();
        return std::optional(Answer{at->second.exchange(who_, stand, limit), false});
    }
    Status open(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& others) override {
        if (auto up = state(); !up) return up;
        const std::lock_guard lock(books_->mutex);
        const auto [at, fresh] = books_->books.try_emplace(MemoryBooks::name(key));
        if (!fresh) return success();
        ++books_->opened;
        for (const auto& part : others) at->second.settle(part.who(), part.billed(key.metric));
        return success();
    }
    Status settle(const ports::QuotaKey& key, const std::vector<ports::QuotaPart>& ended) override {
        if (auto up = state(); !up) return up;
        const std::lock_guard lock(books_->mutex);
        const auto at = books_->books.find(MemoryBooks::name(key));
        if (at == books_->books.end()) return success();
        for (const auto& part : ended) at->second.settle(part.who(), part.billed(key.metric));
        return success();
    }
    Result<std::uint64_t> take(ContractNo, metering::QuotaMetric, std::uint64_t, std::uint64_t wanted) override {
        if (auto up = state(); !up) return up.error();
        const std::lock_guard lock(books_->mutex);
        const auto given = std::min<std::uint64_t>(wanted, books_->tokens);
        books_->tokens -= given;
        return given;
    }

    int restating_ms() const noexcept override { return books_->restating_ms; }

  private:
    [[nodiscard]] Status state() const {
        if (books_->reachable) return success();
        return {Errc::unavailable, "test"};
    }
    const std::shared_ptr<MemoryBooks> books_;
    const std::string who_;
};

// What the test says was billed.
class MemoryQuotaLedger final : public ports::QuotaLedger {
  public:
    Result<std::vector<ports::QuotaPart>> delivered(ContractNo, const metering::QuotaSpan&, const std::string& node, std::uint64_t boot) override {
        std::unique_lock lock(mutex_);
        ++asked;
        woken_.wait(lock, [&] { return !hanging_; });
        if (!reachable) return Error{Errc::unavailable, "test", {}};
        std::vector<ports::QuotaPart> out;
        for (const auto& [who, part] : parts_)
            if (node.empty() || (part.node == node && part.boot == boot)) out.push_back(part);
        return out;
    }
    void bill(const std::string& node, std::uint64_t boot, std::uint64_t events, std::uint64_t bytes, bool ended = false,
              std::uint64_t unbilled = 0) {
        const std::lock_guard lock(mutex_);
        auto& part = parts_[node + "/" + std::to_string(boot)];
        part = {node, boot, events, bytes, unbilled, 0, ended};
    }
    // It neither answers nor fails.
    void hang(bool yes) {
        const std::lock_guard lock(mutex_);
        hanging_ = yes;
        woken_.notify_all();
    }
    std::atomic<bool> reachable{true};
    std::atomic<int> asked{0};

  private:
    std::mutex mutex_;
    std::condition_variable woken_;
    bool hanging_ = false;
    std::map<std::string, ports::QuotaPart> parts_;
};

}  // namespace licet::testing
