// Takes apart what a client sends on a WebSocket (RFC 6455 section 5; RFC 7692 when compression was agreed): control frames are answered, messages
// are handed on whole. Strict, and as soon as a violation can be known. Used by sessions. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/stream/delivery/frames.h"

namespace licet::stream {

class Inflater;

// UTF-8 (RFC 3629) that comes in pieces.
class Utf8Check {
  public:
    // False: no continuation could make it well formed.
    [[nodiscard]] bool feed(std::string_view bytes) noexcept;
    // Whether it ends with a whole character.
    [[nodiscard]] bool whole() const noexcept { return missing_ == 0; }

  private:
    std::uint8_t missing_ = 0, low_ = 0x80, high_ = 0xbf;  // continuation bytes to come, and the bounds of the next
};

class WebsocketReader {
  public:
    enum class Compression : bool { off, permessage_deflate };

    explicit WebsocketReader(Compression compression = Compression::off) noexcept;
    ~WebsocketReader();
    WebsocketReader(WebsocketReader&&) noexcept;
    WebsocketReader& operator=(WebsocketReader&&) noexcept;

    struct Message {
        bool binary = false;
        std::string payload;  // at most client_message_max_bytes; text is UTF-8
    };
    struct Outcome {
        std::string reply;  // pong or close frames to send, in order
        std::vector<Message> messages;
        bool closed = false;             // the peer closed: send `reply`, then end
        std::optional<CloseCode> error;  // a violation: close with this code; nothing more is read
    };
    [[nodiscard]] Outcome feed(std::string_view bytes);

  private:
    [[nodiscard]] std::size_t head_size() const noexcept;  // of the head begun, as far as its bytes tell
    [[nodiscard]] std::optional<CloseCode> check_start() const noexcept;
    [[nodiscard]] std::optional<CloseCode> begin_payload();
    [[nodiscard]] std::optional<CloseCode> take_data(std::string_view piece);
    void end_frame(Outcome& out);
    void end_control(Outcome& out);
    [[nodiscard]] std::optional<CloseCode> end_message(Outcome& out);
    [[nodiscard]] bool control() const noexcept { return opcode_ >= 8; }

    std::array<unsigned char, 14> head_{};
    std::uint8_t head_bytes_ = 0;
    // The frame whose head is read.
    bool in_payload_ = false, fin_ = false;
    std::uint8_t opcode_ = 0, mask_at_ = 0;
    std::array<unsigned char, 4> mask_{};
    std::uint64_t payload_left_ = 0;
    // The message under way; opcode 0: none.
    std::uint8_t message_opcode_ = 0;
    bool message_compressed_ = false;
    Compression compression_;
    Utf8Check utf8_;
    std::string message_, control_;
    std::unique_ptr<Inflater> inflater_;  // while a compressed message is under way
};

}  // namespace licet::stream
