#include "policy/document.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/ids.h"
#include "base/limits.h"
#include "event/json_text.h"
#include "event/mapping.h"
#include "policy/document_model.h"

namespace licet::policy {
namespace {

using nlohmann::json;

constexpr std::string_view kProfile = "https://licet.dev/ns/odrl-profile/1";
constexpr std::string_view kOdrlContext = "http://www.w3.org/ns/odrl.jsonld";

// The document parser: the first mistake ends it, with a pointer to what is wrong.
class Parser {
  public:
    explicit Parser(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

    Result<std::shared_ptr<const PolicyDocument>> parse(const json& document) {
        auto out = std::make_shared<PolicyDocument>();
        if (!document.is_object()) return fail("", "expected an object: an ODRL Set");
        if (document.dump(-1, ' ', false, json::error_handler_t::replace).size() > limits::policy_document_max_bytes)
            return fail("", "larger than " + std::to_string(limits::policy_document_max_bytes) + " bytes");
        if (!members(document, "", {"@context", "@type", "uid", "profile", "conflict", "permission", "prohibition"})) return *error_;
        if (!context(document)) return fail("/@context", "expected the ODRL context and " + std::string(kProfile));
        if (document.value("@type", json()) != "Set") return fail("/@type", "expected \"Set\"; an Offer or a Request is not evaluated");
        if (document.value("profile", json()) != kProfile) return fail("/profile", "expected " + std::string(kProfile));
        if (document.value("conflict", json()) != "prohibit") return fail("/conflict", "expected \"prohibit\": other strategies are not sound here");
        const auto uid = document.find("uid");
        if (uid == document.end() || !uid->is_string() || uid->get_ref<const std::string&>().empty()) return fail("/uid", "expected an IRI");
        out->uid = uid->get<std::string>();
        std::set<std::string> uids;
        for (const bool prohibition : {false, true}) {
            const std::string key = prohibition ? "prohibition" : "permission";
            const auto at = document.find(key);
            if (at == document.end()) continue;
            if (!at->is_array()) return fail("/" + key, "expected an array of rules");
            for (std::size_t i = 0; i < at->size(); ++i) {
                if (out->rules.size() == limits::policy_rules_max)
                    return fail("/" + key, "more than " + std::to_string(limits::policy_rules_max) + " rules");
                auto parsed = rule((*at)[i], prohibition, "/" + key + "/" + std::to_string(i));
                if (!parsed) return *error_;
                // A rule is known by its uid in views, audit and explanations: two of one name would be taken for one.
                if (!uids.insert(parsed->uid).second)
                    return fail("/" + key + "/" + std::to_string(i) + "/uid", "expected a uid that no other rule of the document has");
                out->rules.push_back(std::move(*parsed));
            }
        }
        if (out->rules.empty()) return fail("/permission", "a policy without rules permits nothing and prohibits nothing");
        return std::shared_ptr<const PolicyDocument>(std::move(out));
    }

  private:
    Error fail(const std::string& pointer, std::string what) {
        if (!error_) error_ = Error{Errc::invalid_document, std::move(what), pointer};
        return *error_;
    }
    std::nullopt_t no(const std::string& pointer, std::string what) {
        fail(pointer, std::move(what));
        return std::nullopt;
    }

    bool members(const json& object, const std::string& at, const std::set<std::string_view>& known) {
        for (const auto& [key, value] : object.items())
            if (!known.contains(key)) return fail(at + "/" + event::pointer_token(key), "unknown term"), false;
        return true;
    }

    static bool context(const json& document) {
        const auto at = document.find("@context");
        if (at == document.end()) return false;
        const json list = at->is_array() ? *at : json::array({*at});
        bool odrl = false;
        for (const auto& entry : list) {
            if (entry == kOdrlContext)
                odrl = true;
            else if (entry != kProfile)
                return false;
        }
        return odrl;
    }

    // "urn:licet:<kind>:<slug>" -> slug.
    std::optional<std::string> urn(const json& value, std::string_view kind, const std::string& at) {
        const std::string prefix = "urn:licet:" + std::string(kind) + ":";
        if (value.is_string() && value.get_ref<const std::string&>().starts_with(prefix)) {
            auto name = value.get_ref<const std::string&>().substr(prefix.size());
            if (valid_slug(name)) return name;
        }
        return no(at, "expected " + prefix + "NAME");
    }

    std::optional<Rule> rule(const json& in, bool prohibition, const std::string& at) {
        if (!in.is_object()) return no(at, "expected an object: a rule");
        if (!members(in, at, {"uid", "target", "assignee", "action", "constraint", "duty"})) return std::nullopt;
        Rule out;
        out.prohibition = prohibition;
        out.uid = at;
        if (const auto uid = in.find("uid"); uid != in.end()) {
            if (!uid->is_string() || uid->get_ref<const std::string&>().empty()) return no(at + "/uid", "expected an IRI");
            out.uid = uid->get<std::string>();
        }
        if (!in.contains("target")) return no(at + "/target", "expected urn:licet:product:NAME");
        auto target = urn(in["target"], "product", at + "/target");
        if (!target) return std::nullopt;
        out.target = std::move(*target);
        if (in.value("action", json()) != "use") return no(at + "/action", "expected \"use\"");
        if (const auto assignee = in.find("assignee"); assignee != in.end()) {
            const bool collection = assignee->is_string() && assignee->get_ref<const std::string&>().starts_with("urn:licet:collection:");
            auto name = urn(*assignee, collection ? "collection" : "party", at + "/assignee");
            if (!name) return std::nullopt;
            (collection ? out.assignee_collection : out.assignee_party) = std::move(*name);
        }
        out.constraint.kind = Constraint::Kind::all;
        out.constraint.pointer = at + "/constraint";
        nodes_ = 0;
        if (const auto list = in.find("constraint"); list != in.end()) {
            if (!list->is_array()) return no(at + "/constraint", "expected an array of constraints");
            if (!children(*list, out.constraint, at + "/constraint", 1)) return std::nullopt;
        }
        if (const auto duties = in.find("duty"); duties != in.end()) {
            if (prohibition) return no(at + "/duty", "a prohibition has no duties");
            if (!duties->is_array() || duties->size() > limits::policy_list_max) return no(at + "/duty", "expected an array of duties");
            for (std::size_t i = 0; i < duties->size(); ++i) {
                auto transform = duty((*duties)[i], at + "/duty/" + std::to_string(i));
                if (!transform) return std::nullopt;
                out.transforms.push_back(std::move(*transform));
            }
        }
        return out;
    }

    bool children(const json& list, Constraint& into, const std::string& at, std::size_t depth) {
        for (std::size_t i = 0; i < list.size(); ++i) {
            auto child = constraint(list[i], at + "/" + std::to_string(i), depth);
            if (!child) return false;
            into.children.push_back(std::move(*child));
        }
        return true;
    }

    std::optional<Constraint> constraint(const json& in, const std::string& at, std::size_t depth) {
        if (!in.is_object()) return no(at, "expected an object: a constraint");
        if (depth > limits::policy_constraint_depth_max) return no(at, "nested deeper than " + std::to_string(limits::policy_constraint_depth_max));
        if (++nodes_ > limits::policy_constraint_nodes_max)
            return no(at, "more than " + std::to_string(limits::policy_constraint_nodes_max) + " constraints");
        static const std::pair<const char*, Constraint::Kind> logical[] = {
            {"and", Constraint::Kind::all}, {"or", Constraint::Kind::any}, {"xone", Constraint::Kind::exactly_one}};
        Constraint out;
        out.pointer = at;
        for (const auto& [key, kind] : logical) {
            const auto list = in.find(key);
            if (list == in.end()) continue;
            if (in.size() != 1 || !list->is_array() || list->empty())
                return no(at + "/" + key, "expected a list of constraints and nothing beside it");
            out.kind = kind;
            if (!children(*list, out, at + "/" + key, depth + 1)) return std::nullopt;
            return out;
        }
        if (!members(in, at, {"leftOperand", "operator", "rightOperand"})) return std::nullopt;
        if (!left(in, out) || !op(in, out)) return std::nullopt;
        return right(in, std::move(out));
    }

    bool left(const json& in, Constraint& out) {
        static const std::pair<std::string_view, LeftOperand> known[] = {
            {"purpose", LeftOperand::purpose},
            {"licet:consent", LeftOperand::consent},
            {"spatial", LeftOperand::jurisdiction},
            {"licet:jurisdiction", LeftOperand::jurisdiction},
            {"licet:licence", LeftOperand::licence},
            {"licet:classification", LeftOperand::classification},
            {"licet:category", LeftOperand::category},
            {"recipient", LeftOperand::recipient},
            {"licet:recipientCountry", LeftOperand::recipient_country},
        };
        const auto value = in.value("leftOperand", json());
        for (const auto& [name, operand] : known) {
            if (value == name) {
                out.left = operand;
                return true;
            }
        }
        fail(out.pointer + "/leftOperand",
             "expected one of purpose, spatial, recipient, licet:consent, licet:jurisdiction, licet:licence, licet:classification, licet:category, "
             "licet:recipientCountry");
        return false;
    }

    bool op(const json& in, Constraint& out) {
        static const std::pair<std::string_view, Operator> known[] = {{"eq", Operator::eq},
                                                                      {"neq", Operator::neq},
                                                                      {"isA", Operator::is_a},
                                                                      {"isAnyOf", Operator::is_any_of},
                                                                      {"isNoneOf", Operator::is_none_of},
                                                                      {"isPartOf", Operator::is_part_of}};
        const auto value = in.value("operator", json());
        for (const auto& [name, found] : known) {
            if (value != name) continue;
            const bool place = out.left == LeftOperand::jurisdiction || out.left == LeftOperand::recipient_country;
            const bool fits = (found != Operator::is_a || out.left == LeftOperand::purpose) &&
                              (found != Operator::is_part_of || place || out.left == LeftOperand::recipient) &&
                              (out.left != LeftOperand::consent || found == Operator::eq || found == Operator::neq);
            if (!fits) break;
            out.op = found;
            return true;
        }
        fail(out.pointer + "/operator", "not an operator for this operand");
        return false;
    }

    std::optional<Constraint> right(const json& in, Constraint out) {
        const std::string at = out.pointer + "/rightOperand";
        const auto value = in.find("rightOperand");
        if (value == in.end()) return no(at, "expected a value: an unbound constraint is refused");
        const bool list = out.op == Operator::is_any_of || out.op == Operator::is_none_of;
        if (list != value->is_array()) return no(at, list ? "expected an array" : "expected one value");
        if (list && (value->empty() || value->size() > limits::policy_list_max))
            return no(at, "expected 1 to " + std::to_string(limits::policy_list_max) + " values");
        const json values = list ? *value : json::array({*value});
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::string here = list ? at + "/" + std::to_string(i) : at;
            if (!values[i].is_string()) return no(here, "expected a string");
            if (!term(values[i].get<std::string>(), out, here)) return std::nullopt;
        }
        return out;
    }

    bool term(std::string text, Constraint& out, const std::string& at) {
        switch (out.left) {
            case LeftOperand::purpose: {
                const auto purpose = vocabulary_.purpose(text);
                if (!purpose) return fail(at, "expected a DPV purpose, dpv:..."), false;
                out.purposes.push_back(*purpose);
                break;
            }
            case LeftOperand::consent:
                if (text != "valid") return fail(at, "expected \"valid\""), false;
                break;
            case LeftOperand::jurisdiction:
            case LeftOperand::recipient_country:
                if (text != "EEA" && !vocabulary_.is_country(text)) return fail(at, "expected an ISO 3166-1 alpha-2 code or EEA"), false;
                break;
            case LeftOperand::licence:
                if (vocabulary_.licence(text) == nullptr) return fail(at, "expected the SPDX id of a known licence"), false;
                break;
            case LeftOperand::category:
                if (!vocabulary_.is_category(text)) return fail(at, "expected a DPV personal-data category, pd:..."), false;
                break;
            case LeftOperand::recipient: {
                const bool part = out.op == Operator::is_part_of;
                const auto name = urn(json(text), part ? "collection" : "party", at);
                if (!name) return false;
                text = *name;
                break;
            }
            case LeftOperand::classification:
                if (text.empty()) return fail(at, "expected a classification"), false;
                break;
        }
        out.right.push_back(std::move(text));
        return true;
    }

    std::optional<Transform> duty(const json& in, const std::string& at) {
        if (!in.is_object()) return no(at, "expected an object: a duty");
        if (in.value("action", json()) != "licet:transform") return no(at + "/action", "expected \"licet:transform\"");
        static const std::pair<std::string_view, TransformKind> kinds[] = {{"redact", TransformKind::redact},
                                                                           {"null", TransformKind::null},
                                                                           {"replace", TransformKind::replace},
                                                                           {"replaceWithInfoType", TransformKind::replace_with_info_type},
                                                                           {"characterMask", TransformKind::character_mask},
                                                                           {"cryptoHash", TransformKind::crypto_hash}};
        Transform out;
        bool known = false;
        for (const auto& [name, kind] : kinds) {
            if (in.value("licet:transform", json()) != name) continue;
            out.kind = kind;
            known = true;
        }
        if (!known) return no(at + "/licet:transform", "expected redact, null, replace, replaceWithInfoType, characterMask or cryptoHash");
        std::set<std::string_view> terms{"action", "licet:transform", "licet:pointer", "licet:infoType", "licet:category"};
        if (out.kind == TransformKind::replace) terms.insert("licet:replacement");
        if (out.kind == TransformKind::character_mask)
            terms.insert({"licet:maskingCharacter", "licet:numberToMask", "licet:reverseOrder", "licet:charactersToSkip"});
        if (!members(in, at, terms) || !selector(in, at, out) || !parameters(in, at, out)) return std::nullopt;
        return out;
    }

    bool selector(const json& in, const std::string& at, Transform& out) {
        int selectors = 0;
        if (const auto v = in.find("licet:pointer"); v != in.end()) {
            if (!v->is_string() || !event::parse_pointer(v->get_ref<const std::string&>()))
                return fail(at + "/licet:pointer", "expected a JSON Pointer"), false;
            out.pointer = v->get<std::string>();
            out.by_pointer = true;
            ++selectors;
        }
        if (const auto v = in.find("licet:infoType"); v != in.end()) {
            const auto type = v->is_string() ? event::parse_info_type(v->get_ref<const std::string&>()) : std::nullopt;
            if (!type) return fail(at + "/licet:infoType", "expected an info type such as EMAIL_ADDRESS"), false;
            out.info_type = *type;
            ++selectors;
        }
        if (const auto v = in.find("licet:category"); v != in.end()) {
            if (!v->is_string() || !vocabulary_.is_category(v->get_ref<const std::string&>()))
                return fail(at + "/licet:category", "expected a DPV category, pd:..."), false;
            out.category = v->get<std::string>();
            ++selectors;
        }
        return selectors == 1 || (fail(at, "expected exactly one of licet:pointer, licet:infoType, licet:category"), false);
    }

    bool parameters(const json& in, const std::string& at, Transform& out) {
        if (out.kind == TransformKind::replace) {
            const auto v = in.find("licet:replacement");
            if (v == in.end() || !v->is_string()) return fail(at + "/licet:replacement", "expected a string"), false;
            event::append_json_string(v->get_ref<const std::string&>(), out.replacement);
        }
        if (out.kind != TransformKind::character_mask) return true;
        if (const auto v = in.find("licet:maskingCharacter"); v != in.end()) {
            if (!v->is_string() || event::count_code_points(v->get_ref<const std::string&>()) != 1)
                return fail(at + "/licet:maskingCharacter", "expected one character"), false;
            out.masking_character = v->get<std::string>();
        }
        if (const auto v = in.find("licet:numberToMask"); v != in.end()) {
            if (!v->is_number_unsigned() || v->get<std::uint64_t>() == 0 || v->get<std::uint64_t>() > limits::event_max_bytes)
                return fail(at + "/licet:numberToMask", "expected a positive integer"), false;
            out.number_to_mask = v->get<std::uint32_t>();
        }
        if (const auto v = in.find("licet:reverseOrder"); v != in.end()) {
            if (!v->is_boolean()) return fail(at + "/licet:reverseOrder", "expected true or false"), false;
            out.reverse_order = v->get<bool>();
        }
        if (const auto v = in.find("licet:charactersToSkip"); v != in.end()) {
            if (!v->is_string()) return fail(at + "/licet:charactersToSkip", "expected a string"), false;
            out.characters_to_skip = v->get<std::string>();
        }
        return true;
    }

    const Vocabulary& vocabulary_;
    std::optional<Error> error_;
    std::size_t nodes_ = 0;
};

}  // namespace

Result<std::shared_ptr<const PolicyDocument>> parse_policy(const json& document, const Vocabulary& vocabulary) {
    return Parser(vocabulary).parse(document);
}

}  // namespace licet::policy
