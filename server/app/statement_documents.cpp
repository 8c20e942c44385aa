#include "server/app/statement_documents.h"

#include <algorithm>
#include <array>

#include "server/app/priced_metric.h"
#include "server/ports/catalog_json.h"

namespace licet::app {
namespace {

using nlohmann::json;
using ports::Account;
using ports::AccountLine;

constexpr std::string_view kStatement = "licet/statement/1", kCreditNote = "licet/credit-note/1", kDebitNote = "licet/debit-note/1";

Error wrong(std::string what) { return {Errc::verification_failed, std::move(what), {}}; }
Error corrupt(const char* what) { return {Errc::corrupt, what, {}}; }

json count_json(const ports::UsageCount& count) { return {{"events", count.events}, {"bytes", count.bytes}}; }

std::optional<ports::LineKind> parse_kind(std::string_view name) {
    using enum ports::LineKind;
    for (const auto kind : {usage, discount, minimum, cap, correction})
        if (ports::line_kind_name(kind) == name) return kind;
    return std::nullopt;
}

// What statements and notes have in common.
json common(std::string_view kind, const Sealing& sealing, const StatementFacts& facts, const Account& account, const ports::ChainEnd& chain) {
    json out{{"kind", kind},
             {"number", chain.next},
             {"previous", chain.previous},
             {"region", facts.region},
             {"period", account.period},
             {"contract", account.contract},
             {"party", {{"name", account.party}, {"title", account.party_title}, {"country", account.party_country}}},
             {"currency", account.currency},
             {"exponent", account.exponent},
             {"at", format_rfc3339(facts.at)},
             {"keyId", statement_key_id(sealing.crypto, sealing.signer.public_key())}};
    if (account.invoicing) ports::add_invoicing_json(*account.invoicing, out);
    return out;
}

ports::StatementRow seal(const Sealing& sealing, json document, const Account& account, const SealedLines& lines, ports::StatementKind kind) {
    document["lines"] = lines.count;
    document["root"] = hex(lines.root);
    document["total"] = lines.total.text(account.exponent);
    const std::string text = canonical(document);
    ports::StatementRow out;
    out.hash = hex(sealing.crypto.sha256(as_bytes(text)));
    document["hash"] = out.hash;
    document["signature"] = base64url(sealing.signer.sign(as_bytes(text)));
    out.number = document["number"].get<std::uint64_t>();
    out.kind = kind;
    out.period = account.period;
    out.contract = account.contract;
    out.party = account.party;
    out.document = canonical(document);
    out.previous = document["previous"].get<std::string>();
    return out;
}

std::string text_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}
std::uint64_t number_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

}  // namespace

std::string canonical(const json& document) { return document.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string statement_key_id(const ports::Crypto& crypto, const std::array<std::uint8_t, 32>& key) {
    return "ed25519:" + hex(crypto.sha256(key)).substr(0, 16);
}

std::string line_text(const AccountLine& l, int exponent) {
    return canonical({{"no", l.no},
                      {"kind", ports::line_kind_name(l.kind)},
                      {"product", l.product},
                      {"region", l.region},
                      {"day", l.day},
                      {"view", l.view},
                      {"purpose", l.purpose},
                      {"jurisdiction", l.jurisdiction},
                      {"events", l.events},
                      {"bytes", l.bytes},
                      {"minutes", l.minutes},
                      {"currency", l.currency},
                      {"amount", l.amount.text(exponent)},
                      {"chargePeriod", l.charge_period},
                      {"reason", l.reason}});
}

Result<AccountLine> parse_line(std::string_view text) {
    const json read = json::parse(text, nullptr, false);
    if (!read.is_object()) return corrupt("a line of a statement cannot be read");
    AccountLine out;
    const auto kind = parse_kind(text_of(read, "kind"));
    const auto amount = metering::Decimal::parse(text_of(read, "amount"));
    if (!kind || !amount) return corrupt("a line of a statement cannot be read");
    out.no = number_of(read, "no");
    out.kind = *kind;
    out.product = text_of(read, "product");
    out.region = text_of(read, "region");
    out.day = text_of(read, "day");
    out.view = text_of(read, "view");
    out.purpose = text_of(read, "purpose");
    out.jurisdiction = text_of(read, "jurisdiction");
    out.events = number_of(read, "events");
    out.bytes = number_of(read, "bytes");
    out.minutes = number_of(read, "minutes");
    out.currency = text_of(read, "currency");
    out.amount = *amount;
    out.charge_period = text_of(read, "chargePeriod");
    out.reason = text_of(read, "reason");
    return out;
}

Result<std::string> LinesSeal::add(const AccountLine& line, std::vector<merkle::Node>* subtrees) {
    auto text = line_text(line, exponent_);
    completed_.clear();
    frontier_.append(merkle::leaf_hash(sha_, as_bytes(text)), subtrees == nullptr ? nullptr : &completed_);
    for (const auto& node : completed_)
        if (node.id.level >= ports::kStatementTreeLevel) subtrees->push_back(node);
    const auto sum = total_.plus(line.amount);
    if (!sum) return Error{Errc::internal, "contract " + line.contract + ": a total of too many digits", {}};
    total_ = *sum;
    return text;
}

ports::StatementRow make_statement(const Sealing& sealing, const StatementFacts& facts, const Account& account, const SealedLines& lines,
                                   const ports::Contract& terms, const ports::ChainEnd& chain) {
    json document = common(kStatement, sealing, facts, account, chain);
    document["from"] = format_rfc3339(account.from);
    document["to"] = format_rfc3339(account.to);
    document["books"] = {{"delivered", count_json(account.books.delivered)},
                         {"billed", count_json(account.books.billed)},
                         {"unbilled", count_json(account.books.unbilled)},
                         {"suspenseOffsets", account.books.suspense_offsets},
                         {"replayed", count_json(account.books.replayed)}};
    document["terms"] = ports::to_json(terms);
    return seal(sealing, std::move(document), account, lines, ports::StatementKind::statement);
}

Result<ports::NewStatement> make_note(const Sealing& sealing, const StatementFacts& facts, const Account& account,
                                      const std::vector<AccountLine>& lines, const ports::StatementRow& corrected, const std::string& reason,
                                      const ports::ChainEnd& chain) {
    ports::NewStatement out;
    LinesSeal sealed(sealing.crypto, account.exponent);
    for (const auto& line : lines) {
        auto text = sealed.add(line, &out.subtrees);
        if (!text) return text.error();
        out.lines.push_back(*std::move(text));
    }
    const bool credit = sealed.done().total.negative();
    json document = common(credit ? kCreditNote : kDebitNote, sealing, facts, account, chain);
    document["corrects"] = {{"number", corrected.number}, {"hash", corrected.hash}, {"period", corrected.period}};
    document["reason"] = reason;
    out.row =
        seal(sealing, std::move(document), account, sealed.done(), credit ? ports::StatementKind::credit_note : ports::StatementKind::debit_note);
    return out;
}

Result<Account> stated_account(std::string_view text) {
    const json read = json::parse(text, nullptr, false);
    if (!read.is_object() || text_of(read, "kind") != kStatement) return corrupt("a statement cannot be read");
    const json party = read.value("party", json::object()), books = read.value("books", json::object());
    const auto from = parse_rfc3339(text_of(read, "from")), to = parse_rfc3339(text_of(read, "to")), at = parse_rfc3339(text_of(read, "at"));
    const auto total = metering::Decimal::parse(text_of(read, "total"));
    if (!party.is_object() || !books.is_object() || !from || !to || !at || !total) return corrupt("a statement cannot be read");
    const auto count = [&](const char* key) {
        const json c = books.value(key, json::object());
        return c.is_object() ? ports::UsageCount{number_of(c, "events"), number_of(c, "bytes")} : ports::UsageCount{};
    };
    Account out;
    out.contract = text_of(read, "contract");
    out.party = text_of(party, "name");
    out.party_title = text_of(party, "title");
    out.party_country = text_of(party, "country");
    out.period = text_of(read, "period");
    out.from = *from;
    out.to = *to;
    out.currency = text_of(read, "currency");
    out.exponent = static_cast<int>(number_of(read, "exponent"));
    out.priced = priced_metric(ports::contract_from(out.contract, read.value("terms", json::object())), {*from, *to});
    out.total = *total;
    out.lines = number_of(read, "lines");
    out.books = {count("delivered"), count("billed"), count("unbilled"), number_of(books, "suspenseOffsets"), count("replayed")};
    out.invoicing = ports::invoicing_from(read);
    out.closed = true;
    out.statement = number_of(read, "number");
    out.closed_at = *at;
    out.root = text_of(read, "root");
    out.previous = text_of(read, "previous");
    out.hash = text_of(read, "hash");
    out.key_id = text_of(read, "keyId");
    out.signature = text_of(read, "signature");
    return out;
}

Result<ports::Contract> stated_contract(std::string_view text) {
    const json read = json::parse(text, nullptr, false);
    if (!read.is_object() || !read.value("terms", json()).is_object()) return corrupt("a statement names no terms");
    auto out = ports::contract_from(text_of(read, "contract"), read["terms"]);
    if (out.prices.empty()) return corrupt("the prices of a statement cannot be read");
    return out;
}

Result<json> open_document(std::string_view text, const ports::Crypto& crypto, const ports::Verifier& verifier) {
    json read = json::parse(text, nullptr, false);
    if (!read.is_object() || !text_of(read, "kind").starts_with("licet/")) return wrong("not a statement or note");
    // What is read must be what was signed: no member twice, which parsing would hide.
    if (canonical(read) != text) return wrong("it is not as it was written");
    json bare = read;
    bare.erase("hash");
    bare.erase("signature");
    const std::string signed_text = canonical(bare);
    if (hex(crypto.sha256(as_bytes(signed_text))) != text_of(read, "hash")) return wrong("its content does not match its hash");
    const auto signature = parse_base64url(text_of(read, "signature"));
    if (!signature || !verifier.verify(as_bytes(signed_text), as_bytes(*signature))) return wrong("its signature does not verify");
    return read;
}

}  // namespace licet::app
