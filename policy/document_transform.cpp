// Duties that change data: which values, and how.
#include <algorithm>

#include "base/limits.h"
#include "event/json_text.h"
#include "event/mapping.h"
#include "policy/document_reader.h"

namespace licet::policy {

std::optional<Transform> DocumentReader::transform(const Node& in) {
    const auto no = [&](const std::string& at, std::string what) {
        fail(at, std::move(what));
        return std::nullopt;
    };
    if (!in->is_object()) return no(in.at, "expected an object: a duty");
    const Node action = member(in, "action");
    if (!action || term(action) != "licet:transform")
        return no(action.at, "expected \"licet:transform\": of other duties, attribution and notice travel with the event as its licence");
    static constexpr std::pair<std::string_view, TransformKind> kinds[] = {{"redact", TransformKind::redact},
                                                                           {"null", TransformKind::null},
                                                                           {"replace", TransformKind::replace},
                                                                           {"replaceWithInfoType", TransformKind::replace_with_info_type},
                                                                           {"characterMask", TransformKind::character_mask},
                                                                           {"cryptoHash", TransformKind::crypto_hash}};
    Transform out;
    const Node name = member(in, "licet:transform");
    const auto kind = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return name && *name.value == k.first; });
    if (kind == std::end(kinds)) return no(name.at, "expected redact, null, replace, replaceWithInfoType, characterMask or cryptoHash");
    out.kind = kind->second;
    std::vector<std::string_view> terms{"@type", "@id", "uid", "action", "licet:transform", "licet:pointer", "licet:infoType", "licet:category"};
    if (out.kind == TransformKind::replace) terms.push_back("licet:replacement");
    if (out.kind == TransformKind::character_mask)
        terms.insert(terms.end(), {"licet:maskingCharacter", "licet:numberToMask", "licet:reverseOrder", "licet:charactersToSkip"});
    static constexpr std::string_view types[] = {"Duty"};
    if (!members(in, terms) || !typed(in, types) || !selector(in, out) || !parameters(in, out)) return std::nullopt;
    return out;
}

bool DocumentReader::selector(const Node& in, Transform& out) {
    int selectors = 0;
    if (const Node v = member(in, "licet:pointer")) {
        if (!v->is_string() || !event::parse_pointer(v->get_ref<const std::string&>())) return fail(v.at, "expected a JSON Pointer"), false;
        out.pointer = v->get<std::string>();
        out.by_pointer = true;
        ++selectors;
    }
    if (const Node v = member(in, "licet:infoType")) {
        const auto type = v->is_string() ? event::parse_info_type(v->get_ref<const std::string&>()) : std::nullopt;
        if (!type) return fail(v.at, "expected an info type such as EMAIL_ADDRESS"), false;
        out.info_type = *type;
        ++selectors;
    }
    if (const Node v = member(in, "licet:category")) {
        if (!v->is_string() || !vocabulary_.is_category(v->get_ref<const std::string&>()))
            return fail(v.at, "expected a DPV category, pd:..."), false;
        out.category = v->get<std::string>();
        ++selectors;
    }
    return selectors == 1 || (fail(in.at, "expected exactly one of licet:pointer, licet:infoType, licet:category"), false);
}

bool DocumentReader::parameters(const Node& in, Transform& out) {
    if (out.kind == TransformKind::replace) {
        const Node v = member(in, "licet:replacement");
        if (!v || !v->is_string()) return fail(v.at, "expected a string"), false;
        event::append_json_string(v->get_ref<const std::string&>(), out.replacement);
    }
    if (out.kind != TransformKind::character_mask) return true;
    if (const Node v = member(in, "licet:maskingCharacter")) {
        if (!v->is_string() || event::count_code_points(v->get_ref<const std::string&>()) != 1) return fail(v.at, "expected one character"), false;
        out.masking_character = v->get<std::string>();
    }
    if (const Node v = member(in, "licet:numberToMask")) {
        if (!v->is_number_unsigned() || v->get<std::uint64_t>() == 0 || v->get<std::uint64_t>() > limits::event_max_bytes)
            return fail(v.at, "expected a positive integer"), false;
        out.number_to_mask = v->get<std::uint32_t>();
    }
    if (const Node v = member(in, "licet:reverseOrder")) {
        if (!v->is_boolean()) return fail(v.at, "expected true or false"), false;
        out.reverse_order = v->get<bool>();
    }
    if (const Node v = member(in, "licet:charactersToSkip")) {
        if (!v->is_string()) return fail(v.at, "expected a string"), false;
        out.characters_to_skip = v->get<std::string>();
    }
    return true;
}

}  // namespace licet::policy
