#include "event/span_scanner.h"

#include <algorithm>

#include "event/json_text.h"

namespace licet::event {

class SpanScanner {
  public:
    SpanScanner(std::string_view text, std::vector<FoundValue>& out) : text_(text), out_(out) {}

    Status scan(const PathTree& tree) {
        std::size_t at = 0;
        value(at, &tree.root_, 0, {});
        if (duplicate_) return Error{Errc::duplicate_governed_key, "a governed path occurs twice in one object", *duplicate_};
        return success();
    }

  private:
    using Node = PathTree::Node;

    // Past the string that starts at `at`.
    std::size_t string_end(std::size_t at) const {
        for (++at; text_[at] != '"'; ++at)
            if (text_[at] == '\\') ++at;
        return at + 1;
    }

    // Past the value nobody asked for: strings are skipped whole, brackets counted.
    std::size_t skip(std::size_t at) const {
        std::size_t depth = 0;
        for (;;) {
            const char c = text_[at];
            if (c == '"') {
                at = string_end(at);
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at;
                continue;
            } else if (c == '}' || c == ']') {
                ++at;
                --depth;
            } else if (c == ',' || c == ':') {
                ++at;
                continue;
            } else {
                at = scalar_end(at);
            }
            if (depth == 0) return at;
        }
    }
    std::size_t scalar_end(std::size_t at) const {
        while (at < text_.size() && text_[at] != ',' && text_[at] != '}' && text_[at] != ']') ++at;
        return at;
    }

    ValueKind kind_at(std::size_t at) const {
        switch (text_[at]) {
            case '"': return ValueKind::string;
            case '{': return ValueKind::object;
            case '[': return ValueKind::array;
            case 't':
            case 'f': return ValueKind::boolean;
            case 'n': return ValueKind::null;
            default: return ValueKind::number;
        }
    }

    void value(std::size_t& at, const Node* node, std::size_t member_begin, const std::string& pointer) {
        const std::size_t begin = at, first = out_.size();
        const ValueKind kind = kind_at(at);
        for (const std::size_t target : node->targets)
            out_.push_back({target, kind, static_cast<std::uint32_t>(member_begin), static_cast<std::uint32_t>(begin), 0});
        const std::size_t mine = out_.size();
        if (node->children.empty()) at = skip(at);
        else if (kind == ValueKind::object) object(at, node, pointer);
        else if (kind == ValueKind::array) array(at, node, pointer);
        else at = skip(at);
        for (std::size_t i = first; i < mine; ++i) out_[i].value_end = static_cast<std::uint32_t>(at);
    }

    void object(std::size_t& at, const Node* node, const std::string& pointer) {
        std::vector<const Node*> seen;
        for (++at; text_[at] != '}';) {
            if (text_[at] == ',') ++at;
            const std::size_t key_begin = at;
            at = string_end(at);
            std::string_view key = text_.substr(key_begin + 1, at - key_begin - 2);
            std::string unescaped;
            if (key.find('\\') != std::string_view::npos && unescape_json(text_.substr(key_begin, at - key_begin), unescaped)) key = unescaped;
            ++at;  // ':'
            const auto child = node->children.find(key);
            if (child == node->children.end()) {
                at = skip(at);
                continue;
            }
            const std::string below = pointer + "/" + pointer_token(key);
            if (std::find(seen.begin(), seen.end(), child->second.get()) != seen.end() && !duplicate_) duplicate_ = below;
            seen.push_back(child->second.get());
            value(at, child->second.get(), key_begin, below);
        }
        ++at;
    }

    void array(std::size_t& at, const Node* node, const std::string& pointer) {
        std::size_t index = 0;
        for (++at; text_[at] != ']'; ++index) {
            if (text_[at] == ',') ++at;
            const auto child = node->children.find(std::to_string(index));
            if (child == node->children.end()) at = skip(at);
            else value(at, child->second.get(), at, pointer + "/" + std::to_string(index));
        }
        ++at;
    }

    const std::string_view text_;
    std::vector<FoundValue>& out_;
    std::optional<std::string> duplicate_;
};

void PathTree::add(const std::vector<std::string>& path, std::size_t target) {
    Node* node = &root_;
    for (const auto& token : path) {
        auto& child = node->children[token];
        if (!child) child = std::make_unique<Node>();
        node = child.get();
    }
    node->targets.push_back(target);
}

Status find_values(std::string_view json, const PathTree& tree, std::vector<FoundValue>& out) { return SpanScanner(json, out).scan(tree); }

}  // namespace licet::event
