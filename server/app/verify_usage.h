// Offline verification of statements, notes and receipts: form, signatures, chain, roots, totals and proofs, with the public key alone. Used by
// `licet verify usage` and tests. Pure but for the ports given. docs/receipts.md has the files.
#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/merkle.h"
#include "base/result.h"
#include "metering/decimal.h"
#include "server/ports/crypto.h"

namespace licet::app {

struct VerifiedUsage {
    std::uint64_t statements = 0, notes = 0, lines = 0, receipts = 0;
    std::uint64_t first = 0, last = 0;  // numbers
    std::uint64_t missing = 0;          // numbers between them that were not given
    std::uint64_t without_lines = 0;    // documents whose lines were not given: their totals are as signed, not as summed
    [[nodiscard]] bool complete() const noexcept { return missing == 0 && without_lines == 0; }
};

// A file is NDJSON of documents, each followed by all its lines or by none; and of receipts. Reads line by line: memory grows with the number of
// documents, not with their lines. Any mistake is the end: verification_failed, naming file, line and what is wrong.
class UsageVerification {
  public:
    UsageVerification(const ports::Crypto& crypto, const ports::Verifier& verifier);
    [[nodiscard]] Status add(const std::string& name, std::istream& file);
    // What was given, after the chain was checked. Error: also when there was no document at all.
    [[nodiscard]] Result<VerifiedUsage> finish();

  private:
    struct Document {
        std::string kind, hash, previous, root, total, currency, name, corrected_hash;
        std::uint64_t number = 0, lines = 0, corrected = 0;
        int exponent = 2;
    };
    [[nodiscard]] Error failed(const std::string& why) const;
    [[nodiscard]] Status take(const std::string& text);
    [[nodiscard]] Status take_document(const std::string& text, const nlohmann::json& read);
    [[nodiscard]] Status take_receipt(const std::string& text, const nlohmann::json& read);
    [[nodiscard]] Status take_line(const std::string& text, const nlohmann::json& read);
    [[nodiscard]] Status end_document();
    [[nodiscard]] Result<Document> open(const std::string& text) const;
    [[nodiscard]] Status remember(const Document& document, bool lines_given);

    const ports::Crypto& crypto_;
    const ports::Verifier& verifier_;
    const merkle::Sha256 sha_;
    struct Held {
        Document document;
        bool lines_given;
    };
    std::map<std::uint64_t, Held> held_;
    VerifiedUsage out_;
    std::string file_;
    std::uint64_t line_ = 0;
    // The document being read.
    bool within_ = false;
    Document current_;
    merkle::Frontier tree_;
    metering::Decimal sum_;
};

}  // namespace licet::app
