// Several shards behind one address, and what a guess at a secret costs.
#include "base/encoding.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

// Counts the work of a client's authentication.
class CountingCrypto final : public ports::Crypto {
  public:
    mutable std::atomic<int> hashes{0}, comparisons{0};
    ports::Sha256 sha256(Bytes data) const override {
        ++hashes;
        return crypto_->sha256(data);
    }
    ports::Sha256 hmac_sha256(Bytes key, Bytes data) const override { return crypto_->hmac_sha256(key, data); }
    bool equal(Bytes a, Bytes b) const noexcept override {
        ++comparisons;
        CHECK(a.size() == b.size());
        return crypto_->equal(a, b);
    }
    void random(std::span<std::uint8_t> out) const override { crypto_->random(out); }

  private:
    const std::shared_ptr<const ports::Crypto> crypto_ = openssl::make_crypto();
};

}  // namespace

TEST_CASE("shards share an address, and all of them stop") {
    Setup setup;
    setup.shards = 3;
    EdgeFixture edge(setup);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 48; ++i) clients.push_back(std::make_unique<Client>(edge.edge->port()));
    for (auto& client : clients) client->send(Request{"GET", "/v1/products/wiki/endpoints", "", {edge.bearer()}}.bytes());
    for (auto& client : clients) CHECK(client->receive().status == 200);
    edge.edge->stop_accepting();
    for (auto& client : clients) CHECK(client->ended());
    edge.edge->stop();
    CHECK_FALSE(Client(edge.edge->port()).connected());
    CHECK_FALSE(Client(edge.edge->ops_port()).connected());
}

TEST_CASE("guessing at an unknown client costs what guessing at a known one costs") {
    const auto crypto = std::make_shared<CountingCrypto>();
    Setup setup;
    setup.crypto = crypto;
    EdgeFixture edge(setup);
    const auto cost = [&](const std::string& id) {
        const int hashes = crypto->hashes, comparisons = crypto->comparisons;
        const auto answer =
            edge.ask({"POST",
                      "/oauth/token",
                      "grant_type=client_credentials",
                      {{"Content-Type", "application/x-www-form-urlencoded"}, {"Authorization", "Basic " + base64(as_bytes(id + ":guess"))}}});
        CHECK(answer.what() == "401 invalid-client");
        return std::pair(crypto->hashes - hashes, crypto->comparisons - comparisons);
    };
    const auto known = cost("partner");
    CHECK(known == std::pair(1, 1));
    CHECK(cost("nobody") == known);
}
