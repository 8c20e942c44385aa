#include "server/stream/delivery/protobuf.h"

#include <google/protobuf/io/coded_stream.h>

#include <charconv>
#include <cstdint>

#include "base/encoding.h"
#include "event/json_scan.h"
#include "event/json_text.h"
#include "event/media_type.h"
#include "event/timestamp.h"

namespace licet::stream {
namespace {

using google::protobuf::io::CodedOutputStream;

// Field numbers of api/cloudevents.proto.
enum Event : unsigned { kId = 1, kSource, kSpecVersion, kType, kAttributes, kBinaryData, kTextData };
enum Value : unsigned { kBoolean = 1, kInteger, kString, kBytes, kUri, kUriRef, kTimestamp };
constexpr unsigned kKey = 1, kMapValue = 2, kSeconds = 1, kNanos = 2, kBatchEvents = 1;
enum Wire : unsigned { varint = 0, delimited = 2 };

void append_varint(std::uint64_t value, std::string& out) {
    std::uint8_t bytes[10];
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(CodedOutputStream::WriteVarint64ToArray(value, bytes) - bytes));
}

void append_tag(unsigned field, Wire wire, std::string& out) { out += static_cast<char>(field << 3 | wire); }

void append_number(unsigned field, std::int64_t value, std::string& out) {
    append_tag(field, varint, out);
    append_varint(static_cast<std::uint64_t>(value), out);  // negative ones in ten bytes, as the format has it
}

void append_text(unsigned field, std::string_view text, std::string& out) {
    append_tag(field, delimited, out);
    append_varint(text.size(), out);
    out += text;
}

std::size_t text_size(std::string_view text) { return 1 + CodedOutputStream::VarintSize64(text.size()) + text.size(); }

// An entry of CloudEvent.attributes; `value` is a CloudEventAttributeValue.
void append_entry(std::string_view name, std::string_view value, std::string& out) {
    append_tag(kAttributes, delimited, out);
    append_varint(text_size(name) + text_size(value), out);
    append_text(kKey, name, out);
    append_text(kMapValue, value, out);
}

void append_string_attribute(std::string_view name, std::string_view text, std::string& value, std::string& out) {
    value.clear();
    append_text(kString, text, value);
    append_entry(name, value, out);
}

// The attributes CloudEvents and its documented extensions define as timestamps.
bool is_time(std::string_view name) { return name == "time" || name == "expirytime"; }

unsigned required_field(std::string_view name) {
    if (name == "id") return kId;
    if (name == "source") return kSource;
    return name == "type" ? unsigned{kType} : 0;
}

}  // namespace

bool ProtobufEncoder::append_event(std::string_view json, std::size_t data_bytes, std::string& out) {
    bool written = true, typed = false, json_type = true;
    event::scan::members(json, 0, [&](std::string_view key, std::size_t at) {
        const std::string_view name = key.substr(1, key.size() - 2);  // attribute names have nothing to escape
        if (name == "data" || name == "data_base64") {
            const bool base64 = name.size() > 4;
            // What JSON implies by saying nothing is said where nothing is implied (CloudEvents 1.0.2, section 3.1.1).
            if (!typed && !base64) append_string_attribute("datacontenttype", "application/json", value_, out);
            written = written && append_data(base64, json_type, json.substr(at, data_bytes), out);
            return at + data_bytes;
        }
        const std::size_t end = event::scan::value_end(json, at);
        if (name == "specversion") {
            append_text(kSpecVersion, "1.0", out);
            return end;
        }
        const auto token = json.substr(at, end - at);
        written = written && append_attribute(name, token, out);
        if (name == "datacontenttype") typed = true, json_type = event::is_json_media_type(text_);
        return end;
    });
    return written;
}

bool ProtobufEncoder::append_attribute(std::string_view name, std::string_view token, std::string& out) {
    value_.clear();
    if (token.front() != '"') {
        if (token == "true" || token == "false") {
            append_number(kBoolean, token == "true", value_);
        } else {
            std::int32_t integer = 0;
            if (std::from_chars(token.data(), token.data() + token.size(), integer).ptr != token.data() + token.size()) return false;
            append_number(kInteger, integer, value_);
        }
        append_entry(name, value_, out);
        return true;
    }
    if (!event::unescape_json(token, text_)) return false;
    if (const unsigned field = required_field(name)) {
        append_text(field, text_, out);
        return true;
    }
    if (const auto moment = is_time(name) ? event::parse_timestamp(text_) : std::nullopt) {
        std::string timestamp;  // at most 17 bytes
        if (moment->seconds != 0) append_number(kSeconds, moment->seconds, timestamp);
        if (moment->nanos != 0) append_number(kNanos, moment->nanos, timestamp);
        append_text(kTimestamp, timestamp, value_);
    } else {
        append_text(name == "dataschema" ? kUri : kString, text_, value_);
    }
    append_entry(name, value_, out);
    return true;
}

bool ProtobufEncoder::append_data(bool base64, bool json_type, std::string_view token, std::string& out) {
    if (base64) {
        const auto bytes = token.size() >= 2 ? parse_base64(token.substr(1, token.size() - 2)) : std::nullopt;
        if (!bytes) return false;
        append_text(kBinaryData, *bytes, out);
        return true;
    }
    if (json_type) {
        append_text(kTextData, token, out);
        return true;
    }
    // Text of another type is a string in JSON; what a policy withheld whole is null there and absent here.
    if (token == "null") return true;
    if (token.front() != '"') {
        append_text(kTextData, token, out);
        return true;
    }
    if (!event::unescape_json(token, text_)) return false;
    append_text(kTextData, text_, out);
    return true;
}

void append_batch_member(std::string_view message, std::string& out) { append_text(kBatchEvents, message, out); }

}  // namespace licet::stream
