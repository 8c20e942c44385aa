// The files of a ZIP archive, by its central directory (APPNOTE 4.3), inflated by zlib. For tests; the whole archive is held.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace licet::testing {

// nullopt: no archive, or one that is damaged.
inline std::optional<std::map<std::string, std::string>> read_zip(std::string_view zip) {
    const auto number = [&](std::size_t at, int bytes) {
        std::uint64_t out = 0;
        for (int i = bytes - 1; i >= 0; --i) out = out << 8 | static_cast<unsigned char>(zip[at + static_cast<std::size_t>(i)]);
        return static_cast<std::size_t>(out);
    };
    const auto end = zip.rfind("PK\x05\x06");
    if (end == std::string_view::npos || end + 22 > zip.size()) return std::nullopt;
    std::map<std::string, std::string> out;
    std::size_t at = number(end + 16, 4);
    for (std::size_t entries = number(end + 10, 2); entries > 0; --entries) {
        if (at + 46 > zip.size() || zip.substr(at, 4) != "PK\x01\x02") return std::nullopt;
        const auto method = number(at + 10, 2), crc = number(at + 16, 4), packed = number(at + 20, 4), size = number(at + 24, 4);
        const auto name_size = number(at + 28, 2), local = number(at + 42, 4);
        const std::string name(zip.substr(at + 46, name_size));
        at += 46 + name_size + number(at + 30, 2) + number(at + 32, 2);
        if (local + 30 > zip.size() || zip.substr(local, 4) != "PK\x03\x04") return std::nullopt;
        const std::size_t data = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        if (data + packed > zip.size()) return std::nullopt;
        std::string content(size, '\0');
        if (method == 0) {
            if (packed != size) return std::nullopt;
            content = zip.substr(data, size);
        } else {
            z_stream stream{};
            if (method != 8 || inflateInit2(&stream, -MAX_WBITS) != Z_OK) return std::nullopt;
            std::string input(zip.substr(data, packed));
            stream.next_in = reinterpret_cast<Bytef*>(input.data());
            stream.avail_in = static_cast<uInt>(input.size());
            stream.next_out = reinterpret_cast<Bytef*>(content.data());
            stream.avail_out = static_cast<uInt>(content.size());
            const int done = inflate(&stream, Z_FINISH);
            const bool whole = done == Z_STREAM_END && stream.total_out == size;
            inflateEnd(&stream);
            if (!whole) return std::nullopt;
        }
        if (crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())) != crc) return std::nullopt;
        out.emplace(name, std::move(content));
    }
    return out;
}

}  // namespace licet::testing
