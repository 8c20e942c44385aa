// A statement made again from the ledger, line by line, and held against what is stored.
#include "base/usage_limits.h"
#include "server/app/period_accounts.h"
#include "server/app/periods.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using nlohmann::json;
using ports::StatementRow;

constexpr std::size_t kDifferencesShown = 20;

std::string without_seal(const std::string& document) {
    json read = json::parse(document, nullptr, false);
    if (!read.is_object()) return {};
    for (const char* member : {"keyId", "hash", "signature"}) read.erase(member);
    return canonical(read);
}

}  // namespace

Result<Reply> Periods::rerate(std::string_view number) const {
    const auto held = row(number, {});
    if (!held) return held.error();
    if (held->kind != ports::StatementKind::statement) return Error{Errc::not_found, "a note is not rated", "path:number"};
    const auto stated = stated_account(held->document);
    if (!stated) return stated.error();
    auto terms_stated = stated_contract(held->document);
    if (!terms_stated) return terms_stated.error();
    const auto configuration = parts_.configuration();
    if (!configuration) return configuration.error();
    // As it was billed: the terms it states. Numbers never change.
    BillingTerms terms;
    for (const auto& product : configuration->products) terms.products.emplace(product.no, product.name);
    for (const auto& contract : configuration->contracts)
        if (contract.name == stated->contract) terms_stated->no = contract.no;
    terms.contracts.emplace(terms_stated->no, *terms_stated);
    ports::Party party;
    party.name = stated->party;
    party.title = stated->party_title;
    party.country = stated->party_country;
    terms.parties.emplace(party.name, party);

    json differences = json::array();
    bool found = false;
    auto done = parts_.billing->read([&](ports::BookedUsage& ledger) {
        return each_account(ledger, terms, {stated->period, parts_.region, true, stated->contract, {}}, [&](RatedAccount& made) {
            found = true;
            return compare(*held, *stated, ledger, made, differences);
        });
    });
    if (!done) return done.error();
    if (!found) differences.push_back({{"what", "the ledger holds nothing of it"}});
    return Reply{200, {{"number", held->number}, {"identical", differences.empty()}, {"differences", std::move(differences)}}};
}

// Line by line, a page of the stored ones at a time.
Status Periods::compare(const StatementRow& held, const ports::Account& stated, ports::BookedUsage& ledger, RatedAccount& made,
                        json& differences) const {
    const Sealing sealing{*parts_.crypto, *parts_.signer};
    LinesSeal sealed(sealing.crypto, made.account().exponent);
    std::vector<std::string> page;
    std::uint64_t before_page = 0;
    bool ended = false;
    // Nullptr: there is no such line.
    const auto stored = [&](std::uint64_t no) -> Result<const std::string*> {
        while (!ended && no > before_page + page.size()) {
            before_page += page.size();
            auto next = ledger.statement_lines(held.number, before_page, limits::statement_page_lines_max);
            if (!next) return next.error();
            page = *std::move(next);
            ended = page.empty();
        }
        const std::string* line = nullptr;
        if (!ended) line = &page[static_cast<std::size_t>(no - before_page - 1)];
        return line;
    };
    const auto differs = [&](std::uint64_t no, const std::string* line, const std::string* again) {
        const auto shown = [](const std::string* text) { return text == nullptr ? json() : json::parse(*text, nullptr, false); };
        if (differences.size() < kDifferencesShown) differences.push_back({{"line", no}, {"stated", shown(line)}, {"rated", shown(again)}});
    };
    std::uint64_t no = 0;
    const auto told = made.lines([&](const ports::AccountLine& line) -> Status {
        const auto again = sealed.add(line);
        if (!again) return again.error();
        const auto was = stored(++no);
        if (!was) return was.error();
        if (*was == nullptr || **was != *again) differs(no, *was, &*again);
        return success();
    });
    if (!told) return told;
    while (differences.size() < kDifferencesShown) {
        const auto more = stored(++no);
        if (!more) return more.error();
        if (*more == nullptr) break;
        differs(no, *more, nullptr);
    }
    auto account = made.account();
    account.books.suspense_offsets = stated.books.suspense_offsets;  // as it was then: what was settled since is no longer there
    account.invoicing = stated.invoicing;
    const auto again =
        make_statement(sealing, {parts_.region, stated.closed_at}, account, sealed.done(), made.contract(), {held.number, held.previous});
    // By what it says, when the key is another by now.
    const bool same_key = stated.key_id == statement_key_id(sealing.crypto, sealing.signer.public_key());
    if (same_key ? again.document != held.document : without_seal(again.document) != without_seal(held.document))
        differences.push_back({{"what", "the document"}, {"stated", held.hash}, {"rated", again.hash}});
    return success();
}

}  // namespace licet::app
