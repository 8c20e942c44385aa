// Reads a policy document: JSON-LD spellings, the profile's checks, and every mistake with its place. Private to policy/document*.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"
#include "policy/document_model.h"

namespace licet::policy {

// A value and where it stands.
struct Node {
    const nlohmann::json* value = nullptr;
    std::string at;
    explicit operator bool() const noexcept { return value != nullptr; }
    const nlohmann::json* operator->() const noexcept { return value; }
};

class DocumentReader {
  public:
    explicit DocumentReader(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}
    [[nodiscard]] PolicyCheck read(const nlohmann::json& document);

  private:
    // document.cpp: the document and its JSON-LD forms
    void header(const Node& document, PolicyDocument& out);
    bool context(const Node& document);
    void rules(const Node& document, bool prohibition, PolicyDocument& out);
    void fail(const std::string& at, std::string what);
    // A term in any of its spellings: `use`, `odrl:use`, the IRI.
    [[nodiscard]] static std::string_view plain(std::string_view term) noexcept;
    [[nodiscard]] static Node member(const Node& object, std::string_view term);
    // Every element of an array (or `@list`); a value alone is a list of one.
    [[nodiscard]] static std::vector<Node> list(const Node& node);
    // The text of "x", {"@id": "x"} or {"@value": "x", "@type": "xsd:string"}.
    [[nodiscard]] static std::optional<std::string> text(const Node& node, std::string_view type = "xsd:string");
    // As text, without the prefix of an ODRL term.
    [[nodiscard]] static std::string term(const Node& node);
    [[nodiscard]] std::optional<std::string> iri(const Node& node);
    // Refuses members that are not among the known.
    bool members(const Node& object, std::span<const std::string_view> known);
    // `@type`, when there is one, must be one of these.
    bool typed(const Node& object, std::span<const std::string_view> types);
    // "urn:licet:<kind>:<slug>" -> slug.
    [[nodiscard]] static std::optional<std::string> urn(std::string_view value, std::string_view kind);

    // document_rule.cpp: rules, assets, parties, actions
    void rule(const Node& in, const Node& document, Rule& out);
    void target(const Node& in, Rule& out);
    void assignee(const Node& in, Rule& out);
    void assigner(const Node& in);
    void action(const Node& in, Rule& out);
    void duties(const Node& in, Rule& out);

    // document_constraint.cpp
    enum class Place : std::uint8_t { anywhere, asset, party };  // what a refinement may speak of
    void constraints(const Node& in, Place place, std::vector<Constraint>& out);
    [[nodiscard]] std::optional<Constraint> constraint(const Node& in, Place place, std::size_t depth);
    [[nodiscard]] std::optional<Constraint> leaf(const Node& in, Place place);
    bool op(const Node& in, Constraint& out);
    bool right(const Node& in, Constraint& out);
    bool right_value(const Node& value, Constraint& out);
    bool moment(const Node& value, Constraint& out);
    bool word(std::string text, const std::string& at, Constraint& out);

    // document_transform.cpp: duties that change data
    [[nodiscard]] std::optional<Transform> transform(const Node& in);
    bool selector(const Node& in, Transform& out);
    bool parameters(const Node& in, Transform& out);

    const Vocabulary& vocabulary_;
    std::vector<Error> mistakes_;
    bool odrl_terms_ = false;  // the document's context makes plain words ODRL's
    std::size_t nodes_ = 0;
};

}  // namespace licet::policy
