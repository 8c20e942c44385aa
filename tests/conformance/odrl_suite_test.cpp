// The ODRL test suite: Turtle cases of a policy, a request and a state of the world. With LICET_POLICY_CASES naming their folder every case is
// decided as it says, or its policy is refused where excluded.json says. Without: skipped; cases/*.json hold our own.
#include "tests/conformance/others.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

// "ex:partyCollection" -> "partycollection", a name of ours.
std::string local(const std::string& name) {
    std::string out = name.substr(name.find(':') + 1);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// Which file speaks of a subject. Every policy is a graph of its own: their constraints share names and differ in what they say.
class Files {
  public:
    Files(const fs::path& folder, const std::string& type) {
        for (const auto& file : fs::directory_iterator(folder)) {
            Graph graph;
            read_turtle(file.path(), graph);
            for (const auto& [subject, of] : graph)
                if (of.contains("a") && of.at("a")[0] == type) REQUIRE(of_.emplace(subject, graph).second);
        }
    }
    const Graph& about(const std::string& subject) const { return of_.at(subject); }

  private:
    std::map<std::string, Graph> of_;
};

const std::vector<std::string>& all(const Graph& graph, const std::string& subject, const std::string& predicate) {
    static const std::vector<std::string> none;
    const auto s = graph.find(subject);
    if (s == graph.end() || !s->second.contains(predicate)) return none;
    return s->second.at(predicate);
}

// The only object, or nothing; two would be lost silently.
std::string one(const Graph& graph, const std::string& subject, const std::string& predicate) {
    const auto& objects = all(graph, subject, predicate);
    REQUIRE(objects.size() <= 1);
    return objects.empty() ? std::string() : objects[0];
}

json constraint_of(const Graph& policy, const std::string& at) {
    for (const char* logic : {"and", "or", "xone"}) {
        const auto& parts = all(policy, at, std::string("odrl:") + logic);
        if (parts.empty()) continue;
        json list = json::array();
        for (const auto& part : parts) list.push_back(constraint_of(policy, part));
        return {{logic, list}};
    }
    return {{"leftOperand", one(policy, at, "odrl:leftOperand")},
            {"operator", one(policy, at, "odrl:operator")},
            {"rightOperand", one(policy, at, "odrl:rightOperand").substr(1)}};
}

// A collection of assets is given by its members, which the state of the world lists. A rule without action is about every action.
json rule_of(const Graph& policy, const Graph& world, const std::string& rule) {
    json out{{"uid", rule}};
    const std::string action = one(policy, rule, "odrl:action"), target = one(policy, rule, "odrl:target"),
                      assignee = one(policy, rule, "odrl:assignee");
    out["action"] = action.empty() ? json::array({"use", "transfer"}) : json(action);
    if (target.empty()) {
        out["target"] = {{"@type", "AssetCollection"}, {"source", "urn:licet:products"}};
    } else if (one(policy, target, "a") == "odrl:AssetCollection") {
        out["target"] = json::array();
        for (const auto& [subject, of] : world)
            if (one(world, subject, "odrl:partOf") == target) out["target"].push_back("urn:licet:product:" + local(subject));
    } else {
        out["target"] = "urn:licet:product:" + local(target);
    }
    if (!assignee.empty())
        out["assignee"] = (one(policy, assignee, "a") == "odrl:PartyCollection" ? "urn:licet:collection:" : "urn:licet:party:") + local(assignee);
    for (const auto& c : all(policy, rule, "odrl:constraint")) out["constraint"].push_back(constraint_of(policy, c));
    for (const auto& d : all(policy, rule, "odrl:duty")) out["duty"].push_back({{"action", one(policy, d, "odrl:action")}});
    return out;
}

json policy_of(const Graph& policy, const Graph& world, const std::string& uid) {
    json out = under_the_profile({{"@context", "http://www.w3.org/ns/odrl.jsonld"}, {"@type", "Set"}, {"uid", uid}});
    for (const char* kind : {"permission", "prohibition"})
        for (const auto& rule : all(policy, uid, std::string("odrl:") + kind)) out[kind].push_back(rule_of(policy, world, rule));
    return out;
}

Request request_of(const Graph& request, const Graph& world, const std::string& uid) {
    const std::string rule = one(request, uid, "odrl:permission"), who = one(request, rule, "odrl:assignee");
    Request out{local(who), local(one(request, rule, "odrl:target")), local(one(request, rule, "odrl:action")), {}, {}};
    for (const auto& collection : all(world, who, "odrl:partOf")) out.collections.push_back(local(collection));
    out.at = parse_rfc3339(one(world, "temp:currentTime", "dct:issued").substr(1)).value();
    return out;
}

}  // namespace

TEST_CASE("evaluation cases of the ODRL test suite") {
    const auto root = others("ODRL-Test-Suite");
    if (!root) return;
    const Files policies(*root / "data" / "policies", "odrl:Set"), requests(*root / "data" / "requests", "odrl:Request"),
        worlds(*root / "data" / "sotw", "ex:Sotw");
    const json listed = excluded("ODRL-Test-Suite");
    std::size_t decided = 0, refused = 0;
    for (const auto& file : fs::directory_iterator(*root / "data" / "test_cases")) {
        const std::string name = file.path().stem().string();
        CAPTURE(name);
        Graph own;
        read_turtle(file.path(), own);
        std::string test;
        std::vector<std::string> states;
        for (const auto& [subject, of] : own) {
            if (of.contains("ex:request")) test = subject;
            if (of.contains("report:activationState")) states.push_back(of.at("report:activationState")[0]);
        }
        REQUIRE(states.size() == 1);  // of one rule: the policies have one each
        const std::string uid = one(own, test, "ex:policy");
        const Graph& world = worlds.about(one(own, test, "ex:sotw"));
        const json document = policy_of(policies.about(uid), world, uid);
        REQUIRE(document.value("permission", json::array()).size() + document.value("prohibition", json::array()).size() == 1);
        if (listed.contains(name)) {
            check_refused(document, listed.at(name));
            ++refused;
            continue;
        }
        const std::string request = one(own, test, "ex:request");
        const std::string reason = decide(document, request_of(requests.about(request), world, request));
        const bool active = states[0] == "report:Active";
        CHECK((active || states[0] == "report:Inactive"));
        if (document.contains("prohibition"))
            CHECK(reason == (active ? "prohibited" : "no_permission"));
        else
            CHECK(reason == (active ? "permitted" : "no_permission"));
        ++decided;
    }
    CHECK(refused == listed.size());
    CHECK(decided >= 30);
    MESSAGE(decided << " decided as they say, " << refused << " refused as listed");
}
