// The registry of consent records: what was recorded of whom, when and on which evidence (the fields of ISO/IEC TS 27560), bulk imports and their
// progress, and from when on tokens of a data subject are good. Regional, append-only. What holds now is derived from it in the same transaction
// (ports::ConsentRow). Implemented with libpqxx in server/postgres. Calls block. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "server/ports/catalog.h"

namespace licet::ports {

// One event of a consent record: it was given, renewed, withdrawn, or it expired.
struct ConsentEvent {
    std::string record;  // id: of whoever recorded it first, or made by the server
    SubjectKey subject;
    std::string controller;
    std::vector<std::uint16_t> recipients;  // numbers; empty: every recipient
    std::vector<std::string> purposes;      // DPV terms, at least one
    std::string status;                     // given, renewed, withdrawn, expired
    UtcMillis valid_until{};                // value 0: open
    UtcMillis occurred_at{};                // as stated; value 0: not stated
    std::string legal_basis, jurisdiction, notice;
    nlohmann::json evidence;  // null: none
    std::size_t index = 0;    // of the record in the request, for pointers
    // Given by the registry.
    std::uint64_t sequence = 0, revision = 0;
    UtcMillis recorded_at{};
    std::string recorded_by;  // client
};

// What the event says of each purpose and recipient, in order.
inline void append_rows(const ConsentEvent& event, std::vector<ConsentRow>& rows) {
    const std::vector<std::uint16_t> every{0};
    for (const auto& purpose : event.purposes)
        for (const auto recipient : event.recipients.empty() ? every : event.recipients) {
            ConsentRow row{event.subject, purpose, event.status, event.valid_until};
            row.recipient = recipient;
            rows.push_back(std::move(row));
        }
}

// A part of a bulk import: one transaction, one epoch. Parts are applied in order, each once.
struct ImportPart {
    std::string import;
    std::uint32_t number = 0;  // from 1
    std::string digest;        // hex SHA-256 of its bytes
    std::uint64_t bytes = 0;
};
struct ConsentImport {
    std::string name, started_by;
    std::uint32_t parts = 0;               // applied
    std::uint64_t records = 0, bytes = 0;  // in them
    std::uint64_t revision = 0;            // of the last one
    bool complete = false;
    UtcMillis started_at{}, updated_at{};
    nlohmann::json refused;  // {"part","pointer","detail"} of the last part that was refused since; null: none
};
struct Recorded {
    Changed changed;
    bool repeated = false;  // the part had been applied before, at this revision and epoch
};

class ConsentRegistry {
  public:
    virtual ~ConsentRegistry() = default;

    // One transaction with the audit line; one revision and one epoch for all, in the order given. Errors: conflict with pointer /INDEX/recordId when
    // a record's id is another subject's. With `part`: not_found (no such import), conflict (it is complete, not the next part, or another than was
    // applied under this number).
    [[nodiscard]] virtual Result<Recorded> record(const std::vector<ConsentEvent>& events, const std::optional<ImportPart>& part,
                                                  const AuditEntry& audit) = 0;
    // Of one subject, oldest first, after a sequence.
    [[nodiscard]] virtual Result<std::vector<ConsentEvent>> history(const SubjectKey& subject, std::uint64_t after, std::size_t limit) = 0;

    // Begins it, or finds it.
    [[nodiscard]] virtual Status begin_import(const std::string& name, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Status complete_import(const std::string& name, const AuditEntry& audit) = 0;
    // Remembers why a part was not applied. No change of consents.
    [[nodiscard]] virtual Status refuse_part(const std::string& name, const nlohmann::json& why) = 0;
    [[nodiscard]] virtual Result<std::vector<ConsentImport>> imports(const std::string& name) = 0;  // empty name: the last ones

    // Tokens of the subject issued before are refused; value 0: none are.
    [[nodiscard]] virtual Result<UtcMillis> subject_tokens_valid_from(const SubjectKey& subject) = 0;
    [[nodiscard]] virtual Status revoke_subject_tokens(const SubjectKey& subject, UtcMillis issued_before, const AuditEntry& audit) = 0;
};

}  // namespace licet::ports
