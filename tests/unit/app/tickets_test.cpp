// Tickets as they are kept: bound to their digest, signed, counted.
#include "server/app/tickets.h"

#include "base/limits.h"
#include "server/openssl/crypto.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

class Kept final : public ports::TicketStore {
  public:
    std::map<ports::Sha256, std::string> all;
    int lifetime_ms = 0;
    Status put(const ports::Sha256& digest, const std::string& value, int ms) override {
        all[digest] = value;
        lifetime_ms = ms;
        return success();
    }
    Result<std::optional<std::string>> take(const ports::Sha256& digest) override {
        auto out = look(digest);
        all.erase(digest);
        return out;
    }
    Result<std::optional<std::string>> look(const ports::Sha256& digest) override {
        const auto found = all.find(digest);
        return found == all.end() ? std::optional<std::string>() : std::optional(found->second);
    }
};

struct Desk {
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    std::shared_ptr<app::Tokens> tokens =
        std::make_shared<app::Tokens>("https://eu.example", crypto, signer, *openssl::make_verifier(signer->public_key()), clock);
    std::shared_ptr<Kept> kept = std::make_shared<Kept>();
    app::Tickets tickets{"key of tickets", kept, tokens, crypto, clock};

    [[nodiscard]] app::Ticket what(const std::string& client = "reader") const {
        return {{client, {clock->now - 1'234}, {(clock->now / 1000 + 600) * 1000}, {}}, "wiki", "reader-wiki", "https://app.example", {}};
    }
};

}  // namespace

TEST_CASE("tickets: come back as they were asked for, and nothing of them is kept") {
    Desk desk;
    const auto issued = desk.tickets.issue(desk.what());
    REQUIRE(issued.ok());
    CHECK(issued->expires_at == UtcMillis{desk.clock->now + limits::ticket_lifetime_ms});
    CHECK(desk.kept->lifetime_ms == limits::ticket_lifetime_ms);
    REQUIRE(desk.kept->all.size() == 1);
    const auto& [digest, value] = *desk.kept->all.begin();
    const auto secret = parse_base64url(issued->ticket).value();
    CHECK(digest == desk.crypto->sha256(as_bytes(secret)));
    CHECK(value.find(issued->ticket) == std::string::npos);
    CHECK(desk.tickets.look(issued->ticket).ok());
    const auto taken = desk.tickets.take(issued->ticket);
    REQUIRE(taken.ok());
    CHECK(taken->token.client == "reader");
    CHECK(taken->token.issued_at == desk.what().token.issued_at);
    CHECK(taken->token.expires_at == desk.what().token.expires_at);
    CHECK(taken->token.allows("read", "wiki"));
    CHECK_FALSE(taken->token.allows("write", "wiki"));
    CHECK(taken->contract == "reader-wiki");
    CHECK(taken->origin == "https://app.example");
    CHECK(desk.tickets.take(issued->ticket).error().code == Errc::invalid_ticket);
}

TEST_CASE("tickets: who can write where they are kept cannot make or change one, and none is a token") {
    Desk desk;
    const std::string one = desk.tickets.issue(desk.what())->ticket, two = desk.tickets.issue(desk.what("another"))->ticket;
    const auto digest = [&](const std::string& ticket) { return desk.crypto->sha256(as_bytes(parse_base64url(ticket).value())); };
    const std::string value = desk.kept->all[digest(two)];
    desk.kept->all[digest(one)] = value;
    CHECK(desk.tickets.take(one).error().code == Errc::invalid_ticket);
    desk.kept->all[digest(one)] = R"({"client":"admin"})";
    CHECK(desk.tickets.take(one).error().code == Errc::invalid_ticket);
    CHECK(desk.tokens->read(value).error().code == Errc::invalid_token);
    CHECK(desk.tokens->read_subject(value).error().code == Errc::invalid_token);
    // Kept for longer than it is good.
    desk.clock->now += limits::ticket_lifetime_ms;
    CHECK(desk.tickets.take(two).error().code == Errc::invalid_ticket);
}

TEST_CASE("tickets: so many of one client, and of all, within a lifetime") {
    Desk desk;
    const auto all_of = [&](const std::string& client) {
        for (std::size_t i = 0; i < limits::tickets_max_per_client; ++i) REQUIRE(desk.tickets.issue(desk.what(client)).ok());
    };
    all_of("a");
    CHECK(desk.tickets.issue(desk.what("a")).error().code == Errc::too_many_requests);
    for (const char* client : {"b", "c", "d"}) all_of(client);
    CHECK(desk.tickets.issue(desk.what("e")).error().code == Errc::overloaded);
    desk.clock->now += limits::ticket_lifetime_ms;
    CHECK(desk.tickets.issue(desk.what("a")).ok());
    CHECK(desk.tickets.issue(desk.what("e")).ok());
}
