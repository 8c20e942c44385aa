// Statements, credit notes and receipts as documents: JSON that is signed, chained and checked offline with the public key alone. Made by
// app::Periods, checked by `licet verify usage`. Pure. docs/receipts.md has the form.
//
// A document's text is canonical: members sorted by name, no white space, UTF-8, whole numbers only (RFC 8785 gives the same). What is signed is the
// text without the members `hash` and `signature`; `hash` is its SHA-256 in hex, `previous` the hash of the document before in the region. Lines are
// canonical, too: leaves of a Merkle tree (RFC 6962) whose root the document names.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/merkle.h"
#include "base/result.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"
#include "server/ports/crypto.h"

namespace licet::app {

[[nodiscard]] std::string canonical(const nlohmann::json& document);
// "ed25519:" and the first 16 hex digits of the key's SHA-256.
[[nodiscard]] std::string statement_key_id(const ports::Crypto& crypto, const std::array<std::uint8_t, 32>& key);

// A line as a leaf, and back. The contract, party and number of the document are not repeated in it.
[[nodiscard]] std::string line_text(const ports::AccountLine& line, int exponent);
[[nodiscard]] Result<ports::AccountLine> parse_line(std::string_view text);  // corrupt

struct Sealing {
    const ports::Crypto& crypto;
    const ports::Signer& signer;
};

struct StatementFacts {
    std::string region;
    UtcMillis at;  // closed, or noted
};
// What a document says of its lines.
struct SealedLines {
    std::uint64_t count = 0;
    merkle::Hash root{};
    metering::Decimal total;
};
// The lines of a document one after the other: none is held.
class LinesSeal {
  public:
    // `crypto` must outlive it.
    LinesSeal(const ports::Crypto& crypto, int exponent)
        : sha_([&crypto](Bytes data) { return crypto.sha256(data); }), exponent_(exponent), frontier_(sha_) {}
    // The next line, numbered: its text; subtrees that it completes and that are stored go to `subtrees` when given. Error: internal (too large).
    [[nodiscard]] Result<std::string> add(const ports::AccountLine& line, std::vector<merkle::Node>* subtrees = nullptr);
    [[nodiscard]] SealedLines done() const { return {frontier_.size(), frontier_.root(), total_}; }

  private:
    const merkle::Sha256 sha_;
    const int exponent_;
    merkle::Frontier frontier_;
    std::vector<merkle::Node> completed_;
    metering::Decimal total_;
};

// The statement of a rated account, the next of the chain. `terms`: the contract as it was billed.
[[nodiscard]] ports::StatementRow make_statement(const Sealing& sealing, const StatementFacts& facts, const ports::Account& account,
                                                 const SealedLines& lines, const ports::Contract& terms, const ports::ChainEnd& chain);
// A note that corrects a statement: credit when it comes to less than nothing, else debit. `account`: contract, party, period, currency, exponent.
// Error: internal, when its lines come to too much.
[[nodiscard]] Result<ports::NewStatement> make_note(const Sealing& sealing, const StatementFacts& facts, const ports::Account& account,
                                                    const std::vector<ports::AccountLine>& lines, const ports::StatementRow& corrected,
                                                    const std::string& reason, const ports::ChainEnd& chain);

// The account a stored statement states. Errors: corrupt.
[[nodiscard]] Result<ports::Account> stated_account(std::string_view document);
// The contract it was billed by, without its number.
[[nodiscard]] Result<ports::Contract> stated_contract(std::string_view document);

// A document read back, after its form, hash and signature were checked. Errors: verification_failed.
[[nodiscard]] Result<nlohmann::json> open_document(std::string_view text, const ports::Crypto& crypto, const ports::Verifier& verifier);

}  // namespace licet::app
