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
    Transform out;
    const Node name = member(in, "licet:transform");
    const auto kind = name && name->is_string() ? parse_transform_kind(name->get_ref<const std::string&>()) : std::nullopt;
    if (!kind)
        return no(name.at,
                  "expected redact, null, replace, replaceWithInfoType, cryptoHash, cryptoDeterministic, characterMask, "
                  "bucketing, fixedSizeBucketing, rounding, dateShift, timePart, generaliseEmail, generaliseIp, regexReplace or keep");
    out.kind = *kind;
    std::vector<std::string_view> terms{"@type", "@id", "uid", "action", "licet:transform", "licet:pointer", "licet:infoType", "licet:category"};
    const auto own = parameter_terms(out.kind);
    terms.insert(terms.end(), own.begin(), own.end());
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
    const auto mistake = read_parameters([&](std::string_view term) { return member(in, term).value; }, out);
    if (mistake) fail(in.at + mistake->where, mistake->what);
    return !mistake;
}

}  // namespace licet::policy
