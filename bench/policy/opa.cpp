#include "bench/policy/opa.h"

#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bench/support/machine.h"

namespace licet::bench {
namespace {

using nlohmann::json;

// As someone who knows OPA would write it: rules indexed by purpose in the data, hierarchies closed beforehand, sets as objects, so that evaluation
// looks at those rules only that may bear on the purpose stated.
constexpr const char* kPolicy = R"rego(package licet

import rego.v1

default decision := {"deliver": false}

decision := {"deliver": true, "data": json.patch(input.event.data, patches)} if {
	not prohibited
	licensed
	data.eea[input.recipientCountry]
	count(applying) > 0
	patches := [step | some rule in applying; some step in rule.patch]
}

placed(rule) if not rule.places

placed(rule) if rule.places[input.event.jurisdiction]

consented(rule) if not rule.consent

consented(rule) if data.consents[input.event.subject][input.purpose]

prohibited if {
	some purpose in data.hits
	some rule in data.prohibitions[purpose]
	placed(rule)
}

applying := [rule |
	some purpose in data.covers
	some rule in data.permissions[purpose]
	placed(rule)
	consented(rule)
]

licensed if {
	licence := data.licences[input.event.licence]
	every act in data.needs {
		licence.permits[act]
		not licence.prohibits[act]
	}
}
)rego";

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string find_binary() {
    if (const char* named = std::getenv("LICET_OPA"); named != nullptr && *named != '\0') {
        if (::access(named, X_OK) != 0) die("LICET_OPA cannot be run: " + std::string(named));
        return named;
    }
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');)
        if (!folder.empty() && ::access((folder + "/opa").c_str(), X_OK) == 0) return folder + "/opa";
    return {};
}

// Its standard output; nothing when it failed.
std::optional<std::string> run(const std::string& command) {
    FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
    if (pipe == nullptr) return std::nullopt;
    std::string out;
    char buffer[4096];
    for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    if (::pclose(pipe) != 0) return std::nullopt;
    return out;
}

class Folder {
  public:
    Folder() {
        const char* base = std::getenv("LICET_BENCH_DIR");
        std::string name = std::string(base == nullptr ? "/var/tmp" : base) + "/licet-opa-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) die("no folder for the peer's files: " + name);
        path_ = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string write(const char* name, const std::string& text) const {
        const std::string file = path_ + "/" + name;
        if (!(std::ofstream(file) << text).flush()) die("cannot write " + file);
        return quoted(file);
    }

  private:
    std::string path_;
};

// A percentile of one of its timers; 0 when it says none.
double timer(const std::optional<std::string>& output, const std::string& name) {
    const auto result = json::parse(output.value_or(""), nullptr, false);
    if (!result.is_object()) return 0;
    const auto all = result.value("Extra", json::object());
    return all.value("histogram_timer_" + name, 0.0);
}

}  // namespace

std::optional<OpaFigures> measure_opa(const json& data, const json& input, const json& expected) {
    const std::string binary = find_binary();
    if (binary.empty()) return std::nullopt;
    const Folder folder;
    const std::string files = " -d " + folder.write("policy.rego", kPolicy) + " -d " + folder.write("data.json", data.dump()) + " -i " +
                              folder.write("input.json", input.dump());
    const std::string opa = quoted(binary);

    const auto answer = json::parse(run(opa + " eval -f json" + files + " data.licet.decision").value_or(""), nullptr, false);
    const json wanted{{"deliver", true}, {"data", expected}};
    if (answer.is_discarded() || answer.value("/result/0/expressions/0/value"_json_pointer, json()) != wanted) die("the peer decides differently");

    OpaFigures out;
    if (const auto said = run(opa + " version"); said && said->starts_with("Version: ")) out.version = said->substr(9, said->find('\n') - 9);
    const auto alone = run(opa + " bench --format json" + files + " data.licet.decision");
    out.p50_ns = timer(alone, "rego_query_eval_ns_median");
    out.p99_ns = timer(alone, "rego_query_eval_ns_99%");
    if (out.p50_ns <= 0) die("`opa bench` gave no figures");
    out.server_ns = timer(run(opa + " bench --e2e --format json" + files + " data.licet.decision"), "server_handler_ns_median");
    return out;
}

}  // namespace licet::bench
