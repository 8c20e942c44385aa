// Rules: whom they bind, what they are about, and what they ask for.
#include <algorithm>

#include "base/limits.h"
#include "policy/document_reader.h"

namespace licet::policy {

void DocumentReader::rule(const Node& in, const Node& document, Rule& out) {
    out.uid = out.pointer = in.at;
    out.constraint.kind = Constraint::Kind::all;
    out.constraint.pointer = in.at + "/constraint";
    nodes_ = 0;
    if (!in->is_object()) return fail(in.at, "expected an object: a rule");
    static constexpr std::string_view known[] = {"@type",    "@id",    "uid",        "target", "assigner",
                                                 "assignee", "action", "constraint", "duty",   "dct:description"};
    members(in, known);
    const std::string_view type[] = {out.prohibition ? "Prohibition" : "Permission"};
    typed(in, type);
    Node uid = member(in, "uid");
    if (!uid) uid = member(in, "@id");
    if (auto name = uid ? text(uid) : std::nullopt; name && !name->empty())
        out.uid = std::move(*name);
    else if (uid)
        fail(uid.at, "expected an IRI, or a name");

    // What the rule does not say itself, the policy may say for all of its rules (ODRL's compact form).
    const auto own_or_shared = [&](const char* term) {
        const Node own = member(in, term);
        if (own) return own;
        const Node shared = member(document, term);
        return shared ? shared : own;
    };
    if (const Node at = own_or_shared("target"))
        target(at, out);
    else
        fail(at.at, "expected urn:licet:product:NAME, or an AssetCollection");
    if (const Node at = own_or_shared("action"))
        action(at, out);
    else
        fail(at.at, "expected \"use\", or another ODRL action");
    const bool agreement = term(member(document, "@type")) == "Agreement";
    if (const Node at = own_or_shared("assignee"))
        assignee(at, out);
    else if (agreement)
        fail(at.at, "an Agreement names its assignee, for the policy or for each rule");
    if (const Node at = own_or_shared("assigner"))
        assigner(at);
    else if (agreement)
        fail(at.at, "an Agreement names its assigner, for the policy or for each rule");
    if (const Node at = member(in, "constraint")) constraints(at, Place::anywhere, out.constraint.children);
    if (const Node at = member(in, "duty")) duties(at, out);
}

// One product, several, or a collection: {"@type": "AssetCollection", "source": "urn:licet:product:NAME" | "urn:licet:products", "refinement": ..}.
void DocumentReader::target(const Node& in, Rule& out) {
    const auto nodes = list(in);
    if (nodes.empty() || nodes.size() > limits::policy_list_max)
        return fail(in.at, "expected 1 to " + std::to_string(limits::policy_list_max) + " targets");
    for (const Node& node : nodes) {
        const Node source = node->is_object() ? member(node, "source") : Node{};
        const Node uid = node->is_object() ? member(node, "uid") : Node{};
        const auto value = source ? text(source) : uid ? text(uid) : text(node);
        const auto product = value ? urn(*value, "product") : std::nullopt;
        const bool every = source && value == "urn:licet:products";
        if (!product && !every)
            return fail(source ? source.at
                        : uid  ? uid.at
                               : node.at,
                        source ? "expected urn:licet:product:NAME or urn:licet:products" : "expected urn:licet:product:NAME, or an AssetCollection");
        if (source || uid) {
            static constexpr std::string_view known[] = {"@type", "source", "uid", "refinement"};
            static constexpr std::string_view types[] = {"AssetCollection"}, one[] = {"Asset"};
            members(node, known);
            source ? typed(node, types) : typed(node, one);
            if (const Node refinement = member(node, "refinement"); refinement) {
                if (!source) fail(refinement.at, "only a collection is refined: expected source");
                if (nodes.size() > 1) fail(refinement.at, "a refined collection is the only target of its rule");
                constraints(refinement, Place::asset, out.constraint.children);
            }
        }
        if (every && nodes.size() > 1) return fail(node.at, "urn:licet:products is the only target of its rule");
        if (product) out.targets.push_back(*product);
    }
}

// Parties, collections, or {"@type": "PartyCollection", "source": "urn:licet:collection:NAME" | "urn:licet:parties", "refinement": ..}.
void DocumentReader::assignee(const Node& in, Rule& out) {
    const auto nodes = list(in);
    if (nodes.empty() || nodes.size() > limits::policy_list_max)
        return fail(in.at, "expected 1 to " + std::to_string(limits::policy_list_max) + " assignees");
    for (const Node& node : nodes) {
        const Node source = node->is_object() ? member(node, "source") : Node{};
        const Node uid = node->is_object() ? member(node, "uid") : Node{};
        const auto value = source ? text(source) : uid ? text(uid) : text(node);
        const auto party = value && !source ? urn(*value, "party") : std::nullopt;
        const auto collection = value ? urn(*value, "collection") : std::nullopt;
        const bool every = source && value == "urn:licet:parties";
        if (!party && !collection && !every)
            return fail(source ? source.at
                        : uid  ? uid.at
                               : node.at,
                        source ? "expected urn:licet:collection:NAME or urn:licet:parties"
                               : "expected urn:licet:party:NAME, urn:licet:collection:NAME, or a PartyCollection");
        if (source || uid) {
            static constexpr std::string_view known[] = {"@type", "source", "uid", "refinement"};
            static constexpr std::string_view types[] = {"PartyCollection"}, one[] = {"Party", "PartyCollection"};
            members(node, known);
            source ? typed(node, types) : typed(node, one);
            if (const Node refinement = member(node, "refinement"); refinement) {
                if (!source) fail(refinement.at, "only a collection is refined: expected source");
                if (nodes.size() > 1) fail(refinement.at, "a refined collection is the only assignee of its rule");
                constraints(refinement, Place::party, out.constraint.children);
            }
        }
        if (every && nodes.size() > 1) return fail(node.at, "urn:licet:parties is the only assignee of its rule");
        if (party) out.assignee_parties.push_back(*party);
        if (collection) out.assignee_collections.push_back(*collection);
    }
}

// Says who granted; nothing is decided by it.
void DocumentReader::assigner(const Node& in) {
    for (const Node& node : list(in)) {
        const Node uid = node->is_object() ? member(node, "uid") : Node{};
        (void)iri(uid ? uid : node);
    }
}

// "use", several, or {"rdf:value": {"@id": "odrl:use"}, "refinement": [..]}.
void DocumentReader::action(const Node& in, Rule& out) {
    const auto nodes = list(in);
    if (nodes.empty() || nodes.size() > limits::policy_list_max)
        return fail(in.at, "expected 1 to " + std::to_string(limits::policy_list_max) + " actions");
    for (const Node& node : nodes) {
        const Node value = node->is_object() ? member(node, "rdf:value") : Node{};
        if (const auto found = find_action(term(value ? value : node)))
            out.actions.push_back(*found);
        else
            fail(value ? value.at : node.at, "expected \"use\", or another ODRL action");
        if (!value) continue;
        static constexpr std::string_view known[] = {"@type", "@id", "rdf:value", "refinement"};
        static constexpr std::string_view types[] = {"Action"};
        members(node, known);
        typed(node, types);
        if (const Node refinement = member(node, "refinement"); refinement) {
            if (nodes.size() > 1) fail(refinement.at, "a refined action is the only one of its rule");
            constraints(refinement, Place::anywhere, out.constraint.children);
        }
    }
}

void DocumentReader::duties(const Node& in, Rule& out) {
    if (out.prohibition) return fail(in.at, "a prohibition has no duties");
    const auto nodes = list(in);
    if (nodes.size() > limits::policy_list_max) return fail(in.at, "expected at most " + std::to_string(limits::policy_list_max) + " duties");
    for (const Node& node : nodes)
        if (auto duty = transform(node)) out.transforms.push_back(std::move(*duty));
}

}  // namespace licet::policy
