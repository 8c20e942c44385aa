// Ingest: bytes of a publish request -> records ready for the log, and what was refused and why. Pure CPU work on the shard's thread (simdjson); the
// edge appends the records and answers. A bad event never spoils its neighbours.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/app/snapshot.h"
#include "server/ports/event_log.h"

namespace licet::stream {

struct IngestRequest {
    const app::ProductEntry* product = nullptr;
    std::string_view content_type;                               // media type and parameters as sent
    std::map<std::string, std::string, std::less<>> ce_headers;  // lower-case names without "ce-", percent-decoded: binary mode
    std::string_view body;
    std::string_view region;  // this node's
    UtcMillis now{};
};

struct Rejection {
    std::size_t index = 0;  // position in the request: array index or line number - 1
    Error error;
};

struct Prepared {
    std::vector<ports::AppendItem> items;
    std::vector<std::size_t> indexes;   // request position of each item
    std::vector<Rejection> rejections;  // ascending index
    std::size_t received = 0;
    std::size_t misdirected = 0;  // of the rejections: resident in another region (all of them: answer 421)
    std::string misdirected_region;
};

// Keyed digests the core must not compute itself. Called on the shard's thread.
struct IngestDigests {
    std::function<SubjectKey(std::string_view controller, std::string_view subject)> subject;
    std::function<EventIdentity(ProductNo product, std::string_view source, std::string_view id)> identity;
    std::function<std::string(std::string_view data)> content_id;  // for `digest` ids
};

// One per shard: owns simdjson parsers and scratch buffers, bounded by limits::ingest_body_max_bytes. Not thread-safe.
class IngestParser {
  public:
    explicit IngestParser(IngestDigests digests);
    ~IngestParser();
    // Whole-request errors only: unsupported_media_type, body not parseable as a batch, more than limits::ingest_batch_max_events.
    [[nodiscard]] Result<Prepared> prepare(const IngestRequest& request);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace licet::stream
