// What an auditor asks: lines, checkpoints, proofs and the export of the region's audit log; and the timer that signs a checkpoint from time to time.
// Used by server/control and the edge; built by main. docs/audit.md.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "server/ports/audit_log.h"
#include "server/ports/crypto.h"

namespace licet::app {

// One export under way: the log as it was when it began, in pieces of about limits::audit_page_max_bytes. One thread at a time; calls block.
class AuditExport {
  public:
    // Empty: that was all. After an error the export is incomplete and cannot go on.
    [[nodiscard]] Result<std::string> next();

  private:
    friend class Audit;
    AuditExport(std::shared_ptr<ports::AuditLog> log, std::uint64_t after, std::uint64_t to, std::string head)
        : log_(std::move(log)), at_(after), to_(to), piece_(std::move(head)) {}
    const std::shared_ptr<ports::AuditLog> log_;
    std::uint64_t at_;  // entries before the next
    const std::uint64_t to_;
    std::string piece_;  // what comes first
};

// Thread-safe; calls block.
class Audit {
  public:
    Audit(std::shared_ptr<ports::AuditLog> log, std::shared_ptr<const ports::Crypto> crypto, std::string origin, PublicKey key);

    [[nodiscard]] Result<std::string> lines(std::string_view after, std::string_view limit) const;  // NDJSON
    [[nodiscard]] nlohmann::json key() const;
    [[nodiscard]] Result<std::string> checkpoint() const;  // of all there is now
    // That an entry is in the tree of `size` entries, or that this tree continues the one of `from`. Just one of `entry` and `from`; no size: now.
    [[nodiscard]] Result<nlohmann::json> proof(std::string_view entry, std::string_view from, std::string_view size) const;
    // Of the entries after `after`, with every stored checkpoint and one at the end.
    [[nodiscard]] Result<std::shared_ptr<AuditExport>> begin_export(std::string_view after) const;

  private:
    [[nodiscard]] Result<std::vector<merkle::Hash>> hashes(const merkle::Path& path) const;

    const std::shared_ptr<ports::AuditLog> log_;
    const merkle::Sha256 sha_;
    const std::string origin_;
    const PublicKey key_;
};

// Signs a checkpoint every so many seconds in which something was added. What fails is logged and tried again the next time.
class AuditCheckpoints {
  public:
    AuditCheckpoints(std::shared_ptr<ports::AuditLog> log, int every_seconds);
    ~AuditCheckpoints() { stop(); }
    void stop();

  private:
    const std::shared_ptr<ports::AuditLog> log_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::thread timer_;
};

}  // namespace licet::app
