// Accounts made up by rule: as many lines as wanted, none of them kept. For tests and benchmarks of exports.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/usage_limits.h"
#include "server/ports/accounts.h"

namespace licet::testing {

class FakeAccounts final : public ports::Accounts {
  public:
    static constexpr std::uint64_t kReplayed = 5;  // of the events of an account: delivered again, and paid for
    struct Contract {
        std::string name = "acme", party = "acme-gmbh", party_title = "Acme GmbH", country = "DE", currency = "EUR";
        int exponent = 2;
        std::uint64_t lines = 10;
        bool closed = false;
        std::uint64_t statement = 0;
        std::string reason = "late usage";  // of corrections
        std::uint64_t products = 3, days = 30;
        metering::Metric priced = metering::Metric::events;
    };
    explicit FakeAccounts(std::vector<Contract> contracts, std::string period = "2026-11") : period_(std::move(period)) {
        for (auto& c : contracts) {
            ports::Account a;
            a.contract = c.name;
            a.party = c.party;
            a.party_title = c.party_title;
            a.party_country = c.country;
            a.period = period_;
            a.from = *parse_date(period_ + "-01");
            a.to = *parse_date("2026-12-01");
            a.currency = c.currency;
            a.exponent = c.exponent;
            a.lines = c.lines;
            a.priced = c.priced;
            a.closed = c.closed;
            std::int64_t minor = 0;
            for (std::uint64_t no = 1; no <= c.lines; ++no) {
                minor += minor_of(no);
                if (kind_of(no) != ports::LineKind::usage && kind_of(no) != ports::LineKind::correction) continue;
                a.books.billed.events += events_of(no);
                a.books.billed.bytes += 256 * events_of(no);
            }
            if (a.books.billed.events > kReplayed) {
                a.books.replayed = {kReplayed, 256 * kReplayed};
                a.books.billed.events -= kReplayed;
                a.books.billed.bytes -= 256 * kReplayed;
            }
            a.total = amount(minor, c.exponent);
            a.books.unbilled = {7, 1792};
            a.books.delivered = {a.books.billed.events + 7, a.books.billed.bytes + 1792};
            a.books.suspense_offsets = 3;
            if (c.closed) {
                a.statement = c.statement;
                a.closed_at = {*parse_rfc3339("2026-12-02T10:00:00Z")};
                a.root = std::string(64, 'a');
                a.previous = std::string(64, '0');
                a.hash = std::string(64, 'b');
                a.key_id = "licet-eu+0123abcd";
                a.signature = "c2ln";
            }
            list_.push_back(a);
            rules_.emplace(c.name, std::move(c));
        }
    }

    // With its accounts; one without any is open until it is said when it was closed.
    Result<std::optional<UtcMillis>> closed_at(std::string_view period) override {
        if (period != period_ || list_.empty()) return closed;
        for (const auto& a : list_)
            if (!a.closed) return std::optional<UtcMillis>{};
        return std::optional(list_.front().closed_at);
    }

    Result<std::vector<ports::Account>> accounts(const ports::AccountsWanted& wanted) override {
        if (unavailable > 0) {
            --unavailable;
            return Error{Errc::unavailable, "the ledger cannot be read", {}};
        }
        std::vector<ports::Account> out;
        for (const auto& a : list_)
            if (wanted.period == period_ && (wanted.contract.empty() || wanted.contract == a.contract) &&
                (wanted.party.empty() || wanted.party == a.party))
                out.push_back(a);
        return out;
    }

    Status read(const ports::AccountsWanted& wanted, const std::function<Status(ports::AccountsReading&)>& read) override {
        auto list = accounts(wanted);
        if (!list) return list.error();
        Reading reading(*this, *std::move(list));
        return read(reading);
    }

    static ports::LineKind kind_of(std::uint64_t no) {
        if (no % 1000 == 997) return ports::LineKind::correction;
        if (no % 1000 == 998) return ports::LineKind::discount;
        if (no % 1000 == 999) return ports::LineKind::minimum;
        return ports::LineKind::usage;
    }
    // Of the usage lines up to one.
    static std::uint64_t usage_events(std::uint64_t lines) {
        std::uint64_t out = 0;
        for (std::uint64_t no = 1; no <= lines; ++no)
            if (kind_of(no) == ports::LineKind::usage) out += events_of(no);
        return out;
    }
    static std::uint64_t events_of(std::uint64_t no) { return no * 7919 % 100'003; }
    static std::int64_t minor_of(std::uint64_t no) {
        const auto value = static_cast<std::int64_t>(no * 104'729 % 10'007);
        return kind_of(no) == ports::LineKind::discount ? -value : value;
    }
    static metering::Decimal amount(std::int64_t minor, int exponent) {
        const bool negative = minor < 0;
        std::string digits = std::to_string(negative ? -minor : minor);
        while (static_cast<int>(digits.size()) <= exponent) digits.insert(0, "0");
        if (exponent > 0) digits.insert(digits.size() - static_cast<std::size_t>(exponent), ".");
        return *metering::Decimal::parse((negative ? "-" : "") + digits);
    }

    std::vector<ports::Account>& list() { return list_; }
    std::atomic<int> unavailable{0};  // so often the accounts cannot be read
    std::atomic<std::uint64_t> pages{0};
    std::function<void()> before_page;
    std::optional<UtcMillis> closed;
    bool flip_signs = false;  // of amounts, totals aside

  private:
    class Reading final : public ports::AccountsReading {
      public:
        Reading(FakeAccounts& of, std::vector<ports::Account> list) : of_(of), list_(std::move(list)) {}
        const std::vector<ports::Account>& accounts() const override { return list_; }
        Status lines(std::string_view contract, std::uint64_t after, const std::function<Status(const ports::AccountLine&)>& take) override {
            const auto found = of_.rules_.find(std::string(contract));
            if (found == of_.rules_.end()) return Error{Errc::not_found, "no such contract", {}};
            for (std::uint64_t no = after + 1;; ++no) {
                if ((no - after - 1) % limits::export_page_lines == 0) {
                    ++of_.pages;
                    if (of_.before_page) of_.before_page();
                }
                if (no > found->second.lines) return success();
                auto made = of_.line(found->second, no);
                if (of_.flip_signs) made.amount = amount(-minor_of(no), found->second.exponent);
                if (auto taken = take(made); !taken) return taken;
            }
        }

      private:
        FakeAccounts& of_;
        const std::vector<ports::Account> list_;
    };

    ports::AccountLine line(const Contract& c, std::uint64_t no) const {
        ports::AccountLine l;
        l.no = no;
        l.kind = kind_of(no);
        l.contract = c.name;
        l.party = c.party;
        l.currency = c.currency;
        l.amount = amount(minor_of(no), c.exponent);
        l.charge_period = period_;
        l.purpose = "dpv:Analytics";
        l.jurisdiction = c.country;
        if (l.kind == ports::LineKind::minimum) return l;
        l.product = "product-" + std::to_string(no % c.products);
        if (l.kind == ports::LineKind::discount) return l;
        l.events = events_of(no);
        l.bytes = 256 * l.events;
        l.minutes = no % 60;
        if (l.kind == ports::LineKind::correction) {
            l.charge_period = "2026-09";
            l.reason = c.reason;
            return l;
        }
        l.region = "eu";
        const auto day = 1 + no % c.days;
        l.day = period_ + (day < 10 ? "-0" : "-") + std::to_string(day);
        l.view = no % 2 == 0 ? "00ff" : "1e10";  // a spreadsheet would take the second for a number
        return l;
    }
    const std::string period_;
    std::vector<ports::Account> list_;
    std::map<std::string, Contract> rules_;
};

}  // namespace licet::testing
