#include "server/app/verify.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::string_view kTree = "{\"after\":", kCheckpoint = "{\"checkpoint\":";
constexpr std::size_t kDepthMax = limits::control_json_depth_max + 2;  // an entry holds what a request held

enum class Read : std::uint8_t { line, end, cut, too_long };

// A line without its end. Every line has one: what follows the last is missing.
Read read_line(std::istream& in, std::string& line) {
    line.clear();
    for (int c = in.get(); c != std::istream::traits_type::eof(); c = in.get()) {
        if (c == '\n') return Read::line;
        if (line.size() == limits::audit_line_max_bytes) return Read::too_long;
        line.push_back(static_cast<char>(c));
    }
    return line.empty() ? Read::end : Read::cut;
}

// Before a document is built from it: nothing nested without end.
bool too_deep(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kDepthMax) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return false;
}

// An entry in its text: members are in alphabetical order, so hash and signature stand behind all that a client wrote but the target, and a quote
// within that is escaped.
struct Entry {
    std::uint64_t sequence = 0;
    std::string prev, hash, signature, content;
};
std::optional<Entry> parse_entry(const std::string& text) {
    Entry out;
    out.content = text;
    const auto cut = [&](const std::string& key, std::string& into) {
        const std::string opening = ",\"" + key + "\":\"";
        const auto at = out.content.rfind(opening);
        if (at == std::string::npos) return false;
        const auto end = out.content.find('"', at + opening.size());
        if (end == std::string::npos) return false;
        into = out.content.substr(at + opening.size(), end - at - opening.size());
        out.content.erase(at, end + 1 - at);
        return true;
    };
    if (!cut("signature", out.signature) || !cut("hash", out.hash) || too_deep(text)) return std::nullopt;
    const json line = json::parse(out.content, nullptr, false);
    if (!line.is_object()) return std::nullopt;
    const auto sequence = line.find("seq"), prev = line.find("prev");
    if (sequence == line.end() || !sequence->is_number_unsigned() || prev == line.end() || !prev->is_string()) return std::nullopt;
    out.sequence = sequence->get<std::uint64_t>();
    out.prev = prev->get<std::string>();
    return out;
}

class Verification {
  public:
    Verification(const VerifyAuditInput& input, const ports::Crypto& crypto, const ports::Verifier& verifier)
        : input_(input), verifier_(verifier), sha_([&crypto](Bytes data) { return crypto.sha256(data); }), tree_(merkle::Frontier(sha_)) {}

    Result<VerifiedAudit> run(std::istream& in) {
        if (auto read = open_kept(); !read) return read.error();
        std::string text;
        for (;;) {
            const Read read = read_line(in, text);
            if (read == Read::end) break;
            ++line_;
            if (read == Read::cut) return failed("the line is cut off: it has no end");
            if (read == Read::too_long) return failed("the line is too long");
            auto taken = text.starts_with(kCheckpoint)           ? take_checkpoint(text)
                         : line_ == 1 && text.starts_with(kTree) ? take_tree(text)
                                                                 : take_entry(text);
            if (!taken) return taken.error();
        }
        if (line_ == 0) return Error{Errc::verification_failed, "the export holds no line", {}};
        return finish();
    }

  private:
    // What is wrong with the line at hand, which should be the entry after the last good one.
    [[nodiscard]] Error failed(const std::string& why) const { return about("entry " + std::to_string(out_.last + 1), why); }
    [[nodiscard]] Error about(const std::string& what, const std::string& why) const {
        return {Errc::verification_failed, what + " (line " + std::to_string(line_) + "): " + why, {}};
    }
    [[nodiscard]] Result<Checkpoint> open(const std::string& note) {
        return open_checkpoint(sha_, note, input_.key, [&](Bytes m, Bytes s) { return verifier_.verify(m, s); });
    }

    Status open_kept() {
        for (const auto& note : input_.kept) {
            auto checkpoint = open(note);
            if (!checkpoint) return Error{Errc::verification_failed, "a checkpoint that was given: " + checkpoint.error().detail, {}};
            kept_.push_back(*std::move(checkpoint));
        }
        std::sort(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
        return compare_kept();  // of an empty log
    }

    // The first line of an export that begins later: the tree over what came before. The checkpoints at its end attest to it.
    Status take_tree(const std::string& text) {
        const auto bad = [&] { return about("the tree before the first entry", "it is not as it was written"); };
        const json head = too_deep(text) ? json(nullptr) : json::parse(text, nullptr, false);
        if (!head.is_object() || head.size() != 2 || !head.contains("after") || !head.contains("tree") || !head["after"].is_number_unsigned() ||
            !head["tree"].is_array())
            return bad();
        const auto after = head["after"].get<std::uint64_t>();
        std::vector<merkle::Hash> hashes;
        for (const auto& item : head["tree"]) {
            const auto raw = item.is_string() ? parse_base64(item.get<std::string>()) : std::nullopt;
            if (!raw || raw->size() != 32) return bad();
            std::copy(raw->begin(), raw->end(), hashes.emplace_back().begin());
        }
        if (after == 0 || hashes.size() != static_cast<std::size_t>(std::popcount(after)) || head.dump() != text) return bad();
        tree_.emplace(sha_, after, std::move(hashes));
        out_.last = after;
        while (next_kept_ < kept_.size() && kept_[next_kept_].size < after) out_.not_comparable.push_back(kept_[next_kept_++].size);
        return compare_kept();
    }

    Status take_entry(const std::string& text) {
        if (text.empty()) return failed("an empty line");
        const auto entry = parse_entry(text);
        if (!entry) return failed("not an audit entry");
        const auto digest = sha_(as_bytes(entry->content));
        if (hex(digest) != entry->hash) return failed("its content does not match its hash");
        const auto raw = parse_base64url(entry->signature);
        if (!raw || !verifier_.verify(digest, as_bytes(*raw))) return failed("its signature does not verify");
        if (line_ == 1 && entry->sequence > 1) {
            tree_.reset();  // a part without what came before: chain and signatures alone can be checked
            out_.not_comparable.clear();
            for (const auto& kept : kept_) out_.not_comparable.push_back(kept.size);
            next_kept_ = kept_.size();
        } else if (entry->sequence != out_.last + 1) {
            if (entry->sequence > out_.last) return failed("it is missing: this line is entry " + std::to_string(entry->sequence));
            return failed("this line is entry " + std::to_string(entry->sequence) + " again");
        } else if (out_.last == 0 ? entry->prev != std::string(64, '0') : !previous_.empty() && entry->prev != previous_) {
            return failed("it does not follow the entry before");
        }
        if (out_.entries++ == 0) out_.first = entry->sequence;
        out_.last = entry->sequence;
        previous_ = entry->hash;
        if (!tree_) return success();
        tree_->append(merkle::leaf_hash(sha_, as_bytes(text)));
        return compare_kept();
    }

    Status take_checkpoint(const std::string& text) {
        const auto what = "the checkpoint after entry " + std::to_string(out_.last);
        const json line = too_deep(text) ? json(nullptr) : json::parse(text, nullptr, false);
        if (!line.is_object() || line.size() != 1 || !line.contains("checkpoint") || !line["checkpoint"].is_string() ||
            line.dump(-1, ' ', false, json::error_handler_t::replace) != text)
            return about(what, "it is not as it was written");
        const auto checkpoint = open(line["checkpoint"].get<std::string>());
        if (!checkpoint) return about(what, checkpoint.error().detail);
        if (!tree_) return about(what, "it cannot be compared: the export does not hold the tree before its first entry");
        if (out_.covered && checkpoint->size <= *out_.covered) return about(what, "it is not newer than the one before");
        if (checkpoint->size > tree_->size())
            return failed("it is missing: the checkpoint here attests to " + std::to_string(checkpoint->size) + " entries");
        if (checkpoint->size < tree_->size())
            return about(what, "it attests to " + std::to_string(checkpoint->size) + " entries: it does not belong here");
        if (checkpoint->root != tree_->root()) return about(what, "its root is not that of the entries before it");
        if (!out_.origin.empty() && checkpoint->origin != out_.origin) return about(what, "it is of another log");
        out_.origin = checkpoint->origin;
        out_.covered = checkpoint->size;
        ++out_.checkpoints;
        return success();
    }

    // Those of exactly the entries read so far.
    Status compare_kept() {
        for (; next_kept_ < kept_.size() && kept_[next_kept_].size == tree_->size(); ++next_kept_) {
            const auto& kept = kept_[next_kept_];
            const std::string what = "the checkpoint of " + std::to_string(kept.size) + " entries that was given";
            if (kept.root != tree_->root())
                return about(what, "its root is not that of the entries here: one of the first " + std::to_string(kept.size) + " is not what it was");
            if (!out_.origin.empty() && kept.origin != out_.origin) return about(what, "it is of another log");
            out_.origin = kept.origin;
            kept_covers_ = kept.size;
        }
        return success();
    }

    Result<VerifiedAudit> finish() {
        if (next_kept_ < kept_.size())
            return failed("it is missing: the log had " + std::to_string(kept_.back().size) + " entries at a checkpoint that was given");
        if (kept_covers_ && (!out_.covered || *kept_covers_ > *out_.covered)) out_.covered = kept_covers_;
        if (tree_) out_.root = base64(tree_->root());
        return out_;
    }

    const VerifyAuditInput& input_;
    const ports::Verifier& verifier_;
    const merkle::Sha256 sha_;
    std::optional<merkle::Frontier> tree_;
    std::vector<Checkpoint> kept_;
    std::size_t next_kept_ = 0;
    std::optional<std::uint64_t> kept_covers_;
    std::string previous_;
    std::uint64_t line_ = 0;
    VerifiedAudit out_;
};

}  // namespace

Result<VerifiedAudit> verify_audit(std::istream& lines, const VerifyAuditInput& input, const ports::Crypto& crypto, const ports::Verifier& verifier) {
    return Verification(input, crypto, verifier).run(lines);
}

}  // namespace licet::app
