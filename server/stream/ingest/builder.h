// One event from its attributes and data: applies the product's mapping, checks CloudEvents rules, records spans, writes the envelope. Private to
// ingest/. One per shard; not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "event/record.h"
#include "event/span_scanner.h"
#include "server/stream/ingest/ingest.h"

namespace licet::stream {

struct Attribute {
    std::string text;   // canonical CloudEvents text; empty: absent
    bool bare = false;  // an integer or boolean: JSON without quotes
};
using Attributes = std::map<std::string, Attribute, std::less<>>;

struct BuiltEvent {
    ports::AppendItem item;
    std::string residency;  // where the event is resident; empty: where it was accepted
};

// "/name" as an RFC 6901 pointer; "" for names too long to tell.
[[nodiscard]] std::string attribute_pointer(std::string_view name);

class EventBuilder {
  public:
    explicit EventBuilder(IngestDigests digests) : digests_(std::move(digests)) {}

    // `attributes` as the producer gave them (without specversion, data...); `data` is minified JSON, a JSON string token of base64, or empty.
    // Errors: invalid_event, duplicate_governed_key, event_too_large; the pointer is into the event ("/time") or its data ("/data/user").
    [[nodiscard]] Result<BuiltEvent> build(const IngestRequest& request, Attributes attributes, std::string_view data, event::DataKind kind);

  private:
    struct Paths {
        std::shared_ptr<const event::Mapping> mapping;
        event::PathTree tree;  // targets: attribute rules first, then fields
    };
    const Paths& paths_of(const app::ProductEntry& product);
    [[nodiscard]] Status apply_rules(const event::Mapping& mapping, std::string_view data, Attributes& attributes);
    [[nodiscard]] std::string value_of(const event::AttributeRule& rule, std::size_t target, std::string_view data);
    [[nodiscard]] Status find_spans(const event::Mapping& mapping, std::string_view data);
    [[nodiscard]] Status fill_draft(const app::ProductEntry& product, const Attributes& attributes, UtcMillis now);

    IngestDigests digests_;
    std::map<ProductNo, Paths> paths_;
    std::vector<event::FoundValue> found_;
    event::EventDraft draft_;
    std::string scratch_, envelope_;
};

}  // namespace licet::stream
