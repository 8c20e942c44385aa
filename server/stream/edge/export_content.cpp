// GET /v1/finance/exports/{id}/content: a finished export, in pieces, each read once the one before was taken: the node never holds the whole. What
// broke off is taken up by Range.
#include <algorithm>

#include "base/usage_limits.h"
#include "server/ports/log.h"
#include "server/stream/edge/blocking.h"
#include "server/stream/edge/byte_range.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {

Task<bool> Connection::export_content(const std::string& id, std::string_view role) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    const auto& roles = who->client->roles;
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
        co_return co_await answer(refused({Errc::forbidden, "needs the role " + std::string(role), {}}));
    if (!valid_slug(id)) co_return co_await answer(refused({Errc::invalid_parameter, "not the id of an export", "path:name"}));
    if (!shard_.services.exported) co_return co_await answer(refused({Errc::unavailable, "not served here", {}}));
    if (*shard_.downloads >= limits::export_downloads_max_per_shard)
        co_return co_await answer(refused({Errc::overloaded, "too many exports are being sent", {}}));
    ++*shard_.downloads;
    const std::shared_ptr<void> place(shard_.downloads.get(), [count = shard_.downloads](void*) { --*count; });
    timer_.cancel();
    std::function<Result<ExportedFile>()> open = [&services = shard_.services, id] { return services.exported(id); };
    const auto opened = co_await off_the_shard(shard_.io, shard_.blocking, std::move(open));
    if (!*opened) co_return co_await answer(refused(opened->error()));
    const ExportedFile& file = opened->value();
    const std::string size = std::to_string(file.bytes);
    const auto part = byte_range(header("Range"), header("If-Range"), file.etag, file.bytes);
    if (shard_.stopping || body_state_ == Body::unread) keep_alive_ = false;
    std::string head = std::string("HTTP/1.1 ") + (part.part ? "206 Partial Content" : "200 OK") + "\r\nContent-Type: " + file.content_type +
                       "\r\nContent-Disposition: attachment; filename=\"" + file.file_name + "\"\r\nETag: " + file.etag +
                       "\r\nAccept-Ranges: bytes\r\nCache-Control: no-store\r\n";
    if (part.part) head += "Content-Range: bytes " + std::to_string(part.from) + "-" + std::to_string(part.to - 1) + "/" + size + "\r\n";
    head += head_lines() + "Content-Length: " + std::to_string(part.to - part.from) + "\r\nConnection: " + (keep_alive_ ? "keep-alive" : "close") +
            "\r\n\r\n";
    deadline(shard_.options.timeouts.body_ms);
    bool sent = co_await send(std::move(head));
    std::uint64_t at = part.from;
    while (sent && !head_only_ && at < part.to) {
        timer_.cancel();
        const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(limits::export_piece_bytes, part.to - at));
        std::function<Result<std::string>()> read = [opened, at, most] { return opened->value().read(at, most); };
        auto piece = co_await off_the_shard(shard_.io, shard_.blocking, std::move(read));
        if (!*piece || piece->value().empty()) {
            log::error("edge.export_cut_off", {{"request_id", request_id_}});
            sent = false;  // its reader sees by the length what is missing
            break;
        }
        at += piece->value().size();
        deadline(shard_.options.timeouts.body_ms);
        sent = co_await send(std::move(piece->value()));
    }
    log_request(part.part ? 206 : 200, at - part.from);
    co_return sent&& keep_alive_;
}

}  // namespace licet::stream
