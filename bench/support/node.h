// A node of one shard in this process: the real edge, ingest, RocksDB log, policy, delivery, fsynced journal and usage flusher, wired as `licet
// serve` wires them. What it lacks: PostgreSQL (configuration is built in memory, the ledger is MemoryLedger), Redis and the control plane.
// Every thread it starts runs on the core its maker is pinned to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/support/memory_ledger.h"
#include "bench/support/tls.h"
#include "server/ports/crypto.h"

namespace licet::bench {

// What is decided of every event.
enum class Governance {
    one_view,           // conditions on purpose, licence and consent, a prohibition, a keyed hash: the same for all contracts, in one view
    view_per_contract,  // as many policies as contracts, one for each party, and pseudonyms of the contract: a program and a view for each
    none                // a policy that permits all to everybody, nothing governed in an event, and a usage journal that keeps nothing
};

struct NodeOptions {
    std::string directory;    // made and removed by the caller
    std::string secret;       // of every client
    unsigned contracts = 1;   // contract i is of party i, read by client "reader-i"; "publisher" writes.
    bool shreddable = false;  // governed values are encrypted at rest; their keys are kept in memory in the place of PostgreSQL
    Governance governance = Governance::one_view;
    bool metered = true;        // no: a usage journal that keeps nothing
    Certificate certificate{};  // empty: no TLS
};

class Node {
  public:
    virtual ~Node() = default;
    [[nodiscard]] static std::unique_ptr<Node> start(const NodeOptions& options);  // dies when it cannot
    [[nodiscard]] virtual std::uint16_t port() const = 0;                          // plain
    [[nodiscard]] virtual std::uint16_t tls_port() const = 0;                      // a second edge on the same shard; 0 without a certificate
    // Ends the streams, journals what they delivered, brings it into the ledger.
    virtual void stop() = 0;
    [[nodiscard]] virtual MemoryLedger::Sum billed() const = 0;
};

// A signing key for this run.
[[nodiscard]] std::shared_ptr<const ports::Signer> make_signer(const ports::Crypto& crypto);

// A fresh directory under the build or temporary directory; removed with its content by the destructor.
class ScratchDirectory {
  public:
    ScratchDirectory();
    ~ScratchDirectory();
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

  private:
    std::string path_;
};

}  // namespace licet::bench
