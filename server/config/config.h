// The configuration of one node: read from a TOML file, checked, complete. Used by server/main only. deploy/licet.toml documents every key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace licet::config {

struct Endpoint {
    std::string host;  // numeric address
    std::uint16_t port = 0;
    [[nodiscard]] bool loopback() const noexcept;
};

enum class ClientAuth : std::uint8_t { off, optional, required };
enum class LogLevel : std::uint8_t { debug, info, warn, error };

struct Config {
    struct Node {
        std::string name;      // slug, unique in the region; the journal and the lease are under it
        std::string region;    // slug
        std::string data_dir;  // log/, journal/ below it
        unsigned shards = 0;   // 0: one per core, at most 64
        int drain_ms = 5000;   // streams are ended over so long on SIGTERM
    } node;
    struct Edge {
        Endpoint listen;
        std::string tls_certificate, tls_key;      // both empty: plain, allowed on loopback only
        std::string public_url;                    // no trailing slash
        std::vector<std::string> allowed_origins;  // of pages that may call from a browser: scheme://host[:port]
        std::string tls_client_ca;                 // whose certificates clients may show; empty exactly when tls_client_auth is off
        ClientAuth tls_client_auth = ClientAuth::off;
        bool tls_kernel = false;  // let the kernel encrypt where it can
    } edge;
    Endpoint ops;  // loopback only
    unsigned control_threads = 4;
    struct Catalog {
        std::string dsn;             // libpq connection string of the serving role
        std::string owner_dsn;       // `licet migrate` connects with it; empty: dsn
        std::string replicate_from;  // non-authoring regions: connection string of the authoring region's database
        std::string authored_in;     // region where the global configuration is written
        bool authoring = true;       // it is this node's
    } catalog;
    bool journal_fsync = true;
    struct Audit {
        std::string origin;  // names the log in its checkpoints
        std::uint64_t checkpoint_entries = 1024;
        int checkpoint_seconds = 60;
    } audit;
    // Who bills, as invoices and FOCUS name it. What is empty is stated as missing.
    struct Finance {
        std::string seller_name;
        std::vector<std::string> seller_address;  // lines
        std::string seller_country, seller_vat_id, seller_registration, payment_terms;
        struct Tax {
            // YYYY-MM; a party, or the seller's country; UNCL 5305; percent as decimal text; why not charged
            std::string from, buyers, category, rate, reason;
        };
        std::vector<Tax> tax;
        std::vector<std::pair<std::string, std::string>> buyer_vat_ids;  // by party
    } finance;
    struct Webhooks {
        bool allow_private = false;  // addresses inside and loopback may be posted to
        std::string tls_ca;          // who signs certificates of receivers; empty: whom the system trusts
        int attempts = 17;           // then a delivery is dead
        int retry_first_ms = 5'000;  // after the first attempt; doubled with each, to limits::webhook_retry_max_ms
    } webhooks;
    struct Redis {
        std::string host;  // empty: this node is alone in its region
        std::uint16_t port = 0;
        int lease_ms = 5000;
    } redis;
    struct Secrets {
        std::string token_signing_key, audit_signing_key;          // PEM text
        std::string cursor_key;                                    // 64 raw bytes
        std::string pseudonym_key, subject_key;                    // 32 raw bytes
        std::string key_encryption_key, key_encryption_key_other;  // 32 raw bytes, may be absent: the first wraps data keys, both unwrap them
        std::string tls_ticket_key;                                // 32 raw bytes, may be absent: sessions are then resumed by this process alone
        std::string bootstrap_admin_secret;                        // text; read by `licet migrate` only, may be absent
    } secrets;
    struct Log {
        LogLevel level = LogLevel::info;
        std::string file;
    } log;
};

// Scheme, host and port of an http(s) URL as a browser names an origin: lower case, without a port that is the scheme's own.
[[nodiscard]] std::string origin_of(const std::string& url);

// Errors (invalid_document, pointer "section.key"): unreadable file, TOML syntax, unknown or missing key, value out of range, secret file unreadable,
// malformed, or readable by everyone. Relative paths are relative to the configuration file.
[[nodiscard]] Result<Config> load(const std::string& path);

}  // namespace licet::config
