// Webhooks without a network and a database: signatures, waits, addresses, what comes of an answer, and warnings that are neither lost nor told
// twice.
#include "server/app/webhooks.h"

#include <atomic>
#include <deque>
#include <set>

#include "base/usage_limits.h"
#include "server/app/quota_warnings.h"
#include "server/app/webhook_sender.h"
#include "server/app/webhook_signing.h"
#include "server/openssl/crypto.h"
#include "server/openssl/sealing.h"
#include "server/ports/web_address.h"
#include "tests/support/memory_quotas.h"
#include "tests/support/no_metrics.h"
#include "tests/unit/app/desk.h"

using namespace licet;
using namespace licet::testing;
using ports::Reach;
using ports::WebhookOutcome;
using Then = WebhookOutcome::Then;

namespace {

const auto kCrypto = openssl::make_crypto();

// What is due is what the test says; thresholds are told apart as the database does.
class MemoryWebhooks final : public ports::WebhookStore {
  public:
    Result<bool> tell(const ports::QuotaWarning& w) override {
        if (!reachable) return Error{Errc::unavailable, "away", {}};
        const bool fresh = told.insert({w.contract.value, w.span, w.limit, w.percent, w.metric}).second;
        if (fresh) bodies.push_back(json::parse(w.body));
        return fresh;
    }
    Result<bool> put(const ports::WebhookEndpoint& e, const ports::AuditEntry& entry) override {
        audit.push_back(entry);
        for (auto& there : kept)
            if (there.name == e.name) {
                there.url = e.url;
                there.disabled.clear();
                return false;
            }
        kept.push_back(e);
        return true;
    }
    Status remove(ContractNo, const std::string& name, const ports::AuditEntry&) override {
        return std::erase_if(kept, [&](const auto& e) { return e.name == name; }) == 1 ? success() : Status(Errc::not_found, "no such webhook");
    }
    Result<std::vector<ports::WebhookEndpoint>> endpoints(ContractNo) override { return kept; }
    Result<UtcMillis> rotate(const std::string&, const ports::WrappedSecret& fresh, std::int64_t overlap_ms, const ports::AuditEntry&) override {
        auto& e = kept.front();
        e.former = e.secret;
        e.former_until = {1'795'000'000'000 + overlap_ms};
        e.secret = fresh;
        return e.former_until;
    }
    Result<std::vector<ports::WebhookDelivery>> deliveries(ContractNo, const std::string&, std::uint64_t, std::size_t) override {
        return std::vector<ports::WebhookDelivery>();
    }
    Status redeliver(ContractNo, std::uint64_t, const ports::AuditEntry&) override { return success(); }
    Result<std::optional<ports::WebhookDue>> claim(std::int64_t, int) override {
        if (due.empty()) return std::optional<ports::WebhookDue>();
        auto next = std::move(due.front());
        due.pop_front();
        return std::optional(std::move(next));
    }
    Result<bool> finish(const ports::WebhookDue&, const WebhookOutcome& outcome) override {
        outcomes.push_back(outcome);
        return true;
    }
    Result<std::size_t> prune(std::int64_t) override { return std::size_t{0}; }
    Result<std::size_t> rewrap(const std::string& current, const RewrapSecret& rewrap) override {
        std::size_t n = 0;
        for (auto& e : kept)
            for (auto* secret : {&e.secret, &e.former}) {
                if (secret->under.empty() || secret->under == current) continue;
                auto anew = rewrap(e.id, *secret);
                if (!anew) return anew.error();
                *secret = {current, *anew};
                ++n;
            }
        return n;
    }

    bool reachable = true;
    std::set<std::tuple<std::uint32_t, std::string, std::uint64_t, int, metering::QuotaMetric>> told;
    std::vector<json> bodies;
    std::vector<ports::WebhookEndpoint> kept;
    std::vector<ports::AuditEntry> audit;
    std::deque<ports::WebhookDue> due;
    std::vector<WebhookOutcome> outcomes;
};

class ScriptedPoster final : public ports::HttpPoster {
  public:
    Result<ports::HttpPosted> post(const ports::HttpPost& post) override {
        posted.push_back(post);
        return answer;
    }
    void stop() override {}
    Result<ports::HttpPosted> answer = ports::HttpPosted{204, {}};
    std::vector<ports::HttpPost> posted;
};

std::string header(const ports::HttpPost& post, const std::string& name) {
    for (const auto& [key, value] : post.headers)
        if (key == name) return value;
    return {};
}

std::string signature_of(const std::string& secret, const ports::HttpPost& post) {
    const auto key = parse_base64(secret.substr(6));
    REQUIRE(key);
    return app::webhook_signature(*kCrypto, as_bytes(*key), header(post, "webhook-id"), std::stoll(header(post, "webhook-timestamp")), post.body);
}

struct Hooks : Desk {
    std::shared_ptr<MemoryWebhooks> store = std::make_shared<MemoryWebhooks>();
    std::shared_ptr<ScriptedPoster> poster = std::make_shared<ScriptedPoster>();
    std::shared_ptr<const ports::KeyWrapping> wrapping = openssl::make_key_wrapping({std::string(32, 'k')});
    std::shared_ptr<MemoryQuotaLedger> ledger = std::make_shared<MemoryQuotaLedger>();
    app::Webhooks hooks{{store, wrapping, kCrypto, clock, [this] { return governance->snapshot(); }, {}, false}};
    app::WebhookSender sender{{store, poster, wrapping, kCrypto, clock, std::make_shared<NoMetrics>(), [] { return std::uint32_t{0}; }, 3, 1000, 1}};

    Hooks() { furnish(); }
    void limit(std::uint64_t limit) {
        done(admin->put_contract(
            kActor, "lab-wiki",
            with(contract(), "quotas", json::array({{{"metric", "events"}, {"period", "month"}, {"kind", "soft"}, {"limit", limit}}}))));
    }
    std::unique_ptr<app::QuotaWarnings> warnings(std::size_t most = 0) {
        return std::make_unique<app::QuotaWarnings>(app::QuotaWarnings::Parts{store,
                                                                              ledger,
                                                                              [this] { return governance->snapshot(); },
                                                                              [this] { return "message-" + std::to_string(++ids); },
                                                                              clock,
                                                                              "eu",
                                                                              "https://eu.example",
                                                                              {},
                                                                              most});
    }
    ContractNo no() { return governance->snapshot()->contract("lab-wiki")->no; }
    app::QuotaPurse::Passed passed(int percent, std::uint64_t limit = 100) {
        const ports::Quota quota{metering::QuotaMetric::events, metering::QuotaPeriod::month, metering::QuotaKind::soft, limit};
        return {quota, metering::quota_span(quota.period, clock->utc_now()), percent, {{"used", percent}, {"limit", limit}}};
    }
    std::string set() { return done(hooks.put(kActor, "lab-wiki", "desk", {{"url", "https://lab.example/hook?key=s3cret"}}))["secret"]; }
    WebhookOutcome post(int attempt = 1) {
        store->due.push_back({7, "message-7", R"({"specversion":"1.0"})", store->kept.front(), attempt, 1});
        CHECK(sender.post_one());
        REQUIRE_FALSE(store->outcomes.empty());
        return store->outcomes.back();
    }
    int ids = 0;
};

}  // namespace

TEST_CASE("a webhook is signed as Standard Webhooks publishes it") {
    const auto secret = parse_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    REQUIRE(secret);
    CHECK(app::webhook_signature(*kCrypto, as_bytes(*secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})") ==
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    CHECK(app::webhook_secret_text(as_bytes(*secret)) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
}

TEST_CASE("waits double up to six hours, with up to a half more; by default attempts go on for more than a day") {
    std::int64_t all = 0;
    for (int attempt = 1; attempt < 17; ++attempt) {
        const auto least = app::webhook_wait_ms(attempt, 5'000, 0), most = app::webhook_wait_ms(attempt, 5'000, 0xffffffff);
        CHECK(least == std::min<std::int64_t>(5'000ll << (attempt - 1), 21'600'000));
        CHECK(most > least * 149 / 100);
        CHECK(most <= least + least / 2);
        all += least;
    }
    CHECK(all > 24 * 3'600'000);
    CHECK(app::webhook_wait_ms(1'000'000, 5'000, 0) == 21'600'000);
    CHECK(app::retry_after_ms("120") == 120'000);
    CHECK(app::retry_after_ms("99999999999") == 21'600'000);
    for (const char* other : {"", "-1", "1.5", "Fri, 31 Dec 1999 23:59:59 GMT", "999999999999999999999999"}) CHECK(app::retry_after_ms(other) == 0);
}

TEST_CASE("URLs that may be posted to") {
    const auto to = [](const char* url) { return *ports::parse_web_address(url); };
    CHECK(to("https://lab.example/hook?a=b") == ports::WebAddress{true, "lab.example", 443, "/hook?a=b"});
    CHECK(to("https://lab.example?a") == ports::WebAddress{true, "lab.example", 443, "/?a"});
    CHECK(to("http://[::1]:8080") == ports::WebAddress{false, "::1", 8080, "/"});
    CHECK(ports::authority_of(to("http://[::1]:8080")) == "[::1]:8080");
    CHECK(ports::authority_of(to("https://lab.example:443/")) == "lab.example");
    for (const std::string bad : {"", "lab.example", "ftp://lab.example", "https://", "https:///x", "https://a@b/", "https://a/#f", "https://a b/",
                                  "https://a:0/", "https://a:/", "https://a:65536/", "https://a:8x/", "https://[::1/", "https://[a]/",
                                  "https://a\\b/", "https://a/\r\nx", "https://a/\xc3\xa4", "HTTPS://a/"})
        CHECK_MESSAGE(!ports::parse_web_address(bad).ok(), bad);
    CHECK_FALSE(ports::parse_web_address("https://a/" + std::string(limits::webhook_url_max_bytes, 'x')).ok());
}

TEST_CASE("addresses of one's own network, and of nobody, are not everybody's") {
    const auto v4 = [](std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
        return ports::reach_of(std::array<std::uint8_t, 4>{a, b, c, d});
    };
    CHECK(v4(8, 8, 8, 8) == Reach::everywhere);
    CHECK(v4(172, 32, 0, 1) == Reach::everywhere);
    CHECK(v4(100, 128, 0, 1) == Reach::everywhere);
    CHECK(v4(127, 0, 0, 1) == Reach::loopback);
    CHECK(v4(127, 255, 255, 255) == Reach::loopback);
    for (const auto reach : {v4(10, 1, 2, 3), v4(172, 16, 0, 1), v4(172, 31, 255, 255), v4(192, 168, 1, 1), v4(100, 64, 0, 1)})
        CHECK(reach == Reach::inside);
    for (const auto reach : {v4(0, 0, 0, 0), v4(169, 254, 169, 254), v4(224, 0, 0, 1), v4(255, 255, 255, 255), v4(240, 0, 0, 1), v4(192, 0, 2, 1),
                             v4(198, 19, 0, 1), v4(203, 0, 113, 9)})
        CHECK(reach == Reach::never);
    using V6 = std::array<std::uint8_t, 16>;
    CHECK(ports::reach_of(V6{0x2a, 0x00, 0x14, 0x50}) == Reach::everywhere);
    CHECK(ports::reach_of(V6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}) == Reach::loopback);
    CHECK(ports::reach_of(V6{0xfd, 0x12}) == Reach::inside);
    CHECK(ports::reach_of(V6{}) == Reach::never);
    CHECK(ports::reach_of(V6{0xfe, 0x80}) == Reach::never);
    CHECK(ports::reach_of(V6{0xff, 0x02}) == Reach::never);
    CHECK(ports::reach_of(V6{0x20, 0x01, 0x0d, 0xb8}) == Reach::never);
    CHECK(ports::reach_of(V6{0x20, 0x02, 10, 0, 0, 1}) == Reach::never);  // 6to4
    CHECK(ports::reach_of(V6{0x00, 0x64, 0xff, 0x9b}) == Reach::never);   // NAT64
    const auto mapped = [](std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
        return ports::reach_of(V6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d});
    };
    CHECK(mapped(127, 0, 0, 1) == Reach::loopback);
    CHECK(mapped(10, 0, 0, 1) == Reach::inside);
    CHECK(mapped(169, 254, 169, 254) == Reach::never);
    CHECK(mapped(8, 8, 8, 8) == Reach::everywhere);
}

TEST_CASE("an endpoint's secret is shown once, signs, and signs beside the next for a day") {
    Hooks h;
    const std::string secret = h.set();
    CHECK(secret.starts_with("whsec_"));
    CHECK(parse_base64(secret.substr(6))->size() == 32);
    const auto shown = Hooks::done(h.hooks.get("lab-wiki", "desk"));
    CHECK_FALSE(shown.contains("secret"));
    CHECK(h.store->kept.front().secret.wrapped.find(*parse_base64(secret.substr(6))) == std::string::npos);
    // Neither path nor query of the URL is told to auditors.
    CHECK(h.store->audit.front().detail == json{{"to", "https://lab.example"}});
    // Set again it keeps its secret.
    const auto again = h.hooks.put(kActor, "lab-wiki", "desk", {{"url", "https://lab.example/other"}});
    CHECK(again->status == 200);
    CHECK_FALSE(Hooks::done(again).contains("secret"));

    CHECK(h.post().then == Then::delivered);
    CHECK(header(h.poster->posted.back(), "webhook-id") == "message-7");
    CHECK(header(h.poster->posted.back(), "webhook-signature") == signature_of(secret, h.poster->posted.back()));
    const std::string next = Hooks::done(h.hooks.rotate(kActor, "lab-wiki", "desk"))["secret"];
    CHECK(next != secret);
    h.store->kept.front().former_until = {h.clock->utc_now().value + 1};
    CHECK(h.post().then == Then::delivered);
    CHECK(header(h.poster->posted.back(), "webhook-signature") ==
          signature_of(next, h.poster->posted.back()) + " " + signature_of(secret, h.poster->posted.back()));
    h.store->kept.front().former_until = h.clock->utc_now();
    CHECK(h.post().then == Then::delivered);
    CHECK(header(h.poster->posted.back(), "webhook-signature") == signature_of(next, h.poster->posted.back()));
    // Bound to its endpoint: of another it does not open, and nothing is posted.
    const auto before = h.poster->posted.size();
    h.store->kept.front().id.back() ^= 1;
    CHECK(h.post().then == Then::again);
    CHECK(h.poster->posted.size() == before);
}

TEST_CASE("secrets are wrapped anew when the key-encryption key is rotated") {
    Hooks h;
    const std::string secret = h.set();
    const auto both = openssl::make_key_wrapping({std::string(32, 'n'), std::string(32, 'k')});
    CHECK(*app::Webhooks::rewrap(*h.store, *both) == 1);
    CHECK(*app::Webhooks::rewrap(*h.store, *both) == 0);
    const auto fresh = openssl::make_key_wrapping({std::string(32, 'n')});
    const auto& kept = h.store->kept.front();
    const auto key = fresh->unwrap(kept.secret.under, as_bytes(kept.secret.wrapped), as_bytes(app::webhook_secret_context(kept.id)));
    REQUIRE(key.ok());
    CHECK(app::webhook_secret_text((*key)->bytes()) == secret);
}

TEST_CASE("what is not an endpoint is refused") {
    Hooks h;
    const auto put = [&](const json& body) { return Hooks::refused(h.hooks.put(kActor, "lab-wiki", "desk", body)); };
    CHECK(put({{"url", "ftp://lab.example"}}) == "/url");
    CHECK(put({{"url", "http://127.0.0.1:9/"}}) == "/url");  // the configuration allows no loopback, so nothing without TLS
    CHECK(put(json::object()) == "/url");
    CHECK(put({{"url", "https://lab.example"}, {"secret", "mine"}}) == "/secret");
    CHECK(Hooks::refused(h.hooks.put(kActor, "lab-wiki", "De sk", {{"url", "https://a.example"}}), Errc::invalid_parameter) == "path:webhook");
    CHECK(Hooks::refused(h.hooks.put(kActor, "nobody", "desk", {{"url", "https://a.example"}}), Errc::not_found).empty());
    CHECK(Hooks::refused(h.hooks.rotate(kActor, "lab-wiki", "desk"), Errc::not_found).empty());
    CHECK(Hooks::refused(h.hooks.deliveries("lab-wiki", "lost", {}, {}), Errc::invalid_parameter) == "query:state");
    CHECK(Hooks::refused(h.hooks.deliveries("lab-wiki", {}, "x", {}), Errc::invalid_parameter) == "query:after");
    CHECK(Hooks::refused(h.hooks.deliveries("lab-wiki", {}, {}, "1001"), Errc::invalid_parameter) == "query:limit");
    CHECK(Hooks::refused(h.hooks.redeliver(kActor, "lab-wiki", "one"), Errc::invalid_parameter) == "path:delivery");
    app::Webhooks keyless({h.store, nullptr, kCrypto, h.clock, [&] { return h.governance->snapshot(); }, {}, false});
    CHECK(keyless.put(kActor, "lab-wiki", "desk", {{"url", "https://lab.example"}}).error().code == Errc::unavailable);
}

TEST_CASE("what comes of an answer") {
    Hooks h;
    (void)h.set();
    const auto answered = [&](int status, int attempt = 1, std::string retry_after = {}) {
        h.poster->answer = ports::HttpPosted{status, std::move(retry_after)};
        return h.post(attempt);
    };
    CHECK(answered(200).then == Then::delivered);
    CHECK(answered(299).then == Then::delivered);
    for (const int status : {100, 199, 301, 307, 400, 404, 500, 503}) {
        const auto outcome = answered(status, 2);
        CHECK(outcome.then == Then::again);
        CHECK(outcome.status == status);
        CHECK(outcome.wait_ms == 2000);
        CHECK(answered(status, 3).then == Then::dead);
    }
    CHECK(answered(503, 1, "60").wait_ms == 60'000);
    CHECK(answered(429, 2, "1").wait_ms == 2000);  // not sooner than it would have been
    CHECK(answered(500, 1, "60").wait_ms == 1000);
    CHECK(answered(410).then == Then::gone);
    h.poster->answer = Error{Errc::unavailable, "no answer in time", {}};
    const auto silent = h.post(1);
    CHECK(silent.then == Then::again);
    CHECK(silent.status == 0);
    CHECK(silent.error == "no answer in time");
    CHECK(h.post(3).then == Then::dead);
    CHECK_FALSE(h.sender.post_one());  // nothing is due
}

TEST_CASE("a threshold is stored once, with what it says; while it cannot be, it waits") {
    Hooks h;
    h.limit(100);
    const auto w = h.warnings();
    h.store->reachable = false;
    w->passed(h.no(), h.passed(80));
    w->passed(h.no(), h.passed(80));
    CHECK_FALSE(w->store());
    CHECK_FALSE(w->store());
    h.store->reachable = true;
    CHECK(w->store());
    REQUIRE(h.store->bodies.size() == 1);
    const auto& body = h.store->bodies.front();
    CHECK(body["type"] == "dev.licet.quota.passed");
    CHECK(body["subject"] == "lab-wiki");
    CHECK(body["source"] == "https://eu.example");
    CHECK(body["data"]["threshold"] == 80);
    CHECK(body["data"]["contract"] == "lab-wiki");
    CHECK(body["data"]["region"] == "eu");
    // Another node, or another start, has nothing to add; another limit is another threshold.
    const auto other = h.warnings();
    other->passed(h.no(), h.passed(80));
    CHECK(other->store());
    CHECK(h.store->bodies.size() == 1);
    other->passed(h.no(), h.passed(80, 200));
    CHECK(other->store());
    CHECK(h.store->bodies.size() == 2);
}

TEST_CASE("what a start passed and did not store, the next one counts from the ledger; so is what would be too much to wait") {
    Hooks h;
    h.limit(100);
    h.ledger->bill("a", 1, 79, 0);
    CHECK(h.warnings()->store());
    CHECK(h.store->bodies.empty());
    h.ledger->bill("a", 1, 85, 0);
    const auto w = h.warnings();
    h.ledger->reachable = false;
    CHECK_FALSE(w->store());
    h.ledger->reachable = true;
    CHECK(w->store());
    REQUIRE(h.store->bodies.size() == 1);
    CHECK(h.store->bodies.back()["data"]["used"] == 85);
    CHECK(h.store->bodies.back()["data"]["remaining"] == 15);
    // The second has no room, and is found in the ledger.
    const auto small = h.warnings(1);
    CHECK(small->store());
    h.ledger->bill("a", 1, 120, 0);
    small->passed(h.no(), h.passed(80));
    small->passed(h.no(), h.passed(100));
    CHECK(small->store());
    REQUIRE(h.store->bodies.size() == 2);
    CHECK(h.store->bodies.back()["data"]["threshold"] == 100);
    CHECK(h.store->bodies.back()["data"]["remaining"] == 0);
}

TEST_CASE("purse: thresholds of a limit that was changed are passed anew") {
    const UtcMillis now{1'795'000'000'000};
    ports::QuotaTerms terms;
    terms.quotas = {{metering::QuotaMetric::events, metering::QuotaPeriod::month, metering::QuotaKind::hard, 100}};
    app::QuotaPurse purse({1}, terms, now, 1'000'000);
    for (const auto& word : purse.words(now, 1'000'000)) purse.answered(word, {90, 90, 90, 0});
    const auto passed = [&] {
        std::vector<int> out;
        for (const auto& p : purse.passed()) out.push_back(p.percent);
        return out;
    };
    CHECK(passed() == std::vector{80});
    CHECK(passed().empty());
    purse.terms(terms, now, 2'000'000);
    CHECK(passed().empty());
    terms.quotas.front().limit = 110;
    purse.terms(terms, now, 3'000'000);
    CHECK(passed() == std::vector{80});
    terms.quotas.front().limit = 1000;
    purse.terms(terms, now, 4'000'000);
    CHECK(passed().empty());
}
