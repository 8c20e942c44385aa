#include "bench/support/node.h"

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

#include "bench/support/feed.h"
#include "bench/support/machine.h"
#include "server/app/tokens.h"
#include "server/app/usage_flusher.h"
#include "server/journal/journal.h"
#include "server/main/system_clock.h"
#include "server/openssl/crypto.h"
#include "server/openssl/sealing.h"
#include "server/openssl/tls.h"
#include "server/prometheus/metrics.h"
#include "server/rocksdb/event_log.h"
#include "server/spdlog/log.h"
#include "server/stream/edge/edge.h"
#include "tests/support/memory_keys.h"

namespace licet::bench {
namespace {

namespace asio = boost::asio;

template <class T>
T must(Result<T> result, const char* what) {
    if (!result) die(std::string(what) + ": " + result.error().detail);
    return *std::move(result);
}

ports::Client client(const ports::Crypto& crypto, const std::string& id, const std::string& party, const std::string& scope,
                     const std::string& secret) {
    ports::Client out;
    out.id = id;
    out.party = party;
    out.secret_salt = "00112233445566778899aabbccddeeff";
    out.secret_hash = app::secret_hash(crypto, out.secret_salt, secret);
    out.scopes = {scope};
    return out;
}

ports::Configuration configuration(const ports::Crypto& crypto, const NodeOptions& options) {
    ports::Configuration out;
    const bool open = options.governance == Governance::none, apart = options.governance == Governance::view_per_contract;
    out.epochs = {1, 0};
    out.regions = {{"eu", "http://127.0.0.1"}};
    ports::Product product;
    product.no = {1};
    product.name = kProduct;
    product.owner = product.controller = "publisher";
    product.mapping_version = 1;
    product.shreddable = options.shreddable;
    product.mappings = {open ? open_mapping_document() : mapping_document()};
    out.products = {product};
    out.parties.push_back({"publisher", "", "DE", {}, {}});
    out.clients.push_back(client(crypto, "publisher", "publisher", std::string("write:") + kProduct, options.secret));
    if (!apart) out.active_policies = {{"bench", 1, "active", open ? open_policy_document() : policy_document()}};
    for (unsigned i = 0; i < options.contracts; ++i) {
        const std::string number = std::to_string(i);
        out.parties.push_back({"partner-" + number, "", "DE", {}, {}});
        out.clients.push_back(client(crypto, "reader-" + number, "partner-" + number, std::string("read:") + kProduct, options.secret));
        ports::Contract contract;
        contract.no = {i + 1};
        contract.name = "contract-" + number;
        contract.party = "partner-" + number;
        contract.products = {kProduct};
        contract.purposes = {kPurpose};
        if (!apart) contract.pseudonym_scope = "bench";  // shared, so that all contracts have one view
        if (apart) out.active_policies.push_back({"bench-" + number, 1, "active", policy_document_of(i)});
        out.contracts.push_back(contract);
    }
    return out;
}

// Keeps nothing, and says so from a thread of its own as a journal does.
class NoJournal final : public ports::UsageJournal {
  public:
    NoJournal() : thread_([this] { io_.run(); }) {}
    ~NoJournal() override { close(); }
    Status append(std::vector<ports::UsageRecord>, Durable durable) override {
        if (durable) asio::post(io_, [durable = std::move(durable)] { durable(success()); });
        return success();
    }
    std::shared_ptr<ports::UnappendedUsage> writer() override { return std::make_shared<ports::UnappendedUsage>(); }
    void close() override {
        work_.reset();
        if (thread_.joinable()) thread_.join();
    }

  private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
    std::thread thread_;
};

class OneShardNode final : public Node {
  public:
    explicit OneShardNode(const NodeOptions& options) {
        (void)log::configure(log::Level::warn, "");
        log_ = must(rocks::open_event_log(options.directory + "/log", clock_), "event log");
        const auto sha256 = [crypto = crypto_](std::string_view bytes) { return crypto->sha256(as_bytes(bytes)); };
        journal_ = must(journal::open_journal({options.directory + "/journal", journal::Durability::fsync, sha256}), "journal");
        flusher_ = std::make_unique<app::UsageFlusher>("bench", "eu", journal_, ledger_, log_, *metrics_);
        if (!flusher_->recover()) die("the ledger refuses");
        make_snapshot(options);
        if (options.shreddable)
            keys_ = std::make_shared<app::SubjectKeys>(app::SubjectKeys::Parts{
                std::make_shared<testing::MemoryKeyStore>(), openssl::make_key_wrapping({"key-encryption key, of the bench"}), crypto_, clock_});
        start_planes(options);
    }
    ~OneShardNode() override { stop(); }

    std::uint16_t port() const override { return edge_->port(); }
    std::uint16_t tls_port() const override { return tls_edge_ ? tls_edge_->port() : std::uint16_t{0}; }
    MemoryLedger::Sum billed() const override { return ledger_->sum(); }

    void stop() override {
        if (!thread_.joinable()) return;
        edge_->stop_accepting();
        if (tls_edge_) tls_edge_->stop_accepting();
        auto drained = std::make_shared<std::promise<void>>();
        delivery_->drain([drained] { drained->set_value(); });
        drained->get_future().wait();
        edge_->stop();
        if (tls_edge_) tls_edge_->stop();
        log_->close();
        journal_->close();
        flusher_->stop();
        work_.reset();
        io_.stop();
        thread_.join();
        log::close();
    }

  private:
    void make_snapshot(const NodeOptions& options) {
        const auto vocabulary = policy::builtin_vocabulary();
        const auto consents = std::make_shared<policy::ConsentIndex>();
        const auto purpose = vocabulary->purpose(kPurpose);
        if (!purpose) die("the purpose is unknown");
        for (std::uint64_t s = 0; s < kSubjects; ++s)
            consents->set(subject_digest_("publisher", subject_name(s)), consented(s) ? vocabulary->at_or_below(*purpose) : policy::PurposeSet{});
        consents->set_ready(true);
        snapshot_ = app::build_snapshot(configuration(*crypto_, options), "eu", consents, vocabulary);
        const auto first = must(snapshot_->program({1}, {1}), "policy");
        for (unsigned i = 1; i < options.contracts; ++i)
            if ((must(snapshot_->program({i + 1}, {1}), "policy")->view_key() == first->view_key()) ==
                (options.governance == Governance::view_per_contract))
                die("the contracts have other views than asked");
    }

    void start_planes(const NodeOptions& options) {
        stream::DeliveryServices d;
        d.log = log_;
        d.journal = options.governance == Governance::none || !options.metered ? std::make_shared<NoJournal>()
                                                                               : std::shared_ptr<ports::UsageJournal>(journal_);
        d.clock = clock_;
        d.metrics = metrics_;
        d.make_pseudonymiser = [] { return openssl::make_pseudonymiser(as_bytes("pseudonym key of the benchmark.")); };
        d.make_siv = [] { return openssl::make_siv(as_bytes("cursor key of the benchmark, which is sixty-four bytes in length")); };
        d.usage_ranges = [ledger = ledger_](const ports::UsageOf& of) { return ledger->ranges(of); };
        d.subject_keys = keys_;
        if (keys_) d.make_cipher = openssl::make_sealing_cipher;
        if (!d.make_siv()) die("the cursor key has another size");
        delivery_ = stream::Delivery::create({&io_}, d, snapshot_);
        log_->on_appended([this](std::shared_ptr<const ports::LogBatch> batch) { delivery_->on_appended(std::move(batch)); });

        const auto signer = make_signer(*crypto_);
        stream::EdgeServices s;
        s.snapshot = [snapshot = snapshot_] { return snapshot; };
        s.tokens = std::make_shared<app::Tokens>("https://licet.dev/issuer", crypto_, signer,
                                                 must(openssl::make_verifier(signer->public_key()), "verifier"), clock_);
        s.crypto = crypto_;
        s.clock = clock_;
        s.log = log_;
        s.metrics = metrics_;
        s.delivery = delivery_;
        s.make_digests = [subject = subject_digest_] {
            return stream::IngestDigests{subject, openssl::make_event_digest(), openssl::make_content_digest()};
        };
        s.subject_keys = keys_;
        if (keys_) s.make_cipher = openssl::make_sealing_cipher;
        s.usage = [](const app::Snapshot&, const std::string&, const std::string&) -> Result<std::string> {
            return Error{Errc::unavailable, "not here", {}};
        };
        s.not_ready = []() -> std::optional<std::string> { return std::nullopt; };
        edge_ = must(stream::Edge::start({&io_}, {"127.0.0.1", 0, "127.0.0.1", 0, 0, ""}, s), "edge");
        if (!options.certificate.key.empty()) {
            openssl::TlsOptions tls;
            tls.certificate_file = options.certificate.certificate;
            tls.key_file = options.certificate.key;
            tls.clock = clock_;
            s.tls = must(openssl::make_server_tls(std::move(tls)), "certificate");
            tls_edge_ = must(stream::Edge::start({&io_}, {"127.0.0.1", 0, "127.0.0.1", 0, 0, ""}, s), "edge");
        }
        thread_ = std::thread([this] { io_.run(); });
        flusher_->start();
    }

    const std::shared_ptr<const Clock> clock_ = std::make_shared<SystemClock>();
    const std::shared_ptr<const ports::Crypto> crypto_ = openssl::make_crypto();
    const std::shared_ptr<ports::Metrics> metrics_ = prometheus_metrics::make_metrics();
    const std::function<SubjectKey(std::string_view, std::string_view)> subject_digest_ =
        openssl::make_subject_digest(as_bytes("subject key of the benchmark"));
    const std::shared_ptr<MemoryLedger> ledger_ = std::make_shared<MemoryLedger>();
    std::shared_ptr<app::SubjectKeys> keys_;  // null: nothing is shreddable
    std::shared_ptr<ports::EventLog> log_;
    std::shared_ptr<journal::Journal> journal_;
    std::unique_ptr<app::UsageFlusher> flusher_;
    std::shared_ptr<const app::Snapshot> snapshot_;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
    std::shared_ptr<stream::Delivery> delivery_;
    std::shared_ptr<stream::Edge> edge_, tls_edge_;
    std::thread thread_;
};

}  // namespace

// A signing key for this run: PKCS#8 around 32 random bytes (RFC 8410).
std::shared_ptr<const ports::Signer> make_signer(const ports::Crypto& crypto) {
    std::string der("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 16);
    std::array<std::uint8_t, 32> seed{};
    crypto.random(seed);
    der.append(reinterpret_cast<const char*>(seed.data()), seed.size());
    return must(openssl::make_signer("-----BEGIN PRIVATE KEY-----\n" + base64(as_bytes(der)) + "\n-----END PRIVATE KEY-----\n"), "signing key");
}

std::unique_ptr<Node> Node::start(const NodeOptions& options) { return std::make_unique<OneShardNode>(options); }

ScratchDirectory::ScratchDirectory() {
    const char* base = std::getenv("LICET_BENCH_DIR");
    path_ = std::string(base != nullptr ? base : "/var/tmp") + "/licet-bench-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) die("cannot make " + path_);
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace licet::bench
