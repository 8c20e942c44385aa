// Redaction of every element and inside free text against parse - transform - serialise: documents are built as values with known secrets, written
// with random escapes, redacted by splice, parsed again and compared with the values as they should be. No secret may be in the bytes.
#include <random>

#include "base/encoding.h"
#include "tests/unit/policy/fixture.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::ordered_json;

// What becomes of each field; text fields are scanned.
struct Duty {
    const char *kind, *selector, *value;
    json parameters;
};

struct Document {
    ordered_json before, after;
    bool fails = false;
};

class Generator {
  public:
    explicit Generator(unsigned seed) : random_(seed) {}
    int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

    // {"people": [{"name", "age", "notes": [text...]}...], "note": text or anything, "grid": [[...]], "other": secrets that are nobody's}
    Document document() {
        Document d;
        d.before = d.after = ordered_json::object();
        if (pick(5) > 0) people(d);
        if (pick(5) > 0) text(d.before["note"], d.after["note"], 3);
        if (pick(3) > 0) grid(d);
        d.before["other"] = d.after["other"] = "clear \"text\"";
        return d;
    }

    // JSON text with some characters escaped that need not be.
    std::string write(const ordered_json& v) {
        if (v.is_object() || v.is_array()) {
            std::string out(1, v.is_object() ? '{' : '[');
            for (auto it = v.begin(); it != v.end(); ++it) {
                if (out.size() > 1) out += ',';
                if (v.is_object()) out += string(it.key()) + ':';
                out += write(*it);
            }
            return out + (v.is_object() ? '}' : ']');
        }
        return v.is_string() ? string(v.get<std::string>()) : v.dump();
    }

  private:
    std::string string(const std::string& s) {
        if (pick(3) == 0) return ordered_json(s).dump(-1, ' ', true);
        std::string out = "\"";
        for (const char c : s) {
            static const char digits[] = "0123456789abcdef";
            const auto u = static_cast<unsigned char>(c);
            if (u < 0x80 && (u < 0x20 || c == '"' || c == '\\' || pick(6) == 0)) {
                out += "\\u00";
                out += digits[u >> 4];
                out += digits[u & 15];
            } else {
                out += c;
            }
        }
        return out + '"';
    }

    std::string words() {
        static const char* pieces[] = {"hello", "größe", "\"quoted\"", "\\", "\n", "日本", "😀", "{[,:]}", "a.b", "12", "7:30", "-", "/"};
        return pieces[pick(static_cast<int>(std::size(pieces)))];
    }

    void sentence(std::string& before, std::string& after) {
        static const std::pair<const char*, const char*> secrets[] = {{"secret.ada@mail.example", "[EMAIL_ADDRESS]"},
                                                                      {"203.0.113.77", "[IP_ADDRESS]"},
                                                                      {"2001:db8:5ec:2e7::1", "[IP_ADDRESS]"},
                                                                      {"+49 30 5553456", "+49 30 5553456"},
                                                                      {"4111 1111 1111 1111", ""}};
        for (int i = pick(6); i > 0; --i) {
            const bool secret = pick(2) == 0;
            const auto& s = secrets[pick(static_cast<int>(std::size(secrets)))];
            const std::string word = words();
            before += " ; " + (secret ? s.first : word);
            after += " ; " + (secret ? s.second : word);
        }
    }

    void text(ordered_json& before, ordered_json& after, int depth) {
        const int shape = depth == 0 ? 0 : pick(6);
        if (shape == 4) {
            before = after = ordered_json::array();
            for (int i = pick(4); i > 0; --i) {
                before.push_back(nullptr);
                after.push_back(nullptr);
                text(before.back(), after.back(), depth - 1);
            }
        } else if (shape == 5) {
            before = after = ordered_json::object();
            for (int i = 0; i < 2; ++i) {
                std::string a = std::to_string(i), b = a;
                sentence(a, b);
                text(before[a], after[b], depth - 1);
            }
        } else if (shape == 3 && depth < 3) {  // a card within; one that is the whole field goes with its member
            before = 4111111111111111;
            after = nullptr;
        } else {
            std::string a, b;
            sentence(a, b);
            before = a;
            after = b;
        }
    }

    void people(Document& d) {
        auto &before = d.before["people"], &after = d.after["people"];
        before = after = ordered_json::array();
        for (int i = pick(4); i > 0; --i) {
            ordered_json a{{"id", i}}, b{{"id", i}};
            if (pick(4) > 0) a["name"] = "SECRET-NAME";
            if (pick(4) > 0) {
                const int age = pick(120);
                a["age"] = age;
                b["age"] = age < 18    ? "-18"
                           : age >= 90 ? "90+"
                                       : std::to_string(18 + (age - 18) / 24 * 24) + "-" + std::to_string(std::min(90, 42 + (age - 18) / 24 * 24));
            }
            if (pick(3) == 0) {
                a["age"] = nullptr;
                b["age"] = nullptr;
            }
            if (pick(12) == 0) {
                a["age"] = "old";
                d.fails = true;
            }
            a["last"] = b["last"] = true;
            before.push_back(a);
            after.push_back(b);
        }
    }

    void grid(Document& d) {
        auto &before = d.before["grid"], &after = d.after["grid"];
        before = after = ordered_json::array();
        for (int row = 0; row < pick(4); ++row) {
            before.push_back(ordered_json::array());
            after.push_back(ordered_json::array());
            for (int column = 0; column < pick(4); ++column) {
                before.back().push_back("SECRET-CELL");
                // Every cell is replaced; those of the first row are nulled, which is stricter.
                after.back().push_back(row == 0 ? ordered_json() : ordered_json("cell"));
            }
        }
    }

    std::mt19937 random_;
};

}  // namespace

TEST_CASE("elements and parts of text: a splice is what parse - transform - serialise gives, and no secret is left") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/people/*/name"}, {"category", "pd:Name"}},
                                                 {{"pointer", "/people/*/age"}, {"category", "pd:Age"}},
                                                 {{"pointer", "/note"}, {"infoType", "FREE_TEXT"}, {"scan", true}},
                                                 {{"pointer", "/grid/*/*"}},
                                                 {{"pointer", "/grid/0/*"}}}));
    const json duties = json::array(
        {transform("redact", "licet:category", "pd:Name"),
         transform("fixedSizeBucketing", "licet:pointer", "/people/*/age",
                   {{"licet:lowerBound", 18}, {"licet:upperBound", 90}, {"licet:bucketSize", 24}}),
         transform("replaceWithInfoType", "licet:infoType", "EMAIL_ADDRESS"), transform("replaceWithInfoType", "licet:infoType", "IP_ADDRESS"),
         transform("redact", "licet:infoType", "CREDIT_CARD_NUMBER"),
         transform("replace", "licet:pointer", "/grid/*/*", {{"licet:replacement", "cell"}}), transform("null", "licet:pointer", "/grid/0/*")});
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array(), duties)}))}, {mapping});
    Generator generator(20261121);
    int delivered = 0, withheld = 0;
    for (int round = 0; round < 20000; ++round) {
        const Document document = generator.document();
        EventText e{"CC0-1.0"};
        e.data = generator.write(document.before);
        const auto record = make_record(*mapping, e);
        const auto stored = event::StoredEvent::parse(record);
        REQUIRE(stored.has_value());
        CAPTURE(e.data);
        const auto decision = view.decider->decide(*stored, {});
        REQUIRE(decision.deliver);
        std::string out = "before";
        const bool done = view.decider->redact(*stored, decision, out);
        REQUIRE(done == !document.fails);
        ++(done ? delivered : withheld);
        if (!done) {
            REQUIRE(out == "before");
            continue;
        }
        out.erase(0, 6);
        CAPTURE(out);
        REQUIRE(json::accept(out));
        REQUIRE(json::parse(out) == json(document.after));
        const std::string plain = json::parse(out).dump();
        for (const char* secret : {"SECRET", "secret.ada", "203.0.113", "5ec:2e7", "4111"}) REQUIRE(plain.find(secret) == std::string::npos);
    }
    CHECK(delivered > 10000);
    CHECK(withheld > 300);
}
