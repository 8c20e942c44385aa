// Requests of one role, with a token that is fetched when there is none or it is refused. Used by publisher.h, changes.h and soak_client.cc.
#pragma once

#include <string>
#include <string_view>

#include "tests/fault/http.h"
#include "tests/soak/world.h"

namespace soak {

// The value of a string or number member of a flat JSON answer; empty when there is none.
inline std::string_view member(std::string_view json, std::string_view name) {
    auto at = json.find("\"" + std::string(name) + "\":");
    if (at == std::string_view::npos) return {};
    at += name.size() + 3;
    if (json[at] == '"') {
        ++at;
        return json.substr(at, json.find('"', at) - at);
    }
    return json.substr(at, json.find_first_of(",}", at) - at);
}

// A new token for the client; false when there was none to be had.
inline bool fetch_token(race::Http& http, Credentials& credentials) {
    const auto form = "grant_type=client_credentials&client_id=" + credentials.id + "&client_secret=" + credentials.secret;
    if (http.request("POST", "/oauth/token", "", "application/x-www-form-urlencoded", form) != 200) return false;
    credentials.set(std::string(member(http.body(), "access_token")));
    return true;
}

class Caller {
  public:
    Caller(World& world, std::string_view role) : credentials_(world.role(role)), http_(world.port, 40) {}

    int request(std::string_view method, std::string_view path, std::string_view type, std::string_view body) {
        for (int attempt = 0;; ++attempt) {
            if (credentials_.stale && !fetch_token(http_, credentials_)) return 0;
            const int status = http_.request(method, path, *credentials_.token(), type, body);
            if (status != 401 || attempt == 1) return status;
            credentials_.stale = true;
        }
    }
    [[nodiscard]] const std::string& body() const { return http_.body(); }

  private:
    Credentials& credentials_;
    race::Http http_;
};

}  // namespace soak
