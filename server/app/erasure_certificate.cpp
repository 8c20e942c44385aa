#include "server/app/erasure_certificate.h"

#include <algorithm>

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "licet/erasure-certificate/1";

Error wrong(const char* what) { return {Errc::verification_failed, what, {}}; }

}  // namespace

json make_certificate(const ErasureFacts& facts, const ports::Erasure& erasure, const ports::Signer& signer) {
    json keys = json::array();
    for (const auto& key : erasure.keys)
        keys.push_back({{"id", hex(key.id.bytes)}, {"created", format_rfc3339(key.created)}, {"destroyed", format_rfc3339(key.destroyed)}});
    json out{{"kind", kKind},
             {"number", erasure.number},
             {"region", facts.region},
             {"controller", facts.controller},
             {"subject", hex(facts.subject.bytes)},
             {"at", format_rfc3339(erasure.at)},
             {"epoch", erasure.changed.epoch.value},
             {"keys", std::move(keys)},
             {"keysDestroyedNow", erasure.fresh.size()},
             {"products", {{"encrypted", facts.encrypted_products}, {"notEncrypted", facts.clear_products}}},
             {"signedBy", base64url(signer.public_key())}};
    out["signature"] = base64url(signer.sign(as_bytes(out.dump())));
    return out;
}

Result<VerifiedCertificate> verify_certificate(std::string_view text, const ports::Verifier& verifier) {
    json read = json::parse(text, nullptr, false);
    if (!read.is_object() || read.value("kind", json()) != json(kKind)) return wrong("not a certificate of erasure");
    // What is read must be what was signed: no member twice, which parsing would hide. White space around members is nobody's claim.
    std::string bare;
    bool quoted = false, escaped = false;
    for (const char c : text) {
        if (!quoted && (c == ' ' || c == '\n' || c == '\r' || c == '\t')) continue;
        if (!escaped && c == '"') quoted = !quoted;
        escaped = quoted && !escaped && c == '\\';
        bare += c;
    }
    if (bare != read.dump(-1, ' ', false, json::error_handler_t::replace)) return wrong("it is not as it was written");
    const auto text_of = [&](const char* key) {
        const auto at = read.find(key);
        return at != read.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    const auto signature = parse_base64url(text_of("signature"));
    VerifiedCertificate out{text_of("region"), text_of("controller"), text_of("subject"), text_of("at"), 0};
    const auto keys = read.find("keys");
    if (keys == read.end() || !keys->is_array()) return wrong("it names no keys");
    out.keys = keys->size();
    read.erase("signature");
    if (!signature || !verifier.verify(as_bytes(read.dump(-1, ' ', false, json::error_handler_t::replace)), as_bytes(*signature)))
        return wrong("its signature does not verify");
    return out;
}

}  // namespace licet::app
