#include "base/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"

namespace licet {
namespace {

constexpr std::string_view kDash = "\xe2\x80\x94 ";
constexpr char kEd25519 = 0x01;
constexpr std::size_t kIdBytes = 4, kSignatureBytes = 64;

std::string key_id(const merkle::Sha256& sha, std::string_view name, const PublicKey& key) {
    std::string text(name);
    text += '\n';
    text += kEd25519;
    text.append(key.begin(), key.end());
    const auto digest = sha(as_bytes(text));
    return {digest.begin(), digest.begin() + kIdBytes};
}

Error refused(const char* why) { return {Errc::verification_failed, why, {}}; }

// Takes the line off the front; nullopt when no line ends.
std::optional<std::string_view> take_line(std::string_view& text) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

Result<Checkpoint> parse_body(std::string_view body) {
    Checkpoint out;
    const auto origin = take_line(body), size = take_line(body), root = take_line(body);
    if (!origin || !size || !root || !valid_origin(*origin)) return refused("it is no checkpoint");
    const auto read = std::from_chars(size->data(), size->data() + size->size(), out.size);
    if (read.ec != std::errc{} || std::to_string(out.size) != *size) return refused("its size is not a number");
    const auto hash = parse_base64(*root);
    if (!hash || hash->size() != out.root.size()) return refused("its root is not 32 bytes in base64");
    std::copy(hash->begin(), hash->end(), out.root.begin());
    out.origin = *origin;
    return out;
}

}  // namespace

bool valid_origin(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '+'; });
}

std::string verifier_key(const merkle::Sha256& sha, std::string_view origin, const PublicKey& key) {
    std::string raw(1, kEd25519);
    raw.append(key.begin(), key.end());
    return std::string(origin) + "+" + hex(as_bytes(key_id(sha, origin, key))) + "+" + base64(as_bytes(raw));
}

std::optional<NamedKey> parse_verifier_key(const merkle::Sha256& sha, std::string_view text) {
    NamedKey out;
    const auto take = [&](std::optional<std::string> raw) {
        if (!raw || raw->size() != out.key.size()) return false;
        std::copy(raw->begin(), raw->end(), out.key.begin());
        return true;
    };
    const auto plus = text.find('+');
    if (plus == std::string_view::npos) {
        if (take(text.size() == 64 ? parse_hex(text) : parse_base64url(text))) return out;
        return std::nullopt;
    }
    out.origin = text.substr(0, plus);
    const auto second = text.find('+', plus + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const auto raw = parse_base64(text.substr(second + 1));
    if (!raw || raw->empty() || raw->front() != kEd25519 || !take(raw->substr(1))) return std::nullopt;
    // A key that names itself wrongly was put together wrongly.
    if (!valid_origin(out.origin) || verifier_key(sha, out.origin, out.key) != text) return std::nullopt;
    return out;
}

std::string sign_checkpoint(const merkle::Sha256& sha, const Checkpoint& c, const PublicKey& key, const SignFunction& sign) {
    const std::string body = c.origin + "\n" + std::to_string(c.size) + "\n" + base64(c.root) + "\n";
    std::string raw = key_id(sha, c.origin, key);
    const auto signature = sign(as_bytes(body));
    raw.append(signature.begin(), signature.end());
    return body + "\n" + std::string(kDash) + c.origin + " " + base64(as_bytes(raw)) + "\n";
}

Result<Checkpoint> open_checkpoint(const merkle::Sha256& sha, std::string_view note, const NamedKey& key, const VerifyFunction& verify) {
    if (note.size() > limits::checkpoint_max_bytes) return refused("it is too long for a checkpoint");
    for (const char c : note)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f) return refused("it holds control characters");
    const auto gap = note.rfind("\n\n");
    if (gap == std::string_view::npos) return refused("it is no signed note");
    const auto body = note.substr(0, gap + 1);
    auto signatures = note.substr(gap + 2);
    auto out = parse_body(body);
    if (!out) return out;
    if (!key.origin.empty() && out->origin != key.origin) return refused("it is of another log: its origin is not the one of the key");
    const std::string id = key_id(sha, out->origin, key.key);
    bool verified = false;
    while (!signatures.empty()) {
        const auto line = take_line(signatures);
        if (!line || !line->starts_with(kDash)) return refused("a signature line is malformed");
        const auto rest = line->substr(kDash.size());
        const auto space = rest.find(' ');
        const auto raw = space == std::string_view::npos || space == 0 ? std::nullopt : parse_base64(rest.substr(space + 1));
        if (!raw || raw->size() <= kIdBytes) return refused("a signature line is malformed");
        if (rest.substr(0, space) != out->origin || raw->substr(0, kIdBytes) != id) continue;
        const auto signature = std::string_view(*raw).substr(kIdBytes);
        if (signature.size() != kSignatureBytes || !verify(as_bytes(body), as_bytes(signature))) return refused("its signature does not verify");
        verified = true;
    }
    if (!verified) return refused("no signature of it is by this key");
    return out;
}

}  // namespace licet
