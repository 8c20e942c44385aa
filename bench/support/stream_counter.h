// Counts what a server sends on one connection without looking at it, so that reading is not what is measured. Plain bytes are dropped by the kernel;
// of WebSocket frames and TLS records only the heads are read.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>

namespace licet::bench {

// What counts: every byte; the payload of WebSocket data frames (of servers that put several messages into one), and where they are lines of it one
// more for the line end that the last has not; the plaintext of TLS 1.3 records.
enum class Framing : std::uint8_t { bytes, websocket, websocket_lines, tls };

class StreamCounter {
  public:
    explicit StreamCounter(Framing framing = Framing::bytes) : framing_(framing) {}

    // What one recv() of the non-blocking socket brings; nothing when the connection ended.
    std::optional<std::uint64_t> take(int fd) {
        static std::array<unsigned char, 256 * 1024> buffer;
        const ssize_t n = framing_ == Framing::bytes ? ::recv(fd, nullptr, 4 * 1024 * 1024, MSG_TRUNC) : ::recv(fd, buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return std::nullopt;
        const auto size = static_cast<std::uint64_t>(n);
        return framing_ == Framing::bytes ? size : walk(buffer.data(), size);
    }

  private:
    static constexpr std::uint64_t kTlsRecordHead = 5, kTlsInnerEnd = 1 + 16;  // content type and tag

    std::uint64_t walk(const unsigned char* bytes, std::uint64_t size) {
        std::uint64_t counted = 0;
        for (std::uint64_t at = 0; at < size;) {
            if (left_ > 0) {
                const std::uint64_t step = std::min(left_, size - at);
                // Of a record the end is not content; a frame is content or not as a whole.
                const std::uint64_t end = framing_ == Framing::tls ? kTlsInnerEnd : 0;
                const std::uint64_t before = left_ > end ? left_ - end : 0, after = left_ - step > end ? left_ - step - end : 0;
                if (content_) counted += before - after;
                left_ -= step;
                at += step;
                if (framing_ == Framing::websocket_lines && content_ && left_ == 0) ++counted;
                continue;
            }
            head_[have_++] = bytes[at++];
            if (have_ == head_size()) begin();
        }
        return counted;
    }
    [[nodiscard]] std::uint64_t head_size() const {
        if (framing_ == Framing::tls) return kTlsRecordHead;
        if (have_ < 2) return 2;
        const unsigned length = head_[1] & 127u;
        return length < 126 ? 2 : length == 126 ? 4 : 10;
    }
    void begin() {
        const auto number = [&](std::size_t from, std::size_t to) {
            std::uint64_t out = 0;
            for (; from < to; ++from) out = out << 8 | head_[from];
            return out;
        };
        if (framing_ == Framing::tls) {
            left_ = number(3, 5);
        } else {
            content_ = (head_[0] & 8u) == 0;  // not a control frame
            left_ = have_ == 2 ? head_[1] & 127u : number(2, have_);
        }
        have_ = 0;
    }

    Framing framing_;
    bool content_ = true;
    std::array<unsigned char, 10> head_{};
    std::size_t have_ = 0;
    std::uint64_t left_ = 0;  // of the present frame or record
};

}  // namespace licet::bench
