// The routes of the control plane: method, path template, roles, use case. Used by control.cpp to answer and by the test that compares them with the
// OpenAPI document.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/control/control.h"

namespace licet::control {

struct Call {
    const ControlServices& services;
    app::Actor actor;
    std::map<std::string, std::string> path;   // parameters of the template
    std::map<std::string, std::string> query;  // decoded
    std::string content_type;
    std::string if_match;
    std::string body;
};

struct Answer {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::string etag = {};
    std::string location = {};
    std::string file_name = {};  // to be saved under; of safe characters
};

// No client has it: a request that came with the token of a data subject, and no other, may use the routes that name it.
inline constexpr std::string_view kSubjectRole = "subject";

// Every client that is not a data subject's token has it.
inline constexpr std::string_view kAnyRole = "any";

struct Route {
    std::string_view method;
    std::string_view path;                     // "/v1/admin/regions/{name}"
    std::vector<std::string_view> roles;       // any of them; empty: no token needed
    std::vector<std::string_view> parameters;  // query parameters known
    Result<Answer> (*run)(Call&);
};

[[nodiscard]] std::span<const Route> routes();

struct Match {
    const Route* route = nullptr;  // null: see `allow`
    std::map<std::string, std::string> path;
    std::string allow;  // methods of the path when only the method did not match; empty: no such path
};
[[nodiscard]] Match match(std::string_view method, std::string_view path);

// The OpenAPI document compiled into the binary.
[[nodiscard]] std::string_view openapi_document();

}  // namespace licet::control
