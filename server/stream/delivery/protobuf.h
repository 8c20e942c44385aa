// A delivered event in the CloudEvents protobuf format (api/cloudevents.proto), from its JSON: what a view decided and redacted once is only put into
// other bytes here. Written straight to the wire with protobuf's own primitives; no message is built. Used by views. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace licet::stream {

// One per shard: owns scratch buffers. Not thread-safe.
class ProtobufEncoder {
  public:
    // Appends the CloudEvent message of `json`, a delivered event (minified; its data, if any, is the last member and the last `data_bytes` before
    // the closing brace). False: it cannot be written, and `out` is unspecified; what the server accepts and a policy makes of it always can.
    [[nodiscard]] bool append_event(std::string_view json, std::size_t data_bytes, std::string& out);

  private:
    [[nodiscard]] bool append_attribute(std::string_view name, std::string_view token, std::string& out);
    [[nodiscard]] bool append_data(bool base64, bool json_type, std::string_view token, std::string& out);

    std::string text_, value_;
};

// Appends `message` as the next event of a CloudEventBatch.
void append_batch_member(std::string_view message, std::string& out);

}  // namespace licet::stream
