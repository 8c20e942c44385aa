// Reads the members of a request's JSON object strictly and remembers the first mistake with its pointer. Used by the admin use cases.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace licet::app {

class Fields {
  public:
    // `at`: pointer of the object within the body.
    explicit Fields(const nlohmann::json& object, std::string at = {});

    std::string text(const char* key, std::size_t max_bytes = 256);           // required, not empty
    std::string optional_text(const char* key, std::size_t max_bytes = 256);  // may be absent, null or empty
    std::string slug(const char* key);                                        // required
    std::string optional_slug(const char* key);
    std::vector<std::string> texts(const char* key, std::size_t max_items);  // absent: empty
    UtcMillis time(const char* key);                                         // RFC 3339; absent or null: 0
    const nlohmann::json* object(const char* key);                           // absent: null
    const nlohmann::json* any(const char* key);

    void fail(const std::string& key, std::string what);
    // Call last: refuses members nobody asked for.
    [[nodiscard]] std::optional<Error> finish();
    [[nodiscard]] bool ok() const noexcept { return !error_; }

  private:
    const nlohmann::json* find(const char* key);
    const nlohmann::json& object_;
    const std::string at_;
    std::set<std::string> asked_;
    std::optional<Error> error_;
};

}  // namespace licet::app
