// The export of the audit log: in chunks, to auditors, so many at a time; one that fails on the way is seen to be cut off.
#include <poll.h>

#include <algorithm>

#include "base/limits.h"
#include "tests/unit/app/memory_audit.h"
#include "tests/unit/edge/fixture.h"

using namespace licet;
using namespace licet::stream;
using namespace edge_test;

namespace {

constexpr const char* kExport = "/v1/admin/audit/export";

// Fails from an entry on.
struct Failing final : testing::MemoryAuditLog {
    Result<std::vector<ports::AuditLine>> lines(std::uint64_t after, std::size_t limit) override {
        if (after >= fails_after) return Error{Errc::unavailable, "away", {}};
        return MemoryAuditLog::lines(after, limit);
    }
    std::atomic<std::uint64_t> fails_after{~std::uint64_t{0}};
};

struct Audited {
    std::shared_ptr<Failing> log = std::make_shared<Failing>();
    app::Audit audit{log, log->crypto, log->origin, log->signer->public_key()};
    std::atomic<int> asked{0};
    std::atomic<bool> go{true};
    EdgeFixture edge;

    Audited() : edge(setup()) {
        for (int n = 0; n < 5; ++n) REQUIRE(log->append({{"ada", "party.put", "lab", {{"n", n}}}}).ok());
        log->page = 2;
    }
    ~Audited() { release(); }
    void release() {
        go = true;
        go.notify_all();
    }
    Setup setup() {
        Setup out;
        out.audit_export = [this](const std::string& after) {
            ++asked;
            go.wait(false);
            return audit.begin_export(after);
        };
        return out;
    }
    [[nodiscard]] Request request(const std::string& query = {}, const char* client = "auditor") {
        return {"GET", kExport + query, "", {edge.bearer(client)}};
    }
    [[nodiscard]] std::string whole() const {
        std::string out;
        for (const auto& line : log->held) out += line + "\n";
        return out + nlohmann::json{{"checkpoint", log->notes.at(5)}}.dump() + "\n";
    }
};

}  // namespace

TEST_CASE("audit export: whole, in chunks, on a connection that goes on") {
    Audited f;
    Client client(f.edge.edge->port());
    for (int time = 0; time < 2; ++time) {
        const auto answer = client.ask(f.request().bytes());
        CHECK(answer.status == 200);
        CHECK(answer.header("Content-Type") == "application/x-ndjson");
        CHECK(answer.header("Cache-Control") == "no-store");
        CHECK_FALSE(answer.cut);
        CHECK(answer.body == f.whole());
    }
    auto head = f.request();
    head.method = "HEAD";
    CHECK(client.ask(head.bytes()).status == 200);
    const auto part = client.ask(f.request("?after=4").bytes());
    CHECK(part.body.starts_with("{\"after\":4,"));
    CHECK(part.body.ends_with(f.whole().substr(f.whole().find(f.log->held[4]))));
}

TEST_CASE("audit export: for auditors, and asked for as it should be") {
    Audited f;
    CHECK(f.edge.ask(f.request("", "partner")).what() == "403 forbidden");
    CHECK(f.edge.ask({"GET", kExport, "", {}}).what() == "401 unauthenticated");
    CHECK(f.edge.ask({"PUT", kExport, "", {f.edge.bearer("auditor")}}).status == 405);
    CHECK(f.asked == 0);
    CHECK(f.edge.ask(f.request("?after=6")).pointer() == "query:after");
    CHECK(f.edge.ask(f.request("?before=6")).pointer() == "query:before");
}

TEST_CASE("audit export: what fails on the way is cut off, and what fails at once is refused") {
    Audited f;
    f.log->fails_after = 4;
    Client client(f.edge.edge->port());
    const auto answer = client.ask(f.request().bytes());
    CHECK(answer.status == 200);
    CHECK(answer.cut);
    CHECK(answer.body == f.whole().substr(0, f.whole().find(f.log->held[4])));
    CHECK(client.ended());
    f.log->fails_after = 0;
    CHECK(f.edge.ask(f.request()).what() == "503 unavailable");
}

TEST_CASE("audit export: so many at a time") {
    Audited f;
    f.go = false;
    std::vector<std::unique_ptr<Client>> many;
    std::vector<pollfd> answers;
    for (std::size_t i = 0; i <= limits::audit_exports_max_per_shard; ++i) {
        many.push_back(std::make_unique<Client>(f.edge.edge->port()));
        many.back()->send(f.request().bytes());
        answers.push_back({many.back()->fd(), POLLIN, 0});
    }
    // One of them is one too many: the others wait.
    REQUIRE(::poll(answers.data(), answers.size(), 30'000) == 1);
    const auto refused =
        static_cast<std::size_t>(std::find_if(answers.begin(), answers.end(), [](const pollfd& one) { return one.revents != 0; }) - answers.begin());
    CHECK(many[refused]->receive().what() == "503 overloaded");
    CHECK(f.edge.ask({"GET", "/nowhere", "", {}}).status == 404);  // the shard is free meanwhile
    f.release();
    std::vector<std::string> bodies;
    for (std::size_t i = 0; i < many.size(); ++i)
        if (i != refused) bodies.push_back(many[i]->receive().body);
    bodies.push_back(many[refused]->ask(f.request().bytes()).body);  // their places are free again
    CHECK(bodies == std::vector<std::string>(many.size(), f.whole()));
}
