// How each barrier ended reaches the audit log: in order, later when the catalog is away, and what never will is said aloud.
#include "server/app/barrier_audit.h"

#include "base/limits.h"
#include "tests/unit/app/fakes.h"
#include "tests/unit/app/memory_audit.h"

using namespace licet;
using namespace licet::testing;

namespace {

class Counted final : public ports::Metrics {
  public:
    struct Number final : ports::Counter, ports::Gauge {
        void add(double by) noexcept override { value = value + by; }
        void set(double to) noexcept override { value = to; }
        std::atomic<double> value{0};
    };
    ports::Counter& counter(const std::string& name, const std::string&, const Labels&) override { return numbers[name]; }
    ports::Gauge& gauge(const std::string& name, const std::string&, const Labels&) override { return numbers[name]; }
    std::string text() const override { return {}; }
    std::map<std::string, Number> numbers;
};

struct Fixture {
    Counted metrics;
    std::shared_ptr<MemoryAuditLog> log = std::make_shared<MemoryAuditLog>();
    [[nodiscard]] std::vector<json> entries() const {
        std::vector<json> out;
        for (const auto& line : log->held) out.push_back(json::parse(line));
        return out;
    }
    std::unique_ptr<app::BarrierAudit> audit;
    void start() { audit = std::make_unique<app::BarrierAudit>("eu-1", log, metrics); }
    [[nodiscard]] double metric(const char* name) { return metrics.numbers[name].value; }
};

}  // namespace

TEST_CASE("barrier audit: complete and incomplete barriers become entries in order") {
    Fixture f;
    f.start();
    f.audit->record({{7}, 12, {"eu-1", "eu-2"}, {}, {}, false});
    f.audit->record({{8}, 10'000, {"eu-1"}, {"eu-2"}, "1 node(s) have not confirmed it", false});
    f.audit->record({{8}, 12'500, {"eu-1", "eu-2"}, {}, {}, true});
    f.audit->stop();
    const auto e = f.entries();
    REQUIRE(e.size() == 3);
    CHECK(e[0]["actor"] == "node/eu-1");
    CHECK(e[0]["action"] == "barrier.complete");
    CHECK(e[0]["target"] == "7");
    CHECK(e[0]["detail"] == json{{"epoch", 7}, {"waitedMs", 12}, {"acknowledged", {"eu-1", "eu-2"}}, {"outstanding", json::array()}});
    CHECK(e[1]["action"] == "barrier.incomplete");
    CHECK(e[1]["detail"]["outstanding"] == json{"eu-2"});
    CHECK(e[1]["detail"]["why"] == "1 node(s) have not confirmed it");
    CHECK(e[2]["action"] == "barrier.complete");
    CHECK(e[2]["target"] == "8");
    CHECK(e[2]["detail"]["late"] == true);
    CHECK(f.metric("licet_audit_barriers_written_total") == 3);
    CHECK(f.metric("licet_audit_barriers_waiting") == 0);
    CHECK(f.metric("licet_audit_barriers_lost_total") == 0);
}

TEST_CASE("barrier audit: what the catalog refused is written when it is back, once") {
    Fixture f;
    f.log->away = true;
    f.start();
    f.audit->record({{7}, 1, {}, {}, {}, false});
    f.log->await_attempts(1);
    f.log->away = false;
    f.audit->stop();
    CHECK(f.log->held.size() == 1);
    CHECK(f.metric("licet_audit_barrier_write_failures_total") >= 1);
    CHECK(f.metric("licet_audit_barriers_lost_total") == 0);
}

TEST_CASE("barrier audit: what cannot be written when the node ends, and what is more than may wait, is counted as lost") {
    Fixture f;
    f.log->away = true;
    f.start();
    for (std::size_t n = 0; n < limits::barrier_audit_queue_max + 5; ++n) f.audit->record({{n}, 1, {}, {}, {}, false});
    CHECK(f.metric("licet_audit_barriers_lost_total") == 5);
    f.audit->stop();
    CHECK(f.log->held.empty());
    CHECK(f.metric("licet_audit_barriers_lost_total") == limits::barrier_audit_queue_max + 5);
    f.audit->record({{1}, 1, {}, {}, {}, false});
    CHECK(f.metric("licet_audit_barriers_lost_total") == limits::barrier_audit_queue_max + 6);
}

TEST_CASE("governance: each barrier is reported with how it ended") {
    Governed g;
    std::vector<app::BarrierOutcome> ended;
    g.governance = std::make_shared<app::Governance>(
        app::Governance::Parts{"eu", g.catalog, g.cluster, g.vocabulary, g.clock, [&](app::BarrierOutcome o) { ended.push_back(std::move(o)); }});
    g.start();
    REQUIRE(g.governance->hold(g.governance->snapshot()->epoch).complete());
    g.consent({{subject(1), "dpv:AcademicResearch", "given", {}, 0}});
    g.cluster->others = {"eu-2"};
    CHECK_FALSE(g.governance->hold({2}).complete());
    g.cluster->away = true;
    CHECK_FALSE(g.governance->hold({2}).complete());
    REQUIRE(ended.size() == 3);
    CHECK(ended[0].why.empty());
    CHECK(ended[1].outstanding == std::vector<std::string>{"eu-2"});
    CHECK_FALSE(ended[1].why.empty());
    CHECK_FALSE(ended[2].why.empty());
}
