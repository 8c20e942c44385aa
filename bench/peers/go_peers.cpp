// Peers written in Go, which Debian has not: Centrifugo and Mercure. README.md says how to have them.
#include <openssl/hmac.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "bench/peers/peer.h"

namespace licet::bench {
namespace {

std::string post(const std::string& target, const std::string& headers, std::string_view body) {
    std::string out = "POST " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return out.append(body);
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0)
            out += c;
        else
            out += "%" + hex(as_bytes({&c, 1}));
    }
    return out;
}

// Centrifugo: its JSON protocol over WebSocket, published to through its HTTP API, as many messages in a request as the window says. It puts what
// waits for a subscriber into one frame, a line each.
class Centrifugo final : public Peer {
  public:
    const char* name() const override { return "centrifugo"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        const auto program = installed("centrifugo");
        if (program.empty()) return nullptr;
        // One channel without history, presence or positions; slow readers are not disconnected, and no heartbeat comes within a run.
        const nlohmann::json config{{"address", "127.0.0.1"},
                                    {"port", std::to_string(port)},
                                    {"api_insecure", true},
                                    {"allow_anonymous_connect_without_token", true},
                                    {"allow_subscribe_for_client", true},
                                    {"allow_subscribe_for_anonymous", true},
                                    {"client_queue_max_size", 512 * 1024 * 1024},
                                    {"websocket_write_timeout", "60s"},
                                    {"ping_interval", "3600s"},
                                    {"usage_stats_disable", true},
                                    {"shutdown_timeout", "1s"},
                                    {"log_level", "error"}};
        write_file(directory + "/config.json", config.dump());
        return std::make_unique<Program>(std::vector<std::string>{program, "-c", directory + "/config.json"}, core, directory + "/centrifugo.log");
    }
    std::vector<Step> subscribing() const override {
        return {upgrade("/connection/websocket"),
                {client_frame(R"({"id":1,"connect":{}})", 1), "}}"},
                {client_frame(R"({"id":2,"subscribe":{"channel":"e"}})", 1), R"("subscribe":{}})"}};
    }
    std::string publication(std::string_view message) const override { return R"({"publish":{"channel":"e","data":)" + std::string(message) + "}},"; }
    std::string request(std::string_view publications) const override {
        publications.remove_suffix(1);
        return post("/api/batch", "Content-Type: application/json\r\n", R"({"commands":[)" + std::string(publications) + "]}");
    }
    Framing framing() const override { return Framing::websocket_lines; }
    std::uint64_t delivered_bytes(std::size_t message) const override {
        return std::string_view(R"({"push":{"channel":"e","pub":{"data":}}})").size() + message + 1;
    }
};

// Mercure: SSE, published to by one form post a message.
class Mercure final : public Peer {
  public:
    const char* name() const override { return "mercure"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        const auto program = installed("mercure");
        if (program.empty()) return nullptr;
        return std::make_unique<Program>(
            std::vector<std::string>{program, "--addr", "127.0.0.1:" + std::to_string(port), "--transport-url", "local://local",
                                     "--publisher-jwt-key", kKey, "--allow-anonymous", "--heartbeat-interval", "0s", "--read-timeout", "0s",
                                     "--write-timeout", "0s", "--dispatch-timeout", "0s"},
            core, directory + "/mercure.log");
    }
    std::vector<Step> subscribing() const override {
        return {{"GET /.well-known/mercure?topic=e HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", kHeadEnd},
                {"", "\r\n:\n\r\n"}};  // a comment, the first chunk
    }
    // A connection must ask something soon after it came; later it may wait.
    std::vector<Step> publishing() const override { return {{"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\r\n\r\nok"}}; }
    std::string publication(std::string_view message) const override {
        return post("/.well-known/mercure", "Authorization: Bearer " + token_ + "\r\nContent-Type: application/x-www-form-urlencoded\r\n",
                    "topic=e&data=" + percent_encoded(message));
    }
    Framing framing() const override { return Framing::bytes; }
    // A chunk of its own each, with the identifier it gives.
    std::uint64_t delivered_bytes(std::size_t message) const override {
        const std::size_t event = std::string_view("id: urn:uuid:\ndata: \n\n").size() + 36 + message;
        std::size_t digits = 0;
        for (std::size_t left = event; left > 0; left /= 16) ++digits;
        return digits + 2 + event + 2;
    }
    std::uint32_t most_under_way() const override { return 900; }  // it disconnects who has 1,000 waiting

  private:
    static constexpr const char* kKey = "the key of a benchmark's publisher, which is no secret";

    static std::string token() {
        const std::string text =
            base64url(as_bytes(R"({"alg":"HS256","typ":"JWT"})")) + "." + base64url(as_bytes(R"({"mercure":{"publish":["*"]}})"));
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        const std::string_view key = kKey;
        HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
        return text + "." + base64url({mac, size});
    }
    const std::string token_ = token();
};

}  // namespace

std::unique_ptr<Peer> make_centrifugo() { return std::make_unique<Centrifugo>(); }
std::unique_ptr<Peer> make_mercure() { return std::make_unique<Mercure>(); }

}  // namespace licet::bench
