#include "event/mapping.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/ids.h"
#include "base/limits.h"
#include "base/time.h"
#include "event/json_text.h"

namespace licet::event {
namespace {

using nlohmann::json;

Error bad(std::string pointer, std::string what) { return {Errc::invalid_document, std::move(what), std::move(pointer)}; }

// CloudEvents attribute names: lower-case letters and digits; at most 20 as the specification recommends.
bool attribute_name(std::string_view name) {
    return !name.empty() && name.size() <= 20 &&
           std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

Result<InfoType> read_info_type(const json& value, const std::string& at) {
    const auto type = value.is_string() ? parse_info_type(value.get_ref<const std::string&>()) : std::nullopt;
    if (!type) return bad(at, "unknown info type; expected a name such as EMAIL_ADDRESS or IP_ADDRESS");
    return *type;
}

Result<std::vector<std::string>> read_pointer(const json& value, const std::string& at) {
    auto path = value.is_string() ? parse_pointer(value.get_ref<const std::string&>()) : std::nullopt;
    if (!path) return bad(at, "expected a JSON Pointer (RFC 6901)");
    if (value.get_ref<const std::string&>().size() > limits::mapping_pointer_max_bytes)
        return bad(at, "longer than " + std::to_string(limits::mapping_pointer_max_bytes) + " bytes");
    return std::move(*path);
}

// What no event could carry is refused here, not event by event.
Status check_constant(const std::string& attribute, const std::string& text, const std::string& at) {
    if (text.empty() || text.size() > limits::event_attribute_max_bytes) return bad(at, "expected a string that is not empty");
    if (!clean_text(text)) return bad(at, "control characters are not allowed in attributes");
    if ((attribute == "time" || attribute == "expirytime") && !parse_rfc3339(text)) return bad(at, "expected an RFC 3339 date-time");
    if (attribute == "residency" && !valid_slug(text)) return bad(at, "expected the name of a region");
    return success();
}

Result<AttributeRule> read_rule(const std::string& name, const json& rule, const std::string& at) {
    if (!rule.is_object()) return bad(at, "expected an object with one of pointer, constant, digest");
    AttributeRule out;
    out.attribute = name;
    int sources = 0;
    for (const auto& [key, value] : rule.items()) {
        const std::string here = at + "/" + pointer_token(key);
        if (key == "pointer") {
            auto path = read_pointer(value, here);
            if (!path) return path.error();
            if (std::find(path->begin(), path->end(), "*") != path->end()) return bad(here, "an attribute has one value: `*` is for fields");
            out.path = *std::move(path);
            out.kind = AttributeRule::Kind::pointer;
            ++sources;
        } else if (key == "constant") {
            if (!value.is_string()) return bad(here, "expected a string that is not empty");
            if (auto checked = check_constant(name, value.get_ref<const std::string&>(), here); !checked) return checked.error();
            out.constant = value.get<std::string>();
            out.kind = AttributeRule::Kind::constant;
            ++sources;
        } else if (key == "digest") {
            if (value != true || name != "id") return bad(here, "only `id` may be a digest, written \"digest\": true");
            out.kind = AttributeRule::Kind::digest;
            ++sources;
        } else if (key == "infoType") {
            auto type = read_info_type(value, here);
            if (!type) return type.error();
            if (!detectable(*type)) return bad(here, "this info type has no detector");
            out.info_type = *type;
        } else if (key == "required") {
            if (!value.is_boolean()) return bad(here, "expected true or false");
            out.required = value.get<bool>();
        } else {
            return bad(here, "unknown member");
        }
    }
    if (sources != 1) return bad(at, "expected exactly one of pointer, constant, digest");
    if (out.info_type != InfoType::none && out.kind != AttributeRule::Kind::pointer) return bad(at + "/infoType", "goes with a pointer only");
    return out;
}

Result<GovernedField> read_field(const json& field, const std::string& at) {
    if (!field.is_object() || !field.contains("pointer")) return bad(at, "expected an object with a pointer");
    GovernedField out;
    for (const auto& [key, value] : field.items()) {
        const std::string here = at + "/" + pointer_token(key);
        if (key == "pointer") {
            auto path = read_pointer(value, here);
            if (!path) return path.error();
            out.pointer = value.get<std::string>();
            out.path = *std::move(path);
        } else if (key == "category") {
            if (!value.is_string() || !value.get_ref<const std::string&>().starts_with("pd:"))
                return bad(here, "expected a DPV personal-data term, pd:...");
            out.category = value.get<std::string>();
        } else if (key == "infoType") {
            auto type = read_info_type(value, here);
            if (!type) return type.error();
            out.info_type = *type;
        } else if (key == "scan") {
            if (!value.is_boolean()) return bad(here, "expected true or false");
            out.scan = value.get<bool>();
        } else {
            return bad(here, "unknown member");
        }
    }
    return out;
}

}  // namespace

std::optional<std::vector<std::string>> parse_pointer(std::string_view pointer) {
    std::vector<std::string> tokens;
    if (pointer.empty()) return tokens;
    if (pointer.front() != '/') return std::nullopt;
    for (std::size_t i = 0; i < pointer.size(); ++i) {
        if (pointer[i] == '/') {
            tokens.emplace_back();
        } else if (pointer[i] == '~') {
            if (i + 1 == pointer.size() || (pointer[i + 1] != '0' && pointer[i + 1] != '1')) return std::nullopt;
            tokens.back() += pointer[++i] == '0' ? '~' : '/';
        } else {
            tokens.back() += pointer[i];
        }
    }
    return tokens;
}

const AttributeRule* Mapping::rule(std::string_view attribute) const noexcept {
    const auto at = std::find_if(attributes.begin(), attributes.end(), [&](const AttributeRule& r) { return r.attribute == attribute; });
    return at == attributes.end() ? nullptr : &*at;
}

std::optional<std::size_t> Mapping::field(std::string_view pointer) const noexcept {
    for (std::size_t i = 0; i < fields.size(); ++i)
        if (fields[i].pointer == pointer) return i;
    return std::nullopt;
}

Result<Mapping> parse_mapping(const json& document, std::uint32_t version) {
    static constexpr std::array required{"id", "source", "type"};
    static const std::set<std::string_view> reserved{"specversion", "data", "data_base64", "datacontenttype", "cursor", "conflated"};
    if (!document.is_object()) return bad("", "expected an object with attributes and fields");
    Mapping out;
    out.version = version;
    for (const auto& [key, value] : document.items()) {
        if (key != "attributes" && key != "fields") return bad("/" + pointer_token(key), "unknown member");
        if (value.size() > limits::mapping_fields_max) return bad("/" + key, "more than " + std::to_string(limits::mapping_fields_max) + " entries");
    }
    if (const auto at = document.find("attributes"); at != document.end()) {
        if (!at->is_object()) return bad("/attributes", "expected an object");
        for (const auto& [name, rule] : at->items()) {
            const std::string here = "/attributes/" + pointer_token(name);
            if (!attribute_name(name) || reserved.contains(name)) return bad(here, "not an attribute a mapping may set");
            auto read = read_rule(name, rule, here);
            if (!read) return read.error();
            out.attributes.push_back(*std::move(read));
        }
    }
    for (const char* name : required)
        if (out.rule(name) == nullptr) return bad("/attributes", std::string("a rule for `") + name + "` is required");
    if (const auto at = document.find("fields"); at != document.end()) {
        if (!at->is_array()) return bad("/fields", "expected an array");
        for (std::size_t i = 0; i < at->size(); ++i) {
            const std::string here = "/fields/" + std::to_string(i);
            auto read = read_field((*at)[i], here);
            if (!read) return read.error();
            if (out.field(read->pointer)) return bad(here + "/pointer", "governed twice");
            out.fields.push_back(*std::move(read));
        }
    }
    return out;
}

json to_json(const Mapping& mapping) {
    json attributes = json::object(), fields = json::array();
    for (const auto& rule : mapping.attributes) {
        json out;
        if (rule.kind == AttributeRule::Kind::digest) out["digest"] = true;
        if (rule.kind == AttributeRule::Kind::constant) out["constant"] = rule.constant;
        if (rule.kind == AttributeRule::Kind::pointer) {
            std::string pointer;
            for (const auto& token : rule.path) pointer += "/" + pointer_token(token);
            out["pointer"] = pointer;
        }
        if (rule.info_type != InfoType::none) out["infoType"] = info_type_name(rule.info_type);
        if (rule.required) out["required"] = true;
        attributes[rule.attribute] = std::move(out);
    }
    for (const auto& field : mapping.fields) {
        json out{{"pointer", field.pointer}};
        if (!field.category.empty()) out["category"] = field.category;
        if (field.info_type != InfoType::none) out["infoType"] = info_type_name(field.info_type);
        if (field.scan) out["scan"] = true;
        fields.push_back(std::move(out));
    }
    return {{"attributes", std::move(attributes)}, {"fields", std::move(fields)}};
}

}  // namespace licet::event
