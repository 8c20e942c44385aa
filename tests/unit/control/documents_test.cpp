// What the server says of itself against what it is: openapi.json against the routes, errors.json and docs/errors.md against the error catalogue.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/limits.h"
#include "server/control/routes.h"
#include "server/stream/delivery/frames.h"
#include "server/stream/edge/route_table.h"
#include "tests/unit/control/schema_check.h"

using namespace licet;
using nlohmann::json;

namespace {

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    REQUIRE_MESSAGE(file, path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

const json& openapi() {
    static const json document = json::parse(control::openapi_document());
    return document;
}

const std::set<std::string> kMethods{"get", "put", "post", "delete", "options", "head", "patch", "trace"};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

// "get /path" -> operation.
std::map<std::string, json> operations() {
    std::map<std::string, json> out;
    for (const auto& [path, item] : openapi().at("paths").items())
        for (const auto& [method, operation] : item.items()) {
            CHECK_MESSAGE(kMethods.contains(method), path << " " << method);
            out.emplace(method + " " + path, operation);
        }
    return out;
}

template <class Visit>
void each_value(const json& value, const std::string& at, Visit&& visit) {
    visit(value, at);
    if (value.is_structured())
        for (const auto& [key, child] : value.items()) each_value(child, at + "/" + key, visit);
}

const json& resolved(const json& value) {
    if (!value.is_object() || !value.contains("$ref")) return value;
    return openapi().at(json::json_pointer(value["$ref"].get<std::string>().substr(1)));
}

std::set<std::string> texts(const json& list) {
    std::set<std::string> out;
    for (const auto& item : list) out.insert(item.get<std::string>());
    return out;
}

// The catalogue as base/errors.def has it.
struct Entry {
    int status;
    std::string title;
};
const std::map<std::string, Entry> kCatalogue{
#define LICET_ERROR(name, slug, status, title) {slug, {status, title}},
#include "base/errors.def"
#undef LICET_ERROR
};

}  // namespace

TEST_CASE("openapi: the document compiled in is the file") { CHECK(std::string(control::openapi_document()) == text_of("api/openapi.json")); }

TEST_CASE("openapi: every route is described, and nothing else") {
    auto described = operations();
    for (const auto& route : control::routes()) {
        const std::string key = lower(route.method) + " " + std::string(route.path);
        CHECK_MESSAGE(described.erase(key) == 1, key);
    }
    for (const auto& route : stream::kEdgeRoutes) {
        const std::string key = lower(route.method) + " " + std::string(route.path);
        CHECK_MESSAGE(described.erase(key) == 1, key);
    }
    for (const auto& [key, operation] : described) CHECK_MESSAGE(false, "no such route: " << key);
}

TEST_CASE("openapi: roles, access and query parameters are those of the routes") {
    const auto described = operations();
    for (const auto& route : control::routes()) {
        const std::string key = lower(route.method) + " " + std::string(route.path);
        CAPTURE(key);
        REQUIRE(described.contains(key));
        const auto& operation = described.at(key);
        CHECK(texts(operation.at("x-licet-roles")) == std::set<std::string>(route.roles.begin(), route.roles.end()));
        CHECK(operation.at("security").empty() == route.roles.empty());
        std::map<std::string, std::set<std::string>> of;
        for (const auto& reference : operation.value("parameters", json::array())) {
            const auto& parameter = resolved(reference);
            of[parameter.at("in")].insert(parameter.at("name").get<std::string>());
        }
        const auto& path = of["path"];
        // A change of one entry may be made on a condition.
        const bool entry = route.method == "PUT" && route.path.ends_with("/{name}");
        CHECK(of["header"] == (entry ? std::set<std::string>{"If-Match"} : std::set<std::string>{}));
        CHECK(of["query"] == std::set<std::string>(route.parameters.begin(), route.parameters.end()));
        for (const auto& name : path) CHECK(route.path.find("{" + name + "}") != std::string_view::npos);
        CHECK(static_cast<std::ptrdiff_t>(path.size()) == std::count(route.path.begin(), route.path.end(), '{'));
    }
    for (const auto& route : stream::kEdgeRoutes) {
        const auto& operation = described.at(lower(route.method) + " " + std::string(route.path));
        // Where the control plane has a part in the path it looks at the role too.
        if (!route.shared)
            CHECK(texts(operation.at("x-licet-roles")) == (route.role.empty() ? std::set<std::string>{} : std::set{std::string(route.role)}));
        CHECK_FALSE(operation.at("security").empty());
    }
}

TEST_CASE("openapi: the edge forwards what the control plane answers, and nothing it answers itself") {
    const auto segments_of = [](std::string_view path) {
        std::vector<std::string> out;
        std::istringstream rest{std::string(path.substr(1))};
        for (std::string segment; std::getline(rest, segment, '/');) out.push_back(segment);
        return out;
    };
    for (const auto& route : control::routes()) {
        CHECK_MESSAGE(stream::for_control(segments_of(route.path)), route.path);
        const auto found = stream::match_edge(route.method, segments_of(route.path));
        CHECK_MESSAGE((found.route == nullptr && (found.path.empty() || found.shared)), route.path);
    }
    for (const auto& route : stream::kEdgeRoutes) {
        const auto also =
            std::count_if(control::routes().begin(), control::routes().end(), [&](const auto& other) { return other.path == route.path; });
        CHECK_MESSAGE((also > 0) == route.shared, route.path);
        const auto found = stream::match_edge(route.method, segments_of(route.path));
        REQUIRE(found.route != nullptr);
        CHECK(found.route->use == route.use);
    }
}

TEST_CASE("openapi: references resolve, and every component is used") {
    std::set<std::string> used;
    each_value(openapi(), "", [&](const json& value, const std::string& at) {
        if (!value.is_object() || !value.contains("$ref") || !value["$ref"].is_string()) return;
        const auto reference = value["$ref"].get<std::string>();
        CAPTURE(at);
        REQUIRE(reference.starts_with("#/"));
        CHECK_MESSAGE(openapi().contains(json::json_pointer(reference.substr(1))), reference);
        used.insert(reference);
    });
    for (const auto& [kind, components] : openapi().at("components").items())
        if (kind != "securitySchemes")
            for (const auto& [name, component] : components.items())
                CHECK_MESSAGE(used.contains("#/components/" + kind + "/" + name), kind << "/" << name);
}

TEST_CASE("openapi: operations have unique ids, answers and problems of their status") {
    std::set<std::string> ids;
    for (const auto& [key, operation] : operations()) {
        CAPTURE(key);
        CHECK(ids.insert(operation.at("operationId").get<std::string>()).second);
        for (const auto& requirement : operation.at("security"))
            for (const auto& [scheme, scopes] : requirement.items()) CHECK(openapi().at("components").at("securitySchemes").contains(scheme));
        bool succeeds = false;
        for (const auto& [code, reference] : operation.at("responses").items()) {
            CAPTURE(code);
            const auto& response = resolved(reference);
            CHECK_FALSE(response.at("description").get<std::string>().empty());
            CHECK(resolved(response.at("headers")).contains("Licet-Request-Id"));
            const int status = std::stoi(code);
            succeeds = succeeds || status < 300;
            if (status < 400) continue;
            const auto& examples = response.at("content").at("application/problem+json").at("examples");
            CHECK_FALSE(examples.empty());
            for (const auto& [slug, example] : examples.items()) {
                const auto& value = resolved(example).at("value");
                REQUIRE(kCatalogue.contains(slug));
                CHECK(value.at("type") == "https://licet.dev/problems/" + slug);
                CHECK(value.at("title") == kCatalogue.at(slug).title);
                CHECK(value.at("status") == kCatalogue.at(slug).status);
                CHECK(value.at("status") == status);
            }
        }
        CHECK(succeeds);
        if (!operation.at("security").empty() && !key.ends_with("/oauth/token")) CHECK(operation.at("responses").contains("401"));
        if (!operation.at("x-licet-roles").empty()) CHECK(operation.at("responses").contains("403"));
    }
}

TEST_CASE("openapi: examples are what their schemas say") {
    const testing::SchemaCheck schemas(openapi());
    std::size_t checked = 0;
    each_value(openapi(), "", [&](const json& value, const std::string& at) {
        if (!value.is_object() || !value.contains("schema")) return;
        const auto& schema = value["schema"];
        if (value.contains("example")) {
            ++checked;
            CHECK_MESSAGE(schemas.mistake(value["example"], schema) == "", at);
        }
        if (!value.contains("examples")) return;
        for (const auto& [slug, example] : value["examples"].items()) {
            ++checked;
            CHECK_MESSAGE(schemas.mistake(schemas.resolved(example).at("value"), schema) == "", at << " " << slug);
        }
    });
    CHECK(checked > 50);
    // The check itself can fail.
    const auto& name = openapi().at("components").at("schemas").at("Name");
    CHECK_FALSE(schemas.mistake("A", name).empty());
    const auto& problem = openapi().at("components").at("schemas").at("Problem");
    CHECK_FALSE(schemas.mistake({{"type", "x"}}, problem).empty());
    const auto& region = openapi().at("components").at("schemas").at("Region");
    CHECK(schemas.mistake({{"name", "eu"}, {"endpoint", "https://eu.example"}}, region) == "");
    CHECK_FALSE(schemas.mistake({{"name", "eu"}, {"endpoint", "https://eu.example"}, {"x", 1}}, region).empty());
}

TEST_CASE("openapi: limits are the server's") {
    const auto& parameters = openapi().at("components").at("parameters");
    CHECK(parameters.at("limit").at("schema").at("maximum") == limits::pull_page_max_events);
    CHECK(parameters.at("wait").at("schema").at("maximum") == limits::pull_wait_max_ms);
    const auto& schemas = openapi().at("components").at("schemas");
    CHECK(schemas.at("CloudEventBatch").at("maxItems") == limits::ingest_batch_max_events);
    CHECK(schemas.at("ContractWrite").at("properties").at("purposes").at("maxItems") == limits::contract_purposes_max);
    CHECK(schemas.at("Mapping").at("properties").at("fields").at("maxItems") == limits::mapping_fields_max);
    const auto about = openapi().at("info").at("description").get<std::string>();
    for (const auto number : {limits::request_target_max_bytes, limits::request_header_max_bytes, limits::ingest_body_max_bytes,
                              limits::control_body_max_bytes, limits::control_json_depth_max})
        CHECK_MESSAGE(about.find(std::to_string(number)) != std::string::npos, number);
}

TEST_CASE("errors: api/errors.json is the catalogue") {
    auto left = kCatalogue;
    const auto document = json::parse(text_of("api/errors.json"));
    for (const auto& entry : document.at("errors")) {
        const auto slug = entry.at("slug").get<std::string>();
        CAPTURE(slug);
        REQUIRE(left.contains(slug));
        CHECK(entry.at("type") == "https://licet.dev/problems/" + slug);
        CHECK(entry.at("status") == left.at(slug).status);
        CHECK(entry.at("title") == left.at(slug).title);
        CHECK(entry.at("meaning").get<std::string>().size() > 20);
        CHECK(entry.at("whatToDo").get<std::string>().size() > 10);
        left.erase(slug);
    }
    for (const auto& [slug, entry] : left) CHECK_MESSAGE(false, "api/errors.json lacks " << slug);
}

TEST_CASE("errors: docs/errors.md says what api/errors.json says") {
    const auto page = text_of("docs/errors.md");
    const auto document = json::parse(text_of("api/errors.json"));
    std::size_t rows = 0;
    for (const auto& e : document.at("errors")) {
        const std::string row = "| `" + e.at("slug").get<std::string>() + "` | " + std::to_string(e.at("status").get<int>()) + " | " +
                                e.at("meaning").get<std::string>() + " | " + e.at("whatToDo").get<std::string>() + " |";
        CHECK_MESSAGE(page.find(row + "\n") != std::string::npos, row);
        ++rows;
    }
    std::size_t written = 0;
    for (std::size_t at = page.find("\n| `"); at != std::string::npos; at = page.find("\n| `", at + 1)) ++written;
    CHECK(written == rows);
}

TEST_CASE("asyncapi: every close code is described, and no other") {
    using stream::CloseCode;
    constexpr CloseCode kAll[] = {CloseCode::normal,           CloseCode::protocol_error, CloseCode::unsupported_data, CloseCode::invalid_payload,
                                  CloseCode::policy_violation, CloseCode::too_big,        CloseCode::internal,         CloseCode::service_restart,
                                  CloseCode::try_again_later,  CloseCode::token_expired,  CloseCode::token_revoked,    CloseCode::lagging,
                                  CloseCode::cursor_gone,      CloseCode::quota_exhausted};
    // A code that is new is to be added above: the compiler says so here.
    const auto known = [](CloseCode code) {
        switch (code) {
            case CloseCode::normal:
            case CloseCode::protocol_error:
            case CloseCode::unsupported_data:
            case CloseCode::invalid_payload:
            case CloseCode::policy_violation:
            case CloseCode::too_big:
            case CloseCode::internal:
            case CloseCode::service_restart:
            case CloseCode::try_again_later:
            case CloseCode::token_expired:
            case CloseCode::token_revoked:
            case CloseCode::lagging:
            case CloseCode::cursor_gone:
            case CloseCode::quota_exhausted:
                return true;
        }
        return false;
    };
    const auto page = text_of("api/asyncapi.yaml");
    std::size_t described = 0;
    for (std::size_t at = page.find("- const: "); at != std::string::npos; at = page.find("- const: ", at + 1)) ++described;
    CHECK(described == std::size(kAll));
    for (const auto code : kAll) {
        CHECK(known(code));
        CHECK_MESSAGE(page.find("- const: " + std::to_string(static_cast<int>(code)) + "\n") != std::string::npos, static_cast<int>(code));
    }
}
