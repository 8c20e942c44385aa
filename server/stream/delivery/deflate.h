// Compression of WebSocket messages (RFC 7692, permessage-deflate without context takeover: every message for itself, so that one compressed for a
// view serves all of its subscribers). One Deflater per shard; an Inflater lives as long as one client message. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace licet::stream {

// What to answer to Sec-WebSocket-Extensions: the header's value, or nullopt when nothing offered is acceptable. Never a context: memory is bounded
// by the messages, and a message has the same bytes for everybody. Offers of a smaller window than 32 KiB for what we send are declined.
[[nodiscard]] std::optional<std::string> accept_deflate(std::string_view offers);

class Deflater {
  public:
    Deflater();
    ~Deflater();
    // Writes `message`, compressed, to `out` (replaced). False: it would not be smaller; send it as it is.
    [[nodiscard]] bool compress(std::string_view message, std::string& out);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

class Inflater {
  public:
    Inflater();
    ~Inflater();
    enum class Fed : std::uint8_t { taken, malformed, too_big };
    // Appends what `piece` decompresses to; `too_big` when `out` would grow past `most`.
    [[nodiscard]] Fed feed(std::string_view piece, std::string& out, std::size_t most);

  private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

}  // namespace licet::stream
