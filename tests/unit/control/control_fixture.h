// The real control plane on a loopback port, over an in-memory catalog. Private to this folder.
#pragma once

#include <memory>
#include <string>

#include "server/control/control.h"
#include "server/openssl/crypto.h"
#include "tests/support/prices.h"
#include "tests/unit/app/fake_registry.h"
#include "tests/unit/app/memory_audit.h"
#include "tests/unit/app/test_tokens.h"
#include "tests/unit/control/http_client.h"

namespace licet::testing {

// Holds nothing.
class EmptyLog final : public ports::EventLog {
  public:
    Status append(ports::LogPosition, std::vector<ports::AppendItem>, AppendDone) override { return Error{Errc::log_full, "", {}}; }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition, Offset, std::size_t, std::size_t) override {
        return std::make_shared<const ports::LogBatch>();
    }
    ports::LogBounds bounds(ports::LogPosition) override { return {}; }
    UtcMillis settled() override { return {}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis) override { return Offset{0}; }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return Error{Errc::not_found, "no such event in the log", {}}; }
    void on_appended(Appended) override {}
    void close() override {}
};

// One contract's usage of one day.
class SmallLedger final : public ports::UsageLedger {
  public:
    Status flush(const std::string&, const std::string&, const std::vector<metering::JournalRecord>&) override { return success(); }
    Status settle_ended_boots(const std::string&, std::uint64_t, const std::function<Offset(const ports::UsageOf&, Offset)>&) override {
        return success();
    }
    Result<ports::UsageRanges> ranges(const ports::UsageOf&) override { return ports::UsageRanges{}; }
    Result<std::vector<ports::UsageTotal>> totals(UtcMillis, UtcMillis, const std::vector<ContractNo>&) override {
        return std::vector<ports::UsageTotal>{{{1}, {1}, "2027-01-02", "eu", 3, 1000}};
    }
    Result<std::vector<ports::UsageBalance>> balance(UtcMillis, UtcMillis) override {
        return std::vector<ports::UsageBalance>{{{1}, {1}, {3, 1000}, {3, 1000}, {0, 0}, 0}};
    }
};

struct ControlFixture : Governed {
    static constexpr const char* kSecret = "boot-secret";
    static constexpr const char* kRoles[] = {"admin", "policy", "dpo", "finance", "auditor", "producer", "partner", "app"};
    std::unique_ptr<control::Control> server;
    std::shared_ptr<MemoryAuditLog> audit_log = std::make_shared<MemoryAuditLog>();

    // `for_admin`: the catalog the use cases change, when it is not the one governance reads.
    explicit ControlFixture(std::shared_ptr<ports::Catalog> for_admin = nullptr, bool authoring = true) {
        auto& held = catalog->held;
        held.regions = {{"eu", "https://eu.licet.example"}};
        held.parties = {{"acme", "Acme", "DE", {}, {}}};
        held.products = {{{1}, "news", "News", "acme", "acme", "", 1, {mapping_document()}}};
        held.contracts = {{{1},
                           "acme",
                           "acme",
                           {"news"},
                           {"dpv:Marketing"},
                           {},
                           "contract",
                           ports::ContractState::active,
                           {},
                           {},
                           flat_prices("EUR", "0.01", "0")}};
        for (const char* role : kRoles) held.clients.push_back({role, "acme", "", "", {role}, {}, false, {}});
        held.clients.push_back({"revoked", "acme", "", "", {"admin"}, {}, true, {}});
        start();
        const std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
        app::Admin::Parts parts;
        parts.catalog = for_admin ? std::move(for_admin) : catalog;
        parts.registry = std::make_shared<MemoryRegistry>(catalog);
        parts.tokens = test_tokens(clock);
        parts.governance = governance;
        parts.log = std::make_shared<EmptyLog>();
        parts.crypto = crypto;
        parts.vocabulary = vocabulary;
        parts.clock = clock;
        parts.shadow = std::make_shared<app::ShadowCounts>();
        parts.subject_digest = openssl::make_subject_digest(as_bytes(std::string_view("01234567890123456789012345678901")));
        parts.event_digest = openssl::make_event_digest();
        parts.open_cursor = [](std::string_view, ports::LogPosition, StreamEpoch) -> Result<Offset> {
            return Error{Errc::invalid_cursor, "not a cursor of this server", "query:cursor"};
        };
        parts.authoring = authoring;
        control::ControlServices services{std::make_shared<app::Admin>(std::move(parts)),
                                          std::make_shared<app::UsageReports>(std::make_shared<SmallLedger>(), clock, "eu"),
                                          [g = governance] { return g->snapshot(); },
                                          crypto,
                                          std::make_shared<app::Audit>(audit_log, crypto, "example.org/audit", audit_log->signer->public_key()),
                                          "eu"};
        auto started = control::Control::start({0, 4, kSecret}, std::move(services));
        REQUIRE(started);
        server = *std::move(started);
    }
    ~ControlFixture() {
        if (server) server->stop();
    }

    // A request as the edge forwards it. `client` empty: no token.
    static std::string request(const std::string& method, const std::string& target, const std::string& client, const std::string& body = {},
                               const std::string& content_type = "application/json", const std::string& id = "r1") {
        std::string out = method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n";
        if (!content_type.empty()) out += "Content-Type: " + content_type + "\r\n";
        out += std::string("Licet-Boot-Secret: ") + kSecret + "\r\n";
        if (!client.empty()) out += "Licet-Client: " + client + "\r\n";
        return out + "Licet-Request-Id: " + id + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    [[nodiscard]] HttpAnswer raw(const std::string& bytes) const {
        HttpClient client(server->port());
        client.send(bytes);
        return client.receive();
    }
    [[nodiscard]] HttpAnswer call(const std::string& method, const std::string& target, const std::string& client, const std::string& body = {},
                                  const std::string& content_type = "application/json") const {
        return raw(request(method, target, client, body, content_type));
    }
};

}  // namespace licet::testing
