#include "metering/journal_format.h"

#include <cstring>

#include "metering/crc32c.h"

namespace licet::metering {
namespace {

constexpr std::uint8_t kVersion = 2;  // 1 named no view and had the first four kinds

template <class T>
void put(std::string& out, T v) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(static_cast<std::uint64_t>(v) >> (8 * i));
}
template <class T>
void take(const char*& p, T& v) noexcept {
    std::uint64_t u = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) u |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
    v = static_cast<T>(u);
    p += sizeof(T);
}

}  // namespace

// version u8, kind u8, partition u16, contract u32, product u32, stream epoch u32, boot u64, sequence u64, from u64, to u64, events u64, bytes u64,
// at i64, previous 32 bytes, view u64, zero 12 bytes, CRC-32C u32.
void append_record(const JournalRecord& r, const ChainHash& previous, std::string& out) {
    const std::size_t start = out.size();
    put(out, kVersion);
    put(out, static_cast<std::uint8_t>(r.kind));
    put(out, r.partition.value);
    put(out, r.contract.value);
    put(out, r.product.value);
    put(out, r.stream_epoch.value);
    for (const std::uint64_t v : {r.boot, r.sequence, r.from, r.to, r.events, r.bytes}) put(out, v);
    put(out, r.at.value);
    out.append(reinterpret_cast<const char*>(previous.data()), previous.size());
    put(out, r.view.value);
    out.resize(start + kRecordBytes - 4, '\0');
    put(out, crc32c(std::string_view(out).substr(start)));
}

std::optional<ReadRecord> read_record(std::string_view bytes) noexcept {
    if (bytes.size() < kRecordBytes) return std::nullopt;
    const char* p = bytes.data() + kRecordBytes - 4;
    std::uint32_t crc;
    take(p, crc);
    if (crc != crc32c(bytes.substr(0, kRecordBytes - 4))) return std::nullopt;
    p = bytes.data();
    std::uint8_t version, kind;
    take(p, version);
    take(p, kind);
    if (version < 1 || version > kVersion || kind < 1 || kind > (version == 1 ? 4 : 7)) return std::nullopt;
    ReadRecord out;
    JournalRecord& r = out.record;
    r.kind = static_cast<RecordKind>(kind);
    take(p, r.partition.value);
    take(p, r.contract.value);
    take(p, r.product.value);
    take(p, r.stream_epoch.value);
    for (std::uint64_t* v : {&r.boot, &r.sequence, &r.from, &r.to, &r.events, &r.bytes}) take(p, *v);
    take(p, r.at.value);
    std::memcpy(out.previous.data(), p, out.previous.size());
    p += out.previous.size();
    if (version > 1) take(p, r.view.value);
    if (r.from > r.to) return std::nullopt;
    return out;
}

}  // namespace licet::metering
