// Structured logging as every server folder uses it: an event name and key-value fields. Implemented in server/spdlog. Thread-safe; never blocks the
// data plane (bounded asynchronous queue, overflow is counted). Never pass payloads, tokens, secrets or subject ids.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace licet::log {

enum class Level : std::uint8_t { debug, info, warn, error };

struct Field {
    std::string_view key;
    std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view> value;
    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, bool v) : key(k), value(v) {}
    Field(std::string_view k, double v) : key(k), value(v) {}
    template <class I>
    requires(std::is_integral_v<I> && !std::is_same_v<I, bool>) Field(std::string_view k, I v) : key(k) {
        if constexpr (std::is_signed_v<I>)
            value = static_cast<std::int64_t>(v);
        else
            value = static_cast<std::uint64_t>(v);
    }
};

// One JSON line: {"at":..,"level":..,"event":..,fields...}.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});
inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::info, event, fields); }
inline void warn(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::warn, event, fields); }
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::error, event, fields); }

}  // namespace licet::log
