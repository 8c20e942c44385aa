#include "server/app/verify_usage.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/encoding.h"
#include "base/inclusion.h"
#include "base/limits.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::size_t kLineMax = limits::audit_line_max_bytes;

std::string text_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}
std::uint64_t number_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

std::optional<merkle::Hash> hash_of(const std::string& text) {
    const auto raw = parse_hex(text);
    if (!raw || raw->size() != 32) return std::nullopt;
    merkle::Hash out{};
    std::copy(raw->begin(), raw->end(), out.begin());
    return out;
}

// Nothing nested without end is handed to the parser.
bool too_deep(const std::string& text) {
    std::size_t depth = 0, deepest = 0;
    for (const char c : text) {
        if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
        if ((c == '}' || c == ']') && depth > 0) --depth;
    }
    return deepest > limits::control_json_depth_max;
}

}  // namespace

UsageVerification::UsageVerification(const ports::Crypto& crypto, const ports::Verifier& verifier)
    : crypto_(crypto), verifier_(verifier), sha_([&crypto](Bytes data) { return crypto.sha256(data); }), tree_(sha_) {}

Error UsageVerification::failed(const std::string& why) const {
    return {Errc::verification_failed, file_ + ", line " + std::to_string(line_) + ": " + why, {}};
}

Status UsageVerification::add(const std::string& name, std::istream& file) {
    file_ = name;
    line_ = 0;
    std::string text;
    while (std::getline(file, text)) {
        ++line_;
        if (text.size() > kLineMax) return failed("the line is too long");
        if (auto taken = take(text); !taken) return taken;
    }
    return end_document();
}

Status UsageVerification::take(const std::string& text) {
    const json read = too_deep(text) ? json() : json::parse(text, nullptr, false);
    if (!read.is_object()) return failed("not a JSON object");
    const std::string kind = text_of(read, "kind");
    if (!kind.starts_with("licet/")) return take_line(text, read);
    if (auto ended = end_document(); !ended) return ended;
    return kind == "licet/receipt/1" ? take_receipt(text, read) : take_document(text, read);
}

Result<UsageVerification::Document> UsageVerification::open(const std::string& text) const {
    const auto opened = open_document(text, crypto_, verifier_);
    if (!opened) return failed(opened.error().detail);
    const json& read = *opened;
    Document out;
    out.kind = text_of(read, "kind");
    out.number = number_of(read, "number");
    out.hash = text_of(read, "hash");
    out.previous = text_of(read, "previous");
    out.root = text_of(read, "root");
    out.total = text_of(read, "total");
    out.currency = text_of(read, "currency");
    out.lines = number_of(read, "lines");
    out.exponent = static_cast<int>(number_of(read, "exponent"));
    out.name = file_ + ", line " + std::to_string(line_);
    if (out.kind != "licet/statement/1" && out.kind != "licet/credit-note/1" && out.kind != "licet/debit-note/1")
        return failed("documents of this kind are not known: " + out.kind);
    if (out.number == 0 || out.exponent > 8 || !hash_of(out.root) || !hash_of(out.previous) || !metering::Decimal::parse(out.total))
        return failed("it lacks what a statement has");
    if (const json corrects = read.value("corrects", json::object()); corrects.is_object()) {
        out.corrected = number_of(corrects, "number");
        out.corrected_hash = text_of(corrects, "hash");
    }
    if (const json books = read.value("books", json()); books.is_object()) {
        const auto count = [&](const char* of, const char* what) { return number_of(books.value(of, json::object()), what); };
        for (const char* what : {"events", "bytes"})
            if (count("delivered", what) != count("billed", what) + count("unbilled", what)) return failed("its books do not balance");
    }
    return out;
}

Status UsageVerification::take_document(const std::string& text, const json&) {
    auto document = open(text);
    if (!document) return document.error();
    current_ = *std::move(document);
    tree_ = merkle::Frontier(sha_);
    sum_ = {};
    within_ = true;
    return success();
}

Status UsageVerification::take_line(const std::string& text, const json& read) {
    if (!within_) return failed("a line of no statement");
    const auto line = parse_line(text);
    if (!line) return failed(line.error().detail);
    if (canonical(read) != text) return failed("it is not as it was written");
    if (line->no != tree_.size() + 1)
        return failed("line " + std::to_string(tree_.size() + 1) + " of statement " + std::to_string(current_.number) + " is missing");
    if (line->currency != current_.currency || line->amount.rounded(current_.exponent) != line->amount)
        return failed("its amount is not in the statement's currency");
    tree_.append(merkle::leaf_hash(sha_, as_bytes(text)));
    sum_ += line->amount;
    ++out_.lines;
    return success();
}

Status UsageVerification::end_document() {
    if (!within_) return success();
    within_ = false;
    const bool given = tree_.size() > 0 || current_.lines == 0;
    if (given) {
        const std::string which = "statement " + std::to_string(current_.number);
        if (tree_.size() != current_.lines)
            return failed(which + " has " + std::to_string(current_.lines) + " lines, here are " + std::to_string(tree_.size()));
        if (hex(tree_.root()) != current_.root) return failed("the lines of " + which + " are not those that were signed");
        if (sum_.text(current_.exponent) != current_.total) return failed("the lines of " + which + " do not come to its total");
    }
    return remember(current_, given);
}

Status UsageVerification::remember(const Document& document, bool lines_given) {
    const auto [at, fresh] = held_.try_emplace(document.number, Held{document, lines_given});
    if (!fresh && at->second.document.hash != document.hash)
        return failed("there are two documents of number " + std::to_string(document.number) + ": the other is in " + at->second.document.name);
    at->second.lines_given = at->second.lines_given || lines_given;
    return success();
}

Status UsageVerification::take_receipt(const std::string& text, const json& read) {
    if (canonical(read) != text) return failed("it is not as it was written");
    const json statement = read.value("statement", json()), line = read.value("line", json()), proof = read.value("proof", json());
    if (!statement.is_object() || !line.is_object() || !proof.is_array()) return failed("it lacks what a receipt has");
    const auto document = open(canonical(statement));
    if (!document) return document.error();
    std::vector<merkle::Hash> hashes;
    for (const auto& item : proof) {
        const auto hash = item.is_string() ? hash_of(item.get<std::string>()) : std::nullopt;
        if (!hash) return failed("its proof is not of hashes");
        hashes.push_back(*hash);
    }
    const std::string leaf = canonical(line);
    if (const auto parsed = parse_line(leaf); !parsed) return failed(parsed.error().detail);
    const auto no = number_of(line, "no");
    if (no == 0 ||
        !merkle::verify_inclusion(sha_, no - 1, document->lines, merkle::leaf_hash(sha_, as_bytes(leaf)), hashes, *hash_of(document->root)))
        return failed("its line is not in statement " + std::to_string(document->number));
    ++out_.receipts;
    return remember(*document, false);
}

Result<VerifiedUsage> UsageVerification::finish() {
    if (held_.empty()) return Error{Errc::verification_failed, "there is no statement", {}};
    const Document* before = nullptr;
    for (const auto& [number, held] : held_) {
        const auto& document = held.document;
        const auto wrong = [&](const std::string& why) { return Error{Errc::verification_failed, document.name + ": " + why, {}}; };
        if (number == 1 && document.previous != std::string(64, '0')) return wrong("the first statement follows another");
        if (before != nullptr && before->number + 1 == number && before->hash != document.previous)
            return wrong("statement " + std::to_string(number) + " does not follow statement " + std::to_string(number - 1));
        if (before != nullptr) out_.missing += number - before->number - 1;
        if (const auto corrected = held_.find(document.corrected);
            document.corrected != 0 && corrected != held_.end() && corrected->second.document.hash != document.corrected_hash)
            return wrong("it corrects another statement " + std::to_string(document.corrected));
        before = &document;
        ++(document.kind == "licet/statement/1" ? out_.statements : out_.notes);
        if (!held.lines_given) ++out_.without_lines;
    }
    out_.first = held_.begin()->first;
    out_.last = held_.rbegin()->first;
    return out_;
}

}  // namespace licet::app
