// An audit export is verified with the public key alone: every changed byte, and every line removed, moved, repeated or cut off, is found and named.
#include "server/app/verify.h"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/audit_export.h"
#include "tests/unit/app/memory_audit.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
using Lines = std::vector<std::string>;

namespace {

std::string joined(const Lines& lines) {
    std::string out;
    for (const auto& line : lines) out += line + "\n";
    return out;
}

struct Log {
    std::shared_ptr<MemoryAuditLog> log = std::make_shared<MemoryAuditLog>();
    std::shared_ptr<const ports::Verifier> verifier = *openssl::make_verifier(log->signer->public_key());
    app::Audit audit{log, log->crypto, log->origin, log->signer->public_key()};
    NamedKey key{log->origin, log->signer->public_key()};

    // A checkpoint after each of `checkpoints`.
    explicit Log(int entries, const std::vector<int>& checkpoints = {}) {
        for (int n = 1; n <= entries; ++n) {
            REQUIRE(log->append({{"ada", "party.put", "lab", {{"title", "Caf\u00e9 \"n\""}, {"hash", "x"}, {"n", n}}}}).ok());
            if (std::find(checkpoints.begin(), checkpoints.end(), n) != checkpoints.end()) REQUIRE(log->checkpoint().ok());
        }
    }
    [[nodiscard]] std::string exported(const std::string& after = {}) const { return read_export(audit, after); }
    [[nodiscard]] Lines export_lines(const std::string& after = {}) const {
        std::istringstream in(exported(after));
        Lines out;
        for (std::string line; std::getline(in, line);) out.push_back(line);
        return out;
    }
    [[nodiscard]] Result<app::VerifiedAudit> verify(const std::string& text, Lines kept = {}) const {
        std::istringstream in(text);
        return app::verify_audit(in, {key, std::move(kept)}, *log->crypto, *verifier);
    }
    void refused(const Lines& of, const std::string& where, const std::string& why, const Lines& kept = {}) const {
        const auto result = verify(joined(of), kept);
        REQUIRE_FALSE(result.ok());
        CHECK(result.error().code == Errc::verification_failed);
        CHECK_MESSAGE(result.error().detail.starts_with(where), result.error().detail);
        CHECK_MESSAGE(result.error().detail.find(why) != std::string::npos, result.error().detail);
    }
};

}  // namespace

TEST_CASE("verify: a whole export, a later part of one, one of an empty log, and lines alone") {
    const Log log(5, {2, 3});
    const auto whole = log.verify(log.exported());
    REQUIRE_MESSAGE(whole.ok(), (whole.ok() ? "" : whole.error().detail));
    CHECK(whole->entries == 5);
    CHECK(whole->first == 1);
    CHECK(whole->last == 5);
    CHECK(whole->checkpoints == 3);
    CHECK(whole->origin == "example.org/audit");
    CHECK(whole->complete());

    for (const char* after : {"1", "2", "3", "4", "5"}) {
        CAPTURE(after);
        const auto part = log.verify(log.exported(after));
        REQUIRE_MESSAGE(part.ok(), (part.ok() ? "" : part.error().detail));
        CHECK(part->last == 5);
        CHECK(part->complete());
        CHECK(part->root == whole->root);
    }
    const Log empty(0);
    const auto nothing = empty.verify(empty.exported());
    REQUIRE_MESSAGE(nothing.ok(), (nothing.ok() ? "" : nothing.error().detail));
    CHECK(nothing->entries == 0);
    CHECK(nothing->complete());

    const Lines& lines = log.log->held;
    CHECK_FALSE(log.verify(joined(lines))->complete());  // nothing says that these are all
    const auto middle = log.verify(joined({lines.begin() + 2, lines.end()}));
    CHECK(middle->first == 3);
    CHECK_FALSE(middle->complete());
    CHECK_FALSE(middle->root);
    CHECK_FALSE(log.verify("").ok());
}

TEST_CASE("verify: every byte of an export counts, and the line that holds it is named") {
    const Log log(3, {2});
    for (const char* after : {"", "2"}) {
        const std::string good = log.exported(after);
        REQUIRE(log.verify(good).ok());
        std::size_t line = 1;
        for (std::size_t at = 0; at < good.size(); ++at) {
            for (const auto bit : {at % 8, (at + 5) % 8}) {  // each bit of some bytes, two of each
                std::string text = good;
                text[at] = static_cast<char>(text[at] ^ (1 << bit));
                CAPTURE(after);
                CAPTURE(at);
                CAPTURE(bit);
                const auto result = log.verify(text);
                REQUIRE_FALSE(result.ok());
                // Of the tree before the first entry only what it adds up to is attested to: by the checkpoint at the end.
                const bool before = *after != '\0' && line == 1;
                const auto here = "(line " + std::to_string(line) + ")";
                REQUIRE_MESSAGE(
                    (result.error().detail.find(here) != std::string::npos || (before && result.error().detail.find("(line") != std::string::npos)),
                    result.error().detail);
            }
            line += good[at] == '\n';
        }
    }
}

TEST_CASE("verify: an export cut off anywhere verifies up to a checkpoint or not at all, and never against a later one") {
    const Log log(3, {2});
    const std::string good = log.exported();
    const std::string newest = log.log->notes.at(3);
    for (std::size_t size = 0; size < good.size(); ++size) {
        CAPTURE(size);
        const std::string cut = good.substr(0, size);
        const bool at_line = cut.ends_with('\n');
        const auto alone = log.verify(cut);
        REQUIRE(alone.ok() == at_line);
        if (alone.ok()) REQUIRE(alone->complete() == (alone->last == 2 && alone->covered == 2));
        const auto kept = log.verify(cut, {newest});
        // With all entries there, the checkpoint that was kept stands for the one that was cut off.
        const bool all = alone.ok() && alone->last == 3;
        REQUIRE(kept.ok() == all);
        if (kept.ok()) REQUIRE(kept->complete());
    }
}

TEST_CASE("verify: removed, moved, repeated and foreign lines are named") {
    const Log log(4, {2});
    const Lines l = log.export_lines();  // 1 2 checkpoint 3 4 checkpoint
    REQUIRE(l.size() == 6);
    log.refused({l[1], l[2], l[3]}, "the checkpoint after entry 2 (line 2)", "cannot be compared");
    log.refused({l[0], l[3], l[4], l[5]}, "entry 2 (line 2)", "it is missing: this line is entry 3");
    log.refused({l[0], l[1], l[2], l[4], l[5]}, "entry 3 (line 4)", "it is missing");
    log.refused({l[0], l[1], l[2], l[3], l[5]}, "entry 4 (line 5)", "attests to 4 entries");
    log.refused({l[1], l[0], l[2]}, "entry 3 (line 2)", "entry 1 again");
    log.refused({l[0], l[3], l[1]}, "entry 2 (line 2)", "this line is entry 3");
    log.refused({l[0], l[0]}, "entry 2 (line 2)", "this line is entry 1 again");
    log.refused({l[0], l[1], l[2], l[2]}, "the checkpoint after entry 2 (line 4)", "not newer");
    log.refused({l[0], l[2], l[1]}, "entry 2 (line 2)", "attests to 2 entries");
    log.refused({l[0], l[1], l[3], l[2]}, "the checkpoint after entry 3 (line 4)", "does not belong here");
    log.refused({l[0], l[1].substr(0, l[1].size() / 2), l[1].substr(l[1].size() / 2)}, "entry 2 (line 2)", "");
    log.refused({l[0], "", l[1]}, "entry 2 (line 2)", "empty");
    log.refused({l[0], " " + l[1]}, "entry 2 (line 2)", "hash");
    log.refused({l[0], l[1] + "\r"}, "entry 2 (line 2)", "");
    log.refused({l[0], "{\"actor\":\"eve\"," + l[1].substr(1)}, "entry 2 (line 2)", "hash");
    log.refused({l[0], std::string(100'000, '[')}, "entry 2 (line 2)", "not an audit entry");
    for (const char* odd : {"[]", "1", "null", "{}", "{\"seq\":\"2\"}", "{\"seq\":-2}", "x", "{\"checkpoint\":1}", "{\"after\":2,\"tree\":[]}"})
        CHECK_FALSE(log.verify(joined({l[0], odd})).ok());
    for (const char* odd :
         {"{\"after\":1,\"tree\":[]}", "{\"after\":0,\"tree\":[]}", "{\"after\":\"1\",\"tree\":[]}", "{\"after\":1,\"tree\":[\"AAAA\"]}"})
        log.refused({odd, l[1]}, "the tree before the first entry (line 1)", "");
}

TEST_CASE("verify: who has the key and writes another history is caught by a checkpoint that was kept") {
    const Log log(6);
    const Log other(3);  // the same until 3, then otherwise
    for (int n = 0; n < 3; ++n) REQUIRE(other.log->append({{"eve", "party.put", "lab", {}}}).ok());
    REQUIRE(other.verify(other.exported())->complete());
    const auto note = [](const Log& of, std::uint64_t size) { return of.log->checkpoint_of(size)->note; };
    CHECK(other.verify(other.exported(), {note(log, 3)})->complete());
    other.refused(other.export_lines(), "the checkpoint of 5 entries that was given", "one of the first 5 is not what it was",
                  {note(log, 3), note(log, 5)});
    // Cut back to an older state, with a checkpoint of its own.
    const Log shorter(4);
    REQUIRE(shorter.verify(shorter.exported())->complete());
    shorter.refused(shorter.export_lines(), "entry 5", "the log had 6 entries", {note(log, 6)});
    // From before the export begins: nothing can be said.
    const auto part = log.verify(log.exported("4"), {note(log, 3), note(log, 4), note(log, 6)});
    REQUIRE_MESSAGE(part.ok(), (part.ok() ? "" : part.error().detail));
    CHECK(part->not_comparable == std::vector<std::uint64_t>{3});
    CHECK_FALSE(part->complete());
    CHECK_FALSE(log.verify(joined({log.log->held.begin() + 3, log.log->held.end()}), {note(log, 6)})->complete());
    log.refused(log.export_lines(), "a checkpoint that was given", "", {"no note"});
}

TEST_CASE("verify: lines of another key, a checkpoint of another log or key, a wrong root") {
    const Log log(2);
    const Lines l = log.export_lines();
    auto foreign = json::parse(l[1]);
    foreign["signature"] = base64url(std::vector<std::uint8_t>(64, 1));
    log.refused({l[0], foreign.dump()}, "entry 2 (line 2)", "signature");
    auto first = json::parse(l[0]);
    first.erase("hash");
    first.erase("signature");
    first["prev"] = std::string(64, '1');
    log.refused({log.log->sealed(first)}, "entry 1 (line 1)", "does not follow");
    log.refused({l[0], l[1], json{{"checkpoint", log.log->note_of(2, {})}}.dump()}, "the checkpoint after entry 2 (line 3)", "its root");
    log.log->origin = "example.org/other";
    log.refused({l[0], l[1], json{{"checkpoint", log.log->checkpoint_of(2)->note}}.dump()}, "the checkpoint after entry 2 (line 3)", "another log");
    // A tree before the first entry that was made up is not what the checkpoint attests to.
    const Log five(5);
    auto part = five.export_lines("2");
    auto head = json::parse(part[0]);
    head["tree"][0] = base64(merkle::Hash{});
    part[0] = head.dump();
    five.refused(part, "the checkpoint after entry 5", "its root");
}
