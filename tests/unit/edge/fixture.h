// A real edge on loopback over real tokens and ingest, with the ports of fakes.h behind it.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "event/record.h"
#include "server/openssl/crypto.h"
#include "server/stream/edge/edge.h"
#include "tests/support/prices.h"
#include "tests/unit/edge/fakes.h"

namespace edge_test {

// For these tests alone.
inline constexpr const char* kTokenKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEII62RJc9XLrgVW+khd51BcHe00IKxkhInshx1BOnOYNz\n-----END PRIVATE KEY-----\n";

inline ports::Configuration configuration() {
    const auto mapping = nlohmann::json::parse(R"({"attributes":{"id":{"digest":true},"source":{"constant":"urn:example:feed"},
        "type":{"constant":"org.example.edit"},"residency":{"pointer":"/home"}},"fields":[]})");
    const auto crypto = openssl::make_crypto();
    const auto client = [&](const char* id, std::vector<std::string> scopes) {
        return ports::Client{id,    "acme", app::secret_hash(*crypto, "0102", std::string(id) + "-secret"), "0102", {"partner"}, std::move(scopes),
                             false, {}};
    };
    ports::Configuration out;
    out.epochs = {1, 0};
    out.regions = {{"eu", "https://eu.example:8443"}, {"us", "https://us.example:8443"}};
    out.products = {{{1}, "wiki", "Wiki", "acme", "acme", "", 1, {mapping}},
                    {{2}, "abroad", "Abroad", "acme", "acme", "us", 1, {mapping}},
                    {{3}, "orphan", "Orphan", "acme", "acme", "mars", 1, {mapping}},
                    {{4}, "bare", "No contract", "acme", "acme", "", 1, {mapping}}};
    out.parties = {{"acme", "Acme", "DE", {}, {}}};
    out.contracts = {{{1},
                      "acme-wiki",
                      "acme",
                      {"wiki", "abroad", "orphan"},
                      {"dpv:Marketing"},
                      {},
                      "contract",
                      ports::ContractState::active,
                      {},
                      {},
                      licet::testing::flat_prices("EUR", "0", "0")}};
    out.clients = {client("partner", {"read:*", "write:*"}), client("reader", {"read:wiki"}), client("other", {"read:other"}), client("auditor", {})};
    out.clients.back().roles = {"auditor"};
    return out;
}

struct Setup {
    EdgeTimeouts timeouts;
    std::shared_ptr<ports::TlsContext> tls;
    std::uint16_t control_port = 1;
    std::function<Result<std::string>(const std::string& party, const std::string& period)> usage;
    std::function<Result<std::shared_ptr<app::AuditExport>>(const std::string& after)> audit_export;
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::size_t shards = 1;
    Origins origins;
};

class EdgeFixture {
  public:
    explicit EdgeFixture(Setup setup = {}) {
        std::signal(SIGPIPE, SIG_IGN);  // as the server does: OpenSSL writes without MSG_NOSIGNAL
        const std::shared_ptr<const ports::Signer> signer = openssl::make_signer(kTokenKey).value();
        const auto crypto = setup.crypto;
        tokens = std::make_shared<app::Tokens>("https://issuer.example", crypto, signer, openssl::make_verifier(signer->public_key()).value(), clock);
        set(configuration());
        EdgeServices s;
        s.snapshot = [this] { return snapshot_.load(); };
        s.tokens = tokens;
        s.tickets = std::make_shared<app::Tickets>("key of tickets", kept_tickets, tokens, crypto, clock);
        s.crypto = crypto;
        s.clock = clock;
        s.log = log;
        s.metrics = metrics;
        s.tls = setup.tls;
        s.delivery = delivery;
        s.make_digests = [] {
            return IngestDigests{openssl::make_subject_digest(as_bytes(std::string_view("01234567890123456789012345678901"))),
                                 openssl::make_event_digest(), openssl::make_content_digest()};
        };
        s.usage = [usage = setup.usage](const app::Snapshot&, const std::string& party, const std::string& period) -> Result<std::string> {
            return usage ? usage(party, period) : Result<std::string>(std::string("{}"));
        };
        s.audit_export = setup.audit_export;
        s.not_ready = [this]() -> std::optional<std::string> { return ready ? std::nullopt : std::optional<std::string>("not yet"); };
        std::vector<boost::asio::io_context*> ios;
        for (std::size_t i = 0; i < setup.shards; ++i) shards_.push_back(std::make_unique<Shard>());
        for (const auto& one : shards_) ios.push_back(&one->io);
        auto started = Edge::start(ios, {"127.0.0.1", 0, "127.0.0.1", 0, setup.control_port, "boot", setup.timeouts, setup.origins}, std::move(s));
        REQUIRE(started.ok());
        edge = *std::move(started);
        for (const auto& one : shards_) one->thread = std::thread([&io = one->io] { io.run(); });
    }
    ~EdgeFixture() {
        if (edge) edge->stop();
        delivery->let_go();
        for (const auto& one : shards_) {
            one->io.stop();
            one->thread.join();
        }
        edge.reset();  // its sockets are of the shards' contexts
    }

    void set(const ports::Configuration& c) {
        snapshot_.store(app::build_snapshot(c, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary()));
    }
    std::string token(const std::string& client = "partner") {
        const auto issued = tokens->issue(*snapshot_.load(), client, client + "-secret", "");
        return issued.value().token;
    }
    std::pair<std::string, std::string> bearer(const std::string& client = "partner") { return {"Authorization", "Bearer " + token(client)}; }
    Answer ask(const Request& request) { return Client(edge->port()).ask(request.bytes()); }
    Answer publish(const std::string& body, const std::string& type = "application/json", const std::string& product = "wiki") {
        return ask({"POST", "/v1/products/" + product + "/events", body, {bearer(), {"Content-Type", type}}});
    }
    std::thread::id shard() const { return shards_[0]->thread.get_id(); }

    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    std::shared_ptr<CountedMetrics> metrics = std::make_shared<CountedMetrics>();
    std::shared_ptr<MemoryTickets> kept_tickets = std::make_shared<MemoryTickets>();
    std::shared_ptr<MemoryLog> log = std::make_shared<MemoryLog>();
    std::shared_ptr<ScriptedDelivery> delivery = std::make_shared<ScriptedDelivery>();
    std::shared_ptr<app::Tokens> tokens;
    std::atomic<bool> ready{true};
    std::shared_ptr<Edge> edge;

  private:
    std::atomic<std::shared_ptr<const app::Snapshot>> snapshot_;
    struct Shard {
        boost::asio::io_context io{1};
        boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard = boost::asio::make_work_guard(io);
        std::thread thread;
    };
    std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace edge_test
