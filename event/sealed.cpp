#include "event/sealed.h"

#include <algorithm>
#include <array>
#include <vector>

namespace licet::event {
namespace {

constexpr std::string_view kPurpose = "licet/sealed/1";

// A value that is sealed as one, in the data as it was.
struct Outer {
    std::size_t begin, end;
    std::size_t first, last;  // spans [first, last) are this very value's, governed by several fields
};

std::vector<Outer> outer_of(const StoredEvent& event, std::size_t whole) {
    std::vector<Outer> out;
    if (event.data_kind() == DataKind::none) return out;
    if (event.data_kind() != DataKind::json) return {{0, whole, 0, 0}};
    for (std::size_t i = 0; i < event.span_count(); ++i) {
        const Span span = event.span(i);
        if (!out.empty() && span.value_begin == out.back().begin && span.value_end == out.back().end && out.back().last == i)
            ++out.back().last;
        else if (out.empty() || span.value_begin >= out.back().end)
            out.push_back({span.value_begin, span.value_end, i, i + 1});
    }
    return out;
}

constexpr std::size_t token_bytes(std::size_t value_bytes) noexcept { return 2 + (4 * (value_bytes + ValueCipher::kOverheadBytes) + 2) / 3; }

void put_u32(std::string& out, std::size_t v) {
    for (int i = 0; i < 4; ++i) out += static_cast<char>(v >> (8 * i));
}

// Whose key an event's values are under.
std::string context_of(const StoredEvent& event, ProductNo product) {
    std::string out(kPurpose);
    out += '\0';
    put_u32(out, product.value);
    out.append(reinterpret_cast<const char*>(event.subject().bytes.data()), event.subject().bytes.size());
    put_u32(out, event.source().size());
    out.append(event.source());
    put_u32(out, event.id().size());
    out.append(event.id());
    return out;
}

// Size of the data before it was sealed: nothing but the outer values has another size. nullopt when there is no such size.
std::optional<std::size_t> size_before(const StoredEvent& event) {
    if (event.data_kind() == DataKind::json) return event.data().size();  // not needed
    const std::size_t sealed = event.data().size();
    if (sealed < token_bytes(0)) return std::nullopt;
    const std::size_t size = (sealed - 2) * 3 / 4 - ValueCipher::kOverheadBytes;
    return token_bytes(size) == sealed ? std::optional(size) : std::nullopt;
}

// Walks the data of a sealed event. between(text): what was never sealed; value(outer, token): the string in its place. False when either is, or when
// the data is not what the spans say.
template <class Between, class Value>
bool walk(const StoredEvent& event, Between&& between, Value&& value) {
    const auto whole = size_before(event);
    if (!whole) return false;
    const std::string_view data = event.data();
    std::size_t at = 0, before = 0;  // in the sealed data, and in the data as it was
    for (const Outer& outer : outer_of(event, *whole)) {
        const std::size_t clear = outer.begin - before, size = token_bytes(outer.end - outer.begin);
        if (clear > data.size() - at || size > data.size() - at - clear) return false;
        const auto token = data.substr(at + clear, size);
        if (token.front() != '"' || token.back() != '"') return false;
        if (!between(data.substr(at, clear)) || !value(outer, token, at + clear)) return false;
        at += clear + size;
        before = outer.end;
    }
    return between(data.substr(at));
}

// What decisions read of an event, beside the subject's digest.
constexpr std::array<std::string_view, 8> kDecisive{"time",      "expirytime",   "license",        "jurisdiction",
                                                    "residency", "datacategory", "dataregulation", "dataclassification"};

// Whether a value at `inner` is at `outer` or inside it; `*` is any one step.
bool within(const std::vector<std::string>& inner, const std::vector<std::string>& outer) {
    if (inner.size() < outer.size()) return false;
    for (std::size_t i = 0; i < outer.size(); ++i)
        if (inner[i] != outer[i] && inner[i] != "*" && outer[i] != "*") return false;
    return true;
}

}  // namespace

Status check_sealable(const Mapping& mapping) {
    for (const auto& rule : mapping.attributes) {
        const std::string at = "/attributes/" + rule.attribute;
        if (rule.kind == AttributeRule::Kind::digest)
            return Error{Errc::invalid_document, "a digest of the data in clear confirms guesses of what is encrypted", at};
        if (rule.kind != AttributeRule::Kind::pointer) continue;
        const auto governed = [&](const GovernedField& field) { return within(rule.path, field.path); };
        const auto touched = [&](const GovernedField& field) { return within(rule.path, field.path) || within(field.path, rule.path); };
        if (rule.attribute == "datasubject") {
            if (std::none_of(mapping.fields.begin(), mapping.fields.end(), governed))
                return Error{Errc::invalid_document, "the data subject's id would stay in clear in the data: its pointer must be in a governed field",
                             at};
        } else if (std::find(kDecisive.begin(), kDecisive.end(), rule.attribute) == kDecisive.end() &&
                   std::any_of(mapping.fields.begin(), mapping.fields.end(), touched)) {
            return Error{Errc::invalid_document, "the attribute would keep a governed value in clear", at};
        }
    }
    return success();
}

bool sealable(const StoredEvent& event) noexcept {
    return event.data_kind() == DataKind::base64 || (event.data_kind() == DataKind::json && event.span_count() > 0);
}

std::optional<std::string> seal_record(const StoredEvent& event, ProductNo product, const DataKeyId& key, ValueCipher& cipher) {
    const std::string_view data = event.data();
    const auto outer = outer_of(event, data.size());
    if (!cipher.derive(as_bytes(context_of(event, product)))) return std::nullopt;
    std::string out, sealed, number;
    out.reserve(data.size() + outer.size() * token_bytes(0) + data.size() / 3);
    std::size_t at = 0;
    for (std::size_t i = 0; i < outer.size(); ++i) {
        number.clear();
        put_u32(number, i);
        sealed.clear();
        if (!cipher.seal(as_bytes(data.substr(outer[i].begin, outer[i].end - outer[i].begin)), as_bytes(number), sealed)) return std::nullopt;
        out.append(data.substr(at, outer[i].begin - at));
        out += '"';
        out += base64url(as_bytes(sealed));
        out += '"';
        at = outer[i].end;
    }
    out.append(data.substr(at));
    return event.encode_sealed(key, out);
}

bool open_data(const StoredEvent& event, ProductNo product, ValueCipher& cipher, std::string& data) {
    data.clear();
    if (!cipher.derive(as_bytes(context_of(event, product)))) return false;
    std::string number;
    std::size_t opened_values = 0;
    const bool opened = walk(
        event,
        [&](std::string_view clear) {
            data.append(clear);
            return true;
        },
        [&](const Outer& outer, std::string_view token, std::size_t) {
            const auto sealed = parse_base64url(token.substr(1, token.size() - 2));
            number.clear();
            put_u32(number, opened_values++);
            const std::size_t before = data.size();
            return sealed && cipher.open(as_bytes(*sealed), as_bytes(number), data) && data.size() - before == outer.end - outer.begin;
        });
    if (!opened) data.clear();
    return opened;
}

std::optional<StoredEvent> outer_values(const StoredEvent& event, std::string& spans) {
    spans.clear();
    const bool walked = walk(
        event, [](std::string_view) { return true; },
        [&](const Outer& outer, std::string_view token, std::size_t at) {
            for (std::size_t i = outer.first; i < outer.last; ++i) {
                Span span = event.span(i);
                span.member_begin = static_cast<std::uint32_t>(at - (span.value_begin - span.member_begin));
                span.value_begin = static_cast<std::uint32_t>(at);
                span.value_end = static_cast<std::uint32_t>(at + token.size());
                append_span(span, spans);
            }
            return true;
        });
    if (!walked) return std::nullopt;
    return event.with_data(event.data(), spans);
}

}  // namespace licet::event
