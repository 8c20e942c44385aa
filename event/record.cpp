#include "event/record.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace licet::event {
namespace {

// Header: magic u8, version u8, data kind u8, sealed u8 (0 or 1), mapping u32, time i64, expiry i64, subject 16, then u32 each: size of the static
// block, of partition key, id, source, number of spans, size of envelope, of data. The id of the key follows when sealed, then the parts in that
// order.
constexpr std::uint8_t kMagic = 0xE5;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4 + 4 + 8 + 8 + 16 + 7 * 4;
constexpr std::size_t kSpanBytes = 16;

template <class T>
void put(std::string& out, T v) {
    char b[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) b[i] = static_cast<char>(static_cast<std::uint64_t>(v) >> (8 * i));
    out.append(b, sizeof b);
}
template <class T>
T get(const char* p) noexcept {
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) v |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
    return static_cast<T>(v);
}

constexpr std::size_t kStaticStrings = 6;
constexpr std::size_t kStaticSpanBytes = 3;

// Detected info type; the high bit for a part of a text.
std::uint8_t static_detected(const Span& span) noexcept {
    return static_cast<std::uint8_t>(static_cast<unsigned>(span.detected) | (span.value_kind == ValueKind::part ? 0x80u : 0u));
}

}  // namespace

std::string encode_record(const EventDraft& draft) {
    const std::array<std::string_view, kStaticStrings> strings{draft.license,        draft.jurisdiction, draft.residency,
                                                               draft.classification, draft.categories,   draft.regulation};
    // The set of fields present with what was recognised in them: a longer array or a second address is not another static decision.
    std::vector<std::uint32_t> present;
    present.reserve(draft.spans.size());
    for (const Span& span : draft.spans) present.push_back(std::uint32_t{span.field} | std::uint32_t{static_detected(span)} << 16);
    std::sort(present.begin(), present.end());
    present.erase(std::unique(present.begin(), present.end()), present.end());
    std::size_t static_bytes = present.size() * kStaticSpanBytes;
    for (const auto s : strings) static_bytes += 2 + s.size();
    std::string out;
    out.reserve(kHeaderBytes + static_bytes + draft.partition_key.size() + draft.id.size() + draft.source.size() + draft.spans.size() * kSpanBytes +
                draft.envelope.size() + draft.data.size());
    put(out, kMagic);
    put(out, kVersion);
    put(out, static_cast<std::uint8_t>(draft.data_kind));
    put(out, std::uint8_t{0});
    put(out, draft.mapping_version);
    put(out, draft.time.value);
    put(out, draft.expiry.value);
    out.append(reinterpret_cast<const char*>(draft.subject.bytes.data()), draft.subject.bytes.size());
    for (const std::size_t size : {static_bytes, draft.partition_key.size(), draft.id.size(), draft.source.size(), draft.spans.size(),
                                   draft.envelope.size(), draft.data.size()})
        put(out, static_cast<std::uint32_t>(size));
    for (const auto s : strings) {
        put(out, static_cast<std::uint16_t>(s.size()));
        out.append(s);
    }
    for (const std::uint32_t field : present) {
        put(out, static_cast<std::uint16_t>(field));
        put(out, static_cast<std::uint8_t>(field >> 16));
    }
    out.append(draft.partition_key).append(draft.id).append(draft.source);
    for (const Span& span : draft.spans) append_span(span, out);
    out.append(draft.envelope).append(draft.data);
    return out;
}

void append_span(const Span& span, std::string& out) {
    put(out, span.field);
    put(out, static_cast<std::uint8_t>(span.value_kind));
    put(out, static_cast<std::uint8_t>(span.detected));
    put(out, span.member_begin);
    put(out, span.value_begin);
    put(out, span.value_end);
}

StoredEvent StoredEvent::with_data(std::string_view data) const noexcept {
    StoredEvent out = *this;
    out.data_ = data;
    out.sealed_ = false;
    return out;
}
StoredEvent StoredEvent::with_data(std::string_view data, std::string_view spans) const noexcept {
    StoredEvent out = with_data(data);
    out.spans_ = spans.data();
    out.span_count_ = spans.size() / kSpanBytes;
    return out;
}

std::string StoredEvent::encode_sealed(const DataKeyId& key, std::string_view data) const {
    std::string out;
    const std::string_view spans(spans_, span_count_ * kSpanBytes);
    out.reserve(kHeaderBytes + key.bytes.size() + static_attributes_.size() + partition_key_.size() + id_.size() + source_.size() + spans.size() +
                envelope_.size() + data.size());
    put(out, kMagic);
    put(out, kVersion);
    put(out, static_cast<std::uint8_t>(data_kind_));
    put(out, std::uint8_t{1});
    put(out, mapping_version_);
    put(out, time_.value);
    put(out, expiry_.value);
    out.append(reinterpret_cast<const char*>(subject_.bytes.data()), subject_.bytes.size());
    for (const std::size_t size :
         {static_attributes_.size(), partition_key_.size(), id_.size(), source_.size(), span_count_, envelope_.size(), data.size()})
        put(out, static_cast<std::uint32_t>(size));
    out.append(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
    out.append(static_attributes_).append(partition_key_).append(id_).append(source_).append(spans).append(envelope_).append(data);
    return out;
}

std::optional<StoredEvent> StoredEvent::parse(std::string_view bytes) noexcept {
    if (bytes.size() < kHeaderBytes) return std::nullopt;
    const char* p = bytes.data();
    const auto kind = get<std::uint8_t>(p + 2);
    const auto sealed = get<std::uint8_t>(p + 3);
    if (get<std::uint8_t>(p) != kMagic || get<std::uint8_t>(p + 1) != kVersion || kind > static_cast<std::uint8_t>(DataKind::base64) || sealed > 1)
        return std::nullopt;
    StoredEvent e;
    e.sealed_ = sealed != 0;
    e.data_kind_ = static_cast<DataKind>(kind);
    e.mapping_version_ = get<std::uint32_t>(p + 4);
    e.time_ = {get<std::int64_t>(p + 8)};
    e.expiry_ = {get<std::int64_t>(p + 16)};
    std::memcpy(e.subject_.bytes.data(), p + 24, e.subject_.bytes.size());

    std::size_t at = kHeaderBytes;
    const auto take = [&](std::size_t size, std::string_view& into) {
        if (size > bytes.size() - at) return false;
        into = bytes.substr(at, size);
        at += size;
        return true;
    };
    const auto size_at = [&](std::size_t index) { return std::size_t{get<std::uint32_t>(p + 40 + 4 * index)}; };
    std::string_view spans, key;
    e.span_count_ = size_at(4);
    if (e.sealed_) {
        if (!take(e.key_id_.bytes.size(), key)) return std::nullopt;
        std::memcpy(e.key_id_.bytes.data(), key.data(), key.size());
    }
    if (e.span_count_ > bytes.size() / kSpanBytes || !take(size_at(0), e.static_attributes_) || !take(size_at(1), e.partition_key_) ||
        !take(size_at(2), e.id_) || !take(size_at(3), e.source_) || !take(e.span_count_ * kSpanBytes, spans) || !take(size_at(5), e.envelope_) ||
        !take(size_at(6), e.data_) || at != bytes.size())
        return std::nullopt;
    e.spans_ = spans.data();

    std::string_view rest = e.static_attributes_;
    for (std::string_view* s : {&e.license_, &e.jurisdiction_, &e.residency_, &e.classification_, &e.categories_, &e.regulation_}) {
        if (rest.size() < 2) return std::nullopt;
        const std::size_t size = get<std::uint16_t>(rest.data());
        if (size > rest.size() - 2) return std::nullopt;
        *s = rest.substr(2, size);
        rest.remove_prefix(2 + size);
    }
    if (rest.size() % kStaticSpanBytes != 0 || rest.size() > e.span_count_ * kStaticSpanBytes) return std::nullopt;
    std::uint32_t last = 0;
    for (std::size_t i = 0; i < e.span_count_; ++i) {
        const Span s = e.span(i);
        if (s.value_kind > ValueKind::part || s.detected > InfoType::free_text || s.value_begin < last || s.member_begin > s.value_begin ||
            s.value_begin >= s.value_end || s.value_end > e.data_.size())
            return std::nullopt;
        last = s.value_begin;
    }
    return e;
}

Span StoredEvent::span(std::size_t index) const noexcept {
    const char* p = spans_ + index * kSpanBytes;
    Span s;
    s.field = get<std::uint16_t>(p);
    s.value_kind = static_cast<ValueKind>(get<std::uint8_t>(p + 2));
    s.detected = static_cast<InfoType>(get<std::uint8_t>(p + 3));
    s.member_begin = get<std::uint32_t>(p + 4);
    s.value_begin = get<std::uint32_t>(p + 8);
    s.value_end = get<std::uint32_t>(p + 12);
    return s;
}

}  // namespace licet::event
