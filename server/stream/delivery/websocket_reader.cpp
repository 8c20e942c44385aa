#include "server/stream/delivery/websocket_reader.h"

#include <algorithm>

#include "base/limits.h"
#include "event/json_text.h"
#include "server/stream/delivery/deflate.h"

namespace licet::stream {
namespace {

enum Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

constexpr std::size_t kControlMaxBytes = 125;
constexpr unsigned kCompressed = 0x40;  // RSV1, RFC 7692 section 6

std::uint16_t close_code(std::string_view payload) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
}

// RFC 6455 section 7.4 and the IANA registry: 1004-1006 and 1015 never travel.
bool may_be_sent(std::uint16_t code) { return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999); }

}  // namespace

bool Utf8Check::feed(std::string_view bytes) noexcept {
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (missing_ > 0) {
            if (byte < low_ || byte > high_) return false;
            low_ = 0x80, high_ = 0xbf;
            --missing_;
        } else if (byte >= 0x80) {
            if (byte < 0xc2 || byte > 0xf4) return false;
            missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
            if (byte == 0xe0) low_ = 0xa0;   // overlong
            if (byte == 0xed) high_ = 0x9f;  // surrogates
            if (byte == 0xf0) low_ = 0x90;   // overlong
            if (byte == 0xf4) high_ = 0x8f;  // past U+10FFFF
        }
    }
    return true;
}

WebsocketReader::WebsocketReader(Compression compression) noexcept : compression_(compression) {}
WebsocketReader::~WebsocketReader() = default;
WebsocketReader::WebsocketReader(WebsocketReader&&) noexcept = default;
WebsocketReader& WebsocketReader::operator=(WebsocketReader&&) noexcept = default;

std::size_t WebsocketReader::head_size() const noexcept {
    if (head_bytes_ < 2) return 2;
    const unsigned length = head_[1] & 0x7f;
    return 2 + 4 + (length == 126 ? 2 : length == 127 ? 8 : 0);
}

// What the first two bytes of a frame say.
std::optional<CloseCode> WebsocketReader::check_start() const noexcept {
    const unsigned opcode = head_[0] & 0x0f, reserved = head_[0] & 0x70, length = head_[1] & 0x7f;
    const bool fin = head_[0] & 0x80, masked = head_[1] & 0x80, is_control = opcode >= close;
    const bool begins = opcode == text || opcode == binary;
    if (!masked || (!begins && !is_control && opcode != continuation) || opcode > pong) return CloseCode::protocol_error;
    if (is_control && (!fin || length > kControlMaxBytes)) return CloseCode::protocol_error;
    const unsigned allowed = begins && compression_ == Compression::permessage_deflate ? kCompressed : 0;
    if ((reserved & ~allowed) != 0) return CloseCode::protocol_error;
    // Messages do not interleave.
    if ((begins && message_opcode_ != 0) || (opcode == continuation && message_opcode_ == 0)) return CloseCode::protocol_error;
    return std::nullopt;
}

// The head is whole.
std::optional<CloseCode> WebsocketReader::begin_payload() {
    const unsigned length = head_[1] & 0x7f;
    const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    payload_left_ = extended == 0 ? length : 0;
    for (std::size_t i = 0; i < extended; ++i) payload_left_ = payload_left_ << 8 | head_[2 + i];
    // Section 5.2: the shortest form; the most significant bit of the long one is 0.
    if ((extended == 2 && payload_left_ < 126) || (extended == 8 && (payload_left_ < 65536 || payload_left_ >> 63 != 0)))
        return CloseCode::protocol_error;
    std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(2 + extended), 4, mask_.begin());
    mask_at_ = 0;
    fin_ = head_[0] & 0x80;
    opcode_ = head_[0] & 0x0f;
    head_bytes_ = 0;
    in_payload_ = true;
    if (control()) return std::nullopt;
    if (payload_left_ > limits::client_message_max_bytes - message_.size()) return CloseCode::too_big;
    if (opcode_ == continuation) return std::nullopt;
    message_opcode_ = opcode_;
    message_compressed_ = head_[0] & kCompressed;
    if (message_compressed_) inflater_ = std::make_unique<Inflater>();
    return std::nullopt;
}

std::optional<CloseCode> WebsocketReader::take_data(std::string_view piece) {
    const std::size_t before = message_.size();
    if (!message_compressed_) {
        message_ += piece;
    } else {
        switch (inflater_->feed(piece, message_, limits::client_message_max_bytes)) {
            case Inflater::Fed::taken:
                break;
            case Inflater::Fed::malformed:
                return CloseCode::invalid_payload;
            case Inflater::Fed::too_big:
                return CloseCode::too_big;
        }
    }
    if (message_opcode_ == text && !utf8_.feed(std::string_view(message_).substr(before))) return CloseCode::invalid_payload;
    return std::nullopt;
}

std::optional<CloseCode> WebsocketReader::end_message(Outcome& out) {
    // RFC 7692 section 7.2.2: what the sender took off its end.
    if (message_compressed_)
        if (const auto error = take_data({"\x00\x00\xff\xff", 4})) return error;
    if (message_opcode_ == text && !utf8_.whole()) return CloseCode::invalid_payload;
    out.messages.push_back({message_opcode_ == binary, std::move(message_)});
    message_ = {};
    message_opcode_ = 0;
    message_compressed_ = false;
    inflater_.reset();
    return std::nullopt;
}

void WebsocketReader::end_control(Outcome& out) {
    if (opcode_ == ping) {
        append_websocket_pong(control_, out.reply);
    } else if (opcode_ == close) {
        if (control_.size() == 1 || (control_.size() >= 2 && !may_be_sent(close_code(control_)))) {
            out.error = CloseCode::protocol_error;
        } else if (control_.size() > 2 && !event::valid_utf8(std::string_view(control_).substr(2))) {
            out.error = CloseCode::invalid_payload;
        } else {
            append_websocket_close_reply(std::string_view(control_).substr(0, 2), out.reply);
            out.closed = true;
        }
    }
    control_ = {};
}

void WebsocketReader::end_frame(Outcome& out) {
    in_payload_ = false;
    if (control())
        end_control(out);
    else if (fin_)
        out.error = end_message(out);
}

WebsocketReader::Outcome WebsocketReader::feed(std::string_view bytes) {
    Outcome out;
    std::array<char, 4096> piece;
    while (!out.closed && !out.error) {
        if (!in_payload_) {
            if (bytes.empty()) break;
            head_[head_bytes_++] = static_cast<unsigned char>(bytes.front());
            bytes.remove_prefix(1);
            if (head_bytes_ == 2) out.error = check_start();
            if (!out.error && head_bytes_ == head_size() && head_bytes_ > 2) out.error = begin_payload();
        } else if (payload_left_ == 0) {
            end_frame(out);
        } else {
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>({payload_left_, bytes.size(), piece.size()}));
            if (size == 0) break;
            for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ mask_[mask_at_++ % 4]);
            mask_at_ %= 4;
            payload_left_ -= size;
            bytes.remove_prefix(size);
            if (control())
                control_.append(piece.data(), size);
            else
                out.error = take_data({piece.data(), size});
        }
    }
    return out;
}

}  // namespace licet::stream
