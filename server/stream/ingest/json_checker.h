// Checks JSON text whole and minifies it; the one place that knows simdjson. What simdjson refuses only because it cannot hold it (numbers past a
// double, its own depth) is accepted when the grammar allows it: events are carried as text. Private to ingest/. One per shard; not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace licet::stream {

class JsonChecker {
  public:
    JsonChecker();
    ~JsonChecker();

    // `out` becomes the text without white space outside strings. Error: invalid_json; the pointer is into the document at fault.
    [[nodiscard]] Status minify(std::string_view text, std::string& out);

  private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace licet::stream
