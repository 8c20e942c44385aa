#include "event/span_scanner.h"

#include <doctest/doctest.h>

#include "event/mapping.h"

using namespace licet;
using namespace licet::event;

namespace {

struct Search {
    std::vector<std::string> pointers;
    std::vector<FoundValue> found;
    std::string error;

    Search(std::string_view json, std::vector<std::string> wanted) : pointers(std::move(wanted)) {
        PathTree tree;
        for (std::size_t i = 0; i < pointers.size(); ++i) tree.add(*parse_pointer(pointers[i]), i);
        if (auto done = find_values(json, tree, found); !done) {
            CHECK(done.error().code == Errc::duplicate_governed_key);
            error = done.error().pointer;
        }
        for (const auto& f : found)
            text += pointers[f.target] + "=" + std::string(json.substr(f.value_begin, f.value_end - f.value_begin)) + "@" +
                    std::to_string(f.member_begin) + " ";
    }
    std::string text;
};

}  // namespace

TEST_CASE("values are found where they are, members from their key") {
    CHECK(Search(R"({"a":1,"b":"x","c":null})", {"/b", "/c", "/nobody"}).text == R"(/b="x"@7 /c=null@15 )");
    CHECK(Search(R"({"a":{"b":[10,{"c":true}]}})", {"/a/b/1/c", "/a/b/0", "/a"}).text ==
          R"(/a={"b":[10,{"c":true}]}@1 /a/b/0=10@11 /a/b/1/c=true@15 )");
    CHECK(Search(R"(["x"])", {"", "/0"}).text == R"(=["x"]@0 /0="x"@1 )");
    CHECK(Search("17", {""}).text == "=17@0 ");
    CHECK(Search("17", {"/a", "/0"}).text == "");
    CHECK(Search("{}", {"/a"}).text == "");
    CHECK(Search("[]", {"/0"}).text == "");
    CHECK(Search(R"({"":{"":5}})", {"/", "//"}).text == R"(/={"":5}@1 //=5@5 )");
    CHECK(Search(R"({"0":1})", {"/0"}).text == "/0=1@1 ");
    CHECK(Search(R"(["a","b"])", {"/01", "/-", "/1"}).text == R"(/1="b"@5 )");
}

TEST_CASE("two targets on one path are both found") { CHECK(Search(R"({"a":1})", {"/a", "/a"}).found.size() == 2); }

TEST_CASE("keys are compared unescaped") {
    CHECK(Search(R"({"\u0075ser":1})", {"/user"}).text == "/user=1@1 ");
    CHECK(Search(R"({"a\/b":1,"m~n":2,"\"":3})", {"/a~1b", "/m~0n", "/\""}).found.size() == 3);
    CHECK(Search("{\"\\u00e4\":1}", {"/\xc3\xa4"}).found.size() == 1);
}

TEST_CASE("what looks like structure inside strings is text") {
    CHECK(Search(R"({"x":"\"},{[a:","a":2})", {"/a"}).text == "/a=2@16 ");
    CHECK(Search(R"({"x":"\\","a":2})", {"/a"}).found.size() == 1);
    CHECK(Search(R"({"x":{"a":"]}\\\"","b":[[{}]]},"a":2})", {"/a"}).found.size() == 1);
    for (std::size_t length = 0; length < 70; ++length) {
        const std::string filler(length, 'x');
        CHECK(Search(R"({"x":")" + filler + R"(\"","a":2})", {"/a"}).found.size() == 1);
        CHECK(Search(R"({"x":")" + filler + R"(\\","a":2})", {"/a"}).found.size() == 1);
        CHECK(Search(R"({")" + filler + R"(":{"y":")" + filler + R"("},"a":2})", {"/a"}).found.size() == 1);
    }
}

TEST_CASE("a wanted key that occurs twice is refused, however it is written and wherever it is") {
    CHECK(Search(R"({"user":1,"x":2,"user":3})", {"/user"}).error == "/user");
    CHECK(Search(R"({"user":1,"us\u0065r":3})", {"/user"}).error == "/user");
    CHECK(Search(R"({"a":{"b":1},"a":{"c":2}})", {"/a/b"}).error == "/a");
    CHECK(Search(R"({"a":{"b":1,"b":1}})", {"/a/b"}).error == "/a/b");
    CHECK(Search(R"([{"a/b":1,"a/b":1}])", {"/0/a~1b"}).error == "/0/a~1b");
    CHECK(Search(R"({"a":{"b":1,"b":1},"a":1})", {"/a/b"}).error == "/a/b");
    CHECK(Search(R"({"x":1,"x":2,"user":3})", {"/user"}).error == "");
    CHECK(Search(R"({"a":[{"b":1},{"b":1}]})", {"/a/0/b", "/a/1/b"}).error == "");
}

TEST_CASE("many wanted keys, long keys and deep documents") {
    std::vector<std::string> wanted;
    std::string json = "{";
    for (int i = 0; i < 500; ++i) {
        wanted.push_back("/" + std::string(static_cast<std::size_t>(i % 90), 'k') + std::to_string(i));
        json += "\"" + wanted.back().substr(1) + "\":" + std::to_string(i) + ",\"other" + std::to_string(i) + "\":[],";
    }
    json.back() = '}';
    CHECK(Search(json, wanted).found.size() == 500);
    const std::string deep = R"({"x":)" + std::string(1000, '[') + std::string(1000, ']') + R"(,"a":1})";
    CHECK(Search(deep, {"/a"}).found.size() == 1);
}

TEST_CASE("a star is every element of an array, and of an object the member of that name") {
    CHECK(Search(R"({"a":[1,[2],{"b":3}]})", {"/a/*"}).text == "/a/*=1@6 /a/*=[2]@8 /a/*={\"b\":3}@12 ");
    CHECK(Search(R"({"a":[{"b":1},{"c":2},{"b":[3]}]})", {"/a/*/b"}).text == "/a/*/b=1@7 /a/*/b=[3]@23 ");
    CHECK(Search(R"({"a":{"*":1,"0":2}})", {"/a/*"}).text == "/a/*=1@6 ");
    CHECK(Search(R"([[1,2],[3]])", {"/*/*"}).text == "/*/*=1@2 /*/*=2@4 /*/*=3@8 ");
    CHECK(Search(R"({"a":"x"})", {"/a/*"}).text == "");
    CHECK(Search(R"([[],{}])", {"/*/*", "/*/a"}).text == "");
}

TEST_CASE("an element wanted by its index and as any is found as both, and so is what is below it") {
    CHECK(Search(R"([{"x":1,"y":2},{"x":3,"y":4}])", {"/*/x", "/0/y", "/0/x", "/*"}).text ==
          "/*={\"x\":1,\"y\":2}@1 /0/x=1@2 /*/x=1@2 /0/y=2@8 /*={\"x\":3,\"y\":4}@15 /*/x=3@16 ");
    CHECK(Search(R"([[[1]]])", {"/0/*/0", "/*/0/*", "/*/*/*", "/0/0/0"}).found.size() == 4);
    CHECK(Search(R"([{"x":1,"\u0078":2}])", {"/*/x", "/0/y"}).error == "/0/x");
    CHECK(Search(R"([{"x":1,"x":2}])", {"/*/x"}).error == "/*/x");
    // "/0" of an object is a member like any other and no element.
    CHECK(Search(R"([{"0":1}])", {"/0/*", "/0/0", "/*/*"}).text == "/0/0=1@2 ");
}

TEST_CASE("values at a path are bounded") {
    std::string json = "[0";
    for (std::size_t i = 1; i < kFoundValuesMax; ++i) json += ",0";
    const auto count = [](const std::string& text) -> std::size_t {
        PathTree tree;
        tree.add({"*"}, 0);
        std::vector<FoundValue> found;
        const auto done = find_values(text, tree, found);
        if (!done) CHECK(done.error().code == Errc::invalid_event);
        return done ? found.size() : 0;
    };
    CHECK(count(json + "]") == kFoundValuesMax);
    CHECK(count(json + ",0]") == 0);
}
