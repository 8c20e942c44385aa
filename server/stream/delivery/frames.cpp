#include "server/stream/delivery/frames.h"

#include "base/limits.h"

namespace licet::stream {
namespace {

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

}  // namespace

void append_websocket_text(std::string_view payload, std::string& out) { append_frame(text, payload, out); }

void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out) {
    out += "id: ";
    out += cursor;
    out += "\ndata: ";
    out += payload;
    out += "\n\n";
}

void append_websocket_close(CloseCode code, std::string_view reason, std::string& out) {
    std::string payload;
    payload += static_cast<char>(static_cast<std::uint16_t>(code) >> 8);
    payload += static_cast<char>(static_cast<std::uint16_t>(code));
    payload += reason.substr(0, 123);
    append_frame(close, payload, out);
}

void append_websocket_ping(std::string& out) { append_frame(ping, {}, out); }

WebsocketReader::Outcome WebsocketReader::feed(std::string_view bytes) {
    Outcome out;
    buffer_ += bytes;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(buffer_[i]); };
    std::size_t at = 0;
    while (buffer_.size() - at >= 2 && !out.closed && !out.error) {
        const bool fin = byte(at) & 0x80, reserved = byte(at) & 0x70, masked = byte(at + 1) & 0x80;
        const auto opcode = static_cast<Opcode>(byte(at) & 0x0f);
        std::uint64_t size = byte(at + 1) & 0x7f;
        std::size_t head = 2;
        if (size >= 126) {
            const std::size_t extended = size == 126 ? 2 : 8;
            if (buffer_.size() - at < 2 + extended) break;
            size = 0;
            for (std::size_t i = 0; i < extended; ++i) size = size << 8 | byte(at + 2 + i);
            head += extended;
        }
        if (reserved || !masked || (opcode >= close && (!fin || size > 125))) {
            out.error = static_cast<CloseCode>(1002);
            break;
        }
        if (opcode < close) {
            out.error = size > limits::client_frame_max_bytes ? CloseCode::too_big : CloseCode::unsupported_data;
            break;
        }
        if (buffer_.size() - at < head + 4 + size) break;
        std::string payload = buffer_.substr(at + head + 4, size);
        for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ buffer_[at + head + i % 4]);
        at += head + 4 + size;
        if (opcode == ping) {
            append_frame(pong, payload, out.reply);
        } else if (opcode == close) {
            append_frame(close, std::string_view(payload).substr(0, 2), out.reply);
            out.closed = true;
        } else if (opcode != pong) {
            out.error = static_cast<CloseCode>(1002);
        }
    }
    buffer_.erase(0, at);
    return out;
}

}  // namespace licet::stream
