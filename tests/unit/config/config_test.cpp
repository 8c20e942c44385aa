#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/config/config.h"

using namespace licet;
namespace fs = std::filesystem;

namespace {

// A directory with the secret files and one configuration, removed at the end.
struct Files {
    fs::path dir;
    Files() {
        char name[] = "/tmp/licet-config-XXXXXX";
        dir = mkdtemp(name);
        write("token.pem", "pem text\n");
        write("audit.pem", "pem text\n");
        write("cursor.hex", std::string(128, 'a') + "\n");
        write("pseudonym.hex", std::string(64, 'b') + "\n");
        write("subject.hex", std::string(64, 'c'));
    }
    ~Files() { fs::remove_all(dir); }
    void write(const std::string& name, const std::string& content, mode_t mode = 0600) const {
        std::ofstream(dir / name) << content;
        chmod((dir / name).c_str(), mode);
    }
    Result<config::Config> load(const std::string& text) const {
        write("licet.toml", text);
        return config::load((dir / "licet.toml").string());
    }
};

const std::string kSecrets =
    "[secrets]\ntoken_signing_key='token.pem'\naudit_signing_key='audit.pem'\ncursor_key='cursor.hex'\npseudonym_key='pseudonym.hex'\nsubject_key='"
    "subject.hex'\n";
const std::string kGood =
    "[node]\nname='eu-1'\nregion='eu'\ndata_dir='data'\n[edge]\nlisten='127.0.0.1:0'\npublic_url='https://example.org/"
    "'\n[catalog]\ndsn='dbname=x'\n" +
    kSecrets;

}  // namespace

TEST_CASE("a minimal configuration gets its defaults and resolves paths beside the file") {
    const Files files;
    const auto loaded = files.load(kGood);
    REQUIRE_MESSAGE(loaded.ok(), (loaded.ok() ? "" : loaded.error().detail));
    CHECK(loaded->node.data_dir == (files.dir / "data").string());
    CHECK(loaded->edge.public_url == "https://example.org");
    CHECK(loaded->edge.allowed_origins.empty());
    CHECK(loaded->ops.port == 8080);
    CHECK(loaded->journal_fsync);
    CHECK(loaded->catalog.authoring);
    CHECK(loaded->redis.host.empty());
    CHECK(loaded->secrets.cursor_key.size() == 64);
    CHECK(loaded->secrets.token_signing_key == "pem text");
}

TEST_CASE("every mistake is refused and named") {
    const Files files;
    const auto pointer = [&](const std::string& text) {
        const auto loaded = files.load(text);
        return loaded.ok() ? std::string("accepted") : loaded.error().pointer;
    };
    const auto in_edge = [&](const std::string& lines) {
        auto text = kGood;
        return text.replace(text.find("[edge]\n"), 7, "[edge]\n" + lines);
    };
    CHECK(pointer(in_edge("tls_certificate='a'\ntls_key='b'\ntls_client_ca='c'\ntls_client_auth='optional'\n")) == "accepted");
    CHECK(pointer(in_edge("tls_certificate='a'\ntls_key='b'\ntls_client_ca='c'\n")) == "edge.tls_client_ca");
    CHECK(pointer(in_edge("tls_certificate='a'\ntls_key='b'\ntls_client_auth='required'\n")) == "edge.tls_client_ca");
    CHECK(pointer(in_edge("tls_certificate='a'\ntls_key='b'\ntls_client_ca='c'\ntls_client_auth='sometimes'\n")) == "edge.tls_client_auth");
    CHECK(pointer(in_edge("tls_client_ca='c'\ntls_client_auth='required'\n")) == "edge.tls_client_auth");
    CHECK(pointer(kGood + "tls_ticket_key='subject.hex'\n") == "accepted");
    CHECK(pointer(kGood + "tls_ticket_key='cursor.hex'\n") == "secrets.tls_ticket_key");
    CHECK(pointer(kGood + "[surprise]\nx=1\n") == "surprise");
    CHECK(pointer(kGood + "[log]\nlevle='info'\n") == "log.levle");
    CHECK(pointer(kGood + "[log]\nlevel='loud'\n") == "log.level");
    CHECK(pointer(kGood + "[journal]\ndurability='maybe'\n") == "journal.durability");
    CHECK(pointer(kGood + "[redis]\nlease_ms=5\n") == "redis.lease_ms");
    CHECK(pointer(kGood + "[redis]\naddress='nowhere'\n") == "redis.address");
    CHECK(pointer(kGood + "[ops]\nlisten='0.0.0.0:9'\n") == "ops.listen");
    CHECK(pointer(kSecrets) == "node.name");
    std::string text = kGood;
    CHECK(pointer(text.replace(text.find("'eu-1'"), 6, "'E U'")) == "node.name");
    text = kGood;
    CHECK(pointer(text.replace(text.find("127.0.0.1:0"), 11, "0.0.0.0:443")) == "edge.tls_certificate");
    text = kGood;
    CHECK(pointer(text.replace(text.find("dsn='dbname=x'"), 14, "dsn='dbname=x'\nauthored_in='us'")) == "catalog.replicate_from");
    CHECK_FALSE(files.load("[node\n").ok());
    CHECK_FALSE(config::load((files.dir / "absent.toml").string()).ok());
}

TEST_CASE("what is charged on invoices is said whole, line by line") {
    const Files files;
    const auto loaded = files.load(
        kGood +
        "[finance]\nseller_name='Example Data GmbH'\nseller_country='DE'\nseller_address=['Musterweg 1','10115 Berlin']\npayment_terms='30 days "
        "net'\n"
        "tax=['2026-01 DE S 19','2027-01 DE S 20.5','2026-01 paris-lab AE 0 Reverse charge, article 196','2026-01 texas O 0 Not subject to VAT']\n"
        "buyer_vat_ids=['paris-lab FR12345678901']\n");
    REQUIRE_MESSAGE(loaded.ok(), (loaded.ok() ? "" : loaded.error().detail));
    const auto& f = loaded->finance;
    CHECK(f.seller_address.size() == 2);
    CHECK(f.seller_vat_id.empty());
    REQUIRE(f.tax.size() == 4);
    CHECK(f.tax[1].rate == "20.5");
    CHECK(f.tax[1].reason.empty());
    CHECK(f.tax[2].buyers == "paris-lab");
    CHECK(f.buyer_vat_ids == std::vector<std::pair<std::string, std::string>>{{"paris-lab", "FR12345678901"}});
    CHECK(f.tax[2].reason == "Reverse charge, article 196");
    for (const char* wrong : {"",
                              "2026-01",
                              "2026-01 DE S",
                              "2026-13 DE S 19",
                              "2026 DE S 19",
                              "2026-01 D S 19",
                              "2026-01 DEU S 19",
                              "2026-01 DE X 19",
                              "2026-01 DE S 19%",
                              "2026-01 DE S -1",
                              "2026-01 DE S 1000",
                              "2026-01 DE S 1.23456",
                              "2026-01 DE S 19 a reason",
                              "2026-01 FR S 20",
                              "2026-01 DE S 19','2026-01 DE S 20",
                              "2026-01 DE S 0",
                              "2026-01 paris-lab AE 0",
                              "2026-01 paris-lab AE 5 Reverse charge",
                              "2026-01 DE Z 7",
                              "2026-01 DE O 0"}) {
        const auto refused = files.load(kGood + "[finance]\nseller_country='DE'\ntax=['" + wrong + "']\n");
        CHECK_MESSAGE((!refused.ok() && refused.error().pointer == "finance.tax"), wrong);
    }
    for (const char* wrong : {"", "paris-lab", "paris-lab ", "Paris FR123456", "paris-lab FR 123456", "paris-lab fr123456"})
        CHECK(files.load(kGood + "[finance]\nbuyer_vat_ids=['" + wrong + "']\n").error().pointer == "finance.buyer_vat_ids");
    CHECK(files.load(kGood + "[finance]\nvat='DE1'\n").error().pointer == "finance.vat");
}

TEST_CASE("allowed origins are written as a browser names them, and are never a pattern") {
    const Files files;
    const auto with = [&](const std::string& list) {
        std::string text = kGood;
        return files.load(text.replace(text.find("listen='127"), 0, "allowed_origins=" + list + "\n"));
    };
    const auto loaded = with("['https://app.example', 'http://localhost:3000', 'https://[::1]:8443']");
    REQUIRE(loaded.ok());
    CHECK(loaded->edge.allowed_origins == std::vector<std::string>{"https://app.example", "http://localhost:3000", "https://[::1]:8443"});
    for (const char* list : {"'https://app.example'", "[1]", "['*']", "['null']", "['']", "['app.example']", "['https://']",
                             "['https://app.example/']", "['https://APP.example']", "['https://app.example:443']", "['http://app.example:80']",
                             "['https://*.example']", "['https://u@app.example']", "['wss://app.example']"}) {
        CAPTURE(list);
        const auto refused = with(list);
        CHECK((refused.ok() ? "" : refused.error().pointer) == "edge.allowed_origins");
    }
    CHECK(config::origin_of("https://EU.example.org:443/path?x") == "https://eu.example.org");
    CHECK(config::origin_of("http://127.0.0.1:18443") == "http://127.0.0.1:18443");
}

TEST_CASE("secrets must be well-formed and private") {
    const Files files;
    files.write("cursor.hex", std::string(64, 'a'));
    CHECK(files.load(kGood).error().pointer == "secrets.cursor_key");
    files.write("cursor.hex", std::string(128, 'a'));
    files.write("subject.hex", std::string(64, 'c'), 0644);
    CHECK(files.load(kGood).error().pointer == "secrets.subject_key");
    files.write("subject.hex", std::string(64, 'c'), 0640);
    CHECK(files.load(kGood).ok());
}

TEST_CASE("webhooks stay out of one's own network unless it is said, and give up at some time") {
    const Files files;
    const auto plain = files.load(kGood);
    REQUIRE(plain.ok());
    CHECK_FALSE(plain->webhooks.allow_private);
    CHECK(plain->webhooks.attempts == 17);
    CHECK(plain->webhooks.retry_first_ms == 5'000);
    const auto said = files.load(kGood + "[webhooks]\nallow_private=true\ntls_ca='ca.pem'\nattempts=3\nretry_first_ms=50\n");
    REQUIRE(said.ok());
    CHECK(said->webhooks.allow_private);
    CHECK(said->webhooks.tls_ca == (files.dir / "ca.pem").string());
    CHECK(said->webhooks.attempts == 3);
    for (const char* wrong : {"attempts=0", "attempts=101", "retry_first_ms=9", "retry_first_ms=21600001", "allow_private=1", "secret='x'"})
        CHECK_MESSAGE(!files.load(kGood + "[webhooks]\n" + wrong + "\n").ok(), wrong);
}
