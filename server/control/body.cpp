#include "server/control/body.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "base/limits.h"
#include "event/json_fault.h"
#include "event/json_text.h"

namespace licet::control {
namespace {

using nlohmann::json;

constexpr std::size_t kPointerTokenMaxBytes = 128;

// Follows the parser through the document and remembers the first thing that is not to be accepted.
class Strict {
  public:
    bool operator()(json::parse_event_t event, const json& parsed) {
        if (fault) return false;
        using Event = json::parse_event_t;
        if (event == Event::key) return key(parsed.get_ref<const std::string&>());
        if (event == Event::object_end || event == Event::array_end) {
            levels_.pop_back();
            return true;
        }
        if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
        if (event == Event::value) return !parsed.is_string() || text(parsed.get_ref<const std::string&>());
        if (levels_.size() == limits::control_json_depth_max) return fail("nested deeper than " + std::to_string(limits::control_json_depth_max));
        levels_.emplace_back();
        levels_.back().array = event == Event::array_start;
        return true;
    }

    std::optional<Error> fault;

  private:
    struct Level {
        bool array = false;
        std::size_t index = static_cast<std::size_t>(-1);
        std::string key;
        std::set<std::string> keys;
    };

    bool fail(std::string what) {
        std::string pointer;
        for (const Level& level : levels_) {
            if (level.key.size() > kPointerTokenMaxBytes) break;  // the pointer to what holds it is enough
            pointer += "/" + (level.array ? std::to_string(level.index) : event::pointer_token(level.key));
        }
        fault = Error{Errc::invalid_document, std::move(what), std::move(pointer)};
        return false;
    }
    bool text(const std::string& value) { return value.find('\0') == std::string::npos || fail("U+0000 is not allowed"); }
    bool key(const std::string& name) {
        Level& level = levels_.back();
        level.key = name;
        if (!level.keys.insert(name).second) return fail("given twice");
        return text(name);
    }

    std::vector<Level> levels_;
};

}  // namespace

Result<json> parse_body(std::string_view body, const std::string& at) {
    Strict strict;
    json out = json::parse(
        body, [&](int, json::parse_event_t event, json& parsed) { return strict(event, parsed); }, false);
    if (strict.fault) return Error{strict.fault->code, strict.fault->detail, at + strict.fault->pointer};
    if (!out.is_discarded()) return out;
    const auto fault = event::find_json_fault(body);
    if (!fault) return Error{Errc::invalid_json, "not valid JSON: a number is out of range", at};
    return Error{Errc::invalid_json, std::string("not valid JSON: ") + fault->what + " at byte " + std::to_string(fault->byte), at + fault->pointer};
}

bool is_media_type(std::string_view content_type, std::string_view type) {
    auto given = content_type.substr(0, content_type.find(';'));
    while (!given.empty() && (given.back() == ' ' || given.back() == '\t')) given.remove_suffix(1);
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(given.begin(), given.end(), type.begin(), type.end(), [&](char a, char b) { return lower(a) == b; });
}

}  // namespace licet::control
