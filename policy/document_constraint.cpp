// Constraints and refinements: operands, operators, values.
#include <algorithm>

#include "base/limits.h"
#include "policy/document_reader.h"

namespace licet::policy {
namespace {

using Op = Operator;

constexpr unsigned bit(Op op) { return 1u << static_cast<unsigned>(op); }
constexpr unsigned kAlike = bit(Op::eq) | bit(Op::neq) | bit(Op::is_any_of) | bit(Op::is_none_of);
constexpr unsigned kOrdered = bit(Op::eq) | bit(Op::neq) | bit(Op::lt) | bit(Op::lteq) | bit(Op::gt) | bit(Op::gteq);

struct Operand {
    std::string_view name;
    LeftOperand left;
    unsigned operators;
    bool of_asset, of_party;  // may refine an asset, a party
};
constexpr Operand kOperands[] = {
    {"purpose", LeftOperand::purpose, kAlike | bit(Op::is_a), false, false},
    {"spatial", LeftOperand::jurisdiction, kAlike | bit(Op::is_part_of), true, false},
    {"recipient", LeftOperand::recipient, kAlike | bit(Op::is_part_of), false, true},
    {"dateTime", LeftOperand::date_time, kOrdered, false, false},
    {"licet:consent", LeftOperand::consent, bit(Op::eq) | bit(Op::neq) | bit(Op::is_a), false, false},
    {"licet:jurisdiction", LeftOperand::jurisdiction, kAlike | bit(Op::is_part_of), true, false},
    {"licet:licence", LeftOperand::licence, kAlike, true, false},
    {"licet:classification", LeftOperand::classification, kAlike, true, false},
    {"licet:category", LeftOperand::category, kAlike | bit(Op::has_part) | bit(Op::is_all_of), true, false},
    {"licet:recipientCountry", LeftOperand::recipient_country, kAlike | bit(Op::is_part_of), false, true},
    {"licet:product", LeftOperand::product, kAlike, true, false},
    {"licet:eventType", LeftOperand::event_type, kAlike | bit(Op::is_part_of), true, false},
    {"licet:eventSource", LeftOperand::event_source, kAlike | bit(Op::is_part_of), true, false},
    {"licet:eventTime", LeftOperand::event_time, kOrdered, true, false},
};

struct OperatorName {
    std::string_view name;
    Op op;
};
constexpr OperatorName kOperators[] = {
    {"eq", Op::eq},
    {"neq", Op::neq},
    {"isA", Op::is_a},
    {"typeOf", Op::is_a},  // as isA is written in practice
    {"isAnyOf", Op::is_any_of},
    {"isNoneOf", Op::is_none_of},
    {"isAllOf", Op::is_all_of},
    {"isPartOf", Op::is_part_of},
    {"hasPart", Op::has_part},
    {"lt", Op::lt},
    {"lteq", Op::lteq},
    {"gt", Op::gt},
    {"gteq", Op::gteq},
};

const Operand& entry_of(LeftOperand left) {
    return *std::find_if(std::begin(kOperands), std::end(kOperands), [&](const Operand& o) { return o.left == left; });
}
bool is_time(LeftOperand left) { return left == LeftOperand::event_time || left == LeftOperand::date_time; }
bool takes_list(Op op) { return op == Op::is_any_of || op == Op::is_none_of || op == Op::is_all_of; }

}  // namespace

void DocumentReader::constraints(const Node& in, Place place, std::vector<Constraint>& out) {
    for (const Node& node : list(in)) {
        if (nodes_ > limits::policy_constraint_nodes_max) return;  // said once
        if (auto one = constraint(node, place, 1)) out.push_back(std::move(*one));
    }
}

std::optional<Constraint> DocumentReader::constraint(const Node& in, Place place, std::size_t depth) {
    const auto no = [&](const std::string& at, std::string what) {
        fail(at, std::move(what));
        return std::nullopt;
    };
    if (!in->is_object()) return no(in.at, "expected an object: a constraint");
    if (depth > limits::policy_constraint_depth_max) return no(in.at, "nested deeper than " + std::to_string(limits::policy_constraint_depth_max));
    if (++nodes_ > limits::policy_constraint_nodes_max) {
        if (nodes_ == limits::policy_constraint_nodes_max + 1)
            fail(in.at, "more than " + std::to_string(limits::policy_constraint_nodes_max) + " constraints");
        return std::nullopt;
    }
    static constexpr std::pair<std::string_view, Constraint::Kind> logical[] = {
        {"and", Constraint::Kind::all}, {"or", Constraint::Kind::any}, {"xone", Constraint::Kind::exactly_one}};
    for (const auto& [key, kind] : logical) {
        const Node parts = member(in, key);
        if (!parts) continue;
        static constexpr std::string_view known[] = {"@type", "@id", "uid"}, types[] = {"LogicalConstraint"};
        const auto described = std::count_if(in->items().begin(), in->items().end(), [&](const auto& item) {
            return std::find(std::begin(known), std::end(known), plain(item.key())) != std::end(known);
        });
        const auto nodes = list(parts);
        if (static_cast<std::size_t>(described) + 1 != in->size() || nodes.empty())
            return no(parts.at, "expected a list of constraints and nothing beside it");
        typed(in, types);
        Constraint out;
        out.kind = kind;
        out.pointer = in.at;
        for (const Node& node : nodes) {
            if (nodes_ > limits::policy_constraint_nodes_max) break;
            if (auto child = constraint(node, place, depth + 1)) out.children.push_back(std::move(*child));
        }
        return out;
    }
    return leaf(in, place);
}

std::optional<Constraint> DocumentReader::leaf(const Node& in, Place place) {
    static constexpr std::string_view known[] = {"@type", "@id", "uid", "leftOperand", "operator", "rightOperand"}, types[] = {"Constraint"};
    const bool fine = members(in, known) & typed(in, types);  // and go on: every mistake is told
    const Node left = member(in, "leftOperand");
    const std::string name = left ? term(left) : "";
    const auto allowed = [&](const Operand& o) { return place == Place::anywhere || (place == Place::asset ? o.of_asset : o.of_party); };
    const auto found = std::find_if(std::begin(kOperands), std::end(kOperands), [&](const Operand& o) { return o.name == name && allowed(o); });
    if (found == std::end(kOperands)) {
        std::string names;
        for (const auto& o : kOperands)
            if (allowed(o)) names += (names.empty() ? "" : ", ") + std::string(o.name);
        fail(left.at, "expected one of " + names);
        return std::nullopt;
    }
    Constraint out;
    out.pointer = in.at;
    out.left = found->left;
    if (!op(member(in, "operator"), out) || !right(member(in, "rightOperand"), out) || !fine) return std::nullopt;
    return out;
}

bool DocumentReader::op(const Node& in, Constraint& out) {
    const std::string name = in ? term(in) : "";
    const unsigned fits = entry_of(out.left).operators;
    std::string names;
    for (const auto& known : kOperators) {
        if ((fits & bit(known.op)) == 0) continue;
        if (name == known.name) {
            out.op = known.op;
            return true;
        }
        names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    fail(in.at, "not an operator for this operand: expected one of " + names);
    return false;
}

bool DocumentReader::right(const Node& in, Constraint& out) {
    if (!in) return fail(in.at, "expected a value: an unbound constraint is refused"), false;
    const auto values = list(in);
    if (!takes_list(out.op) && (in->is_array() || values.size() != 1)) return fail(in.at, "expected one value"), false;
    if (values.empty() || values.size() > limits::policy_list_max)
        return fail(in.at, "expected 1 to " + std::to_string(limits::policy_list_max) + " values"), false;
    bool fine = true;
    for (const Node& value : values) fine = right_value(value, out) && fine;
    return fine;
}

bool DocumentReader::right_value(const Node& value, Constraint& out) {
    if (is_time(out.left)) return moment(value, out);
    const auto given = text(value);
    if (!given) return fail(value.at, "expected a string"), false;
    return word(*given, value.at, out);
}

// A day covers all of itself: `lteq` a date includes that day, `gt` begins on the next (UTC).
bool DocumentReader::moment(const Node& value, Constraint& out) {
    constexpr std::int64_t day = 86'400'000;
    if (const auto date = text(value, "xsd:date"))
        if (const auto at = parse_date(*date)) {
            out.moments.push_back({*at, {at->value + day}});
            return true;
        }
    if (const auto time = text(value, "xsd:dateTime"))
        if (const auto at = parse_rfc3339(*time)) {
            out.moments.push_back({*at, {at->value + 1}});
            return true;
        }
    fail(value.at, "expected a date (2026-01-31) or a date-time with its offset (2026-01-31T00:00:00Z)");
    return false;
}

bool DocumentReader::word(std::string given, const std::string& at, Constraint& out) {
    const auto no = [&](std::string what) {
        fail(at, std::move(what));
        return false;
    };
    switch (out.left) {
        case LeftOperand::purpose: {
            const auto purpose = vocabulary_.purpose(given);
            if (!purpose) return no("expected a DPV purpose, dpv:...");
            out.purposes.push_back(*purpose);
            break;
        }
        case LeftOperand::consent:
            if (given != "valid" && given != "dpv:ConsentStatusValidForProcessing")
                return no("expected \"valid\" (or dpv:ConsentStatusValidForProcessing)");
            given = "valid";
            break;
        case LeftOperand::jurisdiction:
        case LeftOperand::recipient_country:
            if (given != "EEA" && !vocabulary_.is_country(given)) return no("expected an ISO 3166-1 alpha-2 code or EEA");
            break;
        case LeftOperand::licence:
            if (vocabulary_.licence(given) == nullptr) return no("expected the SPDX id of a known licence");
            break;
        case LeftOperand::category:
            if (!vocabulary_.is_category(given)) return no("expected a DPV personal-data category, pd:...");
            break;
        case LeftOperand::recipient: {
            const bool part = out.op == Op::is_part_of;
            const auto name = urn(given, part ? "collection" : "party");
            if (!name) return no(part ? "expected urn:licet:collection:NAME" : "expected urn:licet:party:NAME");
            given = *name;
            break;
        }
        case LeftOperand::product: {
            const auto name = urn(given, "product");
            if (!name) return no("expected urn:licet:product:NAME");
            given = *name;
            break;
        }
        case LeftOperand::classification:
        case LeftOperand::event_type:
        case LeftOperand::event_source:
            if (given.empty()) return no("expected a text that is not empty");
            break;
        case LeftOperand::event_time:
        case LeftOperand::date_time:
            break;
    }
    out.right.push_back(std::move(given));
    return true;
}

}  // namespace licet::policy
