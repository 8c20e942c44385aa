// One accepted event in the form the log keeps and the data path reads: attributes a decision needs, spans of the governed values, the
// ready-made CloudEvents envelope and the data bytes. Written once at ingest, never reparsed. Used by ingest, log, views, explain. Pure.
//
// Layout, little endian, version 1 (docs/wire-formats.md has the table):
//   fixed header | key id, when sealed | attribute strings | spans | envelope | data
// A sealed event's data has an encrypted string in the place of each governed value (event/sealed.h); spans, and all else, are as before sealing.
// The envelope is the JSON text of the CloudEvents attributes without the closing brace: {"specversion":"1.0","id":"..",...
// A delivered event is  envelope ,"cursor":"..." ,"data":<data with transforms applied> }   ("data_base64" for binary data).
// `datasubject` is never part of the envelope: only its keyed digest is kept (SubjectKey).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "event/info_type.h"

namespace licet::event {

enum class DataKind : std::uint8_t { none, json, base64 };
// `part`: a piece of a string's text, without quotes.
enum class ValueKind : std::uint8_t { string, number, boolean, null, array, object, part };

// A governed value inside `data`, byte positions relative to data's first byte. Spans are sorted by value_begin; a span may
// contain later ones. Data is minified JSON: no white space outside strings.
struct Span {
    std::uint16_t field{};  // index into the mapping version's `fields`
    ValueKind value_kind{};
    InfoType detected{};           // info type seen in this very value; none when not detected
    std::uint32_t member_begin{};  // the opening quote of the key; equals value_begin for array elements, parts and the root
    std::uint32_t value_begin{};
    std::uint32_t value_end{};  // one past the last byte
    bool operator==(const Span&) const = default;
};

// What the mapping and the CloudEvents attributes yield, before encoding. Strings are UTF-8 without control characters.
struct EventDraft {
    std::uint32_t mapping_version{};
    UtcMillis time{};               // CloudEvents `time`
    UtcMillis expiry{};             // `expirytime`; value 0: none
    SubjectKey subject{};           // none when the event names no data subject
    std::string_view license;       // SPDX expression or licence id; empty: unknown
    std::string_view jurisdiction;  // ISO 3166-1 alpha-2 or 3166-2; empty: unknown
    std::string_view residency;     // region name; empty: not bound
    std::string_view classification;
    std::string_view categories;  // `datacategory`: space-separated terms
    std::string_view regulation;
    std::string_view partition_key;
    std::string_view id;  // for explain and audit; also in the envelope
    std::string_view source;
    std::string_view envelope;
    std::string_view data;
    DataKind data_kind{};
    std::vector<Span> spans;
};

// Serialises a draft. Precondition: sizes within base/limits.h (checked by ingest).
[[nodiscard]] std::string encode_record(const EventDraft& draft);

// A read-only view over encoded bytes, which must outlive it. Cheap to copy; no allocation.
class StoredEvent {
  public:
    // nullopt when the bytes are not a well-formed record of a known version (every length is checked).
    [[nodiscard]] static std::optional<StoredEvent> parse(std::string_view bytes) noexcept;

    [[nodiscard]] std::uint32_t mapping_version() const noexcept { return mapping_version_; }
    [[nodiscard]] UtcMillis time() const noexcept { return time_; }
    [[nodiscard]] UtcMillis expiry() const noexcept { return expiry_; }
    [[nodiscard]] const SubjectKey& subject() const noexcept { return subject_; }
    [[nodiscard]] std::string_view license() const noexcept { return license_; }
    [[nodiscard]] std::string_view jurisdiction() const noexcept { return jurisdiction_; }
    [[nodiscard]] std::string_view residency() const noexcept { return residency_; }
    [[nodiscard]] std::string_view classification() const noexcept { return classification_; }
    [[nodiscard]] std::string_view categories() const noexcept { return categories_; }
    [[nodiscard]] std::string_view regulation() const noexcept { return regulation_; }
    [[nodiscard]] std::string_view partition_key() const noexcept { return partition_key_; }
    [[nodiscard]] std::string_view id() const noexcept { return id_; }
    [[nodiscard]] std::string_view source() const noexcept { return source_; }
    [[nodiscard]] std::string_view envelope() const noexcept { return envelope_; }
    [[nodiscard]] std::string_view data() const noexcept { return data_; }
    [[nodiscard]] DataKind data_kind() const noexcept { return data_kind_; }
    // Whether governed values are encrypted in `data`, and under which key. Spans are then positions in the data as it was before.
    [[nodiscard]] bool sealed() const noexcept { return sealed_; }
    [[nodiscard]] const DataKeyId& key_id() const noexcept { return key_id_; }
    [[nodiscard]] std::size_t span_count() const noexcept { return span_count_; }
    [[nodiscard]] Span span(std::size_t index) const noexcept;  // precondition: index < span_count()
    // All bytes that the static part of a decision reads (attributes and the set of fields present): equal bytes and mapping version
    // mean an equal static decision within one time era.
    [[nodiscard]] std::string_view static_attributes() const noexcept { return static_attributes_; }

    // The same event, not sealed, with other data, and where given other spans (encoded by append_span). What is given must outlive it.
    [[nodiscard]] StoredEvent with_data(std::string_view data) const noexcept;
    [[nodiscard]] StoredEvent with_data(std::string_view data, std::string_view spans) const noexcept;
    // The record's bytes of the same event with other data, sealed under `key`.
    [[nodiscard]] std::string encode_sealed(const DataKeyId& key, std::string_view data) const;

  private:
    std::uint32_t mapping_version_{};
    UtcMillis time_{};
    UtcMillis expiry_{};
    SubjectKey subject_{};
    std::string_view license_, jurisdiction_, residency_, classification_, categories_, regulation_;
    std::string_view partition_key_, id_, source_, envelope_, data_, static_attributes_;
    const char* spans_ = nullptr;
    std::size_t span_count_ = 0;
    DataKeyId key_id_{};
    DataKind data_kind_{};
    bool sealed_ = false;
};
// Whether a record, if it is one, is of a sealed event.
[[nodiscard]] inline bool sealed_record(std::string_view bytes) noexcept { return bytes.size() > 3 && bytes[3] != 0; }
// As in a record.
void append_span(const Span& span, std::string& out);

}  // namespace licet::event
