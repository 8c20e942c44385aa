#include "server/stream/ingest/protobuf_reader.h"

#include <google/protobuf/io/coded_stream.h>

#include <limits>

#include "base/encoding.h"
#include "base/limits.h"
#include "event/json_text.h"
#include "event/timestamp.h"

namespace licet::stream {
namespace {

using google::protobuf::io::CodedInputStream;

// Field numbers of api/cloudevents.proto.
enum Event : unsigned { kId = 1, kSource, kSpecVersion, kType, kAttributes, kBinaryData, kTextData, kProtoData };
enum Value : unsigned { kBoolean = 1, kInteger, kString, kBytes, kUri, kUriRef, kTimestamp };
constexpr std::size_t kAttributesMax = 2 * limits::event_extensions_max;  // gathered of one event; empty ones do not count in the end
constexpr unsigned kKey = 1, kMapValue = 2, kSeconds = 1, kNanos = 2, kBatchEvents = 1;
enum Wire : unsigned { varint = 0, delimited = 2 };

Error bad(std::string pointer, std::string what) { return {Errc::invalid_event, std::move(what), std::move(pointer)}; }
Error malformed(std::string pointer, std::string what) { return {Errc::invalid_protobuf, std::move(what), std::move(pointer)}; }

struct Field {
    unsigned number = 0, wire = 0;
    std::uint64_t value = 0;  // of a varint
    std::string_view bytes;   // of what has a length
};

// The fields of one message in their order. Only the two wire types the schema has: the others are no field of it.
class Fields {
  public:
    explicit Fields(std::string_view message)
        : message_(message), in_(reinterpret_cast<const std::uint8_t*>(message.data()), static_cast<int>(message.size())) {}

    [[nodiscard]] bool more() const { return static_cast<std::size_t>(in_.CurrentPosition()) < message_.size(); }

    [[nodiscard]] Result<Field> next(const std::string& pointer) {
        const auto at = [start = in_.CurrentPosition()] { return "at byte " + std::to_string(start) + " of its message"; };
        std::uint64_t tag = 0;
        if (!in_.ReadVarint64(&tag) || tag > std::numeric_limits<std::uint32_t>::max() || tag >> 3 == 0)
            return malformed(pointer, "no tag of a field, " + at());
        Field field{static_cast<unsigned>(tag >> 3), static_cast<unsigned>(tag & 7), 0, {}};
        if (field.wire == varint) {
            if (!in_.ReadVarint64(&field.value)) return malformed(pointer, "a number that does not end, " + at());
            return field;
        }
        if (field.wire != delimited)
            return malformed(pointer, "wire type " + std::to_string(field.wire) + " is of no field of a CloudEvent, " + at());
        std::uint64_t size = 0;
        if (!in_.ReadVarint64(&size)) return malformed(pointer, "a length that does not end, " + at());
        const auto begin = static_cast<std::size_t>(in_.CurrentPosition());
        if (size > message_.size() - begin) return malformed(pointer, "a field longer than its message, " + at());
        field.bytes = message_.substr(begin, static_cast<std::size_t>(size));
        in_.Skip(static_cast<int>(size));
        return field;
    }

  private:
    std::string_view message_;
    CodedInputStream in_;
};

Status expect(const Field& field, Wire wire, const std::string& pointer) {
    if (field.wire == wire) return success();
    return malformed(pointer, "field " + std::to_string(field.number) + " has wire type " + std::to_string(field.wire));
}

Error unknown(const Field& field, const std::string& pointer) {
    return bad(pointer, "field " + std::to_string(field.number) + " is not of CloudEvents 1.0: nothing is taken that would be dropped");
}

// Of a message whose fields are all of one kind and occur once: visit(field) for each. `numbers`: 1 up to this.
template <class Visit>
Status once(std::string_view message, unsigned numbers, const std::string& pointer, Visit&& visit) {
    Fields fields(message);
    unsigned seen = 0;
    while (fields.more()) {
        const auto field = fields.next(pointer);
        if (!field) return field.error();
        if (field->number > numbers) return unknown(*field, pointer);
        if ((seen & 1U << field->number) != 0) return bad(pointer, "field " + std::to_string(field->number) + " occurs twice");
        seen |= 1U << field->number;
        if (auto visited = visit(*field); !visited) return visited;
    }
    return success();
}

Result<std::string> read_timestamp(std::string_view message, const std::string& pointer) {
    event::Timestamp at;
    std::int64_t nanos = 0;
    auto read = once(message, kNanos, pointer, [&](const Field& field) -> Status {
        if (auto fits = expect(field, varint, pointer); !fits) return fits;
        (field.number == kSeconds ? at.seconds : nanos) = static_cast<std::int64_t>(field.value);
        return success();
    });
    if (!read) return read.error();
    at.nanos = nanos < 0 || nanos > std::numeric_limits<std::int32_t>::max() ? -1 : static_cast<std::int32_t>(nanos);
    auto text = event::format_timestamp(at);
    if (!text) return bad(pointer, "expected a moment of the years 1 to 9999");
    return *std::move(text);
}

// What CloudEvents says is text of its own kind; everything else is as the producer types it.
bool is_text_attribute(std::string_view name) { return name == "subject" || name == "datacontenttype" || name == "dataschema" || name == "time"; }

Status read_scalar(const Field& field, std::string_view name, const std::string& pointer, Attribute& out) {
    if (auto fits = expect(field, field.number == kBoolean || field.number == kInteger ? varint : delimited, pointer); !fits) return fits;
    switch (field.number) {
        case kBoolean:
            if (field.value > 1) return malformed(pointer, "a boolean is 0 or 1");
            out = {field.value == 1 ? "true" : "false", true};
            return success();
        case kInteger: {
            const auto value = static_cast<std::int64_t>(field.value);
            if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
                return bad(pointer, "a number is an integer of 32 bits");
            out = {std::to_string(value), true};
            return success();
        }
        case kBytes:
            if (is_text_attribute(name)) return bad(pointer, "expected a string");
            out.text = base64(as_bytes(field.bytes));
            return success();
        case kTimestamp: {
            if (is_text_attribute(name) && name != "time") return bad(pointer, "expected a string");
            auto text = read_timestamp(field.bytes, pointer);
            if (!text) return text.error();
            out.text = *std::move(text);
            return success();
        }
        default:
            out.text = field.bytes;
            return success();
    }
}

// A CloudEventAttributeValue: one of its fields, once.
Status read_value(std::string_view message, std::string_view name, const std::string& pointer, Attribute& out) {
    bool any = false;
    auto read = once(message, kTimestamp, pointer, [&](const Field& field) -> Status {
        if (any) return bad(pointer, "has two values");
        any = true;
        return read_scalar(field, name, pointer, out);
    });
    if (read && !any) return bad(pointer, "has no value of a type of CloudEvents 1.0");
    return read;
}

Status read_attribute(std::string_view entry, Attributes& into) {
    std::string_view name, value;
    auto read = once(entry, kMapValue, "", [&](const Field& field) -> Status {
        if (auto fits = expect(field, delimited, ""); !fits) return fits;
        (field.number == kKey ? name : value) = field.bytes;
        return success();
    });
    if (!read) return read;
    if (!event::valid_utf8(name)) return malformed("", "the name of an attribute is not UTF-8");
    const std::string pointer = attribute_pointer(name);
    if (name == "id" || name == "source" || name == "type" || name == "specversion") return bad(pointer, "has a field of its own");
    Attribute attribute;
    if (auto typed = read_value(value, name, pointer, attribute); !typed) return typed;
    if (!into.emplace(name, std::move(attribute)).second) return bad(pointer, "occurs twice");
    // Counted exactly when the event is built; here so that no more are gathered.
    if (into.size() > kAttributesMax) return bad("", "more than " + std::to_string(limits::event_extensions_max) + " extension attributes");
    return success();
}

const char* name_of(unsigned field) {
    if (field == kId) return "id";
    return field == kSource ? "source" : "type";
}

struct Reading {
    ProtobufEvent event;
    bool version = false, data = false;
};

Status read_field(const Field& field, Reading& into) {
    if (field.number > kProtoData) return unknown(field, "");
    if (auto fits = expect(field, delimited, ""); !fits) return fits;
    switch (field.number) {
        case kSpecVersion:
            if (into.version) return bad("/specversion", "occurs twice");
            if (field.bytes != "1.0") return bad("/specversion", "expected \"1.0\"");
            into.version = true;
            return success();
        case kAttributes:
            return read_attribute(field.bytes, into.event.attributes);
        case kProtoData:
            return Error{
                Errc::opaque_data,
                "the fields of a message unknown here cannot be governed: send JSON as text_data, or what nothing is governed of as binary_data",
                "/proto_data"};
        case kBinaryData:
        case kTextData:
            if (into.data) return bad("/data", "text_data and binary_data exclude each other, and occur once");
            into.data = true;
            into.event.data = field.bytes;
            into.event.data_kind = field.number == kTextData ? ProtobufEvent::Data::text : ProtobufEvent::Data::binary;
            if (field.number == kTextData && !event::valid_utf8(field.bytes)) return malformed("/data", "text_data is not UTF-8");
            return success();
        default: {
            const char* name = name_of(field.number);
            if (into.event.attributes.emplace(name, Attribute{std::string(field.bytes), false}).second) return success();
            return bad(std::string("/") + name, "occurs twice");
        }
    }
}

}  // namespace

Result<ProtobufEvent> read_protobuf_event(std::string_view message) {
    Fields fields(message);
    Reading reading;
    while (fields.more()) {
        const auto field = fields.next("");
        if (!field) return field.error();
        if (auto read = read_field(*field, reading); !read) return read.error();
    }
    if (!reading.version) return bad("/specversion", "is required");
    return std::move(reading.event);
}

Result<std::vector<std::string_view>> split_protobuf_batch(std::string_view message, std::size_t most) {
    std::vector<std::string_view> out;
    Fields fields(message);
    while (fields.more() && out.size() <= most) {
        const auto field = fields.next("");
        if (!field) return field.error();
        if (field->number != kBatchEvents) return malformed("", "field " + std::to_string(field->number) + " is not of a CloudEventBatch");
        if (auto fits = expect(*field, delimited, ""); !fits) return fits.error();
        out.push_back(field->bytes);
    }
    return out;
}

}  // namespace licet::stream
