// What a decision and a redaction cost, in the same run as their floor (copying the same bytes) and as what they replace (parse, change, serialise).
// Ends with one JSON line. README.md says what each figure is.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/policy/opa.h"
#include "bench/policy/scale.h"
#include "bench/support/machine.h"
#include "bench/support/report.h"
#include "policy/program.h"
#include "server/openssl/crypto.h"
#include "tests/support/policy_event.h"

namespace {

using namespace licet;
using namespace licet::testing;
using bench::die;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kEvents = 4096;
constexpr std::size_t kSubjects = 100'000;
constexpr int kRounds = 7;

// Nanoseconds per call of `each(i)` over all events: the best of some rounds, which is the one the machine disturbed least.
template <class Each>
double per_event(Each&& each) {
    double best = 1e18;
    for (int round = 0; round < kRounds; ++round) {
        const auto start = static_cast<double>(bench::now_ns());
        for (std::size_t i = 0; i < kEvents; ++i) each(i);
        best = std::min(best, (static_cast<double>(bench::now_ns()) - start) / static_cast<double>(kEvents));
    }
    return best;
}

json policy_document(const std::string& uid, json permissions) {
    return {{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
            {"@type", "Set"},
            {"uid", uid},
            {"profile", "https://licet.dev/ns/odrl-profile/1"},
            {"conflict", "prohibit"},
            {"permission", std::move(permissions)}};
}
json rule(const std::string& uid, const char* purpose, bool consent, json duties) {
    json out{{"uid", uid},
             {"target", "urn:licet:product:edits"},
             {"action", "use"},
             {"constraint", json::array({{{"leftOperand", "purpose"}, {"operator", "isA"}, {"rightOperand", purpose}}})}};
    if (consent) out["constraint"].push_back({{"leftOperand", "licet:consent"}, {"operator", "eq"}, {"rightOperand", "valid"}});
    if (!duties.empty()) out["duty"] = std::move(duties);
    return out;
}
json duty(const char* kind, const char* selector, const char* value) {
    return {{"action", "licet:transform"}, {"licet:transform", kind}, {selector, value}};
}

struct Bench {
    std::shared_ptr<const policy::Vocabulary> vocabulary = policy::builtin_vocabulary();
    std::shared_ptr<const event::Mapping> mapping;
    std::vector<std::string> records;
    std::vector<event::StoredEvent> events;
    policy::ConsentIndex consents;
    std::unique_ptr<policy::Pseudonymiser> pseudonymiser;

    explicit Bench(std::size_t data_bytes) {
        const json document = json::parse(R"({"attributes":{"id":{"digest":true},"source":{"constant":"/e"},"type":{"constant":"e"}},"fields":[
            {"pointer":"/user","category":"pd:IPAddress","infoType":"IP_ADDRESS"},{"pointer":"/cityName","category":"pd:City","infoType":"LOCATION"}]})");
        auto parsed = event::parse_mapping(document, 1);
        if (!parsed) die("mapping refused");
        mapping = std::make_shared<event::Mapping>(*std::move(parsed));
        static const char* countries[] = {"DE", "FR", "US", "JP", "BR", "IN", "GB", "PL"};
        for (std::size_t i = 0; i < kEvents; ++i) {
            EventText e{"CC-BY-SA-4.0"};
            e.time = {1'780'000'000'000 + static_cast<std::int64_t>(i)};
            e.jurisdiction = countries[i % std::size(countries)];
            const bool personal = i % 4 != 0;
            const std::string user = personal ? "192.0." + std::to_string(i / 250 % 250) + "." + std::to_string(i % 250) : "Old Mill";
            if (personal) e.subject = "subject-" + std::to_string(i * 7919 % kSubjects);
            e.data = R"({"time":"2026-05-28T20:26:40Z","channel":"#en","cityName":"Bremen","user":")" + user + R"(","delta":)" + std::to_string(i) +
                     R"(,"comment":")";
            e.data.append(e.data.size() + 2 < data_bytes ? data_bytes - e.data.size() - 2 : 0, 'x');
            e.data += "\"}";
            records.push_back(make_record(*mapping, e));
        }
        for (const auto& r : records) events.push_back(event::StoredEvent::parse(r).value());
        for (std::size_t i = 0; i < kSubjects; i += 2)
            consents.set(subject_key("subject-" + std::to_string(i)), vocabulary->at_or_below(vocabulary->purpose("dpv:ServiceManagement").value()));
        consents.set_ready(true);
        const std::string key(32, 'k');
        pseudonymiser = openssl::make_pseudonymiser(as_bytes(key));
    }

    std::shared_ptr<const policy::Program> program(const std::vector<json>& documents) {
        std::vector<policy::PolicyVersion> versions;
        for (const auto& d : documents) {
            auto parsed = policy::parse_policy(d, *vocabulary);
            if (!parsed) die(parsed.error().detail.c_str());
            versions.push_back({d.at("uid").get<std::string>(), 1, *std::move(parsed)});
        }
        policy::Entitlement who;
        who.product = "edits";
        who.contract = who.party = "lab";
        who.recipient_country = "DE";
        who.purposes = {"dpv:ServiceOptimisation"};
        const std::vector<std::shared_ptr<const event::Mapping>> mappings{mapping};
        auto compiled = policy::compile(who, versions, mappings, vocabulary);
        if (!compiled) die(compiled.error().detail.c_str());
        return *std::move(compiled);
    }
    std::shared_ptr<const policy::Program> one_rule(bool consent, json duties) {
        return program({policy_document("urn:p", json::array({rule("r", "dpv:ServiceOptimisation", consent, std::move(duties))}))});
    }

    double decide(const std::shared_ptr<const policy::Program>& p, double* delivered = nullptr) {
        const auto decider = policy::make_decider(p, consents, *pseudonymiser);
        std::size_t count = 0;
        const double ns = per_event([&](std::size_t i) { count += decider->decide(events[i], {}).deliver; });
        if (delivered != nullptr) *delivered = static_cast<double>(count) / kRounds / kEvents;
        return ns;
    }
    // The same decision without the memo: rules, licence, transfer and plan, as a miss does it for one consent state.
    double decide_without_memo(const std::shared_ptr<const policy::Program>& p) {
        const auto& compiled = static_cast<const policy::CompiledProgram&>(*p);
        std::size_t permitted = 0;
        const double ns = per_event([&](std::size_t i) {
            const auto& e = events[i];
            const policy::Ternary consent[] = {policy::Ternary::yes};
            std::vector<event::Span> spans(e.span_count());
            for (std::size_t s = 0; s < spans.size(); ++s) spans[s] = e.span(s);
            const auto outcome = policy::decide_static(compiled, policy::facts_of(e, *mapping, {}), consent, *mapping, spans);
            permitted += !policy::make_plan(*mapping, outcome.transforms).impossible;
        });
        if (permitted != kEvents * kRounds) die("cold decisions differ");
        return ns;
    }
    double redact(const std::shared_ptr<const policy::Program>& p, bool with_decision) {
        const auto decider = policy::make_decider(p, consents, *pseudonymiser);
        std::vector<policy::Decision> decisions;
        for (const auto& e : events) decisions.push_back(decider->decide(e, {}));
        std::string out;
        out.reserve(1 << 16);
        return per_event([&](std::size_t i) {
            out.clear();
            const auto d = with_decision ? decider->decide(events[i], {}) : decisions[i];
            if (!d.deliver || !decider->redact(events[i], d, out)) die("not redacted");
        });
    }
    double copy() {
        std::string out;
        out.reserve(1 << 16);
        std::size_t sum = 0;
        const double ns = per_event([&](std::size_t i) {
            out.clear();
            out.append(events[i].data());
            sum += static_cast<unsigned char>(out[i % out.size()]);  // keeps the copy
        });
        if (sum == 0) die("nothing copied");
        return ns;
    }
    double parse_and_serialise(const std::shared_ptr<const policy::Program>& p) {
        const auto decider = policy::make_decider(p, consents, *pseudonymiser);
        for (std::size_t i = 0; i < kEvents; ++i) {  // it gives the same bytes
            std::string out;
            if (!decider->redact(events[i], decider->decide(events[i], {}), out) || out != rewritten(events[i].data()))
                die("redaction differs from the oracle's");
        }
        std::size_t bytes = 0;
        const double ns = per_event([&](std::size_t i) { bytes += rewritten(events[i].data()).size(); });
        if (bytes == 0) die("nothing written");
        return ns;
    }
    static std::string rewritten(std::string_view data) {
        auto document = ordered_json::parse(data);
        document.erase("user");
        document.erase("cityName");
        return document.dump();
    }
};

// Decision and redaction at all sizes; reading and compiling; the peer.
void scale(json& line) {
    const bench::Scenario scenario;
    line["clock_ns"] = bench::clock_ns();
    line["scale"] = json::array();
    bench::Scale largest;
    std::printf("decision and redaction of three fields in 1 KiB, one core (the clock's %.0f ns are in every percentile)\n",
                line["clock_ns"].get<double>());
    std::printf("%9s %12s %9s %9s %13s %12s %12s %14s\n", "policies", "entitlements", "warm p50", "warm p99", "decisions/s", "cold p50", "cold p99",
                "program bytes");
    for (const std::size_t entitlements : {1, 100, 10'000})
        for (const std::size_t policies : {10, 1'000, 10'000}) {
            const auto s = bench::measure_scale(scenario, policies, entitlements);
            std::printf("%9zu %12zu %6.0f ns %6.0f ns %13.0f %9.0f ns %9.0f ns %14.0f\n", policies, entitlements, s.warm_p50_ns, s.warm_p99_ns,
                        s.decisions_per_s, s.cold_p50_ns, s.cold_p99_ns, s.program_bytes);
            std::fflush(stdout);
            line["scale"].push_back(bench::to_json(s));
            if (entitlements == 1 && policies == 10) line["flat_ratio"] = s.warm_p50_ns;
            if (entitlements == 1) largest = s;
        }
    line["flat_ratio"] = largest.warm_p50_ns / line["flat_ratio"].get<double>();
    line["policies"] = largest.policies;
    line["p50_ns"] = largest.warm_p50_ns;
    line["p99_ns"] = largest.warm_p99_ns;
    const auto compile = bench::measure_compile(scenario, largest.policies);
    line["compile_s"] = compile.read_s + compile.compile_s;
    line["compile_read_s"] = compile.read_s;
    std::printf("%zu policies: from text to rules %.3f s, to a program %.3f s of processor time\n", largest.policies, compile.read_s,
                compile.compile_s);

    const auto documents = bench::Scenario::documents(largest.policies, 1);
    const auto program = scenario.compile(bench::Scenario::entitlement(0), scenario.read([&] {
        std::vector<std::string> texts;
        for (const auto& d : documents) texts.push_back(d.dump());
        return texts;
    }()));
    const auto decider = policy::make_decider(program, scenario.consents, *scenario.pseudonymiser);
    std::string delivered;
    if (!decider->redact(scenario.events[0], decider->decide(scenario.events[0], {}), delivered)) die("not redacted");
    const auto opa = bench::measure_opa(scenario.peer_data(documents), scenario.peer_input(0), json::parse(delivered));
    if (!opa) return (void)std::printf("no opa in PATH and LICET_OPA not set: not compared\n");
    line["opa"] = {{"version", opa->version}, {"p50_ns", opa->p50_ns}, {"p99_ns", opa->p99_ns}, {"server_ns", opa->server_ns}};
    line["opa_ratio"] = opa->p50_ns / largest.warm_p50_ns;
    std::printf("opa (%s), the same answer: evaluation p50 %.0f ns, p99 %.0f ns; through its server %.0f ns; ratio of the medians %.0f\n",
                opa->version.c_str(), opa->p50_ns, opa->p99_ns, opa->server_ns, line["opa_ratio"].get<double>());
}

}  // namespace

int main() {
    json line;
    scale(line);
    const json redact_both = json::array({duty("redact", "licet:pointer", "/user"), duty("redact", "licet:pointer", "/cityName")});
    for (const std::size_t size : {256, 1024}) {
        Bench bench(size);
        const auto removing = bench.one_rule(false, redact_both);
        const auto hashing = bench.one_rule(false, json::array({duty("cryptoHash", "licet:infoType", "IP_ADDRESS")}));
        const double copy = bench.copy(), redact = bench.redact(removing, false), oracle = bench.parse_and_serialise(removing),
                     hash = bench.redact(hashing, false);
        std::printf("%zu B: copy %.1f ns, redact two members %.1f ns, parse-change-serialise %.0f ns, keyed hash of three in four %.0f ns\n", size,
                    copy, redact, oracle, hash);
        const std::string at = "_" + std::to_string(size);
        line["copy_ns" + at] = copy;
        line["redact_ns" + at] = redact;
        line["floor_ratio" + at] = copy / redact;
        line["oracle_ratio" + at] = oracle / redact;
        line["hash_ns" + at] = hash;
        if (size != 256) continue;

        double delivered = 0;
        const auto plain = bench.one_rule(false, json::array()), consenting = bench.one_rule(true, json::array());
        const double memo = bench.decide(plain), cold = bench.decide_without_memo(plain), consent = bench.decide(consenting, &delivered);
        if (delivered < 0.5 || delivered > 0.75) die("consent does not decide");  // a quarter names nobody, half of the others consented
        std::vector<json> many;
        for (int i = 0; i < 9'999; ++i)
            many.push_back(policy_document("urn:m" + std::to_string(i), json::array({rule("r", "dpv:Marketing", false, json::array())})));
        many.push_back(policy_document("urn:p", json::array({rule("r", "dpv:ServiceOptimisation", false, redact_both)})));
        const auto policies = bench.program(many);
        const double decide_and_redact = bench.redact(policies, true);
        std::printf(
            "decide: memo %.1f ns, without %.0f ns, with a consent probe among %zu subjects %.1f ns; under 10,000 policies with redaction %.1f ns\n",
            memo, cold, kSubjects, consent, decide_and_redact);
        line["decide_ns"] = memo;
        line["decisions_per_s"] = 1e9 / memo;
        line["decide_without_memo_ns"] = cold;
        line["decisions_without_memo_per_s"] = 1e9 / cold;
        line["memo_ratio"] = cold / memo;
        line["consent_decide_ns"] = consent;
        line["decide_and_redact_10k_policies_ns"] = decide_and_redact;
    }
    for (auto& [key, value] : line.items())
        if (value.is_number_float()) value = std::round(value.get<double>() * 1000) / 1000;
    bench::report("policy", line);
}
