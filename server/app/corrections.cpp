// Corrections: notes that put right what a statement said, booked into an open period.
#include <algorithm>
#include <optional>

#include "base/usage_limits.h"
#include "metering/currency.h"
#include "metering/month.h"
#include "server/app/account_invoicing.h"
#include "server/app/fields.h"
#include "server/app/periods.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using nlohmann::json;

struct Correction {
    std::string reference, contract, charge_period, period, reason;
    struct Line {
        std::string amount, product, day;
        std::string at;  // pointer
    };
    std::vector<Line> lines;
};

Error refused(std::string at, std::string why) { return {Errc::invalid_document, std::move(why), std::move(at)}; }

Result<Correction> read(const json& body, UtcMillis now) {
    Fields fields(body);
    Correction out;
    out.reference = fields.slug("reference");
    out.contract = fields.slug("contract");
    out.charge_period = fields.text("chargePeriod", 7);
    out.period = fields.optional_text("period", 7);
    out.reason = fields.text("reason", limits::correction_reason_max_bytes);
    const std::string amount = fields.optional_text("amount", 64);
    const json* lines = fields.any("lines");
    if (auto error = fields.finish()) return *error;
    if (!metering::parse_month(out.charge_period)) return refused("/chargePeriod", "expected YYYY-MM");
    if (out.period.empty()) out.period = format_rfc3339(now).substr(0, 7);
    if (!metering::parse_month(out.period) || metering::parse_month(out.period)->from > now)
        return refused("/period", "expected YYYY-MM, not to come");
    if ((lines != nullptr) == !amount.empty()) return refused("/amount", "expected amount or lines, and not both");
    if (lines == nullptr) {
        out.lines.push_back({amount, {}, {}, "/amount"});
        return out;
    }
    if (!lines->is_array() || lines->empty() || lines->size() > limits::correction_lines_max)
        return refused("/lines", "expected 1 to " + std::to_string(limits::correction_lines_max) + " lines");
    for (std::size_t i = 0; i < lines->size(); ++i) {
        const std::string at = "/lines/" + std::to_string(i);
        Fields line((*lines)[i], at);
        out.lines.push_back({line.text("amount", 64), line.optional_slug("product"), line.optional_text("day", 10), at + "/amount"});
        if (auto error = line.finish()) return *error;
        const auto day = parse_date(out.lines.back().day);
        if (!out.lines.back().day.empty() && (!day || out.lines.back().day.substr(0, 7) != out.charge_period))
            return refused(at + "/day", "expected a day of the charge period, YYYY-MM-DD");
    }
    return out;
}

// The lines of the note, at the terms of the statement it corrects.
Result<std::vector<ports::AccountLine>> note_lines(const Correction& correction, const ports::Account& corrected, const ports::Contract& terms,
                                                   const std::string& region, const std::string& reason) {
    std::vector<ports::AccountLine> out;
    for (const auto& wanted : correction.lines) {
        const auto amount = metering::Decimal::parse(wanted.amount);
        const auto most = metering::Decimal::of(1'000'000'000'000'000'000);  // so that sums of them have room
        if (!amount || amount->rounded(corrected.exponent) != *amount || *amount == metering::Decimal{} || *amount >= most ||
            *metering::Decimal::parse(amount->negative() ? amount->shortest().substr(1) : "0") >= most)
            return refused(wanted.at,
                           "expected a decimal, not zero, below 10^18, of at most " + std::to_string(corrected.exponent) + " digits after the point");
        if (!wanted.product.empty() && std::find(terms.products.begin(), terms.products.end(), wanted.product) == terms.products.end())
            return refused(wanted.at.substr(0, wanted.at.rfind('/')) + "/product", "the contract had no such product");
        ports::AccountLine line;
        line.no = out.size() + 1;
        line.kind = ports::LineKind::correction;
        line.product = wanted.product;
        line.region = region;
        line.day = wanted.day;
        for (const auto& purpose : terms.purposes) line.purpose += (line.purpose.empty() ? "" : " ") + purpose;
        line.jurisdiction = corrected.party_country;
        line.currency = corrected.currency;
        line.amount = *amount;
        line.charge_period = correction.charge_period;
        line.reason = reason;
        out.push_back(std::move(line));
    }
    return out;
}

}  // namespace

Result<Reply> Periods::correct(const Actor& actor, const json& body) {
    const UtcMillis now = parts_.clock->utc_now();
    const auto wanted = read(body, now);
    if (!wanted) return wanted.error();
    const auto configuration = parts_.configuration();
    if (!configuration) return configuration.error();
    const Sealing sealing{*parts_.crypto, *parts_.signer};
    const auto done = parts_.billing->book_note(
        wanted->period,
        {actor.client,
         "correction.book",
         wanted->contract,
         {{"reference", wanted->reference}, {"period", wanted->period}, {"chargePeriod", wanted->charge_period}, {"reason", wanted->reason}}},
        [&](ports::BookedUsage& ledger, const ports::ChainEnd& chain) -> Result<ports::NewStatement> {
            const auto corrected = ledger.statement_of(wanted->charge_period, wanted->contract);
            if (!corrected) return corrected.error();
            if (!corrected->has_value())
                return Error{Errc::not_found, "there is no statement of that contract and charge period to correct", "/chargePeriod"};
            auto account = stated_account((*corrected)->document);
            if (!account) return account.error();
            const auto terms = stated_contract((*corrected)->document);
            if (!terms) return terms.error();
            // An account has one currency: a note in another could not be in it.
            for (const auto& contract : configuration->contracts)
                if (contract.name == wanted->contract && (contract.prices.empty() || contract.prices.front().price.currency != account->currency))
                    return Error{Errc::conflict, "the contract is no longer in " + account->currency + ", the statement's currency", "/chargePeriod"};
            const std::string reason =
                "note " + std::to_string(chain.next) + " to statement " + std::to_string((*corrected)->number) + ": " + wanted->reason;
            const auto lines = note_lines(*wanted, *account, *terms, parts_.region, reason);
            if (!lines) return lines.error();
            account->period = wanted->period;
            keep_invoicing_of(**corrected, *account);
            auto note = make_note(sealing, {parts_.region, now}, *account, *lines, **corrected, wanted->reason, chain);
            if (!note) return note;
            note->row.reference = wanted->reference;
            return note;
        });
    if (!done) return done.error();
    return Reply{201, json::parse(done->document)};
}

}  // namespace licet::app
