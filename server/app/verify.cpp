#include "server/app/verify.h"

#include <nlohmann/json.hpp>
#include <string>

namespace licet::app {

Result<VerifiedAudit> verify_audit(std::istream& lines, const ports::Crypto& crypto, const ports::Verifier& verifier) {
    using nlohmann::json;
    VerifiedAudit out;
    std::string text, previous;
    while (std::getline(lines, text)) {
        if (text.empty()) continue;
        ++out.lines;
        const auto failed = [&](const char* why) { return Error{Errc::verification_failed, "line " + std::to_string(out.lines) + ": " + why, {}}; };
        json line = json::parse(text, nullptr, false);
        const auto string_at = [&](const char* key) {
            return line.is_object() && line.contains(key) && line[key].is_string() ? line[key].get<std::string>() : std::string();
        };
        if (!line.is_object() || !line.contains("seq") || !line["seq"].is_number_unsigned()) return failed("not an audit line");
        // What is read must be what was hashed: no member twice, no other spelling.
        if (line.dump(-1, ' ', false, json::error_handler_t::replace) != text) return failed("it is not as it was written");
        const std::string hash = string_at("hash"), signature = string_at("signature"), prev = string_at("prev");
        const auto sequence = line["seq"].get<std::uint64_t>();
        line.erase("hash");
        line.erase("signature");
        const auto digest = crypto.sha256(as_bytes(line.dump(-1, ' ', false, json::error_handler_t::replace)));
        if (hex(digest) != hash) return failed("its content does not match its hash");
        const auto raw = parse_base64url(signature);
        if (!raw || !verifier.verify(digest, as_bytes(*raw))) return failed("its signature does not verify");
        if (out.lines == 1) {
            if (sequence <= 1 && prev != std::string(64, '0')) return failed("the chain does not start at its start");
            out.first = sequence;
        } else if (sequence != out.last + 1 || prev != previous) {
            return failed("it does not follow the line before");
        }
        out.last = sequence;
        previous = hash;
    }
    if (out.lines == 0) return Error{Errc::verification_failed, "the export holds no line", {}};
    return out;
}

}  // namespace licet::app
