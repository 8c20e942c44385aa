#include "server/config/config.h"

#include <sys/stat.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "base/checkpoint.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/usage_limits.h"

namespace licet::config {
namespace {

namespace fs = std::filesystem;

// Reads typed keys of the tables and remembers the first mistake; what nobody asked for is an unknown key.
class Reader {
  public:
    Reader(const toml::table& root, fs::path base) : root_(root), base_(std::move(base)) {}

    std::optional<std::string> text(const char* section, const char* key) {
        const auto* node = find(section, key);
        if (node == nullptr) return std::nullopt;
        if (const auto value = node->value_exact<std::string>()) return *value;
        fail(section, key, "must be a string");
        return std::nullopt;
    }
    std::string required_text(const char* section, const char* key) {
        auto value = text(section, key);
        if (!value || value->empty()) fail(section, key, "is required");
        return value.value_or("");
    }
    std::int64_t number(const char* section, const char* key, std::int64_t fallback, std::int64_t least, std::int64_t most) {
        const auto* node = find(section, key);
        if (node == nullptr) return fallback;
        const auto value = node->value_exact<std::int64_t>();
        if (!value || *value < least || *value > most) {
            fail(section, key, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
            return fallback;
        }
        return *value;
    }
    std::vector<std::string> texts(const char* section, const char* key, std::size_t most) {
        const auto* node = find(section, key);
        std::vector<std::string> out;
        if (node == nullptr) return out;
        const auto* list = node->as_array();
        if (list == nullptr || list->size() > most) return fail(section, key, "must be a list of at most " + std::to_string(most) + " strings"), out;
        for (const auto& one : *list) {
            const auto value = one.value_exact<std::string>();
            if (!value) return fail(section, key, "must be a list of strings"), out;
            out.push_back(*value);
        }
        return out;
    }
    bool boolean(const char* section, const char* key, bool fallback) {
        const auto* node = find(section, key);
        if (node == nullptr) return fallback;
        if (const auto value = node->value_exact<bool>()) return *value;
        fail(section, key, "must be true or false");
        return fallback;
    }
    std::string slug(const char* section, const char* key) {
        auto value = required_text(section, key);
        if (!valid_slug(value)) fail(section, key, "must be 1-64 characters of a-z 0-9 . _ - starting with a letter or digit");
        return value;
    }
    std::string path(const std::string& value) const { return value.empty() ? value : (base_ / value).lexically_normal().string(); }
    Endpoint endpoint(const char* section, const char* key, const std::string& value) {
        const auto colon = value.rfind(':');
        Endpoint out;
        std::int64_t port = -1;
        if (colon != std::string::npos && colon > 0) {
            out.host = value.substr(0, colon);
            if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']') out.host = out.host.substr(1, out.host.size() - 2);
            const std::string digits = value.substr(colon + 1);
            if (!digits.empty() && digits.size() <= 5 && digits.find_first_not_of("0123456789") == std::string::npos) port = std::stol(digits);
        }
        if (port < 0 || port > 65535)
            fail(section, key, "must be ADDRESS:PORT");
        else
            out.port = static_cast<std::uint16_t>(port);
        return out;
    }
    // Text of a secret file without the final newline; empty and a mistake noted when it cannot be used.
    std::string secret(const char* key, bool required) {
        const auto name = required ? std::optional(required_text("secrets", key)) : text("secrets", key);
        if (!name || name->empty()) return {};
        const std::string file = path(*name);
        struct stat info {};
        if (stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return fail("secrets", key, "cannot be read"), "";
        if ((info.st_mode & S_IRWXO) != 0) return fail("secrets", key, "must not be accessible by everyone (chmod o-rwx)"), "";
        if (info.st_size > 64 * 1024) return fail("secrets", key, "is larger than 64 KiB"), "";
        std::ifstream in(file, std::ios::binary);
        std::ostringstream all;
        all << in.rdbuf();
        if (!in) return fail("secrets", key, "cannot be read"), "";
        std::string content = all.str();
        while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
        if (content.empty()) fail("secrets", key, "is empty");
        return content;
    }
    std::string secret_bytes(const char* key, std::size_t size, bool required = true) {
        const auto text = secret(key, required);
        if (!required && text.empty()) return {};
        const auto raw = parse_hex(text);
        if (!raw || raw->size() != size) fail("secrets", key, "must hold " + std::to_string(size) + " bytes as hex");
        return raw.value_or("");
    }

    void check_unknown() {
        for (const auto& [section, node] : root_) {
            const auto* table = node.as_table();
            if (table == nullptr || !sections_.contains(std::string(section.str()))) {
                fail(std::string(section.str()), "", "is not a known section");
                continue;
            }
            for (const auto& [key, value] : *table)
                if (!asked_.contains(std::string(section.str()) + "." + std::string(key.str())))
                    fail(std::string(section.str()), std::string(key.str()), "is not a known key");
        }
    }
    void fail(const std::string& section, const std::string& key, const std::string& why) {
        if (error_) return;
        const std::string name = key.empty() ? section : section + "." + key;
        error_ = Error{Errc::invalid_document, name + " " + why, name};
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  private:
    const toml::node* find(const char* section, const char* key) {
        sections_.insert(section);
        asked_.insert(std::string(section) + "." + key);
        const auto* table = root_[section].as_table();
        return table == nullptr ? nullptr : table->get(key);
    }
    const toml::table& root_;
    fs::path base_;
    std::set<std::string> asked_, sections_;
    std::optional<Error> error_;
};

ClientAuth client_auth(Reader& r, const std::string& text) {
    static constexpr std::array<std::string_view, 3> names{"off", "optional", "required"};
    const auto at = std::find(names.begin(), names.end(), text);
    if (at == names.end()) r.fail("edge", "tls_client_auth", "must be \"off\", \"optional\" or \"required\"");
    return at == names.end() ? ClientAuth::off : static_cast<ClientAuth>(at - names.begin());
}

void read_edge(Reader& r, Config& c) {
    c.edge.listen = r.endpoint("edge", "listen", r.text("edge", "listen").value_or("127.0.0.1:8443"));
    c.edge.tls_certificate = r.path(r.text("edge", "tls_certificate").value_or(""));
    c.edge.tls_key = r.path(r.text("edge", "tls_key").value_or(""));
    c.edge.public_url = r.required_text("edge", "public_url");
    while (!c.edge.public_url.empty() && c.edge.public_url.back() == '/') c.edge.public_url.pop_back();
    if (!c.edge.public_url.starts_with("https://") && !c.edge.public_url.starts_with("http://"))
        r.fail("edge", "public_url", "must start with https:// or http://");
    c.edge.allowed_origins = r.texts("edge", "allowed_origins", limits::allowed_origins_max);
    for (const auto& origin : c.edge.allowed_origins)
        if (origin.empty() || origin_of(origin) != origin)
            r.fail("edge", "allowed_origins", "must hold origins as a browser names them: https://host or https://host:port");
    if (c.edge.tls_certificate.empty() != c.edge.tls_key.empty()) r.fail("edge", "tls_key", "and tls_certificate go together");
    c.edge.tls_client_ca = r.path(r.text("edge", "tls_client_ca").value_or(""));
    c.edge.tls_client_auth = client_auth(r, r.text("edge", "tls_client_auth").value_or("off"));
    c.edge.tls_kernel = r.boolean("edge", "tls_kernel", false);
    if (c.edge.tls_client_ca.empty() != (c.edge.tls_client_auth == ClientAuth::off))
        r.fail("edge", "tls_client_ca", "and a tls_client_auth other than \"off\" go together");
    if (c.edge.tls_client_auth != ClientAuth::off && c.edge.tls_certificate.empty()) r.fail("edge", "tls_client_auth", "needs tls_certificate");
    if (c.edge.tls_certificate.empty() && !c.edge.listen.loopback())
        r.fail("edge", "tls_certificate", "is required: without TLS only loopback may be listened on");
    c.ops = r.endpoint("ops", "listen", r.text("ops", "listen").value_or("127.0.0.1:8080"));
    if (!c.ops.loopback()) r.fail("ops", "listen", "must be a loopback address");
    c.control_threads = static_cast<unsigned>(r.number("control", "threads", 4, 1, 64));
}

void read_stores(Reader& r, Config& c) {
    c.catalog.dsn = r.required_text("catalog", "dsn");
    c.catalog.owner_dsn = r.text("catalog", "owner_dsn").value_or("");
    c.catalog.authored_in = r.text("catalog", "authored_in").value_or(c.node.region);
    if (!valid_slug(c.catalog.authored_in)) r.fail("catalog", "authored_in", "must be the name of a region");
    c.catalog.authoring = c.catalog.authored_in == c.node.region;
    c.catalog.replicate_from = r.text("catalog", "replicate_from").value_or("");
    if (c.catalog.authoring != c.catalog.replicate_from.empty())
        r.fail("catalog", "replicate_from", "is for regions that do not author the configuration, and required there");
    if (const auto file = r.text("catalog", "password_file"); file && !file->empty()) {
        std::ifstream in(r.path(*file));
        std::string password;
        if (!std::getline(in, password) || password.find_first_of("'\\") != std::string::npos)
            r.fail("catalog", "password_file", "cannot be used");
        else
            c.catalog.dsn += " password='" + password + "'";
    }
    const auto durability = r.text("journal", "durability").value_or("fsync");
    if (durability != "fsync" && durability != "os") r.fail("journal", "durability", "must be \"fsync\" or \"os\"");
    c.journal_fsync = durability == "fsync";
    if (const auto address = r.text("redis", "address"); address && !address->empty()) {
        const auto endpoint = r.endpoint("redis", "address", *address);
        c.redis.host = endpoint.host;
        c.redis.port = endpoint.port;
    }
    c.redis.lease_ms = static_cast<int>(r.number("redis", "lease_ms", 5000, 500, 60'000));
}

void read_audit(Reader& r, Config& c) {
    c.audit.origin = r.text("audit", "origin").value_or("licet.dev/audit/" + c.node.region);
    if (!valid_origin(c.audit.origin)) r.fail("audit", "origin", "must be 1 to 255 visible ASCII characters without +");
    c.audit.checkpoint_entries = static_cast<std::uint64_t>(r.number("audit", "checkpoint_entries", 1024, 1, 1'000'000));
    c.audit.checkpoint_seconds = static_cast<int>(r.number("audit", "checkpoint_seconds", 60, 1, 86'400));
}

// "19", "7.5": at most three digits before the point and four behind.
bool is_percent(const std::string& text) {
    const auto point = text.find('.');
    const auto whole = text.substr(0, point), part = point == std::string::npos ? std::string("0") : text.substr(point + 1);
    const auto digits = [](const std::string& t, std::size_t most) {
        return !t.empty() && t.size() <= most && t.find_first_not_of("0123456789") == std::string::npos;
    };
    return digits(whole, 3) && digits(part, 4);
}

bool is_country(const std::string& text) {
    return text.size() == 2 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// "2026-01 DE S 19", "2026-01 paris-lab AE 0 Reverse charge".
std::optional<Config::Finance::Tax> parse_tax(const std::string& line) {
    std::istringstream in(line);
    Config::Finance::Tax out;
    if (line.size() > limits::finance_text_max_bytes || !(in >> out.from >> out.buyers >> out.category >> out.rate)) return std::nullopt;
    std::getline(in >> std::ws, out.reason);
    static constexpr std::array<std::string_view, 9> categories{"S", "L", "M", "Z", "E", "AE", "K", "G", "O"};
    const auto at = std::find(categories.begin(), categories.end(), out.category) - categories.begin();
    const bool charged = (at < 3), standard = (at == 0), none = out.rate.find_first_not_of("0.") == std::string::npos;
    const bool reasoned = (at > 3) && (at != 9);
    const bool month = out.from.size() == 7 && parse_date(out.from + "-01").has_value();
    const bool buyers = is_country(out.buyers) || valid_slug(out.buyers);
    if (!month || !buyers || at == 9 || !is_percent(out.rate) || (!charged && !none) || (standard && none) || reasoned == out.reason.empty())
        return std::nullopt;
    return out;
}

void read_finance(Reader& r, Config& c) {
    const auto text = [&](const char* key) {
        auto value = r.text("finance", key).value_or("");
        if (value.size() > limits::finance_text_max_bytes)
            r.fail("finance", key, "must be of at most " + std::to_string(limits::finance_text_max_bytes) + " bytes");
        return value;
    };
    auto& f = c.finance;
    f.seller_name = text("seller_name");
    f.seller_address = r.texts("finance", "seller_address", limits::finance_address_max_lines);
    f.seller_country = text("seller_country");
    f.seller_vat_id = text("seller_vat_id");
    f.seller_registration = text("seller_registration");
    f.payment_terms = text("payment_terms");
    for (const auto& line : r.texts("finance", "tax", limits::finance_tax_terms_max)) {
        const auto terms = parse_tax(line);
        if (!terms)
            r.fail("finance", "tax",
                   "must hold texts of \"YYYY-MM BUYERS CATEGORY RATE REASON\": buyers a party or the seller's country; the category one of S, Z, E, "
                   "AE, K, G, O, L, M; the rate a percentage, 0 where the category charges none; a reason exactly for E, AE, K, G and O");
        else if (is_country(terms->buyers) && terms->buyers != f.seller_country)
            r.fail("finance", "tax", "names a country that is not seller_country: what buyers abroad are charged is said of each party");
        else if (std::any_of(f.tax.begin(), f.tax.end(), [&](const auto& t) { return t.from == terms->from && t.buyers == terms->buyers; }))
            r.fail("finance", "tax", "says twice what buyers are charged from one month on");
        else
            f.tax.push_back(*terms);
    }
    for (const auto& line : r.texts("finance", "buyer_vat_ids", limits::finance_tax_terms_max)) {
        const auto space = line.find(' ');
        const auto party = line.substr(0, space), id = space == std::string::npos ? "" : line.substr(space + 1);
        const auto plain = [](char k) { return (k >= 'A' && k <= 'Z') || (k >= '0' && k <= '9') || k == '+' || k == '*'; };
        if (!valid_slug(party) || id.size() < 4 || id.size() > 32 || !std::all_of(id.begin(), id.end(), plain))
            r.fail("finance", "buyer_vat_ids", "must hold texts of \"PARTY VATID\", the identifier as FR12345678901");
        else
            f.buyer_vat_ids.emplace_back(party, id);
    }
}

void read_secrets(Reader& r, Config& c) {
    c.secrets.token_signing_key = r.secret("token_signing_key", true);
    c.secrets.audit_signing_key = r.secret("audit_signing_key", true);
    c.secrets.cursor_key = r.secret_bytes("cursor_key", 64);
    c.secrets.pseudonym_key = r.secret_bytes("pseudonym_key", 32);
    c.secrets.subject_key = r.secret_bytes("subject_key", 32);
    c.secrets.key_encryption_key = r.secret_bytes("key_encryption_key", 32, false);
    c.secrets.key_encryption_key_other = r.secret_bytes("key_encryption_key_other", 32, false);
    if (c.secrets.key_encryption_key.empty() && !c.secrets.key_encryption_key_other.empty())
        r.fail("secrets", "key_encryption_key", "is required beside key_encryption_key_other");
    c.secrets.tls_ticket_key = r.secret_bytes("tls_ticket_key", 32, false);
    c.secrets.bootstrap_admin_secret = r.secret("bootstrap_admin_secret", false);
}

void read_webhooks(Reader& r, Config& c) {
    c.webhooks.allow_private = r.boolean("webhooks", "allow_private", false);
    c.webhooks.tls_ca = r.path(r.text("webhooks", "tls_ca").value_or(""));
    c.webhooks.attempts = static_cast<int>(r.number("webhooks", "attempts", 17, 1, 100));
    c.webhooks.retry_first_ms = static_cast<int>(r.number("webhooks", "retry_first_ms", 5'000, 10, limits::webhook_retry_max_ms));
}

void read_log(Reader& r, Config& c) {
    static constexpr std::array<std::string_view, 4> levels{"debug", "info", "warn", "error"};
    const auto level = r.text("log", "level").value_or("info");
    const auto at = std::find(levels.begin(), levels.end(), level);
    if (at == levels.end())
        r.fail("log", "level", "must be one of debug, info, warn, error");
    else
        c.log.level = static_cast<LogLevel>(at - levels.begin());
    c.log.file = r.path(r.text("log", "file").value_or(""));
}

}  // namespace

bool Endpoint::loopback() const noexcept { return host == "::1" || host.starts_with("127."); }

std::string origin_of(const std::string& url) {
    std::string out = url;
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::size_t scheme = out.starts_with("https://") ? 8 : out.starts_with("http://") ? 7 : 0;
    if (scheme == 0) return {};
    out = out.substr(0, out.find_first_of("/?#", scheme));
    const std::string own_port = scheme == 8 ? ":443" : ":80";
    if (out.ends_with(own_port)) out.resize(out.size() - own_port.size());
    const bool plain = out.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]", scheme) == std::string::npos;
    return plain && out.size() > scheme ? out : std::string();
}

Result<Config> load(const std::string& path) {
    toml::table root;
    try {
        root = toml::parse_file(path);
    } catch (const toml::parse_error& e) {
        std::ostringstream where;
        where << path << ": " << e.description() << " (" << e.source().begin << ")";
        return Error{Errc::invalid_document, where.str(), {}};
    }
    Reader r(root, fs::absolute(path).parent_path());
    Config c;
    c.node.name = r.slug("node", "name");
    c.node.region = r.slug("node", "region");
    c.node.data_dir = r.path(r.required_text("node", "data_dir"));
    c.node.drain_ms = static_cast<int>(r.number("node", "drain_ms", 5000, 0, limits::drain_max_ms));
    c.node.shards = static_cast<unsigned>(r.number("node", "shards", 0, 0, 64));
    read_edge(r, c);
    read_stores(r, c);
    read_audit(r, c);
    read_finance(r, c);
    read_webhooks(r, c);
    read_log(r, c);
    read_secrets(r, c);
    r.check_unknown();
    if (r.error()) return *r.error();
    return c;
}

}  // namespace licet::config
