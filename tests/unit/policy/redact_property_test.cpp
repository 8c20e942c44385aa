// Redaction by splice against parse - transform - serialise, on random documents with escapes, nesting, duplicate keys and governed values of every
// kind.
#include <map>
#include <random>

#include "base/encoding.h"
#include "policy/document_model.h"
#include "tests/unit/policy/fixture.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::ordered_json;

// A document as a tree that keeps duplicate keys and the spelling of every token, which a JSON library would not.
struct Node {
    enum class Kind { token, array, object } kind = Kind::token;
    std::string token;                                   // strings, numbers, literals as written
    std::vector<std::pair<std::string, Node>> children;  // key as written (with quotes) or empty
};

void write(const Node& n, std::string& out) {
    if (n.kind == Node::Kind::token) {
        out += n.token;
        return;
    }
    const bool object = n.kind == Node::Kind::object;
    out += object ? '{' : '[';
    for (std::size_t i = 0; i < n.children.size(); ++i) {
        if (i > 0) out += ',';
        if (object) out += n.children[i].first + ':';
        write(n.children[i].second, out);
    }
    out += object ? '}' : ']';
}

struct Generator {
    std::mt19937 random;
    int pick(int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); }

    std::string text() {
        static const char* pieces[] = {"a", "Z",    "7",    " ",   ",",   ":",       "{",       "}", "[",
                                       "]", "\\\"", "\\\\", "\\/", "\\n", "\\u0041", "\\u00e9", "é", "\\ud83d\\ude00",
                                       "😀", "@",    "."};
        std::string out = "\"";
        for (int i = pick(8); i > 0; --i) out += pieces[pick(static_cast<int>(std::size(pieces)))];
        return out + '"';
    }
    std::string scalar() {
        static const char* tokens[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "-0",
                                       "1.50",
                                       "-12e+3",
                                       "1E30",
                                       "123456789012345678901234567890",
                                       "\"192.0.2.1\"",
                                       "\"2001:db8::1\"",
                                       "\"ada@example.org\"",
                                       "\"\""};
        return pick(2) == 0 ? text() : tokens[pick(static_cast<int>(std::size(tokens)))];
    }
    // Governed keys are among the keys; each at most once per object (ingest refuses what repeats them), others may repeat.
    Node value(int depth) {
        Node n;
        const int shape = depth == 0 ? 0 : pick(4);
        if (shape < 2) {
            n.token = scalar();
            return n;
        }
        n.kind = shape == 2 ? Node::Kind::object : Node::Kind::array;
        std::map<std::string, int> used;
        for (int i = pick(6); i > 0; --i) {
            std::string key;
            if (n.kind == Node::Kind::object) {
                static const char* keys[] = {"\"a\"",    "\"b\"",    "\"c/d\"", "\"e~\"", "\"\\u0061\"",
                                             "\"free\"", "\"free\"", "\"\"",    "\"0\"",  "\"x\\\"y\""};
                key = keys[pick(static_cast<int>(std::size(keys)))];
                const std::string same = key == "\"\\u0061\"" ? "\"a\"" : key;
                if (same != "\"free\"" && used[same]++ > 0) continue;
            }
            n.children.emplace_back(key, value(depth - 1));
        }
        return n;
    }
};

const char* kFields[] = {"", "/a", "/b", "/c~1d", "/e~0", "/a/a", "/a/b", "/b/0", "/b/1", "/b/0/a", "/0", "/1", "/0/a", "/x\"y", "/a/c~1d/b", "/"};

using Path = std::vector<std::string>;
std::string plain(const std::string& key) { return ordered_json::parse(key).get<std::string>(); }

// The oracle's own reading of the rules: walk, and where a field's path matches, do what its transform says.
struct Oracle {
    const std::vector<std::pair<Path, policy::TransformKind>>& wanted;
    PlainPseudonymiser& pseudonymiser;
    bool failed = false;

    const policy::TransformKind* at(const Path& path) const {
        for (const auto& [p, kind] : wanted)
            if (p == path) return &kind;
        return nullptr;
    }
    Node changed(const Node& n, policy::TransformKind kind) {
        Node out;
        switch (kind) {
            case policy::TransformKind::redact:
            case policy::TransformKind::null:
                out.token = "null";
                break;
            case policy::TransformKind::replace:
                out.token = "\"gone\"";
                break;
            case policy::TransformKind::character_mask: {
                if (n.kind == Node::Kind::token && n.token == "null") return n;
                if (n.kind != Node::Kind::token || n.token[0] != '"') return failed = true, out;
                std::size_t count = 0;
                const auto text = plain(n.token);
                for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
                out.token = '"' + std::string(count, '*') + '"';
                break;
            }
            case policy::TransformKind::crypto_hash: {
                std::string value;
                write(n, value);
                if (value[0] == '"') value = plain(value);
                std::array<std::uint8_t, 32> digest;
                pseudonymiser.hash("contract/partner", value, digest);
                out.token = '"' + base64url(digest) + '"';
                break;
            }
            default:
                failed = true;
        }
        return out;
    }
    Node walk(const Node& n, Path& path) {
        if (const auto* kind = at(path)) return changed(n, *kind);
        if (n.kind == Node::Kind::token) return n;
        Node out{n.kind, {}, {}};
        for (std::size_t i = 0; i < n.children.size(); ++i) {
            path.push_back(n.kind == Node::Kind::object ? plain(n.children[i].first) : std::to_string(i));
            const auto* kind = at(path);
            const bool drop = kind != nullptr && *kind == policy::TransformKind::redact && n.kind == Node::Kind::object;
            if (!drop) out.children.emplace_back(n.children[i].first, walk(n.children[i].second, path));
            path.pop_back();
        }
        return out;
    }
};

}  // namespace

TEST_CASE("a splice gives, byte for byte, what parse - transform - serialise gives") {
    static const std::pair<policy::TransformKind, const char*> kinds[] = {{policy::TransformKind::redact, "redact"},
                                                                          {policy::TransformKind::redact, "redact"},
                                                                          {policy::TransformKind::null, "null"},
                                                                          {policy::TransformKind::replace, "replace"},
                                                                          {policy::TransformKind::crypto_hash, "cryptoHash"},
                                                                          {policy::TransformKind::character_mask, "characterMask"}};
    json fields = json::array();
    for (const char* f : kFields) fields.push_back({{"pointer", f}});
    const auto mapping = mapping_of(fields);
    Generator generator{std::mt19937(20261121)};
    int delivered = 0, withheld = 0, changed = 0;
    for (int round = 0; round < 400; ++round) {
        std::vector<std::pair<Path, policy::TransformKind>> wanted;
        json duties = json::array();
        for (const char* f : kFields) {
            if (generator.pick(f[0] == '\0' ? 30 : 4) != 0) continue;
            const auto& [kind, name] = kinds[generator.pick(static_cast<int>(std::size(kinds)))];
            duties.push_back(
                transform(name, "licet:pointer", f, kind == policy::TransformKind::replace ? json{{"licet:replacement", "gone"}} : json::object()));
            wanted.emplace_back(event::parse_pointer(f).value(), kind);
        }
        View view(entitlement(), {policy_of("p", json::array({rule("r", json::array(), duties)}))}, {mapping});
        for (int i = 0; i < 50; ++i) {
            const Node document = generator.value(4);
            EventText e{"CC0-1.0"};
            write(document, e.data);
            const auto record = make_record(*mapping, e);
            const auto stored = event::StoredEvent::parse(record);
            REQUIRE(stored.has_value());
            Oracle oracle{wanted, view.pseudonymiser};
            Path path;
            std::string expected = "before", out = "before";
            write(oracle.walk(document, path), expected);
            const auto decision = view.decider->decide(*stored, {});
            REQUIRE(decision.deliver);
            CAPTURE(e.data);
            CAPTURE(duties.dump());
            const bool done = view.decider->redact(*stored, decision, out);
            REQUIRE(done == !oracle.failed);
            REQUIRE(out == (done ? expected : "before"));
            if (done) REQUIRE(json::accept(out.substr(6)));
            ++(done ? delivered : withheld);
            changed += done && out.substr(6) != e.data;
        }
    }
    CHECK(delivered > 5000);
    CHECK(changed > 2000);
    CHECK(withheld > 100);
}
