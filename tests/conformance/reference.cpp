#include "tests/conformance/reference.h"

#include <algorithm>

#include "base/encoding.h"
#include "policy/licence.h"

namespace licet::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Value = std::optional<bool>;  // nullopt: unknown
using Terms = std::vector<std::string>;

Value negated(Value v) { return v ? Value(!*v) : v; }
Value of(policy::Ternary t) { return t == policy::Ternary::unknown ? Value() : Value(t == policy::Ternary::yes); }
bool in(const Terms& list, const std::string& item) { return std::find(list.begin(), list.end(), item) != list.end(); }
std::string after(const std::string& text, const std::string& prefix) { return text.starts_with(prefix) ? text.substr(prefix.size()) : ""; }

Terms terms_of(const json& right) {
    Terms out;
    if (right.is_array())
        for (const auto& r : right) out.push_back(r);
    else
        out.push_back(right);
    return out;
}

class Reference {
  public:
    Reference(const ReferenceInput& input, const policy::Vocabulary& vocabulary) : in_(input), v_(vocabulary) {
        data_ = ordered_json::parse(in_.event.data);
    }

    ReferenceAnswer answer() {
        if (in_.event.expiry.value != 0 && in_.event.expiry <= in_.now) return {"expired", "", ""};
        // Each stated purpose once, in the vocabulary's order.
        std::set<policy::PurposeId> stated;
        for (const auto& p : in_.contract.purposes) stated.insert(v_.purpose(p).value());
        std::vector<std::optional<policy::PurposeId>> purposes(stated.begin(), stated.end());
        if (purposes.empty()) purposes.emplace_back();
        std::string rule;
        std::vector<json> duties;
        for (const auto& purpose : purposes) {
            purpose_ = purpose;
            ReferenceAnswer one = for_purpose(duties);
            if (one.reason != "permitted") return one;
            if (rule.empty()) rule = one.rule;
        }
        return transformed(duties, rule);
    }

  private:
    // Constraints.

    Value alike(const std::string& op, const Terms& right, auto&& matches) const {
        bool any = false;
        for (const auto& r : right) any = any || matches(r);
        return op == "neq" || op == "isNoneOf" ? !any : any;
    }
    Value place(const std::string& op, const Terms& right, const std::string& where) const {
        const std::string country = where.substr(0, 2);
        if (!v_.is_country(country) || (where.size() > 2 && where[2] != '-')) return {};
        return alike(op, right, [&](const std::string& r) {
            if (r == "EEA") return v_.in_eea(where, in_.event.time) == policy::Ternary::yes;
            return r == where || (r == country && where.size() > 3);
        });
    }
    Value consent() const {
        if (in_.event.subject.empty()) return true;  // nobody's consent is needed
        if (!in_.consents_ready || !purpose_) return {};
        const auto given = in_.consents.find(in_.event.subject);
        if (given == in_.consents.end()) return false;
        for (const auto& p : given->second)
            if (v_.at_or_below(v_.purpose(p).value()).has(*purpose_)) return true;
        return false;
    }
    Value purpose(const std::string& op, const Terms& right) const {
        if (!purpose_) return {};
        bool hit = false, maybe = false;
        for (const auto& r : right) {
            const auto p = v_.purpose(r).value();
            if (v_.at_or_below(p).has(*purpose_))
                hit = true;
            else if (v_.at_or_above(p).has(*purpose_))
                maybe = true;
        }
        const Value value = hit ? Value(true) : maybe ? Value() : Value(false);
        return op == "neq" || op == "isNoneOf" ? negated(value) : value;
    }
    static Value moment(const std::string& op, const std::string& text, UtcMillis at) {
        const bool day = text.size() == 10;
        const auto begin = day ? parse_date(text).value() : parse_rfc3339(text).value();
        const UtcMillis end{begin.value + (day ? 86'400'000 : 1)};
        const bool before = at < begin, within = !before && at < end;
        if (op == "lt") return before;
        if (op == "lteq") return before || within;
        if (op == "gt") return !before && !within;
        if (op == "gteq") return !before;
        return op == "eq" ? within : !within;
    }
    Value words(const std::string& op, const Terms& right, const std::string& text, const std::string& separators) const {
        if (text.empty()) return {};
        return alike(op, right, [&](const std::string& r) {
            if (r == text) return true;
            if (op != "isPartOf" || text.substr(0, r.size()) != r) return false;
            return separators.find(text[r.size()]) != std::string::npos || (separators != "." && r.back() == separators[0]);
        });
    }
    Value category(const std::string& op, const Terms& right) const {
        Terms present;
        std::string one;
        for (const char c : in_.event.categories + " ") {
            if (c != ' ') {
                one += c;
            } else {
                present.push_back(one);
                one.clear();
            }
        }
        for (const auto& field : in_.mapping.at("fields"))
            if (data_.contains(json::json_pointer(field.at("pointer").get<std::string>())) && field.contains("category"))
                present.push_back(field.at("category"));
        if (op == "isAllOf") return std::all_of(right.begin(), right.end(), [&](const auto& r) { return in(present, r); });
        return alike(op, right, [&](const std::string& r) { return in(present, r); });
    }
    Value leaf(const json& c) const {
        const std::string left = c.at("leftOperand"), op = c.at("operator");
        const Terms right = terms_of(c.at("rightOperand"));
        if (left == "purpose") return purpose(op, right);
        if (left == "licet:consent") return op == "neq" ? negated(consent()) : consent();
        if (left == "spatial") return place(op, right, in_.event.jurisdiction);
        if (left == "licet:recipientCountry") return place(op, right, in_.contract.recipient_country);
        if (left == "dateTime") return moment(op, right[0], in_.now);
        if (left == "licet:eventTime") return moment(op, right[0], in_.event.time);
        if (left == "licet:eventType") return words(op, right, in_.event.type, ".");
        if (left == "licet:eventSource") return words(op, right, in_.event.source, right[0].starts_with("urn:") ? ":" : "/?#");
        if (left == "licet:classification") return words(op, right, in_.event.classification, "");
        if (left == "licet:category") return category(op, right);
        if (left == "licet:licence") {
            if (v_.licence(in_.event.license) == nullptr) return {};
            return alike(op, right, [&](const std::string& r) { return r == in_.event.license; });
        }
        if (left == "licet:product") return alike(op, right, [&](const std::string& r) { return r == "urn:licet:product:" + in_.contract.product; });
        return alike(op, right, [&](const std::string& r) {
            return op == "isPartOf" ? in(in_.contract.party_collections, after(r, "urn:licet:collection:"))
                                    : r == "urn:licet:party:" + in_.contract.party;
        });
    }
    Value all(const json& list) const {
        bool unknown = false;
        for (const auto& c : list) {
            const Value v = value(c);
            if (v == false) return false;
            unknown = unknown || !v;
        }
        return unknown ? Value() : Value(true);
    }
    Value value(const json& c) const {
        if (c.contains("and")) return all(c.at("and"));
        if (!c.contains("or") && !c.contains("xone")) return leaf(c);
        int yes = 0, unknown = 0;
        for (const auto& part : c.contains("or") ? c.at("or") : c.at("xone")) {
            const Value v = value(part);
            yes += v == true;
            unknown += !v;
        }
        if (c.contains("or")) return yes > 0 ? Value(true) : unknown > 0 ? Value() : Value(false);
        return yes > 1 ? Value(false) : unknown > 0 ? Value() : Value(yes == 1);
    }

    // Rules.

    // Everything that must hold: refinements of target, action and assignee, then the constraints.
    static json conditions(const json& rule) {
        json out = json::array();
        for (const char* part : {"target", "action", "assignee"})
            if (rule.contains(part) && rule.at(part).is_object() && rule.at(part).contains("refinement"))
                for (const auto& c : rule.at(part).at("refinement")) out.push_back(c);
        for (const auto& c : rule.value("constraint", json::array())) out.push_back(c);
        return out;
    }
    static Terms named(const json& rule, const char* part, const char* inner) {
        if (!rule.contains(part)) return {};
        const json& at = rule.at(part);
        return terms_of(at.is_object() ? at.at(inner) : at);
    }
    bool matches(const json& rule) const {
        const Terms targets = named(rule, "target", "source"), assignees = named(rule, "assignee", "source"),
                    actions = named(rule, "action", "rdf:value");
        if (!in(targets, "urn:licet:products") && !in(targets, "urn:licet:product:" + in_.contract.product)) return false;
        bool bound = assignees.empty() || in(assignees, "urn:licet:parties") || in(assignees, "urn:licet:party:" + in_.contract.party);
        for (const auto& c : in_.contract.party_collections) bound = bound || in(assignees, "urn:licet:collection:" + c);
        return bound && (in(actions, "use") || in(actions, "stream"));
    }

    // The first leaf, as written, that keeps this from being true; itself when its parts are not what fails.
    std::optional<json> failing(const json& c) const {
        if (value(c) == true) return {};
        for (const char* logic : {"and", "or", "xone"})
            if (c.contains(logic))
                for (const auto& part : c.at(logic))
                    if (auto found = failing(part)) return found;
        return c;
    }
    std::string reason_of(const json& c) const {
        const std::string left = c.value("leftOperand", "");
        if (left == "purpose") return purpose_ ? "purpose_not_permitted" : "purpose_unknown";
        if (left == "licet:consent") return consent() ? "consent_missing" : "consent_unavailable";
        if (left == "spatial" && !v_.is_country(in_.event.jurisdiction.substr(0, 2))) return "jurisdiction_unknown";
        if (left == "licet:licence") return v_.licence(in_.event.license) != nullptr ? "licence_forbids" : "licence_unknown";
        return "no_permission";
    }

    ReferenceAnswer for_purpose(std::vector<json>& duties) {
        for (const auto& policy : in_.policies)
            for (const auto& rule : policy.value("prohibition", json::array()))
                if (matches(rule) && all(conditions(rule)) != false) return {"prohibited", rule.at("uid"), ""};
        ReferenceAnswer out{"no_permission", "", ""};
        bool permitted = false, beyond_purpose = false;
        std::vector<json> own;
        for (const auto& policy : in_.policies) {
            for (const auto& rule : policy.value("permission", json::array())) {
                if (!matches(rule)) continue;
                const json needed = conditions(rule);
                if (all(needed) == true) {
                    if (!permitted) out = {"permitted", rule.at("uid"), ""};
                    permitted = true;
                    for (const auto& d : rule.value("duty", json::array())) own.push_back(d);
                } else if (!permitted) {
                    std::optional<json> first;
                    for (const auto& c : needed)
                        if (!first) first = failing(c);
                    const bool beyond = first->value("leftOperand", "") != "purpose";
                    if (out.rule.empty() || (beyond && !beyond_purpose)) out = {reason_of(*first), rule.at("uid"), ""};
                    beyond_purpose = beyond_purpose || beyond;
                }
            }
        }
        if (!permitted) return out;
        const bool changes = std::any_of(own.begin(), own.end(), [&](const json& d) { return touches(d); });
        const Value licence = of(policy::licence_allows(in_.event.license, v_, policy::licence_use(v_, purpose_, changes)));
        if (licence != true) return {licence ? "licence_forbids" : "licence_unknown", out.rule, ""};
        if (const std::string transfer = this->transfer(); !transfer.empty()) return {transfer, out.rule, ""};
        duties.insert(duties.end(), own.begin(), own.end());
        return out;
    }

    std::string transfer() const {
        const auto& to = in_.contract.recipient_country;
        if (in_.event.subject.empty() || of(v_.in_eea(to, in_.event.time)) == true) return "";
        const Value from = of(v_.in_eea(in_.event.jurisdiction, in_.event.time));
        if (!from) return "jurisdiction_unknown";
        if (!*from || of(v_.adequate(to, in_.event.time, "")) == true || !in_.contract.transfer_tools.empty()) return "";
        for (const auto& scheme : in_.contract.adequacy_schemes)
            if (of(v_.adequate(to, in_.event.time, scheme)) == true) return "";
        return "transfer_not_permitted";
    }

    // Transforms, of fields at the top of an object.

    bool selected(const json& duty, const json& field) const {
        const ordered_json& value = data_.at(json::json_pointer(field.at("pointer").get<std::string>()));
        if (duty.contains("licet:pointer")) return duty.at("licet:pointer") == field.at("pointer");
        if (duty.contains("licet:category")) return duty.at("licet:category") == field.value("category", "");
        if (duty.at("licet:infoType") != field.value("infoType", "")) return false;
        const auto type = event::parse_info_type(duty.at("licet:infoType").get<std::string>()).value();
        return !event::detectable(type) || (value.is_string() && event::is_of_type(value.get<std::string>(), type));
    }
    bool touches(const json& duty) const {
        for (const auto& field : in_.mapping.at("fields"))
            if (present(field) && selected(duty, field)) return true;
        return false;
    }
    bool present(const json& field) const { return data_.contains(json::json_pointer(field.at("pointer").get<std::string>())); }
    static int rank(const json& duty) {
        static const std::map<std::string, int> ranks{{"redact", 5}, {"null", 4}, {"replace", 3}, {"replaceWithInfoType", 3}, {"cryptoHash", 2}};
        return ranks.at(duty.at("licet:transform").get<std::string>());
    }

    ReferenceAnswer transformed(const std::vector<json>& duties, const std::string& rule) const {
        ordered_json out = data_;
        for (const auto& field : in_.mapping.at("fields")) {
            if (!present(field)) continue;
            std::vector<const json*> on;
            int strictest = 0;
            for (const auto& d : duties)
                if (selected(d, field)) strictest = std::max(strictest, rank(d));
            for (const auto& d : duties)
                if (selected(d, field) && rank(d) == strictest) on.push_back(&d);
            if (on.empty()) continue;
            const auto effect = [](const json& d) { return std::pair(d.at("licet:transform"), d.value("licet:replacement", "")); };
            for (const auto* d : on)
                if (effect(*d) != effect(*on[0])) return {"transform_conflict", rule, ""};
            apply(*on[0], field, out);
        }
        return {"permitted", rule, out.dump()};
    }
    void apply(const json& duty, const json& field, ordered_json& out) const {
        const std::string key = field.at("pointer").get<std::string>().substr(1), kind = duty.at("licet:transform");
        if (kind == "redact") {
            out.erase(key);
        } else if (kind == "null") {
            out[key] = nullptr;
        } else if (kind == "replace") {
            out[key] = duty.at("licet:replacement");
        } else if (kind == "replaceWithInfoType") {
            out[key] = "[" + field.at("infoType").get<std::string>() + "]";
        } else {
            std::array<std::uint8_t, 32> digest;
            const std::string text = out[key].is_string() ? out[key].get<std::string>() : out[key].dump();
            PlainPseudonymiser().hash("contract/" + in_.contract.contract, text, digest);
            out[key] = base64url(digest);
        }
    }

    const ReferenceInput& in_;
    const policy::Vocabulary& v_;
    ordered_json data_;
    std::optional<policy::PurposeId> purpose_;
};

}  // namespace

ReferenceAnswer reference_decision(const ReferenceInput& input, const policy::Vocabulary& vocabulary) {
    return Reference(input, vocabulary).answer();
}

}  // namespace licet::testing
