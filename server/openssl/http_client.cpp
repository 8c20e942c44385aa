#include "server/openssl/http_client.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace licet::openssl {
namespace {

Error unreachable(const std::string& why) { return {Errc::unavailable, why, {}}; }

struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

// One connection: a socket, and TLS over it where there is a context.
class Wire {
  public:
    ~Wire() {
        if (ssl_ != nullptr) SSL_free(ssl_);
        if (fd_ >= 0) ::close(fd_);
    }
    Wire() = default;
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    Status connect(const std::string& host, const std::string& port, SSL_CTX* context) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return unreachable("no address of " + host);
        const timeval silence{HttpClient::kSilenceSeconds, 0};
        for (const addrinfo* at = found; at != nullptr && fd_ < 0; at = at->ai_next) {
            const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
            if (fd < 0) continue;
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
            if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0)
                fd_ = fd;
            else
                ::close(fd);
        }
        freeaddrinfo(found);
        if (fd_ < 0) return unreachable("cannot connect to " + host + ":" + port);
        if (context == nullptr) return success();
        ssl_ = SSL_new(context);
        if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1 || SSL_set_tlsext_host_name(ssl_, host.c_str()) != 1 || !expect_name(host))
            return unreachable("TLS cannot be started");
        if (SSL_connect(ssl_) == 1) return success();
        const long verified = SSL_get_verify_result(ssl_);
        return unreachable(verified == X509_V_OK ? "TLS failed with " + host
                                                 : "the certificate of " + host + " does not verify: " + X509_verify_cert_error_string(verified));
    }

    bool write(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
            const long done =
                ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), size) : ::send(fd_, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
            if (done <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(done));
        }
        return true;
    }
    // 0 or less: the end, or a fault.
    long read(char* to, std::size_t most) const {
        return ssl_ != nullptr ? SSL_read(ssl_, to, static_cast<int>(most)) : static_cast<long>(::recv(fd_, to, most, 0));
    }

  private:
    bool expect_name(const std::string& host) const {
        X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_);
        return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1 || SSL_set1_host(ssl_, host.c_str()) == 1;
    }
    int fd_ = -1;
    SSL* ssl_ = nullptr;
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    return out;
}

std::optional<HttpAnswer> parse_head(std::string_view head) {
    HttpAnswer out;
    if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) return std::nullopt;
    if (std::from_chars(head.data() + 9, head.data() + 12, out.status).ec != std::errc{}) return std::nullopt;
    for (auto at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();) {
        const auto end = head.find("\r\n", at + 2);
        const auto line = head.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) return std::nullopt;
        auto value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        out.headers[lower(line.substr(0, colon))] = value;
        at = end;
    }
    return out;
}

class Client final : public HttpClient {
  public:
    Client(std::string host, std::string port, Context context) : host_(std::move(host)), port_(std::move(port)), context_(std::move(context)) {}

    Result<HttpAnswer> call(const HttpCall& call, const Sink& sink) override {
        Wire wire;
        if (auto connected = wire.connect(host_, port_, context_.get()); !connected) return connected.error();
        const bool brackets = host_.find(':') != std::string::npos;
        std::string request = call.method + " " + call.target + " HTTP/1.1\r\nHost: " + (brackets ? "[" + host_ + "]" : host_) + ":" + port_ +
                              "\r\nConnection: close\r\nContent-Length: " + std::to_string(call.body.size()) + "\r\n";
        for (const auto& [name, value] : call.headers) request += name + ": " + value + "\r\n";
        request += "\r\n" + call.body;
        if (!wire.write(request)) return unreachable("the connection to " + host_ + " broke");
        std::string got(64 * 1024, '\0'), head;
        std::size_t end = std::string::npos;
        while (end == std::string::npos) {
            const long more = wire.read(got.data(), got.size());
            if (more <= 0 || head.size() > 64 * 1024) return unreachable("no answer from " + host_);
            head.append(got, 0, static_cast<std::size_t>(more));
            end = head.find("\r\n\r\n");
        }
        auto answer = parse_head(std::string_view(head).substr(0, end));
        if (!answer) return unreachable("what " + host_ + " answers is not HTTP/1.1");
        return body(wire, *std::move(answer), head.substr(end + 4), got, sink);
    }

  private:
    // Every answer to these calls has a length: one that breaks off is noticed.
    Result<HttpAnswer> body(const Wire& wire, HttpAnswer answer, std::string first, std::string& got, const Sink& sink) const {
        const auto length = answer.headers.find("content-length");
        std::uint64_t left = 0;
        if (length == answer.headers.end() ||
            std::from_chars(length->second.data(), length->second.data() + length->second.size(), left).ec != std::errc{})
            return unreachable("the answer of " + host_ + " has no length");
        const bool given = sink && (answer.status == 200 || answer.status == 206);
        if (!given && left > kBodyMaxBytes) return unreachable("the answer of " + host_ + " is too large");
        std::string_view piece = first;
        for (;;) {
            if (piece.size() > left) return unreachable("the answer of " + host_ + " is longer than it says");
            left -= piece.size();
            if (given) {
                if (!piece.empty() && !sink(answer, piece)) return unreachable("ended");
            } else {
                answer.body += piece;
            }
            if (left == 0) return answer;
            const long more = wire.read(got.data(), got.size());
            if (more <= 0) return unreachable("the answer of " + host_ + " broke off");
            piece = std::string_view(got).substr(0, static_cast<std::size_t>(more));
        }
    }

    const std::string host_, port_;
    const Context context_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> make_http_client(const std::string& url, const std::string& ca_file) {
    const bool tls = url.starts_with("https://");
    if (!tls && !url.starts_with("http://")) return Error{Errc::invalid_parameter, "the server must be https://HOST[:PORT]", {}};
    std::string host = url.substr(tls ? 8 : 7), port = tls ? "443" : "80";
    while (host.ends_with('/')) host.pop_back();
    const auto bracket = host.rfind(']'), colon = host.rfind(':');
    if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
        port = host.substr(colon + 1);
        host = host.substr(0, colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.find_first_of("/?#@ \r\n") != std::string::npos || port.empty() ||
        port.find_first_not_of("0123456789") != std::string::npos)
        return Error{Errc::invalid_parameter, "the server must be https://HOST[:PORT]", {}};
    if (!tls) {
        if (host != "localhost" && host != "::1" && !host.starts_with("127."))
            return Error{Errc::invalid_parameter, "without TLS only loopback may be talked to: a secret goes over this line", {}};
        return std::unique_ptr<HttpClient>(std::make_unique<Client>(host, port, nullptr));
    }
    Context context(SSL_CTX_new(TLS_client_method()));
    if (!context) return unreachable("TLS cannot be started");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const int trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get()) : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
    if (trusted != 1) return Error{Errc::invalid_parameter, "cannot read the certificates in " + ca_file, {}};
    return std::unique_ptr<HttpClient>(std::make_unique<Client>(host, port, std::move(context)));
}

}  // namespace licet::openssl
