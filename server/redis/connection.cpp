#include "server/redis/connection.h"

#include <algorithm>

namespace licet::redis {
namespace {

timeval to_timeval(std::int64_t ms) { return {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)}; }

}  // namespace

bool Connection::connect() {
    if (context_) return true;
    context_.reset(redisConnectWithTimeout(host_.c_str(), port_, to_timeval(timeout_ms_)));
    if (!context_ || context_->err != 0 || redisSetTimeout(context_.get(), to_timeval(timeout_ms_)) != REDIS_OK) context_.reset();
    return context_ != nullptr;
}

bool Connection::append(const std::vector<std::string>& words) {
    std::vector<const char*> arguments;
    std::vector<std::size_t> sizes;
    for (const auto& word : words) {
        arguments.push_back(word.data());
        sizes.push_back(word.size());
    }
    return redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), arguments.data(), sizes.data()) == REDIS_OK;
}

Reply Connection::reply() {
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK) return nullptr;
    Reply reply(static_cast<redisReply*>(raw));
    return reply && reply->type != REDIS_REPLY_ERROR ? std::move(reply) : nullptr;
}

Reply Connection::command(const std::vector<std::string>& words) {
    if (!connect()) return nullptr;
    auto answer = append(words) ? reply() : nullptr;
    if (!answer) context_.reset();
    return answer;
}

std::vector<Reply> Connection::commands(const std::vector<std::vector<std::string>>& all) {
    if (!connect()) return {};
    bool good = true;
    for (const auto& words : all) good = good && append(words);
    std::vector<Reply> out;
    for (std::size_t i = 0; good && i < all.size(); ++i) {
        out.push_back(reply());
        good = out.back() != nullptr;
    }
    if (good) return out;
    context_.reset();
    return {};
}

Reply Connection::message(std::chrono::steady_clock::time_point deadline) {
    if (!context_) return nullptr;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0 || redisSetTimeout(context_.get(), to_timeval(std::max<std::int64_t>(left, 1))) != REDIS_OK) return nullptr;
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK) {
        context_.reset();  // hiredis cannot go on after a timeout
        return nullptr;
    }
    return Reply(static_cast<redisReply*>(raw));
}

}  // namespace licet::redis
