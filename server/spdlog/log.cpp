#include "server/spdlog/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/time.h"

namespace licet::log {
namespace {

struct Sink {
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger> logger;
};
// Swapped whole, read without a lock by every thread that logs.
std::atomic<std::shared_ptr<Sink>> g_sink;

spdlog::level::level_enum to_spdlog(Level level) noexcept {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::string_view level_name(Level level) noexcept {
    static constexpr std::string_view names[] = {"debug", "info", "warn", "error"};
    return names[static_cast<std::size_t>(level)];
}

std::string line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    nlohmann::ordered_json out{{"at", format_rfc3339(UtcMillis{now.count()})}, {"level", level_name(level)}, {"event", event}};
    for (const Field& field : fields) std::visit([&](const auto& v) { out[std::string(field.key)] = v; }, field.value);
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Status configure(Level level, const std::string& file) {
    try {
        auto sink = std::make_shared<Sink>();
        sink->pool = std::make_shared<spdlog::details::thread_pool>(kQueueMaxLines, 1);
        std::shared_ptr<spdlog::sinks::sink> target;
        if (file.empty())
            target = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        else
            target = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
        sink->logger = std::make_shared<spdlog::async_logger>("licet", target, sink->pool, spdlog::async_overflow_policy::overrun_oldest);
        sink->logger->set_level(to_spdlog(level));
        sink->logger->set_pattern("%v");
        sink->logger->flush_on(spdlog::level::info);
        g_sink.store(std::move(sink));
        return success();
    } catch (const spdlog::spdlog_ex& e) {
        return Error{Errc::unavailable, std::string("cannot open the log: ") + e.what(), {}};
    }
}

std::uint64_t lost_lines() noexcept {
    const auto sink = g_sink.load();
    return sink ? sink->pool->overrun_counter() : 0;
}

void close() {
    g_sink.store(nullptr);  // the pool's destructor writes out what is queued
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    const auto sink = g_sink.load();
    if (!sink || !sink->logger->should_log(to_spdlog(level))) return;
    sink->logger->log(to_spdlog(level), spdlog::string_view_t(line(level, event, fields)));
}

}  // namespace licet::log
