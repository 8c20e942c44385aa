// An audit log in memory that seals its lines, grows the tree and signs checkpoints as the real one does. Private to the unit tests.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "server/openssl/crypto.h"
#include "server/ports/audit_log.h"

namespace licet::testing {

class MemoryAuditLog : public ports::AuditLog {
  public:
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    merkle::Sha256 sha = [this](Bytes data) { return crypto->sha256(data); };
    std::string origin = "example.org/audit";
    std::vector<std::string> held;  // lines
    std::size_t page = 1000;        // lines read at one time at most
    std::atomic<bool> away{false};

    Status append(const std::vector<ports::AuditEntry>& entries) override {
        const std::lock_guard lock(mutex_);
        ++attempts_;
        changed_.notify_all();
        if (away) return Error{Errc::unavailable, "away", {}};
        for (const auto& e : entries)
            grow({{"seq", held.size() + 1},
                  {"at", "2026-11-21T08:00:00.000Z"},
                  {"actor", e.actor},
                  {"action", e.action},
                  {"target", e.target},
                  {"detail", e.detail},
                  {"prev", previous_}});
        return success();
    }
    Result<std::vector<ports::AuditLine>> lines(std::uint64_t after, std::size_t limit) override {
        if (away) return Error{Errc::unavailable, "away", {}};
        std::vector<ports::AuditLine> out;
        for (std::size_t n = after; n < held.size() && out.size() < std::min(limit, page); ++n) out.push_back({n + 1, held[n]});
        return out;
    }
    Result<std::uint64_t> size() override { return std::uint64_t{held.size()}; }
    Result<std::vector<ports::StoredCheckpoint>> checkpoints(std::uint64_t after, std::uint64_t to) override {
        std::vector<ports::StoredCheckpoint> out;
        for (const auto& [size, note] : notes)
            if (size > after && size <= to) out.push_back({size, note});
        return out;
    }
    Result<ports::StoredCheckpoint> checkpoint() override {
        const std::lock_guard lock(mutex_);
        ++attempts_;
        changed_.notify_all();
        if (away) return Error{Errc::unavailable, "away", {}};
        auto made = *checkpoint_of(held.size());
        notes[made.size] = made.note;
        return made;
    }
    Result<ports::StoredCheckpoint> checkpoint_of(std::uint64_t size) override {
        merkle::Frontier tree(sha);
        for (std::size_t n = 0; n < size; ++n) tree.append(merkle::leaf_hash(sha, as_bytes(held[n])));
        return ports::StoredCheckpoint{size, note_of(size, tree.root())};
    }
    Result<std::vector<merkle::Hash>> nodes(const std::vector<merkle::NodeId>& ids) override {
        std::vector<merkle::Hash> out;
        for (const auto& id : ids) out.push_back(tree_.at(id));
        return out;
    }

    void grow(const nlohmann::json& content) {
        held.push_back(sealed(content));
        previous_ = nlohmann::json::parse(held.back())["hash"];
        std::vector<merkle::Node> completed;
        frontier_.append(merkle::leaf_hash(sha, as_bytes(held.back())), &completed);
        for (const auto& node : completed) tree_[node.id] = node.hash;
    }
    [[nodiscard]] std::string sealed(nlohmann::json line) const {
        const auto digest = crypto->sha256(as_bytes(line.dump()));
        line["hash"] = hex(digest);
        line["signature"] = base64url(signer->sign(digest));
        return line.dump();
    }
    [[nodiscard]] std::string note_of(std::uint64_t size, const merkle::Hash& root) const {
        return sign_checkpoint(sha, {origin, size, root}, signer->public_key(), [&](Bytes m) { return signer->sign(m); });
    }
    std::map<std::uint64_t, std::string> notes;
    // To append or to sign a checkpoint; returns how many there were.
    int await_attempts(int at_least) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return attempts_ >= at_least; }));
        return attempts_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int attempts_ = 0;
    merkle::Frontier frontier_{sha};
    std::map<merkle::NodeId, merkle::Hash> tree_;
    std::string previous_ = std::string(64, '0');
};

}  // namespace licet::testing
