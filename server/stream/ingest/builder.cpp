#include "server/stream/ingest/builder.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "event/field_spans.h"
#include "event/json_text.h"

namespace licet::stream {
namespace {

using event::FoundValue;
using event::ValueKind;

// Attributes that govern the event: the product's mapping decides them, whatever the producer wrote.
constexpr std::array<std::string_view, 8> kGoverning{"license",      "jurisdiction",   "residency", "datasubject", "dataclassification",
                                                     "datacategory", "dataregulation", "expirytime"};
// Of these, what permits: without the mapping's support a producer's claim counts as unknown. What restricts stays when the rule finds nothing.
constexpr std::array<std::string_view, 2> kPermitting{"license", "jurisdiction"};
constexpr std::array<std::string_view, 7> kOrdered{"id", "source", "type", "subject", "time", "datacontenttype", "dataschema"};

// Members of a delivered event that are not attributes: an attribute of such a name would occur twice.
constexpr std::array<std::string_view, 4> kReserved{"specversion", "data", "cursor", "conflated"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

Error bad(std::string pointer, std::string what) { return {Errc::invalid_event, std::move(what), std::move(pointer)}; }

bool attribute_name(std::string_view name) {
    return !name.empty() && name.size() <= 20 &&
           std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string_view get(const Attributes& attributes, std::string_view name) {
    const auto at = attributes.find(name);
    return at == attributes.end() ? std::string_view{} : std::string_view(at->second.text);
}

Status check(const Attributes& attributes) {
    for (const char* required : {"id", "source", "type"})
        if (get(attributes, required).empty()) return bad(std::string("/") + required, "is required and not empty");
    std::size_t extensions = 0;
    for (const auto& [name, value] : attributes) {
        if (!attribute_name(name)) return bad(attribute_pointer(name), "attribute names are 1-20 characters of a-z 0-9");
        if (among(kReserved, name)) return bad(attribute_pointer(name), "not a name for an attribute");
        if (value.text.size() > limits::event_attribute_max_bytes)
            return bad("/" + name, "longer than " + std::to_string(limits::event_attribute_max_bytes) + " bytes");
        if (!event::valid_utf8(value.text)) return bad("/" + name, "not UTF-8");
        if (!event::clean_text(value.text)) return bad("/" + name, "control characters are not allowed in attributes");
        if (value.bare && among(kOrdered, name)) return bad("/" + name, "expected a string");
        extensions += among(kOrdered, name) || value.text.empty() ? 0 : 1;
    }
    if (extensions > limits::event_extensions_max)
        return bad("", "more than " + std::to_string(limits::event_extensions_max) + " extension attributes");
    return success();
}

Result<UtcMillis> time_of(const Attributes& attributes, const char* name, UtcMillis otherwise) {
    const auto text = get(attributes, name);
    if (text.empty()) return otherwise;
    const auto at = parse_rfc3339(text);
    if (!at) return bad(std::string("/") + name, "expected an RFC 3339 date-time");
    return *at;
}

// Of a shreddable product: governed values are encrypted under the subject's key, so there must be one; and what is kept in clear may not tell who.
Status check_subject(const Attributes& attributes, bool governed) {
    static constexpr std::size_t kTellingBytes = 6;  // shorter ids occur in texts by chance
    const auto subject = get(attributes, "datasubject");
    if (subject.empty())
        return governed ? Status(bad("/datasubject", "is required: the product is shreddable and the event has governed values")) : success();
    for (const auto& [name, value] : attributes)
        if (name != "datasubject" && (value.text == subject || (subject.size() >= kTellingBytes && value.text.find(subject) != std::string::npos)))
            return bad(attribute_pointer(name), "holds the data subject's id, which attributes would keep in clear");
    return success();
}

// `,"name":"value"`; datasubject never leaves.
void write_envelope(const Attributes& attributes, std::string& out) {
    out = R"({"specversion":"1.0")";
    const auto write = [&](std::string_view name, const Attribute& value) {
        if (value.text.empty()) return;
        out += ",\"";
        out += name;
        out += "\":";
        if (value.bare)
            out += value.text;
        else
            event::append_json_string(value.text, out);
    };
    for (const auto name : kOrdered)
        if (const auto at = attributes.find(name); at != attributes.end()) write(name, at->second);
    for (const auto& [name, value] : attributes)
        if (!among(kOrdered, name) && name != "datasubject") write(name, value);
}

}  // namespace

std::string attribute_pointer(std::string_view name) {
    static constexpr std::size_t kToldMaxBytes = 64;
    return name.size() > kToldMaxBytes ? "" : "/" + event::pointer_token(name);
}

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

// What the rule finds in the event; empty: nothing.
std::string EventBuilder::value_of(const event::AttributeRule& rule, std::size_t target, std::string_view data) {
    if (rule.kind == event::AttributeRule::Kind::constant) return rule.constant;
    if (rule.kind == event::AttributeRule::Kind::digest) return digests_.content_id(data);
    const auto at = std::find_if(found_.begin(), found_.end(), [&](const FoundValue& f) { return f.target == target; });
    if (at == found_.end()) return {};
    const auto token = data.substr(at->value_begin, at->value_end - at->value_begin);
    if (at->kind == ValueKind::string) {
        if (!event::unescape_json(token, scratch_)) return {};
    } else if (at->kind == ValueKind::number || at->kind == ValueKind::boolean) {
        scratch_ = token;
    } else {
        return {};
    }
    if (rule.info_type != event::InfoType::none && !event::is_of_type(scratch_, rule.info_type)) return {};
    return scratch_;
}

Status EventBuilder::apply_rules(const event::Mapping& mapping, std::string_view data, Attributes& attributes) {
    for (std::size_t i = 0; i < mapping.attributes.size(); ++i) {
        const auto& rule = mapping.attributes[i];
        const bool wins = among(kGoverning, rule.attribute);
        if (!wins && !get(attributes, rule.attribute).empty()) continue;
        auto value = value_of(rule, i, data);
        if (value.empty() && rule.required) return bad("/" + rule.attribute, "the mapping requires it and the data has none");
        if (!value.empty())
            attributes.insert_or_assign(rule.attribute, Attribute{std::move(value), false});
        else if (among(kPermitting, rule.attribute))
            attributes.erase(rule.attribute);
    }
    return success();
}

Status EventBuilder::find_spans(const event::Mapping& mapping, std::string_view data) {
    draft_.spans.clear();
    if (auto appended = event::append_field_spans(mapping, data, found_, mapping.attributes.size(), draft_.spans); !appended)
        return bad("/data", appended.error().detail);
    return success();
}

Status EventBuilder::fill_draft(const app::ProductEntry& product, const Attributes& attributes, UtcMillis now) {
    const auto time = time_of(attributes, "time", now), expiry = time_of(attributes, "expirytime", {});
    if (!time) return time.error();
    if (!expiry) return expiry.error();
    draft_.time = *time;
    draft_.expiry = *expiry;
    const auto residency = get(attributes, "residency");
    if (!residency.empty() && !valid_slug(residency)) return bad("/residency", "expected the name of a region");
    const auto& bound = product.product.residency;
    if (!residency.empty() && !bound.empty() && residency != bound) return bad("/residency", "the events of this product are resident in " + bound);
    draft_.residency = residency;
    const auto subject = get(attributes, "datasubject");
    draft_.subject = subject.empty() ? SubjectKey{} : digests_.subject(product.product.controller, subject);
    draft_.license = get(attributes, "license");
    draft_.jurisdiction = get(attributes, "jurisdiction");
    draft_.classification = get(attributes, "dataclassification");
    draft_.categories = get(attributes, "datacategory");
    draft_.regulation = get(attributes, "dataregulation");
    draft_.partition_key = get(attributes, "partitionkey");
    draft_.id = get(attributes, "id");
    draft_.source = get(attributes, "source");
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
    if (auto applied = apply_rules(mapping, data, attributes); !applied) return applied.error();
    if (auto checked = check(attributes); !checked) return checked.error();
    if (auto spans = find_spans(mapping, data); !spans) return spans.error();
    if (auto filled = fill_draft(product, attributes, request.now); !filled) return filled.error();
    if (product.product.shreddable)
        if (auto named = check_subject(attributes, kind == event::DataKind::base64 || !draft_.spans.empty()); !named) return named.error();
    draft_.mapping_version = mapping.version;
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
