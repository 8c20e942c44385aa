// `licet serve`: builds a node from its configuration, runs it until SIGTERM or SIGINT, and takes it down in the order that loses nothing.
#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "server/app/accounts.h"
#include "server/app/admin.h"
#include "server/app/audit.h"
#include "server/app/delivery_gate.h"
#include "server/app/governance.h"
#include "server/app/periods.h"
#include "server/app/quotas.h"
#include "server/app/usage_flusher.h"
#include "server/app/usage_now.h"
#include "server/app/usage_progress.h"
#include "server/app/usage_reports.h"
#include "server/control/control.h"
#include "server/journal/journal.h"
#include "server/main/commands.h"
#include "server/main/composition.h"
#include "server/main/exports.h"
#include "server/main/system_clock.h"
#include "server/main/webhooks.h"
#include "server/openssl/crypto.h"
#include "server/openssl/sealing.h"
#include "server/openssl/tls.h"
#include "server/postgres/billing.h"
#include "server/postgres/catalog.h"
#include "server/postgres/consent_registry.h"
#include "server/postgres/ledger.h"
#include "server/postgres/quota_ledger.h"
#include "server/prometheus/metrics.h"
#include "server/redis/cluster.h"
#include "server/redis/fence.h"
#include "server/redis/quotas.h"
#include "server/redis/tickets.h"
#include "server/rocksdb/event_log.h"
#include "server/spdlog/log.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/edge/edge.h"

namespace licet::commands {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr auto kDrainWait = std::chrono::seconds(10);  // beyond the time streams are given

// The node in the order it is built; taken down by stop() and the destructors in reverse.
class Node {
  public:
    explicit Node(config::Config config) : config_(std::move(config)) {}

    Status start() {
        if (auto done = open_stores(); !done) return done;
        if (auto done = load_governance(); !done) return done;
        if (auto done = start_planes(); !done) return done;
        log::info("node.started", {{"node", config_.node.name},
                                   {"region", config_.node.region},
                                   {"port", edge_->port()},
                                   {"ops_port", edge_->ops_port()},
                                   {"shards", shards_.size()},
                                   {"epoch", governance_->snapshot()->epoch.value}});
        return success();
    }

    // New requests first, then streams, then what they left to be written, then the stores.
    void stop() {
        log::info("node.draining", {{"node", config_.node.name}});
        if (edge_) edge_->stop_accepting();
        if (delivery_) {
            auto drained = std::make_shared<std::promise<void>>();
            auto done = drained->get_future();
            delivery_->drain([drained] { drained->set_value(); }, config_.node.drain_ms);
            if (done.wait_for(std::chrono::milliseconds(config_.node.drain_ms) + kDrainWait) != std::future_status::ready)
                log::warn("node.drain_incomplete");
        }
        if (control_) control_->stop();
        if (exports_.jobs) exports_.jobs->stop();
        if (edge_) edge_->stop();
        if (gate_) gate_->stop();
        if (governance_) governance_->stop();
        if (barriers_) barriers_->stop();
        if (checkpoints_) checkpoints_->stop();
        if (log_) log_->close();
        if (journal_) journal_->close();
        if (flusher_) flusher_->stop();
        if (quotas_) quotas_->stop();
        webhooks_.stop();
        if (progress_) progress_->stop();
        for (auto& shard : shards_) shard.work.reset();
        for (auto& shard : shards_) shard.io->stop();
        for (auto& shard : shards_)
            if (shard.thread.joinable()) shard.thread.join();
        // Only now can nothing be written any more, and barriers need not wait for this node.
        if (gate_) gate_->lift();
        if (cluster_) cluster_->stop();
        log::info("node.stopped", {{"node", config_.node.name}});
    }

    // SIGHUP: certificate, key and CA as the files are now, for new connections.
    void reload() {
        if (!tls_) return;
        if (auto reloaded = tls_->reload(); !reloaded) {
            metrics_->counter("licet_tls_reload_failures_total", "Certificates that could not be read anew: those before are in force").add();
            log::error("tls.reload_failed", {{"detail", reloaded.error().detail}});
            return;
        }
        certificate_loaded();
    }

  private:
    struct ShardThread {
        std::unique_ptr<asio::io_context> io;
        asio::executor_work_guard<asio::io_context::executor_type> work;
        std::thread thread;
    };

    Status open_stores() {
        auto token_signer = openssl::make_signer(config_.secrets.token_signing_key);
        if (!token_signer) return Error{Errc::invalid_document, "secrets.token_signing_key: " + token_signer.error().detail, {}};
        auto audit_signer = openssl::make_signer(config_.secrets.audit_signing_key);
        if (!audit_signer) return Error{Errc::invalid_document, "secrets.audit_signing_key: " + audit_signer.error().detail, {}};
        token_signer_ = *token_signer;
        audit_signer_ = *audit_signer;
        const auto verifier = openssl::make_verifier(token_signer_->public_key());
        if (!verifier) return verifier.error();
        // One issuer for all regions: a token is good wherever its product is served.
        tokens_ = std::make_shared<app::Tokens>("https://licet.dev/issuer", crypto_, token_signer_, *verifier, clock_);
        subject_digest_ = openssl::make_subject_digest(as_bytes(config_.secrets.subject_key));

        std::error_code error;
        fs::create_directories(config_.node.data_dir, error);
        if (error) return Error{Errc::unavailable, "cannot create " + config_.node.data_dir, {}};
        pool_ = postgres::make_pool(config_.catalog.dsn);
        const postgres::AuditSealing sealing{crypto_, audit_signer_, clock_, config_.audit.origin, config_.audit.checkpoint_entries};
        catalog_ = postgres::make_catalog(pool_, sealing);
        audit_log_ = postgres::make_audit_log(pool_, sealing);
        audit_ = std::make_shared<app::Audit>(audit_log_, crypto_, config_.audit.origin, audit_signer_->public_key());
        registry_ = postgres::make_consent_registry(pool_, sealing);
        ledger_ = postgres::make_ledger(pool_);
        billing_ = postgres::make_billing(pool_, sealing);
        subject_keys_ = make_subject_keys(config_, pool_, sealing);
        auto opened = rocks::open_event_log((fs::path(config_.node.data_dir) / "log").string(), clock_);
        if (!opened) return opened.error();
        log_ = *opened;
        const auto durability = config_.journal_fsync ? journal::Durability::fsync : journal::Durability::os;
        auto journal =
            journal::open_journal({(fs::path(config_.node.data_dir) / "journal").string(), durability, sha256_function(crypto_), metrics_});
        if (!journal) return journal.error();
        journal_ = *journal;
        flusher_ = std::make_unique<app::UsageFlusher>(config_.node.name, config_.node.region,
                                                       pending_->counted(std::shared_ptr<ports::UsageBacklog>(journal_)), ledger_, log_, *metrics_);
        return flusher_->recover();
    }

    Status load_governance() {
        if (config_.redis.host.empty()) {
            cluster_ = redis::make_single_node(config_.node.name);
        } else {
            auto fence = redis::make_fence();
            if (!fence) return fence.error();
            fence_ = *std::move(fence);
            cluster_ =
                redis::make_cluster({config_.redis.host, config_.redis.port, config_.node.region, config_.node.name, config_.redis.lease_ms, clock_});
        }
        vocabulary_ = policy::builtin_vocabulary();
        barriers_ = std::make_shared<app::BarrierAudit>(config_.node.name, audit_log_, *metrics_);
        governance_ = std::make_shared<app::Governance>(app::Governance::Parts{
            config_.node.region, catalog_, cluster_, vocabulary_, clock_,
            [barriers = barriers_](app::BarrierOutcome outcome) { barriers->record(std::move(outcome)); }, metrics_, subject_keys_});
        return governance_->load();
    }

    void make_quotas() {
        const auto boot = journal_->boot();
        const std::string who = config_.node.name + "/" + std::to_string(boot);
        const auto& redis = config_.redis;
        auto leases = redis.host.empty() ? redis::make_single_node_quota_leases(who, clock_)
                                         : redis::make_quota_leases({redis.host, redis.port, config_.node.region, who, redis.lease_ms});
        quotas_ = std::make_shared<app::Quotas>(app::Quotas::Parts{
            config_.node.name, boot, std::move(leases), postgres::make_quota_ledger(postgres::make_pool(config_.catalog.dsn)), clock_, metrics_,
            [warnings = webhooks_.warnings](ContractNo contract, const app::QuotaPurse::Passed& passed) { warnings->passed(contract, passed); }});
    }

    Status make_quota_webhooks() {
        auto made = make_webhooks(config_, {crypto_, audit_signer_, clock_, config_.audit.origin, config_.audit.checkpoint_entries},
                                  {postgres::make_quota_ledger(pool_), [g = governance_] { return g->snapshot(); }, metrics_});
        if (!made) return made.error();
        webhooks_ = *std::move(made);
        return success();
    }

    Status start_planes() {
        const unsigned count = config_.node.shards != 0 ? config_.node.shards : std::max(1u, std::thread::hardware_concurrency());
        std::vector<asio::io_context*> ios;
        for (unsigned i = 0; i < count; ++i) {
            auto io = std::make_unique<asio::io_context>(1);
            auto guard = asio::make_work_guard(*io);
            shards_.push_back({std::move(io), std::move(guard), {}});
            ios.push_back(shards_.back().io.get());
        }
        if (auto made = make_quota_webhooks(); !made) return made;
        make_quotas();
        delivery_ = stream::Delivery::create(ios, delivery_services(), governance_->snapshot());
        // Until the lease is held and the catalog was read under it, nothing is delivered.
        delivery_->set_delivering(false);
        log_->on_appended([delivery = delivery_.get()](std::shared_ptr<const ports::LogBatch> batch) { delivery->on_appended(std::move(batch)); });

        std::array<std::uint8_t, 32> secret{};
        crypto_->random(secret);
        const std::string boot_secret = base64url(secret);
        auto for_control = control_services();
        auto made = make_exports(config_, accounts_, crypto_, clock_);
        if (!made) return made.error();
        exports_ = *std::move(made);
        for_control.exporter = exports_.exporter;
        for_control.export_jobs = exports_.jobs;
        auto control = control::Control::start({0, config_.control_threads, boot_secret}, std::move(for_control));
        if (!control) return control.error();
        control_ = *std::move(control);

        auto services = edge_services();
        if (!services) return services.error();
        auto edge = stream::Edge::start(ios,
                                        {config_.edge.listen.host,
                                         config_.edge.listen.port,
                                         config_.ops.host,
                                         config_.ops.port,
                                         control_->port(),
                                         boot_secret,
                                         {},
                                         {config::origin_of(config_.edge.public_url), config_.edge.allowed_origins}},
                                        *std::move(services));
        if (!edge) return edge.error();
        edge_ = *std::move(edge);
        for (auto& shard : shards_) shard.thread = std::thread([io = shard.io.get()] { io->run(); });

        flusher_->start();
        quotas_->start();
        webhooks_.start();
        progress_ = std::make_unique<app::UsageProgress>(config_.node.name, journal_->boot(), journal_, billing_, clock_);
        progress_->start();
        checkpoints_ = std::make_unique<app::AuditCheckpoints>(audit_log_, config_.audit.checkpoint_seconds);
        governance_->start(delivery_);
        gate_ = std::make_unique<app::DeliveryGate>([governance = governance_] { return governance->refresh(); },
                                                    [delivery = delivery_, keys = subject_keys_](bool open, std::function<void()> done) {
                                                        // Without its lease a node hears of no erasure: keys are asked for again, or nothing is
                                                        // encrypted.
                                                        if (!open && keys) keys->forget_all();
                                                        delivery->set_delivering(open, std::move(done));
                                                    },
                                                    fence_);
        auto& holds = metrics_->gauge("licet_lease_held", "Whether this node holds its lease: without, it delivers nothing");
        cluster_->start([this, &holds](std::optional<ports::FenceTime> until) {
            gate_->lease(until);
            holds.set(until ? 1 : 0);
        });
        return success();
    }

    void certificate_loaded() {
        const auto end = tls_->not_after();
        metrics_->gauge("licet_tls_certificate_not_after_seconds", "When the server's certificate ends, in seconds since 1970")
            .set(static_cast<double>(end.value) / 1000);
        const char* kernel = !config_.edge.tls_kernel ? "off" : openssl::kernel_has_tls() ? "used" : "absent";
        log::info("tls.certificate_loaded", {{"not_after", format_rfc3339(end)}, {"kernel_tls", kernel}});
    }

    stream::DeliveryServices delivery_services() {
        stream::DeliveryServices s;
        s.log = log_;
        s.journal = pending_->counted(std::shared_ptr<ports::UsageJournal>(journal_));
        s.clock = clock_;
        s.metrics = metrics_;
        s.make_pseudonymiser = [key = config_.secrets.pseudonym_key] { return openssl::make_pseudonymiser(as_bytes(key)); };
        s.make_siv = [key = config_.secrets.cursor_key] { return openssl::make_siv(as_bytes(key)); };
        s.lease = cluster_->lease();
        s.subject_keys = subject_keys_;
        if (subject_keys_) s.make_cipher = openssl::make_sealing_cipher;
        s.shadow = shadow_;
        s.quotas = quotas_;
        s.view_digest = [crypto = crypto_](std::string_view key) {
            const auto digest = crypto->sha256(as_bytes(key));
            metering::ViewDigest out;
            for (std::size_t i = 0; i < sizeof out.value; ++i) out.value = out.value << 8 | digest[i];
            return out;
        };
        s.usage_ranges = [ledger = ledger_](const ports::UsageOf& of) { return ledger->ranges(of); };
        return s;
    }

    control::ControlServices control_services() {
        app::Admin::Parts parts;
        parts.catalog = catalog_;
        parts.governance = governance_;
        parts.log = log_;
        parts.crypto = crypto_;
        parts.vocabulary = vocabulary_;
        parts.clock = clock_;
        parts.subject_digest = subject_digest_;
        parts.event_digest = openssl::make_event_digest();
        parts.open_cursor = [key = config_.secrets.cursor_key](std::string_view text, ports::LogPosition position,
                                                               StreamEpoch epoch) -> Result<Offset> {
            const auto siv = openssl::make_siv(as_bytes(key));
            const auto cursor = stream::open_cursor(*siv, text);
            if (!cursor) return Error{Errc::invalid_cursor, cursor.error().detail, "query:cursor"};
            if (cursor->product != position.product || cursor->stream_epoch != epoch)
                return Error{Errc::invalid_cursor, "the cursor is of another stream", "query:cursor"};
            return cursor->next;
        };
        parts.registry = registry_;
        parts.tokens = tokens_;
        parts.shadow = shadow_;
        parts.subject_keys = subject_keys_;
        parts.make_cipher = openssl::make_sealing_cipher;
        parts.authoring = config_.catalog.authoring;
        const auto admin = std::make_shared<app::Admin>(std::move(parts));
        auto subjects = std::make_shared<app::SubjectRights>(
            app::SubjectRights::Parts{catalog_, governance_, subject_keys_, audit_signer_, subject_digest_, log_, ledger_, admin, clock_});
        const auto snapshot = [g = governance_] { return g->snapshot(); };
        const auto invoicing = std::make_shared<const ports::InvoicingConfig>(invoicing_of(config_));
        accounts_ = app::make_accounts({billing_, snapshot, clock_, config_.node.region, invoicing});
        reports_ = std::make_shared<app::UsageReports>(ledger_, clock_, config_.node.region, billing_, accounts_);
        auto periods = std::make_shared<app::Periods>(app::Periods::Parts{billing_, [catalog = catalog_] { return catalog->configuration(); },
                                                                          crypto_, audit_signer_, clock_, config_.node.region, invoicing});
        control::ControlServices out{admin, reports_, snapshot, crypto_, audit_, config_.catalog.authored_in, std::move(subjects)};
        out.accounts = accounts_;
        out.periods = std::move(periods);
        out.webhooks = webhooks_.admin;
        return out;
    }

    Result<stream::EdgeServices> edge_services() {
        stream::EdgeServices s;
        s.snapshot = [g = governance_] { return g->snapshot(); };
        s.tokens = tokens_;
        const auto kept = config_.redis.host.empty() ? redis::make_single_node_ticket_store(clock_)
                                                     : redis::make_ticket_store(config_.redis.host, config_.redis.port, config_.node.region);
        // Of the cursor key, which all nodes of a region have.
        const auto ticket_key = crypto_->hmac_sha256(as_bytes(config_.secrets.cursor_key), as_bytes("licet/ticket-key/1"));
        s.tickets = std::make_shared<app::Tickets>(std::string(ticket_key.begin(), ticket_key.end()), kept, tokens_, crypto_, clock_);
        s.crypto = crypto_;
        s.clock = clock_;
        s.log = log_;
        s.metrics = metrics_;
        s.delivery = delivery_;
        s.subject_keys = subject_keys_;
        if (subject_keys_) s.make_cipher = openssl::make_sealing_cipher;
        if (!config_.edge.tls_certificate.empty()) {
            auto tls = openssl::make_server_tls({config_.edge.tls_certificate, config_.edge.tls_key, config_.edge.tls_client_ca,
                                                 static_cast<openssl::ClientCertificates>(config_.edge.tls_client_auth),
                                                 config_.secrets.tls_ticket_key, config_.edge.tls_kernel, clock_});
            if (!tls) return tls.error();
            s.tls = tls_ = *std::move(tls);
            certificate_loaded();
        }
        s.make_digests = [subject = subject_digest_] {
            return stream::IngestDigests{subject, openssl::make_event_digest(), openssl::make_content_digest()};
        };
        s.usage = [reports = reports_, pending = pending_, quotas = quotas_](const app::Snapshot& snapshot, const std::string& party,
                                                                             const std::string& period) -> Result<std::string> {
            const auto now = app::usage_now(snapshot, party, period, *pending, *quotas, [&]() -> Result<nlohmann::json> {
                const auto report = reports->report(snapshot, period, "contract,product,day", party);
                if (!report) return report.error();
                return app::to_json(*report);
            });
            if (!now) return now.error();
            return now->dump();
        };
        s.exported = [jobs = exports_.jobs](const std::string& id) { return exported_file(*jobs, id); };
        s.audit_export = [audit = audit_](const std::string& after) { return audit->begin_export(after); };
        s.not_ready = [this]() -> std::optional<std::string> {
            if (journal_->broken()) return "the usage journal could not be written: make room, then start the node anew";
            if (!gate_ || !gate_->open()) return "the node's lease is not held, or the catalog was not read since it is";
            return std::nullopt;
        };
        return s;
    }

    const config::Config config_;
    const std::shared_ptr<const Clock> clock_ = std::make_shared<SystemClock>();
    const std::shared_ptr<const ports::Crypto> crypto_ = openssl::make_crypto();
    const std::shared_ptr<ports::Metrics> metrics_ = prometheus_metrics::make_metrics();
    std::shared_ptr<const ports::Signer> token_signer_, audit_signer_;
    std::function<SubjectKey(std::string_view, std::string_view)> subject_digest_;
    std::shared_ptr<postgres::Pool> pool_;
    std::shared_ptr<ports::Catalog> catalog_;
    std::shared_ptr<ports::ConsentRegistry> registry_;
    std::shared_ptr<const app::Tokens> tokens_;
    std::shared_ptr<ports::UsageLedger> ledger_;
    std::shared_ptr<app::SubjectKeys> subject_keys_;  // null: no key-encryption key
    std::shared_ptr<ports::EventLog> log_;
    std::shared_ptr<journal::Journal> journal_;
    std::unique_ptr<app::UsageFlusher> flusher_;
    const std::shared_ptr<app::UsagePending> pending_ = std::make_shared<app::UsagePending>();
    Webhooks webhooks_;
    std::shared_ptr<app::Quotas> quotas_;
    std::shared_ptr<ports::Billing> billing_;
    std::unique_ptr<app::UsageProgress> progress_;
    std::shared_ptr<ports::Fence> fence_;  // null: a node alone
    std::shared_ptr<ports::Cluster> cluster_;
    std::shared_ptr<const policy::Vocabulary> vocabulary_;
    std::shared_ptr<ports::AuditLog> audit_log_;
    std::shared_ptr<const app::Audit> audit_;
    std::unique_ptr<app::AuditCheckpoints> checkpoints_;
    std::shared_ptr<app::BarrierAudit> barriers_;
    std::shared_ptr<app::Governance> governance_;
    const std::shared_ptr<app::ShadowCounts> shadow_ = std::make_shared<app::ShadowCounts>();
    std::shared_ptr<app::UsageReports> reports_;
    std::shared_ptr<ports::Accounts> accounts_;
    Exports exports_;
    std::vector<ShardThread> shards_;
    std::shared_ptr<stream::Delivery> delivery_;
    std::unique_ptr<control::Control> control_;
    std::shared_ptr<openssl::ServerTls> tls_;  // null: plain
    std::shared_ptr<stream::Edge> edge_;
    std::unique_ptr<app::DeliveryGate> gate_;
};

// A descriptor for each connection: all that the service manager grants.
void raise_open_files() {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0) log::info("node.open_files", {{"limit", files.rlim_cur}});
}

log::Level to_level(config::LogLevel level) { return static_cast<log::Level>(level); }

}  // namespace

int serve(const std::string& config_file) {
    auto config = config::load(config_file);
    if (!config) return fail("configuration", config.error());
    if (auto logging = log::configure(to_level(config->log.level), config->log.file); !logging) return fail("log", logging.error());

    raise_open_files();
    // Before any thread starts, so that all inherit the mask and the signals come here.
    asio::io_context signals;
    asio::signal_set wanted(signals, SIGTERM, SIGINT), again(signals, SIGHUP);
    Node node(*std::move(config));
    if (auto started = node.start(); !started) {
        log::error("node.start_failed", {{"detail", started.error().detail}});
        node.stop();
        log::close();
        return fail("start", started.error());
    }
    std::function<void()> await_reload = [&] {
        again.async_wait([&](const boost::system::error_code& error, int) {
            if (error) return;
            node.reload();
            await_reload();
        });
    };
    await_reload();
    wanted.async_wait([&](const boost::system::error_code&, int) { signals.stop(); });
    signals.run();
    node.stop();
    log::close();
    return 0;
}

}  // namespace licet::commands
