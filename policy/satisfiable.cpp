#include "policy/satisfiable.h"

#include <algorithm>
#include <set>

namespace licet::policy {
namespace {

constexpr std::size_t kSetMax = 10;    // members of a set-valued operand: every combination is tried
constexpr std::size_t kOneOfMax = 16;  // parts of an xone: every pair is tried

std::vector<std::string> words_of(const std::vector<const Constraint*>& leaves) {
    std::set<std::string> words;
    for (const auto* leaf : leaves) words.insert(leaf->right.begin(), leaf->right.end());
    return {words.begin(), words.end()};
}

Goal goal(const Constraint& c, bool wanted) { return {&c, wanted ? Ternary::yes : Ternary::no}; }

// The ways in which a logical constraint has its value.
std::vector<std::vector<Goal>> ways_of(const Goal& g) {
    const bool yes = g.wanted == Ternary::yes;
    const auto& children = g.constraint->children;
    std::vector<std::vector<Goal>> ways;
    const auto each = [&](bool wanted) {
        std::vector<Goal> way;
        for (const auto& c : children) way.push_back(goal(c, wanted));
        return way;
    };
    if (g.constraint->kind != Constraint::Kind::exactly_one) {
        const bool all = g.constraint->kind == Constraint::Kind::all;
        if (all == yes) return {each(yes)};
        for (const auto& c : children) ways.push_back({goal(c, yes)});
        return ways;
    }
    if (!yes) ways.push_back(each(false));
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (yes) {
            ways.push_back(each(false));
            ways.back()[i].wanted = Ternary::yes;
        }
        for (std::size_t k = i + 1; !yes && k < children.size(); ++k) ways.push_back({goal(children[i], true), goal(children[k], true)});
    }
    return ways;
}

}  // namespace

void Search::with_contract(const Entitlement& entitlement) { contract_ = &entitlement; }

void Search::collect(const Constraint& c, std::map<LeftOperand, std::vector<const Constraint*>>& leaves) const {
    if (c.kind == Constraint::Kind::leaf) leaves[c.left].push_back(&c);
    for (const auto& child : c.children) collect(child, leaves);
}

void Search::purposes(const std::vector<const Constraint*>& leaves, Operand& out) const {
    const Vocabulary& v = *program_.vocabulary;
    PurposeSet candidates;
    if (contract_ != nullptr) {
        for (const auto& name : contract_->purposes)
            if (const auto p = v.purpose(name)) candidates.add(*p);
    } else {
        if (const auto root = v.purpose("dpv:Purpose")) candidates.add_all(v.at_or_below(*root));
        for (const auto* leaf : leaves)
            for (const auto p : leaf->purposes) {
                candidates.add_all(v.at_or_below(p));
                candidates.add_all(v.at_or_above(p));
            }
    }
    for (std::uint16_t i = 0; i < PurposeSet::capacity; ++i) {
        if (!candidates.has({i})) continue;
        out.worlds.emplace_back().purpose = PurposeId{i};
    }
}

// Every combination of the members that are named.
void Search::sets(LeftOperand left, const std::vector<const Constraint*>& leaves, Operand& out) const {
    if (left == LeftOperand::category) {
        std::set<std::string_view> named;  // views into the constraints, which outlive the search
        for (const auto* leaf : leaves) named.insert(leaf->right.begin(), leaf->right.end());
        out.too_many = named.size() > kSetMax;
        for (std::size_t bits = 0; !out.too_many && bits < std::size_t{1} << named.size(); ++bits) {
            World& w = out.worlds.emplace_back();
            std::size_t i = 0;
            for (const auto category : named)
                if (bits >> i++ & 1) w.facts.field_categories.push_back(category);
        }
        return;
    }
    std::set<std::string> parties{"-"}, collections;
    for (const auto* leaf : leaves) (leaf->op == Operator::is_part_of ? collections : parties).insert(leaf->right.begin(), leaf->right.end());
    out.too_many = collections.size() > kSetMax || parties.size() > 64;
    for (const auto& party : parties) {
        for (std::size_t bits = 0; !out.too_many && bits < std::size_t{1} << collections.size(); ++bits) {
            World& w = out.worlds.emplace_back();
            w.entitlement.party = party;
            std::size_t i = 0;
            for (const auto& c : collections)
                if (bits >> i++ & 1) w.entitlement.party_collections.push_back(c);
        }
    }
}

// The places named, and others within the EEA and without, at times before and after the membership of the United Kingdom.
void Search::places(LeftOperand left, const std::vector<std::string>& words, Operand& out) const {
    std::set<std::string> codes{"AT", "BE", "IS", "BR", "KE"};
    for (const auto& word : words)
        if (word != "EEA") codes.insert(word);
    if (left == LeftOperand::recipient_country && contract_ != nullptr) codes = {contract_->recipient_country};
    for (const char* codes_of_others : {"DE", "FR", "IT", "NZ", "AR"})
        if (contract_ == nullptr || left == LeftOperand::jurisdiction) codes.insert(codes_of_others);
    for (const auto& code : codes)
        for (const char* at : {"1950-06-01", "1990-06-01", "2010-06-01", "2026-06-01"}) {
            World& w = out.worlds.emplace_back();
            w.facts.time = parse_date(at).value();
            w.entitlement.recipient_country = w.facts.type = code;  // `type` keeps the text the view below points into
        }
    for (World& w : out.worlds) w.facts.jurisdiction = w.facts.type;
}

Search::Operand Search::worlds_of(LeftOperand left, const std::vector<const Constraint*>& leaves) const {
    Operand out;
    const auto words = words_of(leaves);
    const auto text = [&](std::string_view Facts::*field, const std::vector<std::string>& values) {
        for (const auto& value : values) out.worlds.emplace_back().facts.type = value;
        for (World& w : out.worlds) w.facts.*field = w.facts.type;
    };
    switch (left) {
        case LeftOperand::purpose:
            purposes(leaves, out);
            break;
        case LeftOperand::consent:
            for (const Ternary t : {Ternary::yes, Ternary::no}) out.worlds.emplace_back().consent = t;
            break;
        case LeftOperand::jurisdiction:
        case LeftOperand::recipient_country:
            places(left, words, out);
            break;
        case LeftOperand::category:
            sets(left, leaves, out);
            break;
        case LeftOperand::recipient:
            if (contract_ != nullptr)
                out.worlds.emplace_back().entitlement = *contract_;
            else
                sets(left, leaves, out);
            break;
        case LeftOperand::product: {
            auto products = words;
            products.emplace_back("-");
            if (contract_ != nullptr) products = {contract_->product};
            for (const auto& p : products) out.worlds.emplace_back().entitlement.product = p;
            break;
        }
        case LeftOperand::licence: {
            auto licences = words;
            for (const char* other : {"CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0"}) licences.emplace_back(other);
            out.too_many = words.size() > 64;
            text(&Facts::license, licences);
            break;
        }
        case LeftOperand::classification: {
            auto values = words;
            values.emplace_back("-");
            text(&Facts::classification, values);
            break;
        }
        case LeftOperand::event_type:
        case LeftOperand::event_source: {
            auto values = words;
            for (const auto& word : words) values.insert(values.end(), {word + ".-", word + "/-", word + ":-", word + "-"});
            values.emplace_back("-");
            text(&Facts::source, values);
            break;
        }
        case LeftOperand::event_time:
        case LeftOperand::date_time:
            for (const auto* leaf : leaves)
                for (const Moment& m : leaf->moments)
                    for (const UtcMillis at : {UtcMillis{m.begin.value - 1}, m.begin, UtcMillis{m.end.value - 1}, m.end}) {
                        World& w = out.worlds.emplace_back();
                        w.facts.time = w.facts.now = at;
                    }
            break;
        default:
            out.too_many = true;  // an operand this search does not know: nothing is concluded from it
    }
    return out;
}

Ternary Search::value(const Constraint& constraint, const World& world) {
    program_.entitlement = world.entitlement;
    return evaluate(constraint, {program_, world.facts, world.purpose, world.consent});
}

Ternary Search::possible(std::vector<Goal> goals) {
    std::map<LeftOperand, std::vector<const Constraint*>> leaves;
    for (const Goal& g : goals) collect(*g.constraint, leaves);
    operands_.clear();
    Left left;
    for (const auto& [operand, of] : leaves) {
        const auto& worlds = operands_.emplace(operand, worlds_of(operand, of)).first->second.worlds;
        for (std::size_t i = 0; i < worlds.size(); ++i) left[operand].push_back(i);
    }
    return search(std::move(goals), std::move(left));
}

Ternary Search::search(std::vector<Goal> goals, Left left) {
    const auto wide = [](const Goal& g) { return g.constraint->kind == Constraint::Kind::exactly_one && g.constraint->children.size() > kOneOfMax; };
    // Left out: what the rest forbids is forbidden all the same, what it allows is not known.
    if (std::erase_if(goals, wide) > 0) return search(std::move(goals), std::move(left)) == Ternary::no ? Ternary::no : Ternary::unknown;
    if (goals.empty()) return Ternary::yes;
    if (steps_ == 0) return Ternary::unknown;
    --steps_;
    // What leaves no choice goes first: contradictions show before anything is tried.
    const auto sure = std::find_if(goals.begin(), goals.end(),
                                   [](const Goal& g) { return g.constraint->kind == Constraint::Kind::leaf || ways_of(g).size() <= 1; });
    const auto at = sure != goals.end() ? sure : goals.begin();
    const Goal next = *at;
    goals.erase(at);
    if (next.constraint->kind == Constraint::Kind::leaf) return leaf(next, std::move(goals), std::move(left));
    return branches(ways_of(next), goals, left);
}

Ternary Search::leaf(const Goal& next, std::vector<Goal> rest, Left left) {
    const Operand& operand = operands_.at(next.constraint->left);
    if (operand.too_many) return search(std::move(rest), std::move(left)) == Ternary::no ? Ternary::no : Ternary::unknown;
    auto& indices = left[next.constraint->left];
    steps_ -= std::min(steps_, indices.size() / 16);
    std::erase_if(indices, [&](std::size_t i) { return value(*next.constraint, operand.worlds[i]) != next.wanted; });
    return indices.empty() ? Ternary::no : search(std::move(rest), std::move(left));
}

Ternary Search::branches(std::vector<std::vector<Goal>> ways, const std::vector<Goal>& rest, const Left& left) {
    Ternary any = Ternary::no;
    for (auto& way : ways) {
        way.insert(way.end(), rest.begin(), rest.end());
        any = kleene_or(any, search(std::move(way), left));
        if (any == Ternary::yes) break;
    }
    return any;
}

}  // namespace licet::policy
