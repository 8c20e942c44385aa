#include "server/app/period_accounts.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <tuple>

#include "metering/month.h"
#include "server/app/account_invoicing.h"
#include "server/app/contract_bills.h"
#include "server/app/priced_metric.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using ports::AccountLine;
using ports::Contract;
using ports::LineKind;
using ports::UsageCounts;
using ports::UsagePart;
using Take = std::function<Status(const AccountLine&)>;

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

bool says_nothing(const AccountLine& l) { return l.amount == metering::Decimal{} && l.events == 0 && l.bytes == 0 && l.minutes == 0; }

void take_back(AccountLine& change, const AccountLine& line) {
    change.events -= line.events;
    change.bytes -= line.bytes;
    change.minutes -= line.minutes;
    change.amount += negated(line.amount);
}

// What an account is made from, the same for all of them.
struct Source {
    ports::BookedUsage& ledger;
    const BillingTerms& terms;
    const PeriodWanted& wanted;
    metering::Month month;
    std::vector<ProductNo> products;  // by name
};

// The parts of a contract in a month, as they are billed.
class Usage {
  public:
    static Result<Usage> read(const Source& source, const Contract& contract, const std::string& charge_period) {
        auto parts = source.ledger.parts({contract.no, charge_period, source.wanted.period, source.products});
        if (!parts) return parts.error();
        return Usage(source, contract, *std::move(parts));
    }
    Status each(const std::function<Status(const UsagePart&, const std::string& product)>& take) const {
        return parts_->each([&](const UsagePart& part) -> Status {
            const auto product = terms_->products.find(part.product);
            if (product == terms_->products.end()) return unknown_usage(contract_->no, "product number " + std::to_string(part.product.value));
            return take(part, product->second);
        });
    }

  private:
    Usage(const Source& source, const Contract& contract, std::unique_ptr<ports::UsageParts> parts)
        : terms_(&source.terms), contract_(&contract), parts_(std::move(parts)) {}
    const BillingTerms* terms_;
    const Contract* contract_;
    std::unique_ptr<ports::UsageParts> parts_;
};

ContractUsage billed(const UsagePart& part, const UsageCounts& counts, const std::string& product) {
    return {
        product,       part.region, part.day, part.view, counts.billed.events + counts.replayed.events, counts.billed.bytes + counts.replayed.bytes,
        counts.minutes};
}

BillOf bill_of(const Source& source, const Contract& contract, const std::string& period, bool finished) {
    const auto party = source.terms.parties.find(contract.party);
    return {contract, party == source.terms.parties.end() ? std::string() : party->second.country, source.wanted.region, period, finished};
}

// What the usage booked late changes of the bill of its own month: the bill with it less the bill without.
class LateUsage {
  public:
    static Result<std::unique_ptr<LateUsage>> read(const Source& source, const Contract& contract, const std::string& charge_period) {
        const auto stated = source.ledger.statement_of(charge_period, contract.name);
        if (!stated) return stated.error();
        auto out = std::unique_ptr<LateUsage>(new LateUsage);
        out->charge_period_ = charge_period;
        out->then_ = contract;
        if (stated->has_value()) {
            auto read = stated_contract((*stated)->document);
            if (!read) return read.error();
            out->then_ = *std::move(read);
            out->then_.no = contract.no;
        }
        auto usage = Usage::read(source, out->then_, charge_period);
        if (!usage) return usage.error();
        out->usage_.emplace(*std::move(usage));
        if (auto done = out->rate(bill_of(source, out->then_, charge_period, true), stated->has_value()); !done) return done.error();
        return out;
    }

    Status lines(const Take& take) {
        after_->begin();
        if (before_) before_->begin();
        const auto done = usage_->each([&](const UsagePart& part, const std::string& product) -> Status {
            auto change = after_->line(billed(part, part.all, product));
            if (before_ && part.was_earlier) take_back(change, before_->line(billed(part, part.earlier, product)));
            return tell(std::move(change), take);
        });
        if (!done) return done;
        std::map<Key, AccountLine> others;
        for (const auto& line : after_->others()) others.emplace(key_of(line), line);
        // A charge that is no more is taken back.
        if (before_)
            for (const auto& line : before_->others()) {
                auto& change = others.try_emplace(key_of(line), without_amount(line)).first->second;
                take_back(change, line);
            }
        for (auto& [key, line] : others)
            if (auto told = tell(std::move(line), take); !told) return told;
        return success();
    }
    [[nodiscard]] ports::UsageCount replayed() const noexcept { return replayed_; }

  private:
    LateUsage() = default;

    Status rate(const BillOf& of, bool was_stated) {
        for (auto* bill : {&after_, &before_}) {
            auto made = BillRating::make(of);
            if (!made) return made.error();
            bill->emplace(*std::move(made));
        }
        const auto counted = usage_->each([&](const UsagePart& part, const std::string& product) -> Status {
            was_stated = was_stated || part.was_earlier;
            replayed_.events += part.all.replayed.events - part.earlier.replayed.events;
            replayed_.bytes += part.all.replayed.bytes - part.earlier.replayed.bytes;
            if (auto done = after_->count(billed(part, part.all, product)); !done) return done;
            return part.was_earlier ? before_->count(billed(part, part.earlier, product)) : success();
        });
        if (!counted) return counted;
        if (!was_stated) before_.reset();  // nothing was billed
        for (auto* bill : {&after_, &before_})
            if (*bill)
                if (auto done = (*bill)->rate(); !done) return done;
        while (!after_->settled() || (before_ && !before_->settled())) {
            const auto weighed = usage_->each([&](const UsagePart& part, const std::string& product) -> Status {
                after_->weigh(billed(part, part.all, product));
                if (before_ && part.was_earlier) before_->weigh(billed(part, part.earlier, product));
                return success();
            });
            if (!weighed) return weighed;
            after_->weighed();
            if (before_) before_->weighed();
        }
        return success();
    }

    Status tell(AccountLine line, const Take& take) const {
        if (says_nothing(line)) return success();
        line.reason = "usage that arrived after the period was closed";
        if (line.kind != LineKind::usage) line.reason += ": changes its " + std::string(ports::line_kind_name(line.kind));
        line.kind = LineKind::correction;
        line.charge_period = charge_period_;
        return take(line);
    }
    static AccountLine without_amount(AccountLine like) {
        like.amount = {};
        return like;
    }

    std::string charge_period_;
    Contract then_;
    std::optional<Usage> usage_;
    std::optional<BillRating> after_, before_;
    ports::UsageCount replayed_;
};

class Rated final : public RatedAccount {
  public:
    Rated(const Source& source, const Contract& contract) : source_(source), contract_(contract) {}

    // False: there is nothing of it.
    Result<bool> read(bool used, const std::set<std::string>& late, const ports::AccountBooks* books) {
        auto bill = BillRating::make(bill_of(source_, contract_, source_.wanted.period, source_.wanted.finished));
        if (!bill) return bill.error();
        bill_.emplace(*std::move(bill));
        ports::UsageCount replayed;
        if (used)
            if (auto counted = count(replayed); !counted) return counted.error();
        if (auto rated = bill_->rate(); !rated) return rated.error();
        fill(books);
        if (auto summed = sum(bill_->total()); !summed) return summed.error();
        account_.lines += bill_->others().size();
        for (const auto& charge_period : late) {
            auto read = LateUsage::read(source_, contract_, charge_period);
            if (!read) return read.error();
            add(replayed, (*read)->replayed());
            late_.push_back(*std::move(read));
        }
        account_.books.replayed = replayed;
        std::set<std::string> months;
        const auto corrected = corrections([&](const AccountLine& line) -> Status {
            ++account_.lines;
            months.insert(line.charge_period);
            return sum(line.amount);
        });
        if (!corrected) return corrected.error();
        if (source_.terms.invoicing) {
            auto invoicing = account_invoicing(source_.ledger, *source_.terms.invoicing, account_, months);
            if (!invoicing) return invoicing.error();
            account_.invoicing = *std::move(invoicing);
        }
        return account_.lines > 0 || books != nullptr;
    }

    const ports::Account& account() const override { return account_; }
    const Contract& contract() const override { return contract_; }

    Status lines(const Take& take) override {
        std::uint64_t no = 0;
        const auto numbered = [&](AccountLine line) -> Status {
            line.contract = contract_.name;
            line.party = contract_.party;
            line.no = ++no;
            return take(line);
        };
        if (usage_) {
            if (auto done = settle(); !done) return done;
            bill_->begin();
            const auto told = usage_->each(
                [&](const UsagePart& part, const std::string& product) { return numbered(bill_->line(billed(part, part.all, product))); });
            if (!told) return told;
        }
        for (const auto& line : bill_->others())
            if (auto told = numbered(line); !told) return told;
        return corrections(numbered);
    }

  private:
    Status count(ports::UsageCount& replayed) {
        auto usage = Usage::read(source_, contract_, source_.wanted.period);
        if (!usage) return usage.error();
        usage_.emplace(*std::move(usage));
        return usage_->each([&](const UsagePart& part, const std::string& product) -> Status {
            ++account_.lines;
            add(replayed, part.all.replayed);
            return bill_->count(billed(part, part.all, product));
        });
    }

    Status settle() {
        while (!bill_->settled()) {
            const auto weighed = usage_->each([&](const UsagePart& part, const std::string& product) -> Status {
                bill_->weigh(billed(part, part.all, product));
                return success();
            });
            if (!weighed) return weighed;
            bill_->weighed();
        }
        return success();
    }

    Status corrections(const Take& take) {
        const Take checked = [&](const AccountLine& line) -> Status {
            if (line.currency != account_.currency)
                return Error{Errc::internal,
                             "contract " + contract_.name + ": a correction in " + line.currency + " of an account in " + account_.currency,
                             {}};
            return take(line);
        };
        for (const auto& late : late_)
            if (auto told = late->lines(checked); !told) return told;
        return source_.ledger.correction_lines(source_.wanted.period, contract_.name, [&](const std::string& text) -> Status {
            const auto line = parse_line(text);
            if (!line) return line.error();
            return checked(*line);
        });
    }

    void fill(const ports::AccountBooks* books) {
        auto& a = account_;
        a.contract = contract_.name;
        a.party = contract_.party;
        if (const auto party = source_.terms.parties.find(contract_.party); party != source_.terms.parties.end()) {
            a.party_title = party->second.title;
            a.party_country = party->second.country;
        }
        a.period = source_.wanted.period;
        a.from = source_.month.from;
        a.to = source_.month.to;
        a.currency = bill_->currency();
        a.exponent = bill_->exponent();
        a.priced = priced_metric(contract_, source_.month);
        if (books != nullptr) a.books = *books;
    }

    Status sum(metering::Decimal amount) {
        const auto sum = account_.total.plus(amount);
        if (!sum) return Error{Errc::internal, "contract " + contract_.name + ": a total of too many digits", {}};
        account_.total = *sum;
        return success();
    }

    const Source& source_;
    const Contract& contract_;
    ports::Account account_;
    std::optional<BillRating> bill_;
    std::optional<Usage> usage_;
    std::vector<std::unique_ptr<LateUsage>> late_;
};

// What the ledger says of all wanted contracts at once.
struct Found {
    std::set<ContractNo> used;
    std::map<ContractNo, ports::AccountBooks> books;
    std::map<ContractNo, std::set<std::string>> late;
    std::set<ContractNo> unknown;  // to the terms
};
Result<Found> find(const Source& source, const std::vector<ContractNo>& chosen) {
    const auto& period = source.wanted.period;
    Found out;
    const auto known = [&](ContractNo no) {
        if (source.terms.contracts.count(no) == 0) out.unknown.insert(no);
    };
    const auto used = source.ledger.used(period, chosen);
    if (!used) return used.error();
    for (const auto no : *used) {
        known(no);
        out.used.insert(no);
    }
    const auto balance = source.ledger.balance(period, chosen);
    if (!balance) return balance.error();
    for (const auto& b : *balance) {
        known(b.contract);
        auto& sum = out.books[b.contract];
        add(sum.delivered, b.delivered);
        add(sum.billed, b.billed);
        add(sum.unbilled, b.unbilled);
        sum.suspense_offsets += b.suspense_offsets;
    }
    const auto late = source.ledger.late(period, chosen);
    if (!late) return late.error();
    for (const auto& l : *late) {
        known(l.contract);
        out.late[l.contract].insert(l.month);
    }
    return out;
}

}  // namespace

Status each_account(ports::BookedUsage& ledger, const BillingTerms& terms, const PeriodWanted& wanted,
                    const std::function<Status(RatedAccount&)>& take, const TakeUnrated& unrated) {
    const auto month = metering::parse_month(wanted.period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    Source source{ledger, terms, wanted, *month, {}};
    for (const auto& [no, name] : terms.products) source.products.push_back(no);
    std::sort(source.products.begin(), source.products.end(), [&](ProductNo a, ProductNo b) { return terms.products.at(a) < terms.products.at(b); });
    const bool all = wanted.contract.empty() && wanted.party.empty();
    std::vector<const Contract*> contracts;
    std::vector<ContractNo> chosen;
    for (const auto& [no, contract] : terms.contracts) {
        if (!wanted.contract.empty() && contract.name != wanted.contract) continue;
        if (!wanted.party.empty() && contract.party != wanted.party) continue;
        contracts.push_back(&contract);
        if (!all) chosen.push_back(no);
    }
    if (!all && chosen.empty()) return success();
    std::sort(contracts.begin(), contracts.end(), [](const Contract* a, const Contract* b) { return a->name < b->name; });
    const auto found = find(source, chosen);
    if (!found) return found.error();
    for (const auto* contract : contracts) {
        Rated account(source, *contract);
        const auto late = found->late.find(contract->no);
        const auto books = found->books.find(contract->no);
        const auto any = account.read(found->used.count(contract->no) > 0, late == found->late.end() ? std::set<std::string>{} : late->second,
                                      books == found->books.end() ? nullptr : &books->second);
        if (!any) {
            if (!unrated || any.error().code == Errc::unavailable) return any.error();
            unrated(contract->name, any.error());
            continue;
        }
        if (!*any) continue;
        if (auto taken = take(account); !taken) return taken;
    }
    for (const auto no : found->unknown) {
        auto why = unknown_usage(no, "some product");
        if (!unrated) return why;
        unrated("number " + std::to_string(no.value), why);
    }
    return success();
}

}  // namespace licet::app
