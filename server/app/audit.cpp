#include "server/app/audit.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::size_t kExportLines = 4096;  // read at one time

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

Error invalid(const char* parameter, std::string why) { return {Errc::invalid_parameter, std::move(why), std::string("query:") + parameter}; }

std::string checkpoint_line(const std::string& note) { return json{{"checkpoint", note}}.dump() + "\n"; }

}  // namespace

Audit::Audit(std::shared_ptr<ports::AuditLog> log, std::shared_ptr<const ports::Crypto> crypto, std::string origin, PublicKey key)
    : log_(std::move(log)), sha_([crypto = std::move(crypto)](Bytes data) { return crypto->sha256(data); }), origin_(std::move(origin)), key_(key) {}

Result<std::string> Audit::lines(std::string_view after, std::string_view limit) const {
    const auto from = after.empty() ? std::optional<std::uint64_t>(0) : number(after);
    const auto most = limit.empty() ? std::optional<std::uint64_t>(1000) : number(limit);
    if (!from) return invalid("after", "expected a sequence number");
    if (!most || *most == 0 || *most > 10'000) return invalid("limit", "expected 1 to 10000");
    const auto lines = log_->lines(*from, *most);
    if (!lines) return lines.error();
    std::string out;
    for (const auto& line : *lines) out += line.line + "\n";
    return out;
}

json Audit::key() const {
    return {{"algorithm", "Ed25519"}, {"publicKey", base64url(key_)}, {"origin", origin_}, {"verifierKey", verifier_key(sha_, origin_, key_)}};
}

Result<std::string> Audit::checkpoint() const {
    auto made = log_->checkpoint();
    if (!made) return made.error();
    return std::move(made->note);
}

Result<std::vector<merkle::Hash>> Audit::hashes(const merkle::Path& path) const {
    std::vector<merkle::NodeId> all;
    for (const auto& ids : path) all.insert(all.end(), ids.begin(), ids.end());
    const auto nodes = log_->nodes(all);
    if (!nodes) return nodes.error();
    std::vector<merkle::Hash> out;
    auto at = nodes->begin();
    for (const auto& ids : path) {
        const auto end = at + static_cast<std::ptrdiff_t>(ids.size());
        out.push_back(merkle::fold(sha_, {at, end}));
        at = end;
    }
    return out;
}

Result<json> Audit::proof(std::string_view entry_text, std::string_view from_text, std::string_view size_text) const {
    if (entry_text.empty() == from_text.empty()) return invalid("entry", "expected entry or from, and not both");
    const auto held = log_->size();
    if (!held) return held.error();
    const auto size = size_text.empty() ? held.value() : number(size_text).value_or(0);
    if (size == 0 || size > *held) return invalid("size", "expected 1 to " + std::to_string(*held) + ", the entries there are");
    const bool inclusion = from_text.empty();
    const auto which = number(inclusion ? entry_text : from_text).value_or(0);
    if (which == 0 || which > size) return invalid(inclusion ? "entry" : "from", "expected 1 to " + std::to_string(size));
    const auto path = hashes(inclusion ? merkle::inclusion_path(which - 1, size) : merkle::consistency_path(which, size));
    if (!path) return path.error();
    const auto checkpoint = log_->checkpoint_of(size);
    if (!checkpoint) return checkpoint.error();
    json list = json::array();
    for (const auto& hash : *path) list.push_back(base64(hash));
    return json{{"kind", inclusion ? "inclusion" : "consistency"},
                {inclusion ? "entry" : "from", which},
                {"size", size},
                {"hashes", std::move(list)},
                {"checkpoint", checkpoint->note}};
}

Result<std::shared_ptr<AuditExport>> Audit::begin_export(std::string_view after_text) const {
    const auto after = after_text.empty() ? std::optional<std::uint64_t>(0) : number(after_text);
    if (!after) return invalid("after", "expected a sequence number");
    const auto checkpoint = log_->checkpoint();
    if (!checkpoint) return checkpoint.error();
    if (*after > checkpoint->size) return invalid("after", "the log has " + std::to_string(checkpoint->size) + " entries");
    std::string head;
    if (*after > 0) {
        const auto nodes = log_->nodes(merkle::cover(0, *after));
        if (!nodes) return nodes.error();
        json list = json::array();
        for (const auto& hash : *nodes) list.push_back(base64(hash));
        head = json{{"after", *after}, {"tree", std::move(list)}}.dump() + "\n";
    }
    if (*after == checkpoint->size) head += checkpoint_line(checkpoint->note);  // no entry to put it behind
    return std::shared_ptr<AuditExport>(new AuditExport(log_, *after, checkpoint->size, std::move(head)));
}

Result<std::string> AuditExport::next() {
    if (!piece_.empty()) return std::exchange(piece_, {});
    if (at_ == to_) return std::string();
    const auto lines = log_->lines(at_, std::min<std::uint64_t>(kExportLines, to_ - at_));
    if (!lines) return lines.error();
    if (lines->empty()) return Error{Errc::corrupt, "the audit log ends before its checkpoint", {}};
    const auto checkpoints = log_->checkpoints(at_, lines->back().sequence);
    if (!checkpoints) return checkpoints.error();
    std::string out;
    auto checkpoint = checkpoints->begin();
    for (const auto& line : *lines) {
        out += line.line + "\n";
        at_ = line.sequence;
        for (; checkpoint != checkpoints->end() && checkpoint->size <= at_; ++checkpoint) out += checkpoint_line(checkpoint->note);
    }
    return out;
}

AuditCheckpoints::AuditCheckpoints(std::shared_ptr<ports::AuditLog> log, int every_seconds) : log_(std::move(log)) {
    timer_ = std::thread([this, every = std::chrono::seconds(every_seconds)] {
        std::unique_lock lock(mutex_);
        while (!stopped_.wait_for(lock, every, [&] { return stopping_; })) {
            lock.unlock();
            if (const auto made = log_->checkpoint(); !made) log::error("audit.checkpoint_failed", {{"detail", made.error().detail}});
            lock.lock();
        }
    });
}

void AuditCheckpoints::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        stopped_.notify_all();
    }
    if (timer_.joinable()) timer_.join();
}

}  // namespace licet::app
