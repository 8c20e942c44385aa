// The reconciliation, over the real ledger: delivered = billed + unbilled, to the event, suspense beside it, and lines that say the same, for every
// contract and period: drafts and closed ones, with late usage, paid replays, notes, what two nodes delivered both, and what a crash left open.
#include <nlohmann/json.hpp>

#include "server/exports/layout.h"
#include "tests/integration/ledger/market.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const app::Actor kFinance{"treasurer", "press", {"finance"}};

struct Reconciling : Market {
    Reconciling() {
        clock->now = moment("2020-12-03T08:00:00Z");
        claim("n1");
        passed("n1", "2020-12-02T00:00:00Z");
    }

    // What the second node did, which is not the offsets' first delivery.
    void second(UsageKind kind, std::uint32_t contract, Offset from, Offset to, std::uint64_t bytes, const char* at) {
        JournalRecord r;
        r.boot = 1;
        r.sequence = ++sequence_;
        r.kind = kind;
        r.contract = {contract};
        r.product = {1};
        r.stream_epoch = {1};
        r.from = from;
        r.to = to;
        r.events = kind == UsageKind::intent ? 0 : to - from;
        r.bytes = bytes;
        r.at = {moment(at)};
        flush({r}, "n2");
    }

    void close(const char* period) {
        const auto done = periods().close(kFinance, period);
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail + done.error().members));
    }

    [[nodiscard]] std::string made(const char* period, const char* format, const char* contract = "") const {
        const auto wanted = exports::parse_wanted("reconciliation", format, period, "", contract);
        REQUIRE(wanted);
        std::string out;
        const auto done = exports::run(
            *accounts, *wanted, *exports::make_layout(*wanted, {}, clock->utc_now()),
            [&](std::string_view bytes) {
                out += bytes;
                return success();
            },
            [](const exports::Progress&, const exports::Place*) { return success(); });
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
        return out;
    }

    // By contract; each was looked at for itself as well, and as a page.
    [[nodiscard]] std::map<std::string, json> reconciled(const char* period) const {
        CAPTURE(period);
        const auto all = json::parse(made(period, "json"));
        CHECK_MESSAGE(all["reconciled"] == true, all.dump());
        std::map<std::string, json> out;
        for (const auto& c : all["contracts"]) {
            CAPTURE(c.dump());
            for (const char* what : {"events", "bytes"}) {
                CHECK(c["delivered"][what].get<std::uint64_t>() == c["billed"][what].get<std::uint64_t>() + c["unbilled"][what].get<std::uint64_t>());
                CHECK(c["lines"][what].get<std::uint64_t>() == c["billed"][what].get<std::uint64_t>() + c["replayed"][what].get<std::uint64_t>());
            }
            CHECK(c["sumOfLines"] == c["total"]);
            CHECK(c["balanced"] == true);
            CHECK(c["linesAgree"] == true);
            const auto name = c["contract"].get<std::string>();
            CHECK(json::parse(made(period, "json", name.c_str()))["contracts"] == json::array({c}));
            out.emplace(name, c);
        }
        CHECK(made(period, "html").find(">NO<") == std::string::npos);
        return out;
    }

  private:
    std::uint64_t sequence_ = 0;
};

}  // namespace

TEST_CASE("reconciliation: to the event for every contract and period, with late usage, paid replays, double delivery and notes") {
    Reconciling m;
    m.deliver(1, 1, 2469, 100'000, "2020-10-31T23:59:59.999Z");
    m.deliver(2, 1, 300, 7, "2020-10-10T00:00:00Z");
    m.deliver(1, 1, 2000, 1'000'000, "2020-11-01T00:00:00Z");
    m.deliver(1, 2, 100, 50, "2020-11-30T23:59:59.999Z");
    m.claim("n2");
    // Paid for once more, of offsets that were billed before.
    m.second(UsageKind::replayed, 1, 0, 200, 8'000, "2020-10-31T23:59:59.999Z");
    m.second(UsageKind::replayed, 1, 0, 2469, 100'000, "2020-11-07T10:00:00Z");
    CHECK(m.reconciled("2020-10").at("lab-all")["replayed"]["events"] == 200);
    CHECK(m.reconciled("2020-11").at("lab-all")["lines"]["events"] == 2100 + 2469);
    m.passed("n2", "2020-11-01T00:00:00Z");
    m.close("2020-10");
    const auto october = m.reconciled("2020-10");
    CHECK(october.at("lab-all")["status"] == "closed");
    CHECK(october.at("lab-all")["billed"]["events"] == 2469);
    CHECK(october.at("lab-all")["lines"]["events"] == 2669);

    // Late: first deliveries and replays of October, of both contracts, booked into November.
    m.deliver(1, 1, 1000, 500'000, "2020-10-31T23:59:59.999Z");
    m.deliver(2, 1, 11, 11, "2020-10-20T00:00:00Z");
    m.second(UsageKind::replayed, 1, 5, 10, 250, "2020-10-12T10:00:00Z");
    // Delivered by both nodes.
    m.second(UsageKind::delivered, 1, 2000, 2469, 20'000, "2020-11-09T10:00:00Z");
    CHECK(m.reconciled("2020-10") == october);
    auto november = m.reconciled("2020-11");
    CHECK(november.at("lab-all")["lines"]["events"] == november.at("lab-all")["billed"]["events"].get<int>() + 2469 + 5);
    CHECK(november.at("lab-all")["billed"]["events"] >= 3100);
    CHECK(november.at("ads-yen")["billed"]["events"] == 11);

    // A note is money alone.
    const auto total = m.of("2020-11", "lab-all").at(0).total;
    const json note{{"reference", "cn-1"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"},
                    {"period", "2020-11"}, {"reason", "outage"},    {"amount", "-0.50"}};
    const auto booked = m.periods().correct(kFinance, note);
    REQUIRE_MESSAGE(booked.ok(), (booked.ok() ? "" : booked.error().detail));
    CHECK_FALSE(m.of("2020-11", "lab-all").at(0).total == total);
    november = m.reconciled("2020-11");
    m.passed("n2", "2020-12-02T00:00:00Z");
    m.close("2020-11");
    for (auto& [contract, said] : november) said["status"] = "closed";
    CHECK(m.reconciled("2020-11") == november);

    // Later yet: of both closed months, booked into December.
    m.deliver(1, 1, 17, 17, "2020-10-01T00:00:00Z");
    m.deliver(1, 1, 19, 19, "2020-11-11T00:00:00Z");
    m.deliver(1, 1, 23, 23, "2020-12-01T00:00:00Z");
    CHECK(m.reconciled("2020-12").at("lab-all")["lines"]["events"] == 17 + 19 + 23);
    CHECK(m.reconciled("2020-11") == november);
    CHECK(m.reconciled("2020-10") == october);
}

TEST_CASE("reconciliation: what a crash left open is beside the books, and in them once it is settled") {
    Reconciling m;
    m.deliver(1, 1, 100, 1000, "2020-11-05T00:00:00Z");
    m.claim("n2");
    m.second(UsageKind::intent, 1, 100, 164, 0, "2020-11-06T00:00:00Z");
    m.settle(2, ~Offset{0}, "n2");
    auto said = m.reconciled("2020-11").at("lab-all");
    CHECK(said["suspenseOffsets"] == 64);
    CHECK(said["delivered"]["events"] == 100);
}

TEST_CASE("reconciliation: books that do not balance are said not to") {
    Reconciling m;
    m.deliver(1, 1, 100, 1000, "2020-11-05T00:00:00Z");
    m.deliver(2, 1, 100, 1000, "2020-11-05T00:00:00Z");
    for (const auto& [contract, said] : m.reconciled("2020-11")) CHECK(said["delivered"]["events"] == 100);
    m.database.exec("UPDATE usage_delivered SET events = events + 1 WHERE contract = 1");
    const auto said = json::parse(m.made("2020-11", "json"));
    CHECK(said["reconciled"] == false);
    CHECK(said["contracts"][0]["balanced"] == true);
    CHECK(said["contracts"][1]["balanced"] == false);
    CHECK(m.made("2020-11", "html").find(">NO<") != std::string::npos);
}
