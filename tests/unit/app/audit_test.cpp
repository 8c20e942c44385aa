// What an auditor asks for: pages, checkpoints, proofs that verify, exports in pieces.
#include "server/app/audit.h"

#include "tests/support/merkle_proofs.h"
#include "tests/unit/app/fakes.h"
#include "tests/unit/app/memory_audit.h"

using namespace licet;
using namespace licet::testing;

namespace {

struct Fixture {
    std::shared_ptr<MemoryAuditLog> log = std::make_shared<MemoryAuditLog>();
    app::Audit audit{log, log->crypto, log->origin, log->signer->public_key()};
    explicit Fixture(int entries) {
        for (int n = 0; n < entries; ++n) REQUIRE(log->append({{"ada", "party.put", "lab", {{"n", n}}}}).ok());
    }
    [[nodiscard]] Checkpoint opened(const std::string& note) const {
        const auto verifier = *openssl::make_verifier(log->signer->public_key());
        const auto read =
            open_checkpoint(log->sha, note, {log->origin, log->signer->public_key()}, [&](Bytes m, Bytes s) { return verifier->verify(m, s); });
        REQUIRE(read.ok());
        return *read;
    }
    static std::vector<merkle::Hash> hashes(const json& proof) {
        std::vector<merkle::Hash> out;
        for (const auto& text : proof["hashes"]) {
            const auto raw = parse_base64(text.get<std::string>());
            REQUIRE(raw);
            std::copy(raw->begin(), raw->end(), out.emplace_back().begin());
        }
        return out;
    }
};

}  // namespace

TEST_CASE("audit: pages") {
    const Fixture f(5);
    const auto all = f.audit.lines("", ""), page = f.audit.lines("2", "2");
    CHECK(std::count(all->begin(), all->end(), '\n') == 5);
    CHECK(*page == f.log->held[2] + "\n" + f.log->held[3] + "\n");
    for (const char* bad : {"-1", "x", "1x", " 1"}) CHECK(f.audit.lines(bad, "").error().pointer == "query:after");
    for (const char* bad : {"0", "10001", "-5", "y"}) CHECK(f.audit.lines("", bad).error().pointer == "query:limit");
}

TEST_CASE("audit: the key as it is and as signed-note tools take it") {
    const Fixture f(0);
    const auto key = f.audit.key();
    const auto named = parse_verifier_key(f.log->sha, key["verifierKey"].get<std::string>());
    REQUIRE(named);
    CHECK(named->origin == key["origin"]);
    CHECK(base64url(named->key) == key["publicKey"]);
}

TEST_CASE("audit: proofs verify against the checkpoint that comes with them") {
    const Fixture f(13);
    for (int size = 1; size <= 13; ++size)
        for (int n = 1; n <= size; ++n) {
            const auto inclusion = f.audit.proof(std::to_string(n), "", std::to_string(size));
            REQUIRE(inclusion.ok());
            const auto now = f.opened((*inclusion)["checkpoint"]);
            CHECK(now.size == static_cast<std::uint64_t>(size));
            const auto leaf = merkle::leaf_hash(f.log->sha, as_bytes(f.log->held[static_cast<std::size_t>(n - 1)]));
            CHECK(verify_inclusion(f.log->sha, static_cast<std::uint64_t>(n - 1), now.size, leaf, Fixture::hashes(*inclusion), now.root));
            const auto consistency = f.audit.proof("", std::to_string(n), std::to_string(size));
            REQUIRE(consistency.ok());
            const auto then = f.opened(f.log->checkpoint_of(static_cast<std::uint64_t>(n))->note);
            CHECK(verify_consistency(f.log->sha, then.size, now.size, then.root, now.root, Fixture::hashes(*consistency)));
        }
    CHECK((*f.audit.proof("1", "", ""))["size"] == 13);
    const auto refused = [&](const char* entry, const char* from, const char* size) { return f.audit.proof(entry, from, size).error().pointer; };
    CHECK(refused("", "", "") == "query:entry");
    CHECK(refused("1", "1", "") == "query:entry");
    for (const char* bad : {"0", "14", "-1", "x", "18446744073709551616"}) {
        CHECK(refused(bad, "", "") == "query:entry");
        CHECK(refused("", bad, "") == "query:from");
        CHECK(refused("1", "", bad) == "query:size");
    }
    CHECK(refused("7", "", "6") == "query:entry");
    CHECK(Fixture(0).audit.proof("1", "", "").error().pointer == "query:size");
}

TEST_CASE("audit: an export holds the log as it was when it began, page by page, and fails aloud") {
    Fixture f(7);
    f.log->page = 2;
    const auto under_way = f.audit.begin_export("");
    REQUIRE(under_way.ok());
    std::string text = *(*under_way)->next();
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    REQUIRE(f.log->append({{"ada", "party.put", "late", {}}}).ok());
    for (;;) {
        const auto piece = (*under_way)->next();
        REQUIRE(piece.ok());
        if (piece->empty()) break;
        text += *piece;
    }
    CHECK(std::count(text.begin(), text.end(), '\n') == 8);  // and the checkpoint
    CHECK(text.find("late") == std::string::npos);
    for (const char* bad : {"9", "x", "-1"}) CHECK(f.audit.begin_export(bad).error().pointer == "query:after");
    const auto broken = f.audit.begin_export("");
    f.log->away = true;
    CHECK_FALSE((*broken)->next().ok());
    CHECK_FALSE(f.audit.begin_export("").ok());
    CHECK_FALSE(f.audit.checkpoint().ok());
}

TEST_CASE("audit: a checkpoint is signed from time to time, and tried again when it failed") {
    const Fixture f(3);
    f.log->away = true;
    app::AuditCheckpoints timer(f.log, 0);
    const int tried = f.log->await_attempts(4);  // three of them appended
    f.log->away = false;
    f.log->await_attempts(tried + 2);
    timer.stop();
    CHECK(f.log->notes.count(3) == 1);
}
