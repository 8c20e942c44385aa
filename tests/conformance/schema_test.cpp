// The published JSON Schema of policies against the product: what the product accepts the schema accepts, and what the product refuses it refuses, as
// far as a schema can tell.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "policy/document.h"
#include "tests/conformance/case_form.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
namespace fs = std::filesystem;

class PublishedSchema {
  public:
    PublishedSchema() {
        const json text = json::parse(std::ifstream("api/policy-profile.schema.json"));
        valijson::SchemaParser(valijson::SchemaParser::kDraft7).populateSchema(valijson::adapters::NlohmannJsonAdapter(text), schema_);
    }
    // Where it is refused; empty when it is accepted.
    std::string refusal(const json& document) const {
        valijson::ValidationResults results;
        valijson::Validator validator;
        if (validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(document), &results)) return {};
        std::string out;
        for (const auto& error : results) {
            for (const auto& step : error.context) out += step;
            out += ": " + error.description + "\n";
        }
        return out;
    }

  private:
    valijson::Schema schema_;
};

std::vector<json> documents_of_cases(const fs::path& path) {
    const json file = json::parse(std::ifstream(path));
    std::vector<json> out;
    const auto take = [&](const json& from) {
        const std::string product =
            from.value("entitlement", json::object()).value("product", file.value("entitlement", json::object()).value("product", "orders"));
        for (const auto& p : from.value("policies", json::array()))
            if (p.is_object()) out.push_back(completed(p, product));
    };
    take(file);
    for (const auto& c : file.at("cases")) take(c);
    return out;
}

}  // namespace

TEST_CASE("the schema accepts every policy the product accepts") {
    const PublishedSchema schema;
    const auto vocabulary = policy::builtin_vocabulary();
    std::size_t count = 0;
    const auto both = [&](const json& document, const std::string& where) {
        CAPTURE(where);
        REQUIRE(policy::check_policy(document, *vocabulary).document != nullptr);
        const std::string refused = schema.refusal(document);
        CHECK_MESSAGE(refused.empty(), refused);
        ++count;
    };
    for (const auto& entry : fs::recursive_directory_iterator("tests/conformance")) {
        const auto& path = entry.path();
        if (path.string().ends_with(".cases.json"))
            for (const auto& document : documents_of_cases(path)) both(document, path.string());
        else if (path.parent_path().filename() == "wikipedia")
            both(json::parse(std::ifstream(path)), path.string());
    }
    for (const auto& entry : fs::directory_iterator("deploy/demo/policies")) both(json::parse(std::ifstream(entry.path())), entry.path().string());
    both(json::parse(std::ifstream("tests/conformance/refused.json")).at("document"), "refused.json");
    for (const char* page : {"docs/policy-profile.md", "docs/policy-examples.md"})
        for (const auto& block : blocks_of(page))
            if (block.value.is_object() && block.value.contains("@type")) both(json(block.value), page);
    CHECK(count >= 300);
}

TEST_CASE("the schema refuses what the product refuses, but for what no schema can tell") {
    const PublishedSchema schema;
    const json file = json::parse(std::ifstream("tests/conformance/refused.json"));
    std::size_t beyond = 0;
    for (const auto& c : file.at("cases")) {
        const std::string name = c.at("name").get<std::string>();
        CAPTURE(name);
        const bool accepted = schema.refusal(file.at("document").patch(c.at("patch"))).empty();
        CHECK(accepted == c.value("beyondSchema", false));
        beyond += accepted;
    }
    CHECK(beyond < file.at("cases").size() / 4);
}
