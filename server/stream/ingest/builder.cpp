#include "server/stream/ingest/builder.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "event/json_text.h"

namespace licet::stream {
namespace {

using event::FoundValue;
using event::ValueKind;

// Attributes that govern the event: the product's mapping decides them, whatever the producer wrote.
constexpr std::array<std::string_view, 8> kGoverning{"license",      "jurisdiction",   "residency", "datasubject", "dataclassification",
                                                     "datacategory", "dataregulation", "expirytime"};
constexpr std::array<std::string_view, 7> kOrdered{"id", "source", "type", "subject", "time", "datacontenttype", "dataschema"};

bool governing(std::string_view name) { return std::find(kGoverning.begin(), kGoverning.end(), name) != kGoverning.end(); }

Error bad(std::string pointer, std::string what) { return {Errc::invalid_event, std::move(what), std::move(pointer)}; }

bool clean_text(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool attribute_name(std::string_view name) {
    return !name.empty() && name.size() <= 20 &&
           std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string_view get(const Attributes& attributes, std::string_view name) {
    const auto at = attributes.find(name);
    return at == attributes.end() ? std::string_view{} : std::string_view(at->second);
}

Status check(const Attributes& attributes) {
    for (const char* required : {"id", "source", "type"})
        if (get(attributes, required).empty()) return bad(std::string("/") + required, "is required and not empty");
    if (attributes.size() > limits::event_extensions_max + kOrdered.size())
        return bad("", "more than " + std::to_string(limits::event_extensions_max) + " extension attributes");
    for (const auto& [name, value] : attributes) {
        if (!attribute_name(name)) return bad("/" + event::pointer_token(name), "attribute names are 1-20 characters of a-z 0-9");
        if (value.size() > limits::event_attribute_max_bytes)
            return bad("/" + name, "longer than " + std::to_string(limits::event_attribute_max_bytes) + " bytes");
        if (!clean_text(value)) return bad("/" + name, "control characters are not allowed in attributes");
    }
    return success();
}

// `,"name":"value"`; datasubject never leaves.
void write_envelope(const Attributes& attributes, std::string& out) {
    out = R"({"specversion":"1.0")";
    const auto write = [&](std::string_view name, std::string_view value) {
        out += ",\"";
        out += name;
        out += "\":";
        event::append_json_string(value, out);
    };
    for (const auto name : kOrdered)
        if (const auto value = get(attributes, name); !value.empty()) write(name, value);
    for (const auto& [name, value] : attributes) {
        const bool ordered = std::find(kOrdered.begin(), kOrdered.end(), name) != kOrdered.end();
        if (!ordered && name != "datasubject" && !value.empty()) write(name, value);
    }
}

}  // namespace

const EventBuilder::Paths& EventBuilder::paths_of(const app::ProductEntry& product) {
    Paths& paths = paths_[product.product.no];
    const auto& mapping = product.mappings.back();
    if (paths.mapping == mapping) return paths;
    paths.mapping = mapping;
    paths.tree = {};
    for (std::size_t i = 0; i < mapping->attributes.size(); ++i)
        if (mapping->attributes[i].kind == event::AttributeRule::Kind::pointer) paths.tree.add(mapping->attributes[i].path, i);
    for (std::size_t i = 0; i < mapping->fields.size(); ++i) paths.tree.add(mapping->fields[i].path, mapping->attributes.size() + i);
    return paths;
}

Status EventBuilder::apply_rules(const event::Mapping& mapping, const std::vector<FoundValue>& found, std::string_view data, Attributes& attributes) {
    for (std::size_t i = 0; i < mapping.attributes.size(); ++i) {
        const auto& rule = mapping.attributes[i];
        const bool wins = governing(rule.attribute);
        if (!wins && attributes.contains(rule.attribute)) continue;
        std::optional<std::string> value;
        if (rule.kind == event::AttributeRule::Kind::constant) {
            value = rule.constant;
        } else if (rule.kind == event::AttributeRule::Kind::digest) {
            value = digests_.content_id(data);
        } else if (const auto at = std::find_if(found.begin(), found.end(), [&](const FoundValue& f) { return f.target == i; }); at != found.end()) {
            const auto token = data.substr(at->value_begin, at->value_end - at->value_begin);
            if (at->kind == ValueKind::string && event::unescape_json(token, scratch_))
                value = scratch_;
            else if (at->kind == ValueKind::number || at->kind == ValueKind::boolean)
                value = std::string(token);
        }
        if (value && value->empty()) value.reset();
        if (value && rule.info_type != event::InfoType::none && !event::is_of_type(*value, rule.info_type)) value.reset();
        if (value) {
            attributes.insert_or_assign(rule.attribute, std::move(*value));
            continue;
        }
        if (wins) attributes.erase(rule.attribute);
        if (rule.required) return bad("/" + rule.attribute, "the mapping requires it and the data has none");
    }
    return success();
}

Status EventBuilder::find_spans(const event::Mapping& mapping, const std::vector<FoundValue>& found, std::string_view data) {
    draft_.spans.clear();
    for (const FoundValue& f : found) {
        if (f.target < mapping.attributes.size()) continue;
        if (draft_.spans.size() == limits::governed_spans_max)
            return bad("/data", "more than " + std::to_string(limits::governed_spans_max) + " governed values");
        event::Span span;
        span.field = static_cast<std::uint16_t>(f.target - mapping.attributes.size());
        span.value_kind = f.kind;
        span.member_begin = f.member_begin;
        span.value_begin = f.value_begin;
        span.value_end = f.value_end;
        const auto type = mapping.fields[span.field].info_type;
        if (f.kind == ValueKind::string && event::detectable(type) &&
            event::unescape_json(data.substr(f.value_begin, f.value_end - f.value_begin), scratch_) && event::is_of_type(scratch_, type))
            span.detected = type;
        draft_.spans.push_back(span);
    }
    return success();
}

Result<BuiltEvent> EventBuilder::build(const IngestRequest& request, Attributes attributes, std::string_view data, event::DataKind kind) {
    const app::ProductEntry& product = *request.product;
    if (data.size() > limits::event_max_bytes)
        return Error{Errc::event_too_large, "the event's data is larger than " + std::to_string(limits::event_max_bytes) + " bytes", "/data"};
    const Paths& paths = paths_of(product);
    const event::Mapping& mapping = *paths.mapping;
    found_.clear();
    if (kind == event::DataKind::json) {
        if (auto scanned = event::find_values(data, paths.tree, found_); !scanned) {
            auto error = scanned.error();
            error.pointer = "/data" + error.pointer;
            return error;
        }
    }
    if (auto applied = apply_rules(mapping, found_, data, attributes); !applied) return applied.error();
    if (auto checked = check(attributes); !checked) return checked.error();
    if (auto spans = find_spans(mapping, found_, data); !spans) return spans.error();

    draft_.mapping_version = mapping.version;
    draft_.time = request.now;
    if (const auto text = get(attributes, "time"); !text.empty()) {
        const auto at = parse_rfc3339(text);
        if (!at) return bad("/time", "expected an RFC 3339 date-time");
        draft_.time = *at;
    }
    draft_.expiry = {};
    if (const auto text = get(attributes, "expirytime"); !text.empty()) {
        const auto at = parse_rfc3339(text);
        if (!at) return bad("/expirytime", "expected an RFC 3339 date-time");
        draft_.expiry = *at;
    }
    draft_.subject = {};
    if (const auto subject = get(attributes, "datasubject"); !subject.empty()) draft_.subject = digests_.subject(product.product.controller, subject);
    draft_.license = get(attributes, "license");
    draft_.jurisdiction = get(attributes, "jurisdiction");
    draft_.residency = get(attributes, "residency");
    draft_.classification = get(attributes, "dataclassification");
    draft_.categories = get(attributes, "datacategory");
    draft_.regulation = get(attributes, "dataregulation");
    draft_.partition_key = get(attributes, "partitionkey");
    draft_.id = get(attributes, "id");
    draft_.source = get(attributes, "source");
    write_envelope(attributes, envelope_);
    draft_.envelope = envelope_;
    draft_.data = data;
    draft_.data_kind = kind;

    BuiltEvent out;
    out.item.identity = digests_.identity(product.product.no, draft_.source, draft_.id);
    out.item.record = event::encode_record(draft_);
    out.residency = draft_.residency.empty() ? product.product.residency : std::string(draft_.residency);
    return out;
}

}  // namespace licet::stream
