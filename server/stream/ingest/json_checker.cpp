#include "server/stream/ingest/json_checker.h"

#include <simdjson.h>

#include "event/json_fault.h"

namespace licet::stream {
namespace {

// An escape that may be one half of a surrogate pair: simdjson lets some halves pass that no other parser reads.
bool escapes_surrogate(std::string_view text) {
    for (auto at = text.find("\\u"); at != std::string_view::npos; at = text.find("\\u", at + 2))
        if (at + 2 < text.size() && (text[at + 2] == 'd' || text[at + 2] == 'D')) return true;
    return false;
}

}  // namespace

struct JsonChecker::Parser {
    simdjson::dom::parser dom;
    std::string padded;
};

JsonChecker::JsonChecker() : parser_(std::make_unique<Parser>()) {}
JsonChecker::~JsonChecker() = default;

Status JsonChecker::minify(std::string_view text, std::string& out) {
    auto& padded = parser_->padded;
    padded.assign(text);
    padded.append(simdjson::SIMDJSON_PADDING, '\0');
    const bool refused = parser_->dom.parse(padded.data(), text.size(), false).error() != simdjson::SUCCESS;
    if (refused || escapes_surrogate(text))
        if (auto fault = event::find_json_fault(text))
            return Error{Errc::invalid_json, std::string(fault->what) + ", at byte " + std::to_string(fault->byte), std::move(fault->pointer)};
    // The last block is written whole.
    out.resize(text.size() + simdjson::SIMDJSON_PADDING);
    std::size_t size = 0;
    if (simdjson::minify(padded.data(), text.size(), out.data(), size) != simdjson::SUCCESS)
        return Error{Errc::invalid_json, "the text cannot be read", {}};
    out.resize(size);
    return success();
}

}  // namespace licet::stream
