#include "server/beast/http_poster.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "base/usage_limits.h"

namespace licet::beast {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{50};  // so often it is looked whether to stop

Error failed(const char* why) { return {Errc::unavailable, why, {}}; }

ports::Reach reach_of(const asio::ip::address& address) {
    if (address.is_v4()) return ports::reach_of(address.to_v4().to_bytes());
    return ports::reach_of(address.to_v6().to_bytes());
}

bool allowed(const asio::ip::address& address, const ports::HttpPost& post, bool allow_private) {
    const auto reach = reach_of(address);
    if (!post.to.tls && reach != ports::Reach::loopback) return false;  // what is signed is readable by anyone on the way
    return reach == ports::Reach::everywhere || (allow_private && reach != ports::Reach::never);
}

// One POST: its own connection and event loop, run by the caller's thread.
class Attempt {
  public:
    Attempt(const ports::HttpPost& post, ssl::context& tls, bool allow_private, const std::atomic<bool>& stopping)
        : post_(post), allow_private_(allow_private), stopping_(stopping), stream_(io_, tls) {}

    Result<ports::HttpPosted> run() {
        const auto addresses = resolve();
        if (!addresses) return addresses.error();
        deadline_ = steady_clock::now() + milliseconds(limits::webhook_timeout_ms);
        auto& socket = stream_.next_layer();
        if (!connect(socket, *addresses)) return said("no connection could be made");
        if (!post_.to.tls) return exchange(socket);
        if (!expect_name()) return failed("TLS cannot be started");
        if (await([&](auto done) { stream_.async_handshake(ssl::stream_base::client, std::move(done)); }))
            return said("TLS failed: the certificate may not verify");
        return exchange(stream_);
    }

  private:
    // The addresses that may be posted to, as the system orders them.
    Result<std::vector<tcp::endpoint>> resolve() {
        tcp::resolver resolver(io_);
        resolver_ = &resolver;
        tcp::resolver::results_type found;
        const auto ec = await([&](auto done) {
            resolver.async_resolve(post_.to.host, std::to_string(post_.to.port), tcp::resolver::numeric_service,
                                   [&found, done = std::move(done)](error_code e, tcp::resolver::results_type all) mutable {
                                       found = std::move(all);
                                       done(e);
                                   });
        });
        resolver_ = nullptr;
        if (ec) return said("the name cannot be resolved");
        std::vector<tcp::endpoint> out;
        for (const auto& entry : found)
            if (allowed(entry.endpoint().address(), post_, allow_private_)) out.push_back(entry.endpoint());
        if (out.empty()) return failed("the address may not be posted to");
        return out;
    }

    bool connect(tcp::socket& socket, const std::vector<tcp::endpoint>& addresses) {
        for (const auto& address : addresses) {
            error_code ignored;
            socket.close(ignored);
            if (!await([&](auto done) { socket.async_connect(address, std::move(done)); })) return true;
            if (over_) return false;
        }
        return false;
    }

    bool expect_name() {
        error_code ignored;
        (void)asio::ip::make_address(post_.to.host, ignored);
        const bool name = static_cast<bool>(ignored);
        if (name && SSL_set_tlsext_host_name(stream_.native_handle(), post_.to.host.c_str()) != 1) return false;
        error_code ec;
        stream_.set_verify_callback(ssl::host_name_verification(post_.to.host), ec);
        return !ec;
    }

    template <class Stream>
    Result<ports::HttpPosted> exchange(Stream& stream) {
        http::request<http::string_body> request(http::verb::post, post_.to.target, 11, post_.body);
        request.set(http::field::host, ports::authority_of(post_.to));
        request.set(http::field::user_agent, "Licet");
        request.set(http::field::connection, "close");
        for (const auto& [name, value] : post_.headers) request.set(name, value);
        request.prepare_payload();
        if (await([&](auto done) { http::async_write(stream, request, [done = std::move(done)](error_code e, std::size_t) mutable { done(e); }); }))
            return said("the connection broke");
        boost::beast::flat_buffer buffer(limits::webhook_answer_head_max_bytes);
        http::response_parser<http::empty_body> answer;
        answer.header_limit(limits::webhook_answer_head_max_bytes);
        answer.body_limit(boost::none);  // it is not read
        if (await([&](auto done) {
                http::async_read_header(stream, buffer, answer, [done = std::move(done)](error_code e, std::size_t) mutable { done(e); });
            }))
            return said("there was no answer, or one that is not HTTP");
        const auto after = answer.get()[http::field::retry_after];
        return ports::HttpPosted{static_cast<int>(answer.get().result_int()), std::string(after.data(), after.size())};
    }

    // Runs the loop until what `begin` started is done, the time is over, or all is to stop; then it is ended, and what it refers to is left alone.
    template <class Begin>
    error_code await(Begin&& begin) {
        std::optional<error_code> result;
        begin([&result](error_code ec) { result = ec; });
        io_.restart();
        while (!result && !stopping_ && (resolver_ != nullptr || steady_clock::now() < deadline_)) io_.run_one_for(kLook);
        if (result) return *result;
        over_ = true;
        if (resolver_ != nullptr) resolver_->cancel();
        error_code ignored;
        stream_.next_layer().close(ignored);
        io_.restart();
        io_.run();
        return asio::error::timed_out;
    }
    Error said(const char* what) const {
        if (!over_) return failed(what);
        return failed(stopping_ ? "the node that posted it stopped" : "no answer in time");
    }

    const ports::HttpPost& post_;
    const bool allow_private_;
    const std::atomic<bool>& stopping_;
    asio::io_context io_{1};
    ssl::stream<tcp::socket> stream_;
    tcp::resolver* resolver_ = nullptr;  // while a name is resolved, which has no end but the system's own
    steady_clock::time_point deadline_;
    bool over_ = false;
};

class Poster final : public ports::HttpPoster {
  public:
    Poster(bool allow_private, std::unique_ptr<ssl::context> tls) : allow_private_(allow_private), tls_(std::move(tls)) {}

    Result<ports::HttpPosted> post(const ports::HttpPost& post) override {
        if (stopping_) return failed("the node that posted it stopped");
        try {
            return Attempt(post, *tls_, allow_private_, stopping_).run();
        } catch (const std::exception&) {  // of memory, or of a library that throws where it has no error code
            return failed("it could not be posted");
        }
    }
    void stop() override { stopping_ = true; }

  private:
    const bool allow_private_;
    const std::unique_ptr<ssl::context> tls_;
    std::atomic<bool> stopping_{false};
};

}  // namespace

Result<std::shared_ptr<ports::HttpPoster>> make_http_poster(const PosterOptions& options) {
    try {
        auto tls = std::make_unique<ssl::context>(ssl::context::tls_client);
        tls->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                         ssl::context::no_tlsv1_1);
        tls->set_verify_mode(ssl::verify_peer);
        if (options.ca_file.empty())
            tls->set_default_verify_paths();
        else
            tls->load_verify_file(options.ca_file);
        return std::shared_ptr<ports::HttpPoster>(std::make_shared<Poster>(options.allow_private, std::move(tls)));
    } catch (const std::exception&) {
        return Error{Errc::invalid_document, "webhooks.tls_ca cannot be read", {}};
    }
}

}  // namespace licet::beast
