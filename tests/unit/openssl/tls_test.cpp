// TLS sessions over a socket pair: resumption, its end, client certificates, certificates read anew.
#include "server/openssl/tls.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>

#include "base/limits.h"
#include "tests/support/certificates.h"

using namespace licet;
using test::Certificate;

namespace {

class SetClock final : public Clock {
  public:
    std::atomic<std::int64_t> utc{std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    UtcMillis utc_now() const noexcept override { return {utc}; }
    std::int64_t monotonic_ns() const noexcept override { return 0; }
};

// One connection of a client to `server`; both ends are driven until the handshake is done or failed.
class Meeting {
  public:
    Meeting(ports::TlsContext& server, SSL_SESSION* resume = nullptr, const Certificate* shown = nullptr, int version = TLS1_3_VERSION) {
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_.data()) == 0);
        context_ = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(context_, version);
        SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(context_, this);
        SSL_CTX_sess_set_new_cb(context_, [](SSL* ssl, SSL_SESSION* given) {
            auto* self = static_cast<Meeting*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
            ++self->tickets;
            SSL_SESSION_free(self->session);
            self->session = given;
            return 1;
        });
        if (shown != nullptr) {
            SSL_CTX_use_certificate(context_, shown->x509());
            SSL_CTX_use_PrivateKey(context_, shown->key());
        }
        client_ = SSL_new(context_);
        SSL_set_fd(client_, fds_[1]);
        if (resume != nullptr) {
            SSL_SESSION* copy = SSL_SESSION_dup(resume);  // OpenSSL's client uses each but once
            SSL_set_session(client_, copy);
            SSL_SESSION_free(copy);
        }
        session_ = server.accept(fds_[0]);
        REQUIRE(session_);
        auto state = ports::TlsState::want_read;
        for (int turn = 0; turn < 10 && (state == ports::TlsState::want_read || state == ports::TlsState::want_write); ++turn) {
            SSL_connect(client_);
            state = session_->handshake();
        }
        done = state == ports::TlsState::done;
        char byte;
        if (done) SSL_read(client_, &byte, 1);  // the ticket
    }
    ~Meeting() {
        session_.reset();
        SSL_SESSION_free(session);
        SSL_free(client_);
        SSL_CTX_free(context_);
        ::close(fds_[0]);
        ::close(fds_[1]);
    }
    [[nodiscard]] bool resumed() const { return session_->resumed(); }
    [[nodiscard]] std::string thumbprint() const { return std::string(session_->peer_thumbprint()); }
    [[nodiscard]] std::string server_name() const {
        char name[64] = {};
        const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(client_), X509_free);
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name, sizeof name);
        return name;
    }
    [[nodiscard]] bool passes(std::string_view text) {
        std::string got(text.size(), '\0');
        const auto io = session_->write({text.data(), text.size()});
        return io.state == ports::TlsState::done && SSL_read(client_, got.data(), static_cast<int>(got.size())) == static_cast<int>(text.size()) &&
               got == text;
    }
    bool done = false;
    int tickets = 0;
    SSL_SESSION* session = nullptr;

  private:
    std::array<int, 2> fds_{};
    SSL_CTX* context_;
    SSL* client_;
    std::unique_ptr<ports::TlsSession> session_;
};

struct Desk {
    std::shared_ptr<SetClock> clock = std::make_shared<SetClock>();
    test::Folder folder;
    Certificate ca{"partners", nullptr, {}}, other_ca{"others", nullptr, {}};
    Certificate client{"client", &ca, {-3600, 1800}}, expired{"expired", &ca, {-3600, -60}}, stranger{"stranger", &other_ca, {}};

    openssl::TlsOptions options(openssl::ClientCertificates clients = openssl::ClientCertificates::off) {
        show("first");
        openssl::TlsOptions out;
        out.certificate_file = folder.write("certificate.pem", certificate_);
        out.key_file = folder.write("key.pem", key_);
        out.clients = clients;
        if (clients != openssl::ClientCertificates::off) out.client_ca_file = folder.write("ca.pem", ca.pem());
        out.clock = clock;
        return out;
    }
    // What the server's files hold from now on.
    void show(const std::string& name) {
        const Certificate server(name, nullptr, {});
        certificate_ = server.pem();
        key_ = server.key_pem();
        folder.write("certificate.pem", certificate_);
        folder.write("key.pem", key_);
    }

  private:
    std::string certificate_, key_;
};

}  // namespace

TEST_CASE("a session is resumed with its one ticket, which brings the next") {
    Desk desk;
    const auto server = openssl::make_server_tls(desk.options()).value();
    Meeting first(*server);
    REQUIRE(first.done);
    CHECK_FALSE(first.resumed());
    CHECK(first.tickets == 1);
    CHECK(SSL_SESSION_get_max_early_data(first.session) == 0);
    CHECK(SSL_SESSION_get_ticket_lifetime_hint(first.session) == limits::tls_ticket_lifetime_s);
    Meeting second(*server, first.session);
    REQUIRE(second.done);
    CHECK(second.resumed());
    CHECK(second.tickets == 1);
    CHECK(second.passes("resumed"));
    Meeting third(*server, second.session);
    CHECK(third.resumed());
    CHECK(third.thumbprint().empty());
    CHECK_FALSE(Meeting(*server, nullptr, nullptr, TLS1_2_VERSION).done);
}

TEST_CASE("tickets are opened by who has the secret, for one key's time more, and by nobody else") {
    Desk desk;
    auto options = desk.options();
    options.ticket_secret = std::string(32, 's');
    const auto server = openssl::make_server_tls(options).value();
    const auto neighbour = openssl::make_server_tls(options).value();
    options.ticket_secret = std::string(32, 't');
    const auto foreign = openssl::make_server_tls(options).value();
    desk.clock->utc = desk.clock->utc / limits::tls_ticket_key_period_ms * limits::tls_ticket_key_period_ms;
    Meeting first(*server);
    CHECK(Meeting(*neighbour, first.session).resumed());
    Meeting refused(*foreign, first.session);
    CHECK(refused.done);
    CHECK_FALSE(refused.resumed());
    desk.clock->utc += 2 * limits::tls_ticket_key_period_ms - 1;
    CHECK(Meeting(*server, first.session).resumed());
    desk.clock->utc += 1;
    CHECK_FALSE(Meeting(*server, first.session).resumed());
}

TEST_CASE("however often it was resumed, a session ends") {
    Desk desk;
    const auto server = openssl::make_server_tls(desk.options()).value();
    auto last = std::make_unique<Meeting>(*server);
    const auto began = desk.clock->utc.load();
    while (desk.clock->utc + limits::tls_ticket_key_period_ms - began < limits::tls_resumption_max_ms) {
        desk.clock->utc += limits::tls_ticket_key_period_ms;
        auto next = std::make_unique<Meeting>(*server, last->session);
        REQUIRE(next->resumed());
        last = std::move(next);
    }
    desk.clock->utc = began + limits::tls_resumption_max_ms;
    CHECK_FALSE(Meeting(*server, last->session).resumed());
}

TEST_CASE("a client certificate is asked for as configured, and checked") {
    Desk desk;
    const auto required = openssl::make_server_tls(desk.options(openssl::ClientCertificates::required)).value();
    CHECK_FALSE(Meeting(*required).done);
    CHECK_FALSE(Meeting(*required, nullptr, &desk.stranger).done);
    CHECK_FALSE(Meeting(*required, nullptr, &desk.expired).done);
    Meeting good(*required, nullptr, &desk.client);
    REQUIRE(good.done);
    CHECK(good.thumbprint().size() == 43);

    const auto optional = openssl::make_server_tls(desk.options(openssl::ClientCertificates::optional)).value();
    Meeting without(*optional);
    CHECK(without.done);
    CHECK(without.thumbprint().empty());
    CHECK_FALSE(Meeting(*optional, nullptr, &desk.stranger).done);
    CHECK_FALSE(Meeting(*optional, nullptr, &desk.expired).done);
    CHECK(Meeting(*optional, nullptr, &desk.client).thumbprint() == good.thumbprint());

    const auto off = openssl::make_server_tls(desk.options()).value();
    CHECK(Meeting(*off, nullptr, &desk.client).thumbprint().empty());
}

TEST_CASE("a resumed session keeps the certificate's identity, until the certificate ends") {
    Desk desk;
    const auto server = openssl::make_server_tls(desk.options(openssl::ClientCertificates::required)).value();
    Meeting first(*server, nullptr, &desk.client);
    REQUIRE(first.done);
    Meeting second(*server, first.session);  // shows nothing: the session says who it is
    REQUIRE(second.done);
    CHECK(second.resumed());
    CHECK(second.thumbprint() == first.thumbprint());
    Meeting third(*server, second.session);
    CHECK(third.thumbprint() == first.thumbprint());
    desk.clock->utc += 1801 * 1000;
    CHECK_FALSE(Meeting(*server, first.session).done);
    CHECK_FALSE(Meeting(*server, third.session).done);
}

TEST_CASE("another set of CAs, or another rule, and nobody is resumed") {
    Desk desk;
    const auto options = desk.options(openssl::ClientCertificates::optional);
    const auto server = openssl::make_server_tls(options).value();
    Meeting with(*server, nullptr, &desk.client), without(*server);
    REQUIRE(server->reload().ok());
    CHECK(Meeting(*server, with.session).resumed());
    desk.folder.write("ca.pem", desk.other_ca.pem());
    REQUIRE(server->reload().ok());
    CHECK_FALSE(Meeting(*server, without.session).resumed());
    Meeting again(*server, with.session);
    CHECK(again.done);
    CHECK_FALSE(again.resumed());
    CHECK(again.thumbprint().empty());
    CHECK_FALSE(Meeting(*server, with.session, &desk.client).done);
    CHECK(Meeting(*server, nullptr, &desk.stranger).done);
}

TEST_CASE("files are read anew for new connections; bad ones change nothing") {
    Desk desk;
    const auto options = desk.options(openssl::ClientCertificates::optional);
    const auto server = openssl::make_server_tls(options).value();
    Meeting before(*server);
    CHECK(before.server_name() == "first");
    desk.show("second");
    REQUIRE(server->reload().ok());
    CHECK(Meeting(*server).server_name() == "second");
    CHECK(before.passes("still here"));
    CHECK(Meeting(*server, before.session).resumed());
    const auto refused = [&](const std::string& name, const std::string& text) {
        desk.show("third");
        desk.folder.write(name, text);
        const auto reloaded = server->reload();
        REQUIRE_FALSE(reloaded.ok());
        CHECK(reloaded.error().code == Errc::invalid_document);
        CHECK(reloaded.error().detail.find(name) != std::string::npos);
        CHECK(Meeting(*server).server_name() == "second");
        CHECK(Meeting(*server, nullptr, &desk.client).done);
    };
    refused("certificate.pem", "nothing");
    refused("key.pem", desk.ca.key_pem());
    refused("ca.pem", "");
    refused("ca.pem", desk.ca.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
}
