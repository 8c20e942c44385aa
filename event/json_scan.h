// Steps through JSON text that was validated and minified before: where strings and values end, what kind they are. Positions only; nothing is
// checked again. Used by the span scanner and by ingest to walk a CloudEvent. Pure. Precondition of all: valid JSON, no white space outside strings,
// `at` at a token's start.
#pragma once

#include <cstddef>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "event/record.h"

namespace licet::event::scan {

// One past the closing quote of the string whose opening quote is at `at`.
[[nodiscard]] inline std::size_t string_end(std::string_view text, std::size_t at) noexcept {
    ++at;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
    while (at + 16 <= text.size()) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
        const int hits = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape)));
        if (hits == 0) {
            at += 16;
            continue;
        }
        at += static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(hits)));
        if (text[at] == '"') return at + 1;
        at += 2;
    }
#endif
    for (; text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return at + 1;
}

[[nodiscard]] inline std::size_t scalar_end(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && text[at] != ',' && text[at] != '}' && text[at] != ']') ++at;
    return at;
}

// One past the value at `at`: strings are skipped whole, brackets counted, so that depth costs no stack.
[[nodiscard]] inline std::size_t value_end(std::string_view text, std::size_t at) noexcept {
    std::size_t depth = 0;
    for (;;) {
        switch (text[at]) {
            case '"':
                at = string_end(text, at);
                break;
            case '{':
            case '[':
                ++depth, ++at;
                continue;
            case '}':
            case ']':
                --depth, ++at;
                break;
            case ',':
            case ':':
                ++at;
                continue;
            default:
                at = scalar_end(text, at);
        }
        if (depth == 0) return at;
    }
}

[[nodiscard]] inline ValueKind kind_at(std::string_view text, std::size_t at) noexcept {
    switch (text[at]) {
        case '"':
            return ValueKind::string;
        case '{':
            return ValueKind::object;
        case '[':
            return ValueKind::array;
        case 't':
        case 'f':
            return ValueKind::boolean;
        case 'n':
            return ValueKind::null;
        default:
            return ValueKind::number;
    }
}

// visit(key token with its quotes, value_begin) -> one past the value, for each member of the object at `at`. Returns one past the object.
template <class Visit>
std::size_t members(std::string_view text, std::size_t at, Visit&& visit) {
    for (++at; text[at] != '}';) {
        if (text[at] == ',') ++at;
        const std::size_t key = at;
        at = string_end(text, at);
        at = visit(text.substr(key, at - key), at + 1);
    }
    return at + 1;
}

// visit(index, value_begin) -> one past the value, for each element of the array at `at`. Returns one past the array.
template <class Visit>
std::size_t elements(std::string_view text, std::size_t at, Visit&& visit) {
    std::size_t index = 0;
    for (++at; text[at] != ']'; ++index) {
        if (text[at] == ',') ++at;
        at = visit(index, at);
    }
    return at + 1;
}

}  // namespace licet::event::scan
