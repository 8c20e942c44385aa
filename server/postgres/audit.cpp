#include "server/postgres/audit.h"

#include "base/encoding.h"
#include "base/limits.h"

namespace licet::postgres {
namespace {

constexpr std::int64_t kAuditLock = 0x6c69636574617564;  // "licetaud"

merkle::Sha256 sha256_of(const AuditSealing& sealing) {
    return [crypto = sealing.crypto](Bytes data) { return crypto->sha256(data); };
}

// In the order asked for.
std::vector<merkle::Hash> read_nodes(pqxx::work& t, const std::vector<merkle::NodeId>& ids) {
    std::vector<merkle::Hash> out;
    if (ids.empty()) return out;
    std::string sql = "SELECT encode(hash, 'hex') FROM (VALUES ";
    for (std::size_t i = 0; i < ids.size(); ++i)
        sql += (i == 0 ? "(" : ",(") + std::to_string(i) + "," + std::to_string(ids[i].level) + "," + std::to_string(ids[i].index) + "::bigint)";
    sql += ") AS wanted (ord, level, position) JOIN audit_tree USING (level, position) ORDER BY ord";
    for (const auto& row : t.exec(sql)) {
        const auto raw = parse_hex(row[0].as<std::string>());
        if (raw && raw->size() == 32) std::copy(raw->begin(), raw->end(), out.emplace_back().begin());
    }
    if (out.size() != ids.size()) throw Refused{{Errc::corrupt, "the audit tree lacks subtrees of its lines", {}}};
    return out;
}

std::uint64_t read_size(pqxx::work& t) { return t.exec("SELECT coalesce(max(seq), 0) FROM audit")[0][0].as<std::uint64_t>(); }

std::string signed_checkpoint(const AuditSealing& sealing, const merkle::Frontier& tree) {
    return sign_checkpoint(sha256_of(sealing), {sealing.origin, tree.size(), tree.root()}, sealing.signer->public_key(),
                           [&](Bytes message) { return sealing.signer->sign(message); });
}

// The same size is the same note, whichever node signs it.
void store_checkpoint(pqxx::work& t, const ports::StoredCheckpoint& checkpoint) {
    t.exec_params("INSERT INTO audit_checkpoints (size, note) VALUES ($1, $2) ON CONFLICT DO NOTHING", checkpoint.size, checkpoint.note);
}

merkle::Frontier read_tree(pqxx::work& t, const AuditSealing& sealing, std::uint64_t size) {
    return {sha256_of(sealing), size, read_nodes(t, merkle::cover(0, size))};
}

// Appends under the lock, keeping what the next line follows.
class Appender {
  public:
    Appender(pqxx::work& t, const AuditSealing& sealing) : t_(t), sealing_(sealing), tree_(sha256_of(sealing)) {
        lock_audit(t);
        const auto last = t.exec("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
        if (last.empty()) return;
        previous_ = last[0][1].as<std::string>();
        tree_ = read_tree(t, sealing, last[0][0].as<std::uint64_t>());
    }

    void append(const ports::AuditEntry& entry, std::optional<GovernanceEpoch> epoch) {
        const std::uint64_t sequence = tree_.size() + 1;
        nlohmann::json line{{"seq", sequence},        {"at", format_rfc3339(sealing_.clock->utc_now())},
                            {"actor", entry.actor},   {"action", entry.action},
                            {"target", entry.target}, {"detail", entry.detail},
                            {"prev", previous_}};
        if (epoch) line["epoch"] = epoch->value;
        const auto digest = sealing_.crypto->sha256(as_bytes(line.dump()));
        previous_ = hex(digest);
        line["hash"] = previous_;
        line["signature"] = base64url(sealing_.signer->sign(digest));
        const std::string text = line.dump();
        std::vector<merkle::Node> completed;
        tree_.append(merkle::leaf_hash(sha256_of(sealing_), as_bytes(text)), &completed);
        std::string nodes;
        for (const auto& node : completed)
            nodes +=
                (nodes.empty() ? "(" : ",(") + std::to_string(node.id.level) + "," + std::to_string(node.id.index) + ",'\\x" + hex(node.hash) + "')";
        t_.exec_params("WITH grown AS (INSERT INTO audit_tree (level, position, hash) VALUES " + nodes +
                           ") INSERT INTO audit (seq, line, hash) VALUES ($1, $2, $3)",
                       sequence, text, previous_);
        if (tree_.size() % sealing_.checkpoint_entries == 0) store_checkpoint(t_, {tree_.size(), signed_checkpoint(sealing_, tree_)});
    }

  private:
    pqxx::work& t_;
    const AuditSealing& sealing_;
    merkle::Frontier tree_;
    std::string previous_ = std::string(64, '0');
};

class PgAuditLog final : public ports::AuditLog {
  public:
    PgAuditLog(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Status append(const std::vector<ports::AuditEntry>& entries) override {
        return pool_->transact("append_audit", [&](pqxx::work& t) {
            Appender appender(t, sealing_);
            for (const auto& entry : entries) appender.append(entry, std::nullopt);
            return Unit{};
        });
    }

    Result<std::vector<ports::AuditLine>> lines(std::uint64_t after, std::size_t limit) override {
        return pool_->transact("audit_lines", [&](pqxx::work& t) {
            std::vector<ports::AuditLine> out;
            const auto rows = t.exec_params(
                "SELECT seq, line FROM (SELECT seq, line, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM "
                "(SELECT seq, line, octet_length(line) AS bytes FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2) AS page) AS summed "
                "WHERE before < $3 ORDER BY seq",
                after, limit, limits::audit_page_max_bytes);
            for (const auto& r : rows) out.push_back({r[0].as<std::uint64_t>(), r[1].as<std::string>()});
            return out;
        });
    }

    Result<std::uint64_t> size() override {
        return pool_->transact("audit_size", [&](pqxx::work& t) { return read_size(t); });
    }

    Result<std::vector<ports::StoredCheckpoint>> checkpoints(std::uint64_t after, std::uint64_t to) override {
        return pool_->transact("audit_checkpoints", [&](pqxx::work& t) {
            std::vector<ports::StoredCheckpoint> out;
            for (const auto& r : t.exec_params("SELECT size, note FROM audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size", after, to))
                out.push_back({r[0].as<std::uint64_t>(), r[1].as<std::string>()});
            return out;
        });
    }

    Result<ports::StoredCheckpoint> checkpoint() override {
        return pool_->transact("audit_checkpoint", [&](pqxx::work& t) {
            const auto newest = t.exec("SELECT size, note FROM audit_checkpoints WHERE size = (SELECT coalesce(max(seq), 0) FROM audit)");
            if (!newest.empty()) return ports::StoredCheckpoint{newest[0][0].as<std::uint64_t>(), newest[0][1].as<std::string>()};
            const std::uint64_t size = read_size(t);
            ports::StoredCheckpoint out{size, signed_checkpoint(sealing_, read_tree(t, sealing_, size))};
            store_checkpoint(t, out);
            return out;
        });
    }

    Result<ports::StoredCheckpoint> checkpoint_of(std::uint64_t size) override {
        return pool_->transact("audit_checkpoint_of", [&](pqxx::work& t) {
            return ports::StoredCheckpoint{size, signed_checkpoint(sealing_, read_tree(t, sealing_, size))};
        });
    }

    Result<std::vector<merkle::Hash>> nodes(const std::vector<merkle::NodeId>& ids) override {
        return pool_->transact("audit_nodes", [&](pqxx::work& t) { return read_nodes(t, ids); });
    }

  private:
    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

void lock_audit(pqxx::work& t) {
    // One writer at a time, without the right to change what is written: LOCK TABLE would need it.
    t.exec("SELECT pg_advisory_xact_lock(" + std::to_string(kAuditLock) + ")");
}

void append_audit(pqxx::work& t, const AuditSealing& sealing, const ports::AuditEntry& entry, std::optional<GovernanceEpoch> epoch) {
    Appender(t, sealing).append(entry, epoch);
}

std::shared_ptr<ports::AuditLog> make_audit_log(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgAuditLog>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
