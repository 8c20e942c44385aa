// PUT /v1/admin/consents/imports/{name}: a body of any length, cut into parts at the ends of lines as it comes, each part given to the control plane
// before the next is read. Where it is cut depends on the lines alone: sent again, the same file gives the same parts, and those applied before are
// recognised. Never more than a part is held.
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/buffer_body.hpp>

#include "base/limits.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kReadBytes = 64 * 1024;

// Collects lines. A part is full when the next line would exceed it.
class Parts {
  public:
    // Takes from `bytes` until a part is full. False: one is; or a line is too long.
    bool take(std::string_view& bytes) {
        if (line_.ends_with('\n') && !finish_line()) return false;  // the one that did not fit before
        while (!bytes.empty()) {
            const auto end = bytes.find('\n');
            const auto piece = bytes.substr(0, end == std::string_view::npos ? bytes.size() : end + 1);
            if (line_.size() + piece.size() > limits::consent_import_part_max_bytes) {
                too_long_ = true;
                return false;
            }
            line_ += piece;
            bytes.remove_prefix(piece.size());
            if (end != std::string_view::npos && !finish_line()) return false;
        }
        return true;
    }
    // The last line may lack its end. False: a part is full, take it and finish again.
    bool finish() { return line_.empty() || finish_line(); }
    [[nodiscard]] std::string part() {
        lines_ = 0;
        return std::exchange(part_, {});
    }
    [[nodiscard]] bool empty() const noexcept { return part_.empty(); }
    [[nodiscard]] bool too_long() const noexcept { return too_long_; }

  private:
    bool finish_line() {
        if (line_.find_first_not_of(" \t\r\n") == std::string::npos) {  // blank
            line_.clear();
            return true;
        }
        if (!part_.empty() &&
            (lines_ == limits::consent_import_part_max_records || part_.size() + line_.size() > limits::consent_import_part_max_bytes))
            return false;
        part_ += line_;
        ++lines_;
        line_.clear();
        return true;
    }

    std::string part_, line_;
    std::size_t lines_ = 0;
    bool too_long_ = false;
};

}  // namespace

// One request of this import to the control plane.
Task<Response> Connection::ask(std::string method, std::string target, std::string body) {
    const auto who = caller();  // again each time: the token may have been revoked meanwhile
    if (!who) co_return refused(who.error());
    ForwardRequest out;
    out.method = std::move(method);
    out.target = std::move(target);
    out.content_type = body.empty() ? "" : "application/x-ndjson";
    out.client = who->token.client;
    out.request_id = request_id_;
    out.body = std::move(body);
    timer_.cancel();
    auto response = co_await shard_.forwarder.forward(std::move(out), keeper_);
    if (!response) co_return refused(response.error());
    co_return *std::move(response);
}

Task<bool> Connection::import_consents(const std::string& name) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    if (const auto who = caller(); !who) co_return co_await answer(refused(who.error()));
    auto type = header("Content-Type");
    type = type.substr(0, type.find(';'));
    if (!boost::beast::iequals(type, "application/x-ndjson"))
        co_return co_await answer(refused({Errc::unsupported_media_type, "expected application/x-ndjson", "header:Content-Type"}));
    if (const auto encoding = header("Content-Encoding"); !encoding.empty() && !boost::beast::iequals(encoding, "identity"))
        co_return co_await turn_away({Errc::unsupported_media_type, "content encodings are not supported", "header:Content-Encoding"});
    if (!valid_slug(name))
        co_return co_await answer(
            refused({Errc::invalid_parameter, "a name is 1-64 characters of a-z 0-9 . _ - starting with a letter or digit", "path:name"}));
    const std::string target = "/v1/admin/consents/imports/" + name;
    // The parser looks at a length only while it reads the head, which was before its limit was known.
    if (const auto length = parser_->content_length(); length && *length > limits::consent_import_body_max_bytes)
        co_return co_await turn_away({Errc::body_too_large, "more than " + std::to_string(limits::consent_import_body_max_bytes) + " bytes", {}});
    // Says at once who may not, before anything of the body is read.
    auto begun = co_await ask("POST", target, {});
    if (begun.status != 200) co_return co_await answer(std::move(begun));
    if (body_state_ == Body::unread) {
        if (!reserve_body(2 * limits::consent_import_part_max_bytes))
            co_return co_await turn_away({Errc::overloaded, "too many bodies are being received", {}});
        if (boost::beast::iequals(header("Expect"), "100-continue") && buffer_.size() == 0) {
            deadline(shard_.options.timeouts.body_ms);
            const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
            if (!sent) co_return false;
        }
        std::optional<Response> refusal;
        const bool whole = co_await send_parts(target, refusal);
        if (refusal) co_return co_await answer(*std::move(refusal));  // what is left of the body is not looked at
        if (!whole) co_return false;
    }
    auto done = co_await ask("POST", target + "/complete", {});
    co_return co_await answer(std::move(done));
}

// Reads the body and sends it in parts. False: not all of it was read. A refusal of a part ends it.
Task<bool> Connection::send_parts(const std::string& target, std::optional<Response>& refusal) {
    http::request_parser<http::buffer_body> parser(std::move(*parser_));
    parser.body_limit(limits::consent_import_body_max_bytes);
    parser.eager(true);
    Parts parts;
    std::uint64_t number = 0;
    std::string chunk(kReadBytes, '\0');
    for (bool ended = false; !ended;) {
        std::string_view got;
        if (buffer_.size() > 0) {
            parser.get().body().data = chunk.data();
            parser.get().body().size = chunk.size();
            parser.get().body().more = true;
            boost::system::error_code error;
            const std::size_t used = parser.put(buffer_.data(), error);
            buffer_.consume(used);
            got = std::string_view(chunk).substr(0, chunk.size() - parser.get().body().size);
            if (error == http::error::body_limit) {
                refusal = refused({Errc::body_too_large, "more than " + std::to_string(limits::consent_import_body_max_bytes) + " bytes", {}});
                co_return false;
            }
            if (error && error != http::error::need_more && error != http::error::need_buffer) {
                refusal = refused({Errc::bad_request, "the body is malformed", {}});
                co_return false;
            }
            ended = parser.is_done();
            if (!ended && got.empty() && used == 0 && buffer_.size() > limits::request_header_max_bytes) {
                refusal = refused({Errc::bad_request, "the body is malformed", {}});
                co_return false;
            }
            if (!ended && got.empty() && used == 0) {
                deadline(shard_.options.timeouts.body_ms);
                if (!co_await fill()) co_return false;
                continue;
            }
        } else {
            deadline(shard_.options.timeouts.body_ms);
            if (!co_await fill()) {
                if (timed_out_) refusal = refused({Errc::request_timeout, "the body did not come in time", {}});
                co_return false;
            }
            continue;
        }
        for (bool taken = false; !taken;) {
            taken = parts.take(got) && (!ended || parts.finish());
            if (parts.too_long()) {
                refusal =
                    refused({Errc::body_too_large, "a line is longer than " + std::to_string(limits::consent_import_part_max_bytes) + " bytes", {}});
                co_return false;
            }
            const bool last = taken && ended && !parts.empty();
            if (taken && !last) break;
            auto answered = co_await ask("PUT", target + "/parts/" + std::to_string(++number), parts.part());
            if (answered.status != 200) {
                refusal = std::move(answered);
                if (ended) body_state_ = Body::read;
                co_return ended;
            }
        }
    }
    body_state_ = Body::read;
    co_return true;
}

}  // namespace licet::stream
