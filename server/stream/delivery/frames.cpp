#include "server/stream/delivery/frames.h"

#include <algorithm>

#include "base/limits.h"
#include "event/json_text.h"

namespace licet::stream {
namespace {

constexpr std::size_t kControlMaxBytes = 125, kReasonMaxBytes = kControlMaxBytes - 2;

enum Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

void append_frame(Opcode opcode, std::string_view payload, std::string& out) {
    out += static_cast<char>(0x80 | opcode);
    if (payload.size() < 126) {
        out += static_cast<char>(payload.size());
    } else if (payload.size() < 65536) {
        out += static_cast<char>(126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size());
    } else {
        out += static_cast<char>(127);
        for (int i = 7; i >= 0; --i) out += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
    }
    out += payload;
}

std::uint16_t close_code(std::string_view payload) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
}

// RFC 6455 section 7.4 and the IANA registry: 1004-1006 and 1015 never travel.
bool may_be_sent(std::uint16_t code) { return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999); }

}  // namespace

void append_websocket_text(std::string_view payload, std::string& out) { append_frame(text, payload, out); }

void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out) {
    out += "id: ";
    out += cursor;
    for (;;) {
        out += "\ndata: ";
        const auto line_end = std::min(payload.find('\n'), payload.find('\r'));
        out += payload.substr(0, line_end);
        if (line_end == std::string_view::npos) break;
        payload.remove_prefix(line_end + (payload.substr(line_end, 2) == "\r\n" ? 2 : 1));
    }
    out += "\n\n";
}

void append_sse_end(CloseCode code, std::string_view reason, std::string_view cursor, std::string& out) {
    out += ": " + std::to_string(static_cast<int>(code)) + " ";
    out += reason;
    if (!cursor.empty()) out.append("\nid: ").append(cursor);
    out += "\n\n";
}

void append_websocket_close(CloseCode code, std::string_view reason, std::string& out) {
    std::string payload;
    payload += static_cast<char>(static_cast<std::uint16_t>(code) >> 8);
    payload += static_cast<char>(static_cast<std::uint16_t>(code));
    std::size_t size = std::min(reason.size(), kReasonMaxBytes);
    while (size < reason.size() && size > 0 && (static_cast<unsigned char>(reason[size]) & 0xc0) == 0x80) --size;
    payload += reason.substr(0, size);
    append_frame(close, payload, out);
}

void append_websocket_ping(std::string& out) { append_frame(ping, {}, out); }

std::optional<WebsocketReader::Head> WebsocketReader::read_head(std::size_t at, Outcome& out) const {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(buffer_[at + i]); };
    const std::size_t have = buffer_.size() - at;
    if (have < 2) return std::nullopt;
    const bool fin = byte(0) & 0x80, reserved = byte(0) & 0x70, masked = byte(1) & 0x80;
    Head head{static_cast<std::uint8_t>(byte(0) & 0x0f), 2 + 4, byte(1) & 0x7fu};
    const bool control = head.opcode >= close, known = head.opcode <= binary || (control && head.opcode <= pong);
    // Data frames end the stream, so nothing can be continued.
    if (reserved || !masked || !known || head.opcode == continuation || (control && (!fin || head.payload > kControlMaxBytes))) {
        out.error = CloseCode::protocol_error;
        return std::nullopt;
    }
    if (control) return head;
    const std::size_t extended = head.payload == 126 ? 2 : head.payload == 127 ? 8 : 0;
    if (have < 2 + extended) return std::nullopt;
    if (extended > 0) head.payload = 0;
    for (std::size_t i = 0; i < extended; ++i) head.payload = head.payload << 8 | byte(2 + i);
    out.error = head.payload > limits::client_frame_max_bytes ? CloseCode::too_big : CloseCode::unsupported_data;
    return std::nullopt;
}

void WebsocketReader::take(const Head& head, std::string_view payload, Outcome& out) {
    if (head.opcode == ping) return append_frame(pong, payload, out.reply);
    if (head.opcode == pong) return;
    if (payload.size() == 1 || (payload.size() >= 2 && !may_be_sent(close_code(payload)))) {
        out.error = CloseCode::protocol_error;
    } else if (payload.size() > 2 && !event::valid_utf8(payload.substr(2))) {
        out.error = CloseCode::invalid_payload;
    } else {
        append_frame(close, payload.substr(0, 2), out.reply);
        out.closed = true;
    }
}

WebsocketReader::Outcome WebsocketReader::feed(std::string_view bytes) {
    Outcome out;
    buffer_ += bytes;
    std::size_t at = 0;
    while (!out.closed && !out.error) {
        const auto head = read_head(at, out);
        if (!head || buffer_.size() - at < head->bytes + head->payload) break;
        std::string payload = buffer_.substr(at + head->bytes, head->payload);
        for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ buffer_[at + head->bytes - 4 + i % 4]);
        at += head->bytes + head->payload;
        take(*head, payload, out);
    }
    buffer_.erase(0, at);
    return out;
}

}  // namespace licet::stream
