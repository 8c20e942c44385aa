#include "server/app/period_accounts.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "metering/month.h"
#include "server/app/contract_bills.h"
#include "server/app/statement_documents.h"
#include "server/ports/catalog_json.h"

namespace licet::app {
namespace {

using ports::AccountLine;
using ports::Contract;
using ports::LineKind;

Error unknown_usage(ContractNo contract, const std::string& product) {
    return {Errc::internal,
            "the ledger holds usage of contract number " + std::to_string(contract.value) + " on " + product + ", which the catalog does not hold",
            {}};
}

void add(ports::UsageCount& sum, const ports::UsageCount& part) {
    sum.events += part.events;
    sum.bytes += part.bytes;
}

metering::Decimal negated(metering::Decimal amount) {
    const auto text = amount.shortest();
    return metering::Decimal::parse(amount.negative() ? text.substr(1) : "-" + text).value_or(metering::Decimal{});
}

using Key = std::tuple<LineKind, std::string, std::string, std::string, std::string, std::string>;
Key key_of(const AccountLine& l) { return {l.kind, l.day, l.product, l.region, l.view, l.reason}; }

class Rating {
  public:
    Rating(ports::BookedUsage& ledger, const BillingTerms& terms, const PeriodWanted& wanted, metering::Month month)
        : ledger_(ledger), terms_(terms), wanted_(wanted), month_(month) {}

    Status read() {
        auto totals = ledger_.charged(month_.from, month_.to, month_.to, chosen());
        if (!totals) return totals.error();
        for (const auto& total : *totals) {
            if (!is_wanted(total.contract)) continue;
            if (auto known = check(total.contract, &total.product); !known) return known;
            usage_[total.contract].push_back(total);
        }
        auto balance = ledger_.balance(month_.from, month_.to);
        if (!balance) return balance.error();
        for (const auto& b : *balance) {
            if (!is_wanted(b.contract)) continue;
            if (auto known = check(b.contract, nullptr); !known) return known;
            auto& sum = books_[b.contract];
            add(sum.delivered, b.delivered);
            add(sum.billed, b.billed);
            add(sum.unbilled, b.unbilled);
            sum.suspense_offsets += b.suspense_offsets;
        }
        auto late = ledger_.late(month_.from, month_.to);
        if (!late) return late.error();
        for (const auto& l : *late)
            if (is_wanted(l.contract)) late_[l.contract].insert(l.month);
        return success();
    }

    Result<std::optional<PeriodAccount>> account(const Contract& contract) {
        auto bill = bill_contract(bill_of(contract, wanted_.period, wanted_.finished), parts_of(usage_[contract.no]));
        if (!bill) return bill.error();
        PeriodAccount out{{}, std::move(bill->lines), &contract};
        ports::UsageCount replayed;
        for (const auto& total : usage_[contract.no]) add_replayed(replayed, total);
        for (const auto& charge_period : late_[contract.no])
            if (auto added = add_late(contract, charge_period, out.lines, replayed); !added) return added.error();
        auto notes = ledger_.correction_lines(wanted_.period, contract.name);
        if (!notes) return notes.error();
        for (const auto& text : *notes) {
            auto line = parse_line(text);
            if (!line) return line.error();
            out.lines.push_back(*std::move(line));
        }
        const auto books = books_.find(contract.no);
        if (out.lines.empty() && books == books_.end()) return std::optional<PeriodAccount>{};
        auto& a = out.account;
        a.contract = contract.name;
        a.party = contract.party;
        if (const auto party = terms_.parties.find(contract.party); party != terms_.parties.end()) {
            a.party_title = party->second.title;
            a.party_country = party->second.country;
        }
        a.period = wanted_.period;
        a.from = month_.from;
        a.to = month_.to;
        a.currency = bill->currency;
        a.exponent = bill->exponent;
        if (books != books_.end()) a.books = books->second;
        a.books.replayed = replayed;
        a.lines = out.lines.size();
        for (auto& line : out.lines) {
            if (line.kind == LineKind::correction && line.currency != a.currency)
                return Error{
                    Errc::internal, "contract " + contract.name + ": a correction in " + line.currency + " of an account in " + a.currency, {}};
            line.contract = contract.name;
            line.party = contract.party;
            line.currency = a.currency;
            line.no = static_cast<std::uint64_t>(&line - out.lines.data()) + 1;
            const auto sum = a.total.plus(line.amount);
            if (!sum) return Error{Errc::internal, "contract " + contract.name + ": a total of too many digits", {}};
            a.total = *sum;
        }
        return std::optional(std::move(out));
    }

    [[nodiscard]] bool is_wanted(const Contract& contract) const {
        return (wanted_.contract.empty() || contract.name == wanted_.contract) && (wanted_.party.empty() || contract.party == wanted_.party);
    }

  private:
    [[nodiscard]] bool is_wanted(ContractNo no) const {
        const auto contract = terms_.contracts.find(no);
        return contract == terms_.contracts.end() ? wanted_.contract.empty() && wanted_.party.empty() : is_wanted(contract->second);
    }
    [[nodiscard]] std::vector<ContractNo> chosen() const {
        std::vector<ContractNo> out;
        for (const auto& [no, contract] : terms_.contracts)
            if (!wanted_.contract.empty() && is_wanted(contract)) out.push_back(no);
        return out;
    }
    [[nodiscard]] Status check(ContractNo contract, const ProductNo* product) const {
        if (terms_.contracts.count(contract) == 0) return unknown_usage(contract, "some product");
        if (product != nullptr && terms_.products.count(*product) == 0)
            return unknown_usage(contract, "product number " + std::to_string(product->value));
        return success();
    }

    [[nodiscard]] BillOf bill_of(const Contract& contract, const std::string& period, bool finished) const {
        const auto party = terms_.parties.find(contract.party);
        return {contract, party == terms_.parties.end() ? std::string() : party->second.country, wanted_.region, period, finished};
    }
    [[nodiscard]] std::vector<ContractUsage> parts_of(const std::vector<ports::UsageTotal>& totals) const {
        std::vector<ContractUsage> out;
        for (const auto& total : totals) out.push_back(contract_usage(total, terms_.products.at(total.product)));
        return out;
    }

    // What the usage booked late changes of the bill of its own month: the bill with it less the bill without.
    Status add_late(const Contract& contract, const std::string& charge_period, std::vector<AccountLine>& lines, ports::UsageCount& replayed) {
        const auto charged = metering::parse_month(charge_period);
        if (!charged) return Error{Errc::internal, "usage of no month", {}};
        const auto stated = ledger_.statement_of(charge_period, contract.name);
        if (!stated) return stated.error();
        Contract then = contract;
        if (stated->has_value()) {
            auto read = stated_contract((*stated)->document);
            if (!read) return read.error();
            then = *std::move(read);
            then.no = contract.no;
        }
        std::map<Key, AccountLine> before, after;
        ports::UsageCount stated_replays;
        for (const bool with : {false, true}) {
            auto totals = ledger_.charged(charged->from, charged->to, with ? month_.to : month_.from, {contract.no});
            if (!totals) return totals.error();
            for (const auto& total : *totals)
                if (auto known = check(total.contract, &total.product); !known) return known;
            for (const auto& total : *totals) add_replayed(with ? replayed : stated_replays, total);
            if (totals->empty() && !stated->has_value()) continue;  // nothing was billed
            auto bill = bill_contract(bill_of(then, charge_period, true), parts_of(*totals));
            if (!bill) return bill.error();
            for (auto& line : bill->lines) (with ? after : before).emplace(key_of(line), std::move(line));
        }
        replayed.events -= stated_replays.events;
        replayed.bytes -= stated_replays.bytes;
        // A charge that is no more is taken back.
        for (const auto& [key, line] : before) {
            auto& change = after.try_emplace(key, without_counts(line)).first->second;
            change.events -= line.events;
            change.bytes -= line.bytes;
            change.minutes -= line.minutes;
            change.amount += negated(line.amount);
        }
        for (auto& [key, line] : after) {
            if (line.amount == metering::Decimal{} && line.events == 0 && line.bytes == 0 && line.minutes == 0) continue;
            line.reason = "usage that arrived after the period was closed";
            if (line.kind != LineKind::usage) line.reason += ": changes its " + std::string(ports::line_kind_name(line.kind));
            line.kind = LineKind::correction;
            line.charge_period = charge_period;
            lines.push_back(std::move(line));
        }
        return success();
    }
    static void add_replayed(ports::UsageCount& sum, const ports::UsageTotal& total) {
        sum.events += total.replayed_events;
        sum.bytes += total.replayed_bytes;
    }
    // As `like`, of nothing. Counts of a charge are zero; usage never goes away.
    static AccountLine without_counts(AccountLine like) {
        like.amount = {};
        return like;
    }

    ports::BookedUsage& ledger_;
    const BillingTerms& terms_;
    const PeriodWanted& wanted_;
    const metering::Month month_;
    std::map<ContractNo, std::vector<ports::UsageTotal>> usage_;
    std::map<ContractNo, ports::AccountBooks> books_;
    std::map<ContractNo, std::set<std::string>> late_;
};

}  // namespace

BillingTerms terms_of(const Snapshot& snapshot) {
    BillingTerms out;
    for (const auto* contract : snapshot.all_contracts()) {
        out.contracts.emplace(contract->no, *contract);
        if (const auto* party = snapshot.party(contract->party)) out.parties.emplace(party->name, *party);
    }
    for (const auto* product : snapshot.all_products()) out.products.emplace(product->product.no, product->product.name);
    return out;
}

BillingTerms terms_of(const ports::Configuration& configuration) {
    BillingTerms out;
    for (const auto& contract : configuration.contracts) out.contracts.emplace(contract.no, contract);
    for (const auto& party : configuration.parties) out.parties.emplace(party.name, party);
    for (const auto& product : configuration.products) out.products.emplace(product.no, product.name);
    return out;
}

Status each_account(ports::BookedUsage& ledger, const BillingTerms& terms, const PeriodWanted& wanted,
                    const std::function<Status(PeriodAccount)>& take) {
    const auto month = metering::parse_month(wanted.period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    Rating rating(ledger, terms, wanted, *month);
    if (auto done = rating.read(); !done) return done;
    std::vector<const Contract*> contracts;
    for (const auto& [no, contract] : terms.contracts)
        if (rating.is_wanted(contract)) contracts.push_back(&contract);
    std::sort(contracts.begin(), contracts.end(), [](const Contract* a, const Contract* b) { return a->name < b->name; });
    for (const auto* contract : contracts) {
        auto account = rating.account(*contract);
        if (!account) return account.error();
        if (!account->has_value()) continue;
        if (auto taken = take(**std::move(account)); !taken) return taken;
    }
    return success();
}

}  // namespace licet::app
