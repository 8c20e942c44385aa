// Takes apart what streams and pages consist of: WebSocket messages (compressed ones too), server-sent events, lines. Used by chain.h.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace soak {

struct Frame {
    std::size_t size = 0;  // 0: not whole yet
    int opcode = 0;
    bool compressed = false;
    std::string_view payload;
};

// What a server sends: never masked, never in fragments.
inline Frame websocket_frame(std::string_view in) {
    if (in.size() < 2) return {};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
    std::size_t length = byte(1) & 0x7f, head = 2;
    if (length >= 126) {
        const std::size_t wide = length == 126 ? 2 : 8;
        if (in.size() < 2 + wide) return {};
        length = 0;
        for (std::size_t i = 0; i < wide; ++i) length = length << 8 | byte(2 + i);
        head += wide;
    }
    if (in.size() < head + length) return {};
    return {head + length, byte(0) & 15, (byte(0) & 0x40) != 0, in.substr(head, length)};
}

// What a client sends, with a mask of zeros.
inline std::string masked_frame(int opcode, std::string_view payload) {
    std::string out{static_cast<char>(0x80 | opcode), static_cast<char>(0x80 | payload.size())};
    return out.append(4, '\0').append(payload);  // control frames and acks: below 126 bytes
}

// Messages compressed each for itself (RFC 7692 without context takeover).
class Inflater {
  public:
    Inflater() {
        if (::inflateInit2(&stream_, -15) != Z_OK) throw std::runtime_error("zlib");
    }
    ~Inflater() { ::inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    // Empty: not DEFLATE. Valid until the next call.
    std::string_view inflate(std::string_view message) {
        in_.assign(message).append("\0\0\xff\xff", 4);
        out_.resize(1 << 16);
        ::inflateReset(&stream_);
        stream_.next_in = reinterpret_cast<Bytef*>(in_.data());
        stream_.avail_in = static_cast<uInt>(in_.size());
        stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
        stream_.avail_out = static_cast<uInt>(out_.size());
        if (::inflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_in != 0) return {};
        return std::string_view(out_).substr(0, out_.size() - stream_.avail_out);
    }

  private:
    z_stream stream_{};
    std::string in_, out_;
};

}  // namespace soak
