#include "server/app/fields.h"

#include "base/ids.h"

namespace licet::app {

using nlohmann::json;

namespace {

// RFC 6901: a reference token of a pointer.
std::string escaped(const std::string& key) {
    std::string out;
    for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
}

bool has_control_characters(const std::string& text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20) return true;
    return false;
}

}  // namespace

Fields::Fields(const json& object, std::string at) : object_(object), at_(std::move(at)) {
    if (!object.is_object()) error_ = Error{Errc::invalid_document, "expected an object", at_};
}

void Fields::fail(const std::string& key, std::string what) {
    if (!error_) error_ = Error{Errc::invalid_document, std::move(what), key.empty() ? at_ : at_ + "/" + key};
}

const json* Fields::find(const char* key) {
    asked_.insert(key);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::optional_text(const char* key, std::size_t max_bytes) {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) return fail(key, "expected a string"), "";
    const auto& text = value->get_ref<const std::string&>();
    if (text.size() > max_bytes) return fail(key, "longer than " + std::to_string(max_bytes) + " bytes"), "";
    if (has_control_characters(text)) return fail(key, "control characters are not allowed"), "";
    return text;
}

std::string Fields::text(const char* key, std::size_t max_bytes) {
    auto value = optional_text(key, max_bytes);
    if (value.empty()) fail(key, "is required");
    return value;
}

std::string Fields::optional_slug(const char* key) {
    auto value = optional_text(key);
    if (!value.empty() && !valid_slug(value)) fail(key, "expected 1-64 characters of a-z 0-9 . _ - starting with a letter or digit");
    return value;
}

std::string Fields::slug(const char* key) {
    auto value = optional_slug(key);
    if (value.empty()) fail(key, "is required");
    return value;
}

std::vector<std::string> Fields::texts(const char* key, std::size_t max_items) {
    const json* value = find(key);
    std::vector<std::string> out;
    if (value == nullptr) return out;
    if (!value->is_array() || value->size() > max_items)
        return fail(key, "expected an array of at most " + std::to_string(max_items) + " strings"), out;
    for (std::size_t i = 0; i < value->size(); ++i) {
        const json& item = (*value)[i];
        if (!item.is_string() || item.get_ref<const std::string&>().empty() || item.get_ref<const std::string&>().size() > 256) {
            fail(std::string(key) + "/" + std::to_string(i), "expected a string of 1 to 256 bytes");
            return out;
        }
        if (has_control_characters(item.get_ref<const std::string&>())) {
            fail(std::string(key) + "/" + std::to_string(i), "control characters are not allowed");
            return out;
        }
        out.push_back(item.get<std::string>());
    }
    return out;
}

UtcMillis Fields::time(const char* key) {
    const auto text = optional_text(key);
    if (text.empty()) return {};
    const auto at = parse_rfc3339(text);
    if (!at) fail(key, "expected an RFC 3339 date-time");
    // 0 stands for "open": a bound given must not become none.
    if (at && at->value <= 0) fail(key, "expected a time after 1970-01-01T00:00:00Z");
    return at.value_or(UtcMillis{});
}

const json* Fields::object(const char* key) {
    const json* value = find(key);
    if (value != nullptr && !value->is_object()) return fail(key, "expected an object"), nullptr;
    return value;
}

const json* Fields::any(const char* key) { return find(key); }

std::optional<Error> Fields::finish() {
    if (!error_)
        for (const auto& [key, value] : object_.items())
            if (!asked_.contains(key)) fail(key.size() > 256 ? std::string() : escaped(key), "unknown member");
    return error_;
}

}  // namespace licet::app
