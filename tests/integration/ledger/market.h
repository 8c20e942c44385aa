// Two partners with priced contracts, and their usage written as nodes would. Private to this folder.
#pragma once

#include "server/app/accounts.h"
#include "server/app/periods.h"
#include "server/postgres/billing.h"
#include "tests/integration/ledger/fixture.h"
#include "tests/support/prices.h"

namespace licet::testing {

inline ports::Contract priced_contract(std::uint32_t no, const char* name, const char* party, std::vector<metering::DatedPrice> prices) {
    ports::Contract c;
    c.no = {no};
    c.name = name;
    c.party = party;
    c.products = {"wiki", "news"};
    c.purposes = {"dpv:ServiceProvision", "dpv:Advertising"};
    c.prices = std::move(prices);
    return c;
}

inline ports::Configuration market_configuration() {
    const nlohmann::json mapping{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                                 {"fields", nlohmann::json::array()}};
    ports::Configuration c;
    c.parties = {{"lab", "Lab", "DE", {}, {}}, {"ads", "Ads", "US", {}, {}}};
    c.products = {{{1}, "wiki", "Wiki", "lab", "lab", "", 1, {mapping}}, {{2}, "news", "News", "lab", "lab", "", 1, {mapping}}};
    c.contracts = {priced_contract(1, "lab-all", "lab", flat_prices("EUR", "0.0005", "0.10")),
                   priced_contract(2, "ads-yen", "ads", flat_prices("JPY", "0.5", "0"))};
    return c;
}

inline std::int64_t moment(const char* text) {
    const auto at = parse_rfc3339(text);
    REQUIRE(at);
    return at->value;
}

struct Market : Books {
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    ports::Configuration configuration = market_configuration();
    std::shared_ptr<const app::Snapshot> snapshot =
        app::build_snapshot(configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    std::shared_ptr<ports::Billing> billing = billing_of(database, clock);
    std::shared_ptr<const ports::InvoicingConfig> invoicing;  // null: as before statements said who bills
    std::shared_ptr<ports::Accounts> accounts = app::make_accounts({billing, [this] { return snapshot; }, clock, "eu"});

    static std::shared_ptr<ports::Billing> billing_of(const Database& database, std::shared_ptr<const Clock> clock) {
        return postgres::make_billing(postgres::make_pool(database.serving_dsn()), {openssl::make_crypto(), test_signer(), std::move(clock)});
    }
    [[nodiscard]] app::Periods periods() {
        return app::Periods(
            {billing, [this] { return Result<ports::Configuration>(configuration); }, openssl::make_crypto(), test_signer(), clock, "eu", invoicing});
    }
    void configure_invoicing(ports::InvoicingConfig config) {
        invoicing = std::make_shared<const ports::InvoicingConfig>(std::move(config));
        accounts = app::make_accounts({billing, [this] { return snapshot; }, clock, "eu", invoicing});
    }
    [[nodiscard]] std::vector<ports::Account> of(const char* period, const char* contract = "", const char* party = "") const {
        auto got = accounts->accounts({period, contract, party});
        REQUIRE_MESSAGE(got.ok(), (got.ok() ? "" : got.error().detail));
        return *std::move(got);
    }
    [[nodiscard]] std::vector<ports::AccountLine> lines(const char* contract, std::uint64_t after = 0, std::size_t most = 1000,
                                                        const char* period = "2026-11") const {
        std::vector<ports::AccountLine> out;
        const auto done = read_lines(period, contract, after, [&](const ports::AccountLine& line) {
            if (out.size() < most) out.push_back(line);
            return success();
        });
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
        return out;
    }
    Status read_lines(const char* period, const char* contract, std::uint64_t after,
                      const std::function<Status(const ports::AccountLine&)>& take) const {
        return accounts->read({period, contract, ""}, [&](ports::AccountsReading& reading) { return reading.lines(contract, after, take); });
    }
    // A start of a node, of which nothing may be billed before.
    void claim(const char* node, std::uint64_t boot = 1) const { settle(boot, ~Offset{0}, node); }
    void ended(const char* node, std::uint64_t boot) const { REQUIRE(billing->ended(node, boot, clock->utc_now()).ok()); }
    void passed(const char* node, const char* at, std::uint64_t boot = 1) const { REQUIRE(billing->advance(node, boot, {moment(at)}).ok()); }

    // `events` of `bytes` in all, delivered to a contract at a moment by a node; offsets follow one another.
    void deliver(std::uint32_t contract, std::uint32_t product, std::uint64_t events, std::uint64_t bytes, const char* at = "2026-11-21T12:00:00Z",
                 const char* node = "n1") {
        auto& next = sequences_[node];
        auto& from = offsets_[{contract, product}];
        JournalRecord r;
        r.boot = 1;
        r.sequence = ++next;
        r.kind = UsageKind::delivered;
        r.contract = {contract};
        r.product = {product};
        r.stream_epoch = {1};
        r.from = from;
        r.to = from + events;
        r.events = events;
        r.bytes = bytes;
        r.at = {moment(at)};
        from = r.to;
        flush({r}, node);
    }

  private:
    std::map<std::string, std::uint64_t> sequences_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Offset> offsets_;
};

}  // namespace licet::testing
