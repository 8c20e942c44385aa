// As much of JSON Schema 2020-12 as openapi.json uses, to compare real answers and examples with it. Private to this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "server/control/routes.h"

namespace licet::testing {

class SchemaCheck {
  public:
    explicit SchemaCheck(const nlohmann::json& document) : document_(document) {}

    // Empty: `value` conforms. Else the place and what is wrong there. A member the schema does not name is wrong, unless it says what others may be.
    [[nodiscard]] std::string mistake(const nlohmann::json& value, const nlohmann::json& schema) const { return check(value, schema, "", nullptr); }

    [[nodiscard]] const nlohmann::json& resolved(const nlohmann::json& value) const {
        return value.is_object() && value.contains("$ref") ? document_.at(nlohmann::json::json_pointer(value["$ref"].get<std::string>().substr(1)))
                                                           : value;
    }

  private:
    using json = nlohmann::json;

    static bool is(const json& value, const std::string& type) {
        if (type == "object") return value.is_object();
        if (type == "array") return value.is_array();
        if (type == "string") return value.is_string();
        if (type == "integer") return value.is_number_integer();
        if (type == "boolean") return value.is_boolean();
        return type == "null" && value.is_null();
    }

    // `named`: collects the members the schema names, for the schema this one is a part of.
    std::string check(const json& value, const json& given, const std::string& at, std::set<std::string>* named) const {
        if (given.is_boolean()) return given ? "" : at + ": nothing is allowed";
        const json& schema = resolved(given);
        if (&schema != &given && given.size() > 1) {
            json beside = given;
            beside.erase("$ref");
            if (auto wrong = check(value, beside, at, named); !wrong.empty()) return wrong;
        }
        if (auto wrong = check_scalar(value, schema, at); !wrong.empty()) return wrong;
        for (const char* choice : {"oneOf", "anyOf"}) {
            if (!schema.contains(choice)) continue;
            std::size_t fitting = 0;
            for (const auto& one : schema[choice]) fitting += check(value, one, at, named).empty() ? 1 : 0;
            if (fitting == 0 || (fitting > 1 && std::string(choice) == "oneOf")) return at + ": fits " + std::to_string(fitting) + " of " + choice;
        }
        std::set<std::string> members;
        if (schema.contains("allOf"))
            for (const auto& one : schema["allOf"])
                if (auto wrong = check(value, one, at, &members); !wrong.empty()) return wrong;
        if (value.is_object()) {
            if (auto wrong = check_object(value, schema, at, members, named != nullptr); !wrong.empty()) return wrong;
        }
        if (named != nullptr) named->insert(members.begin(), members.end());
        if (value.is_array() && schema.contains("items"))
            for (std::size_t i = 0; i < value.size(); ++i)
                if (auto wrong = check(value[i], schema["items"], at + "/" + std::to_string(i), nullptr); !wrong.empty()) return wrong;
        if (value.is_array() && schema.contains("maxItems") && value.size() > schema["maxItems"].get<std::size_t>()) return at + ": too many";
        if (value.is_array() && value.size() < schema.value("minItems", std::size_t{0})) return at + ": too few";
        return "";
    }

    std::string check_scalar(const json& value, const json& schema, const std::string& at) const {
        if (schema.contains("type")) {
            const json types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
            bool fits = false;
            for (const auto& type : types) fits = fits || is(value, type.get<std::string>());
            if (!fits) return at + ": is not " + types.dump() + ": " + value.dump();
        }
        if (schema.contains("const") && value != schema["const"]) return at + ": is not " + schema["const"].dump();
        if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
            return at + ": is none of " + schema["enum"].dump();
        if (value.is_string()) {
            const auto text = value.get<std::string>();
            if (schema.contains("pattern") && !std::regex_search(text, std::regex(schema["pattern"].get<std::string>())))
                return at + ": " + text + " is not " + schema["pattern"].get<std::string>();
            if (text.size() < schema.value("minLength", std::size_t{0})) return at + ": too short";
            if (schema.contains("maxLength") && text.size() > schema["maxLength"].get<std::size_t>()) return at + ": too long";
        }
        if (value.is_number_integer() && schema.contains("minimum") && value.get<std::int64_t>() < schema["minimum"].get<std::int64_t>())
            return at + ": too small";
        return "";
    }

    std::string check_object(const json& value, const json& schema, const std::string& at, std::set<std::string>& members, bool part) const {
        for (const auto& key : schema.value("required", json::array()))
            if (!value.contains(key.get<std::string>())) return at + ": lacks " + key.get<std::string>();
        const bool names = schema.contains("properties") || schema.contains("allOf");
        const json properties = schema.value("properties", json::object());
        for (const auto& [key, child] : properties.items()) members.insert(key);
        for (const auto& [key, child] : value.items()) {
            const std::string here = at + "/" + key;
            std::string wrong;
            if (properties.contains(key))
                wrong = check(child, properties[key], here, nullptr);
            else if (schema.contains("additionalProperties"))
                wrong = check(child, schema["additionalProperties"], here, nullptr);
            else if (names && !part && !members.contains(key))
                wrong = here + ": is not described";
            if (!wrong.empty()) return wrong;
        }
        return "";
    }

    const nlohmann::json& document_;
};

}  // namespace licet::testing
