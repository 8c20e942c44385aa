// The tables of the documentation against the product: operands with their operators, what may refine what, kinds of transforms, and how many terms
// each vocabulary has.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "policy/document.h"
#include "policy/transform.h"
#include "policy/vocabulary.h"

namespace {

using namespace licet;
using nlohmann::json;

// The cells of the table whose header begins so.
std::vector<std::vector<std::string>> table(const char* page, const std::string& header) {
    std::ifstream in(page);
    REQUIRE_MESSAGE(in, page);
    std::vector<std::vector<std::string>> rows;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(header))
            inside = true;
        else if (inside && !line.starts_with("|"))
            break;
        else if (inside && !line.starts_with("|---")) {
            std::vector<std::string> cells;
            for (std::size_t from = 1; from < line.size();) {
                const std::size_t to = line.find('|', from);
                cells.push_back(line.substr(from, to - from));
                from = to + 1;
            }
            rows.push_back(std::move(cells));
        }
    }
    REQUIRE_FALSE(rows.empty());
    return rows;
}

// What stands in backquotes.
std::vector<std::string> quoted(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t from = 0; (from = text.find('`', from)) != std::string::npos;) {
        const std::size_t to = text.find('`', from + 1);
        out.push_back(text.substr(from + 1, to - from - 1));
        from = to + 1;
    }
    return out;
}

bool accepted(const json& constraint, const char* where = nullptr, const char* kind = nullptr, const char* source = nullptr) {
    json rule{{"target", "urn:licet:product:orders"}, {"action", "use"}};
    if (where == nullptr)
        rule["constraint"] = json::array({constraint});
    else
        rule[where] = {{"@type", kind}, {"source", source}, {"refinement", json::array({constraint})}};
    const json document{{"@context", "http://www.w3.org/ns/odrl.jsonld"},   {"@type", "Set"},         {"uid", "urn:licet:policy:docs"},
                        {"profile", "https://licet.dev/ns/odrl-profile/1"}, {"conflict", "prohibit"}, {"permission", json::array({rule})}};
    return policy::check_policy(document, *policy::builtin_vocabulary()).document != nullptr;
}

const std::map<std::string, std::string> kValues = {{"purpose", "dpv:Marketing"},
                                                    {"licet:consent", "valid"},
                                                    {"spatial", "DE"},
                                                    {"licet:jurisdiction", "DE"},
                                                    {"licet:recipientCountry", "EEA"},
                                                    {"licet:licence", "CC0-1.0"},
                                                    {"licet:classification", "public"},
                                                    {"licet:category", "pd:Health"},
                                                    {"recipient", "urn:licet:party:lab"},
                                                    {"licet:product", "urn:licet:product:orders"},
                                                    {"licet:eventType", "org.example"},
                                                    {"licet:eventSource", "/shop"},
                                                    {"dateTime", "2026-12-31"},
                                                    {"licet:eventTime", "2026-12-31"}};

}  // namespace

TEST_CASE("docs/policy-profile.md: every operand takes the operators of its row, and no other") {
    static constexpr const char* every[] = {"eq",       "neq",     "isA", "typeOf", "isAnyOf", "isNoneOf", "isAllOf",
                                            "isPartOf", "hasPart", "lt",  "lteq",   "gt",      "gteq",     "isNot"};
    std::set<std::string> seen;
    for (const auto& row : table("docs/policy-profile.md", "| left operand"))
        for (const auto& operand : quoted(row.at(0))) {
            const auto listed = quoted(row.at(1));
            REQUIRE(kValues.contains(operand));
            seen.insert(operand);
            for (const std::string op : every) {
                CAPTURE(operand);
                CAPTURE(op);
                const bool part = operand == "recipient" && op == "isPartOf";
                const json value = part ? "urn:licet:collection:labs" : kValues.at(operand);
                const std::string means = op == "typeOf" ? "isA" : op;  // "is read as"
                const bool should = std::find(listed.begin(), listed.end(), means) != listed.end();
                CHECK(accepted({{"leftOperand", operand}, {"operator", op}, {"rightOperand", value}}) == should);
            }
        }
    CHECK(seen.size() == kValues.size());
}

TEST_CASE("docs/policy-profile.md: what may refine an asset, and what a party") {
    const std::set<std::string> asset{"licet:eventType", "licet:eventSource", "licet:eventTime", "licet:product",     "licet:classification",
                                      "licet:category",  "licet:licence",     "spatial",         "licet:jurisdiction"};
    const std::set<std::string> party{"recipient", "licet:recipientCountry"};
    for (const auto& [operand, value] : kValues) {
        CAPTURE(operand);
        const json c{{"leftOperand", operand}, {"operator", "eq"}, {"rightOperand", value}};
        CHECK(accepted(c, "target", "AssetCollection", "urn:licet:products") == asset.contains(operand));
        CHECK(accepted(c, "assignee", "PartyCollection", "urn:licet:parties") == party.contains(operand));
    }
}

TEST_CASE("docs: every kind of transform has its row in both tables, and no other") {
    for (const char* page : {"docs/policy-profile.md", "docs/transforms.md"}) {
        CAPTURE(page);
        std::set<std::string> rows;
        for (const auto& row : table(page, "| kind | parameters"))
            for (const auto& kind : quoted(row.at(0))) {
                CAPTURE(kind);
                REQUIRE(policy::parse_transform_kind(kind).has_value());
                CHECK(rows.insert(kind).second);
                const auto terms = policy::parameter_terms(*policy::parse_transform_kind(kind));
                const std::set<std::string> own(terms.begin(), terms.end());
                std::set<std::string> told;
                for (const auto& word : quoted(row.at(1)))
                    if (word.starts_with("licet:")) told.insert(word);
                if (kind == "bucketing") told.erase("licet:min"), told.erase("licet:max"), told.erase("licet:replacement");
                CHECK(told == own);
            }
        CHECK(rows.size() == 16);
    }
}

TEST_CASE("docs/vocabularies.md: every table has as many entries as it says") {
    const auto rows = table("docs/vocabularies.md", "| table | source");
    CHECK(rows.size() == policy::vocabulary_tables().size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(rows[i].at(0));
        CHECK(std::stoul(rows[i].at(3)) == policy::vocabulary_tables()[i].entries);
    }
}
