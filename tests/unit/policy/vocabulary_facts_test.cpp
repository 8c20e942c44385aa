// The tables against the published files they state facts of. LICET_VOCAB names a folder that holds them (W3C DPV 2.3, SPDX ids, Creative Commons'
// ccREL statements, choosealicense, OKFN, adequacy decisions as compiled); without it these cases are skipped. Nothing of the files is kept here.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "policy/vocabulary.h"

namespace {

using namespace licet;
using nlohmann::json;
using policy::Act;
using policy::has;
using policy::Ternary;

// Skipped by decorator, so that the count of skipped cases shows it. The reason: no folder of published vocabularies was given.
const bool absent = std::getenv("LICET_VOCAB") == nullptr;
const auto vocabulary = policy::builtin_vocabulary();

std::string text_of(const std::string& name) {
    const std::string path = std::string(std::getenv("LICET_VOCAB")) + "/" + name;
    std::ifstream file(path);
    REQUIRE_MESSAGE(file, path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}
json json_of(const std::string& name) { return json::parse(text_of(name)); }

using Row = std::map<std::string, std::string>;
// RFC 4180.
std::vector<Row> csv_of(const std::string& name) {
    const std::string text = text_of(name);
    std::vector<std::vector<std::string>> lines(1);
    std::string cell;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c != '"')
                cell += c;
            else if (i + 1 < text.size() && text[i + 1] == '"')
                cell += text[++i];
            else
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == ',' || c == '\n') {
            lines.back().push_back(std::move(cell));
            cell.clear();
            if (c == '\n') lines.emplace_back();
        } else if (c != '\r') {
            cell += c;
        }
    }
    std::vector<Row> out;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (lines[i].size() < lines[0].size()) continue;
        Row row;
        for (std::size_t k = 0; k < lines[0].size(); ++k) row[lines[0][k]] = lines[i][k];
        out.push_back(std::move(row));
    }
    REQUIRE(out.size() > 1);
    return out;
}

std::string short_name(const std::string& iri) {
    static const std::pair<const char*, const char*> prefixes[] = {{"https://w3id.org/dpv#", "dpv:"},
                                                                   {"https://w3id.org/dpv/sector/health#", "sector-health:"},
                                                                   {"https://w3id.org/dpv/sector/finance#", "sector-finance:"},
                                                                   {"https://w3id.org/dpv/legal/eu/ehds#", "eu-ehds:"},
                                                                   {"https://w3id.org/dpv/legal/eu/gdpr#", "eu-gdpr:"}};
    for (const auto& [from, to] : prefixes)
        if (iri.starts_with(from)) return to + iri.substr(std::string_view(from).size());
    return iri;
}
std::set<std::string> broader_of(const Row& row) {
    std::set<std::string> out;
    std::istringstream list(row.at("hasbroader"));
    for (std::string iri; std::getline(list, iri, ';');) out.insert(short_name(iri));
    return out;
}
// term -> broader terms, of the classes of some files.
std::map<std::string, std::set<std::string>> classes_of(const std::vector<std::string>& files) {
    std::map<std::string, std::set<std::string>> out;
    for (const auto& file : files)
        for (const auto& row : csv_of("dpv/2.3/" + file))
            if (row.at("type") == "class") out[short_name(row.at("iri"))] = broader_of(row);
    return out;
}
std::size_t entries(std::string_view table) {
    for (const auto& t : policy::vocabulary_tables())
        if (t.name == table) return t.entries;
    return 0;
}
UtcMillis day(std::string_view text) { return parse_date(text).value(); }

}  // namespace

TEST_CASE("facts: purposes are those of DPV and its sectors, with the same terms above each" * doctest::skip(absent)) {
    auto facts = classes_of({"dpv/modules/purposes.csv", "sector/finance/modules/purposes.csv", "sector/health/modules/purposes.csv",
                             "legal/eu/ehds/modules/purposes.csv"});
    facts.erase("dpv:Sector");  // a class of the same file, but no purpose
    facts["dpv:RightsFulfilment"] = {"dpv:Purpose"};
    CHECK(entries("purposes") == facts.size() + 2);
    for (const auto& [term, direct] : facts) {
        const auto id = vocabulary->purpose(term);
        REQUIRE_MESSAGE(id, term);
        std::set<std::string> above{term}, pending = direct;
        while (!pending.empty()) {
            const std::string next = *pending.begin();
            pending.erase(pending.begin());
            const auto at = facts.find(next);
            if (at == facts.end() || !above.insert(next).second) continue;  // one term above is in no file
            pending.insert(at->second.begin(), at->second.end());
        }
        std::set<std::string> ours;
        for (std::uint16_t p = 0; p < entries("purposes"); ++p)
            if (vocabulary->at_or_above(*id).has({p})) ours.insert(std::string(vocabulary->purpose_name({p})));
        CHECK_MESSAGE(ours == above, term);
    }
}

TEST_CASE("facts: personal-data categories" * doctest::skip(absent)) {
    std::size_t count = 0;
    for (const auto& row : csv_of("dpv/2.3/pd/pd.csv")) {
        if (row.at("type") != "class") continue;
        ++count;
        CHECK_MESSAGE(vocabulary->is_category("pd:" + row.at("term")), row.at("term"));
    }
    CHECK(count == entries("categories"));
}

TEST_CASE("facts: legal bases, transfer tools, consent status" * doctest::skip(absent)) {
    const auto bases = classes_of({"dpv/modules/legal_basis.csv", "legal/eu/gdpr/modules/legal_basis.csv",
                                   "legal/eu/gdpr/modules/legal_basis_special.csv", "legal/eu/gdpr/modules/legal_basis_data_transfer.csv"});
    CHECK(bases.size() == entries("legal bases"));
    std::size_t tools = 0;
    for (const auto& [term, broader] : bases) {
        CHECK_MESSAGE(vocabulary->is_legal_basis(term), term);
        CHECK_MESSAGE(vocabulary->is_transfer_tool(term) == term.starts_with("eu-gdpr:A46-"), term);
        tools += static_cast<std::size_t>(vocabulary->is_transfer_tool(term));
    }
    CHECK(tools == entries("transfer tools"));
    const auto states = classes_of({"dpv/modules/consent_status.csv"});
    CHECK(states.size() == entries("consent status"));
    for (const auto& [term, broader] : states) {
        const Ternary expected = broader.contains("dpv:ConsentStatusValidForProcessing")     ? Ternary::yes
                                 : broader.contains("dpv:ConsentStatusInvalidForProcessing") ? Ternary::no
                                                                                             : Ternary::unknown;
        CHECK_MESSAGE(vocabulary->consent_valid(term) == expected, term);
    }
}

TEST_CASE("facts: countries" * doctest::skip(absent)) {
    std::set<std::string> facts;
    for (const auto& row : csv_of("dpv/2.3/loc/modules/locations.csv"))
        if (row.at("dpvtype") == "https://w3id.org/dpv#Country") facts.insert(row.at("term"));
    CHECK(facts.size() == entries("countries"));
    for (char a = 'A'; a <= 'Z'; ++a)
        for (char b = 'A'; b <= 'Z'; ++b) CHECK_MESSAGE(vocabulary->is_country(std::string{a, b}) == facts.contains(std::string{a, b}), a << b);
}

TEST_CASE("facts: membership of the EEA before and after the United Kingdom left" * doctest::skip(absent)) {
    const std::string text = text_of("dpv/2.3/loc/modules/memberships.ttl");
    const std::set<std::string> territories{"AX", "GF", "GI", "GP", "MF", "MQ", "RE", "YT"};  // codes of their own, no members
    for (const auto& [name, date] : {std::pair("loc:EEA31 a", "2015-01-01"), std::pair("loc:EEA30 a", "2026-01-01")}) {
        const auto from = text.find(name);
        REQUIRE(from != std::string::npos);
        const std::string block = text.substr(from, text.find(" .\n", from) - from);
        for (char a = 'A'; a <= 'Z'; ++a)
            for (char b = 'A'; b <= 'Z'; ++b) {
                const std::string code{a, b};
                if (territories.contains(code)) continue;
                const bool member = block.find("loc:" + code + ",") != std::string::npos || block.find("loc:" + code + " ;") != std::string::npos;
                CHECK_MESSAGE((vocabulary->in_eea(code, day(date)) == Ternary::yes) == member, code << " " << date);
            }
    }
}

TEST_CASE("facts: adequacy decisions, their dates and their scope" * doctest::skip(absent)) {
    const std::map<std::string, std::string> schemes{{"CA", "ca-pipeda"}, {"JP", "jp-appi"}, {"KR", "kr-pipa"}, {"US", "eu-us-dpf"}};
    std::size_t countries = 0;
    const json compiled = json_of("jurisdiction/eu-adequacy-compiled.json");
    for (const auto& entry : compiled.at("entries")) {
        const std::string id = entry.at("id");
        if (id.starts_with("ORG:")) continue;  // an organisation: a recipient here has a country
        ++countries;
        const bool full = entry.at("scope") == "full";
        REQUIRE_MESSAGE(full != schemes.contains(id), id);
        const std::string scheme = full ? "" : schemes.at(id);
        const UtcMillis adopted = day(entry.at("adopted").get<std::string>());
        CHECK_MESSAGE(vocabulary->adequate(id, adopted, scheme) == Ternary::yes, id);
        CHECK_MESSAGE(vocabulary->adequate(id, {adopted.value - 1}, scheme) == Ternary::no, id);
        if (!full) CHECK_MESSAGE(vocabulary->adequate(id, adopted, "") == Ternary::no, id);
        if (const std::string decision = entry.value("decision", ""); !decision.empty())
            CHECK_MESSAGE(vocabulary->adequacy_decision(id, adopted, scheme) == decision.substr(0, decision.find(", ")), id);
        const bool expires = entry.contains("expires");
        CHECK_MESSAGE(vocabulary->adequate(id, day("2032-01-01"), scheme) == (expires ? Ternary::no : Ternary::yes), id);
        if (expires) CHECK(vocabulary->adequate(id, day(entry.at("expires").get<std::string>() + "-01"), scheme) == Ternary::yes);
    }
    CHECK(countries == entries("adequacy decisions") - 2);  // and two of the United States that were annulled
}

TEST_CASE("facts: every licence has an id of SPDX's list, and the Creative Commons family is whole" * doctest::skip(absent)) {
    std::size_t known = 0;
    for (const auto& id : json_of("licences/spdx-license-ids/index.json").get<std::vector<std::string>>()) {
        known += static_cast<std::size_t>(vocabulary->licence(id) != nullptr);
        if (!id.starts_with("CC-") && !id.starts_with("CC0-")) continue;
        const auto* terms = vocabulary->licence(id);
        REQUIRE_MESSAGE(terms != nullptr, id);
        const auto says = [&](const char* part) { return (id + "-").find(part) != std::string::npos; };
        CHECK_MESSAGE(has(terms->prohibits, Act::commercial_use) == says("-NC-"), id);
        CHECK_MESSAGE(has(terms->permits, Act::commercial_use) == !says("-NC-"), id);
        CHECK_MESSAGE(has(terms->permits, Act::derivative_works) == !says("-ND-"), id);
        CHECK_MESSAGE(has(terms->requires_, Act::share_alike) == says("-SA-"), id);
        CHECK_MESSAGE(has(terms->requires_, Act::attribution) == says("-BY-"), id);
    }
    CHECK(known == entries("licences"));
    for (const auto& id : json_of("licences/spdx-license-ids/deprecated.json").get<std::vector<std::string>>())
        CHECK_MESSAGE(vocabulary->licence(id) == nullptr, id);
}

TEST_CASE("facts: Creative Commons' own statements" * doctest::skip(absent)) {
    const json statements = json_of("licences/cc.licenserdf/ccrel-summary.json");
    for (const auto& [name, facts] : statements.items()) {
        std::string id = name;
        std::replace(id.begin(), id.end(), '_', '-');
        std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        id = id.starts_with("CC0") ? id : "CC-" + id;
        const auto* terms = vocabulary->licence(id);
        REQUIRE_MESSAGE(terms != nullptr, id);
        const auto names = [](policy::Acts acts) {
            std::set<std::string> out;
            for (const auto n : policy::act_names(acts)) out.insert(std::string(n));
            return out;
        };
        auto permits = names(terms->permits);
        for (const char* unsaid : {"CommercialUse", "TrainAI", "Search"}) permits.erase(unsaid);  // ccREL states these only as prohibitions, or not
        CHECK_MESSAGE(permits == facts.at("permits").get<std::set<std::string>>(), id);
        CHECK_MESSAGE(names(terms->requires_) == facts.at("requires").get<std::set<std::string>>(), id);
        CHECK_MESSAGE(names(terms->prohibits) == facts.at("prohibits").get<std::set<std::string>>(), id);
    }
}

TEST_CASE("facts: what choosealicense and the Open Knowledge Foundation say" * doctest::skip(absent)) {
    std::size_t compared = 0;
    const json rules = json_of("licences/choosealicense/frontmatter.json");
    for (const auto& [name, facts] : rules.items()) {
        const auto* terms = vocabulary->licence(vocabulary->licence(name) != nullptr ? name : name + "-only");
        if (terms == nullptr) continue;
        ++compared;
        const auto permissions = facts.at("permissions").get<std::set<std::string>>();
        const auto conditions = facts.at("conditions").get<std::set<std::string>>();
        CHECK_MESSAGE(has(terms->permits, Act::commercial_use) == permissions.contains("commercial-use"), name);
        CHECK_MESSAGE(has(terms->permits, Act::derivative_works) == permissions.contains("modifications"), name);
        CHECK_MESSAGE(has(terms->permits, Act::distribution) == permissions.contains("distribution"), name);
        CHECK_MESSAGE(terms->share_alike() == conditions.contains("same-license"), name);
        if (conditions.empty()) CHECK_MESSAGE(terms->requires_ == 0, name);
    }
    CHECK(compared >= 25);
    compared = 0;
    for (const auto& row : csv_of("licences/okfn/licenses.csv")) {
        const auto* terms = vocabulary->licence(row.at("id"));
        if (terms == nullptr || (row.at("od_conformance") != "approved" && row.at("od_conformance") != "rejected")) continue;
        ++compared;
        const bool open = has(terms->permits, Act::derivative_works) && has(terms->permits, Act::commercial_use);
        CHECK_MESSAGE(open == (row.at("od_conformance") == "approved"), row.at("id"));
    }
    CHECK(compared >= 12);
}

TEST_CASE("every table names its source, version and date") {
    if (absent) MESSAGE("the facts are not compared: LICET_VOCAB names no folder of published vocabularies");
    std::set<std::string_view> names;
    for (const auto& t : policy::vocabulary_tables()) {
        CHECK(names.insert(t.name).second);
        CHECK_FALSE(t.source.empty());
        CHECK_FALSE(t.version.empty());
        CHECK_MESSAGE(parse_date(t.date).has_value(), t.name);
        CHECK(t.entries > 0);
    }
    CHECK(names.size() == 9);
}
