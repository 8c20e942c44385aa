// Just enough XML to read invoices of others: elements, attributes, text, comments. Names without their prefix. For tests.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace licet::testing {

struct Xml {
    std::string name, text;
    std::map<std::string, std::string> attributes;
    std::vector<Xml> children;

    [[nodiscard]] const Xml* child(std::string_view wanted) const {
        for (const auto& c : children)
            if (c.name == wanted) return &c;
        return nullptr;
    }
    [[nodiscard]] std::vector<const Xml*> all(std::string_view wanted) const {
        std::vector<const Xml*> out;
        for (const auto& c : children)
            if (c.name == wanted) out.push_back(&c);
        return out;
    }
    // Of the element below, by a path with slashes; empty when it is not there.
    [[nodiscard]] std::string at(std::string_view path) const {
        const auto slash = path.find('/');
        const Xml* next = child(path.substr(0, slash));
        if (next == nullptr) return {};
        return slash == std::string_view::npos ? next->text : next->at(path.substr(slash + 1));
    }
};

inline std::string_view without_prefix(std::string_view name) {
    const auto colon = name.find(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

// The content of an element up to its end tag. False: not well-formed.
inline bool read_xml_content(std::string_view& in, Xml& into) {
    for (;;) {
        const auto open = in.find('<');
        if (open == std::string_view::npos) return into.name.empty();
        into.text += in.substr(0, open);
        in.remove_prefix(open);
        if (in.starts_with("<!--") || in.starts_with("<?")) {
            const auto end = in.find(in[1] == '?' ? "?>" : "-->");
            if (end == std::string_view::npos) return false;
            in.remove_prefix(end + (in[1] == '?' ? 2 : 3));
            continue;
        }
        const auto close = in.find('>');
        if (close == std::string_view::npos) return false;
        std::string_view tag = in.substr(1, close - 1);
        in.remove_prefix(close + 1);
        if (tag.starts_with('/')) {
            tag = without_prefix(tag.substr(1));
            while (!tag.empty() && std::string_view(" \t\r\n").find(tag.back()) != std::string_view::npos) tag.remove_suffix(1);
            const auto from = into.text.find_first_not_of(" \t\r\n");
            const auto to = into.text.find_last_not_of(" \t\r\n");
            into.text = from == std::string::npos ? "" : into.text.substr(from, to - from + 1);
            return tag == into.name;
        }
        const bool empty = tag.ends_with('/');
        if (empty) tag.remove_suffix(1);
        const auto space = tag.find_first_of(" \t\r\n");
        Xml element;
        element.name = without_prefix(tag.substr(0, space));
        for (std::string_view rest = space == std::string_view::npos ? std::string_view{} : tag.substr(space);;) {
            const auto start = rest.find_first_not_of(" \t\r\n");
            if (start == std::string_view::npos) break;
            rest.remove_prefix(start);
            const auto equals = rest.find('=');
            if (equals == std::string_view::npos || equals + 1 >= rest.size()) return false;
            const auto end = rest.find(rest[equals + 1], equals + 2);
            if (end == std::string_view::npos) return false;
            element.attributes[std::string(without_prefix(rest.substr(0, equals)))] = rest.substr(equals + 2, end - equals - 2);
            rest.remove_prefix(end + 1);
        }
        if (!empty && !read_xml_content(in, element)) return false;
        into.children.push_back(std::move(element));
    }
}

// The root element.
inline std::optional<Xml> read_xml(std::string_view text) {
    Xml document;
    if (!read_xml_content(text, document) || document.children.size() != 1) return std::nullopt;
    return std::move(document.children.front());
}

}  // namespace licet::testing
