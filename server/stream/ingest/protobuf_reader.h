// CloudEvents as protobuf (api/cloudevents.proto), read from the wire: nothing that is no CloudEvents 1.0 is passed over, no field counts twice, and
// no message is built. Views into the message at hand. Used by IngestParser. Private to ingest/. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/stream/ingest/builder.h"

namespace licet::stream {

struct ProtobufEvent {
    enum class Data : std::uint8_t { none, text, binary };
    Attributes attributes;
    Data data_kind = Data::none;
    std::string_view data;  // of text: UTF-8
};

// Errors: invalid_protobuf, invalid_event, opaque_data; the pointer is into the CloudEvent as JSON has it ("/time").
[[nodiscard]] Result<ProtobufEvent> read_protobuf_event(std::string_view message);

// The events of a CloudEventBatch, unread; stops after `most` + 1 of them. Error: invalid_protobuf.
[[nodiscard]] Result<std::vector<std::string_view>> split_protobuf_batch(std::string_view message, std::size_t most);

}  // namespace licet::stream
