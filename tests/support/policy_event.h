// Events, consents and pseudonyms for tests and benchmarks of the rights engine: what ingest and the server would hand it, without either.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "event/field_spans.h"
#include "event/json_text.h"
#include "event/mapping.h"
#include "event/record.h"
#include "event/span_scanner.h"
#include "policy/engine.h"

namespace licet::testing {

// A subject's key as a plain function of its name; never none.
inline SubjectKey subject_key(std::string_view name) {
    SubjectKey key;
    std::uint64_t a = 1469598103934665603ull, b = 88172645463325252ull;
    for (const char c : name) {
        a = (a ^ static_cast<unsigned char>(c)) * 1099511628211ull;
        b = (b + a) * 6364136223846793005ull;
    }
    std::memcpy(key.bytes.data(), &a, 8);
    std::memcpy(key.bytes.data() + 8, &b, 8);
    return key;
}

// "<scope>|<value>", cut or padded to 32 bytes: readable, and different where it must be.
class PlainPseudonymiser final : public policy::Pseudonymiser {
  public:
    bool fail = false;
    bool hash(std::string_view scope, std::string_view value, std::array<std::uint8_t, 32>& out) noexcept override {
        if (fail) return false;
        out.fill('.');
        for (std::size_t i = 0; i < out.size(); ++i) {
            if (i < scope.size())
                out[i] = static_cast<std::uint8_t>(scope[i]);
            else if (i == scope.size())
                out[i] = '|';
            else if (i - scope.size() - 1 < value.size())
                out[i] = static_cast<std::uint8_t>(value[i - scope.size() - 1]);
        }
        return true;
    }
    // "<scope>|<value>", whole.
    bool encrypt(std::string_view scope, std::string_view value, std::string& out) noexcept override {
        if (fail) return false;
        out.assign(scope);
        out += '|';
        out += value;
        return true;
    }
};

struct EventText {
    std::string license, jurisdiction, subject, classification, categories, partition_key;
    UtcMillis time{}, expiry{};
    std::string type = "test", source = "/test";
    std::string data;  // minified JSON, or base64 text
    event::DataKind kind = event::DataKind::json;
};

// The spans ingest would record.
inline std::vector<event::Span> spans_of(const event::Mapping& mapping, std::string_view data) {
    event::PathTree tree;
    for (std::size_t i = 0; i < mapping.fields.size(); ++i) tree.add(mapping.fields[i].path, i);
    std::vector<event::FoundValue> found;
    if (!event::find_values(data, tree, found)) throw std::runtime_error("a governed path occurs twice");
    std::vector<event::Span> spans;
    if (!event::append_field_spans(mapping, data, found, 0, spans)) throw std::runtime_error("too many governed values");
    return spans;
}

inline std::string make_record(const event::Mapping& mapping, const EventText& e) {
    event::EventDraft draft;
    draft.mapping_version = mapping.version;
    draft.time = e.time;
    draft.expiry = e.expiry;
    if (!e.subject.empty()) draft.subject = subject_key(e.subject);
    draft.license = e.license;
    draft.partition_key = e.partition_key;
    draft.jurisdiction = e.jurisdiction;
    draft.classification = e.classification;
    draft.categories = e.categories;
    draft.id = "1";
    draft.source = e.source;
    std::string envelope = R"({"specversion":"1.0","id":"1","source":)";
    event::append_json_string(e.source, envelope);
    envelope += ",\"type\":";
    event::append_json_string(e.type, envelope);
    draft.envelope = envelope;
    draft.data = e.data;
    draft.data_kind = e.kind;
    if (e.kind == event::DataKind::json) draft.spans = spans_of(mapping, e.data);
    return event::encode_record(draft);
}

}  // namespace licet::testing
