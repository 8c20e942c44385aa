#include "event/span_scanner.h"

#include <algorithm>
#include <bitset>
#include <cassert>
#include <charconv>
#include <optional>

#include "event/json_scan.h"
#include "event/json_text.h"

namespace licet::event {
namespace {

constexpr std::size_t kNoIndex = static_cast<std::size_t>(-1);

std::uint64_t size_bit(std::size_t size) noexcept { return std::uint64_t{1} << std::min<std::size_t>(size, 63); }

bool before(std::string_view a, std::string_view b) noexcept { return a.size() != b.size() ? a.size() < b.size() : a < b; }

// RFC 6901 section 4: digits without leading zeros.
std::size_t array_index(std::string_view token) noexcept {
    std::size_t index = 0;
    if (token.empty() || (token.size() > 1 && token[0] == '0')) return kNoIndex;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    return error == std::errc{} && end == token.data() + token.size() ? index : kNoIndex;
}

}  // namespace

const PathTree::Child* PathTree::Node::find(std::string_view token) const noexcept {
    if ((sizes & size_bit(token.size())) == 0) return nullptr;
    const auto at = std::lower_bound(children.begin(), children.end(), token, [](const Child& c, std::string_view t) { return before(c.token, t); });
    return at != children.end() && at->token == token ? &*at : nullptr;
}

const PathTree::Child* PathTree::Node::find(std::size_t index) const noexcept {
    if (index >= indexes_end) return nullptr;
    const auto at = std::find_if(children.begin(), children.end(), [&](const Child& c) { return c.index == index; });
    return at == children.end() ? nullptr : &*at;
}

void PathTree::add(const std::vector<std::string>& path, std::size_t target) {
    std::uint32_t node = 0;
    for (const auto& token : path) {
        if (const Child* known = nodes_[node].find(token)) {
            node = known->node;
            continue;
        }
        auto& parent = nodes_[node];
        assert(parent.children.size() < kChildrenMax);
        const auto next = static_cast<std::uint32_t>(nodes_.size());
        const auto place = std::lower_bound(parent.children.begin(), parent.children.end(), token,
                                            [](const Child& c, const std::string& t) { return before(c.token, t); });
        const std::size_t index = array_index(token);
        parent.children.insert(place, Child{token, index, next});
        parent.sizes |= size_bit(token.size());
        if (index != kNoIndex) parent.indexes_end = std::max(parent.indexes_end, index + 1);
        parent.starred = parent.starred || token == "*";
        nodes_.emplace_back();
        node = next;
    }
    nodes_[node].targets.push_back(target);
}

// Recursion is as deep as the tree, never as the document.
class SpanScanner {
  public:
    SpanScanner(std::string_view text, const PathTree& tree, std::vector<FoundValue>& out) : text_(text), tree_(tree), out_(out) {}

    Status scan() {
        (void)value(0, tree_.nodes_[0], 0);
        if (too_many_ && !duplicate_) return Error{Errc::invalid_event, "more than " + std::to_string(kFoundValuesMax) + " values are governed", ""};
        if (!duplicate_) return success();
        std::string pointer;
        for (auto token = duplicate_->rbegin(); token != duplicate_->rend(); ++token) pointer += "/" + pointer_token(*token);
        return Error{Errc::duplicate_governed_key, "a governed path occurs twice in one object", std::move(pointer)};
    }

  private:
    using Node = PathTree::Node;
    using Child = PathTree::Child;

    std::size_t value(std::size_t begin, const Node& node, std::size_t member_begin) {
        const ValueKind kind = scan::kind_at(text_, begin);
        const std::size_t first = out_.size();
        found(node, kind, member_begin, begin);
        const std::size_t mine = out_.size();
        std::size_t end;
        if (node.children.empty())
            end = scan::value_end(text_, begin);
        else if (kind == ValueKind::object)
            end = object(begin, node);
        else if (kind == ValueKind::array)
            end = array(begin, node);
        else
            end = scan::value_end(text_, begin);
        for (std::size_t i = first; i < mine; ++i) out_[i].value_end = static_cast<std::uint32_t>(end);
        return end;
    }

    void found(const Node& node, ValueKind kind, std::size_t member_begin, std::size_t begin) {
        for (const std::size_t target : node.targets) {
            if (out_.size() == kFoundValuesMax) {
                too_many_ = true;
                return;
            }
            out_.push_back({target, kind, static_cast<std::uint32_t>(member_begin), static_cast<std::uint32_t>(begin), 0});
        }
    }

    // As value(), where several branches of the tree meet: below an array element that is wanted both by its index and as any.
    std::size_t value_of_all(std::size_t begin, const std::vector<const Node*>& nodes, std::size_t member_begin) {
        const ValueKind kind = scan::kind_at(text_, begin);
        const std::size_t first = out_.size();
        for (const Node* node : nodes) found(*node, kind, member_begin, begin);
        const std::size_t mine = out_.size();
        std::size_t end;
        std::vector<const Node*> below;
        if (kind == ValueKind::object) {
            std::vector<const Child*> seen;
            end = scan::members(text_, begin, [&](std::string_view key, std::size_t at) {
                below.clear();
                std::string_view token;
                const bool known = duplicate_.has_value();
                for (const Node* node : nodes) {
                    const Child* child = child_of(*node, key);
                    if (child == nullptr) continue;
                    if (!duplicate_ && std::find(seen.begin(), seen.end(), child) != seen.end()) duplicate_.emplace();
                    if (!duplicate_) seen.push_back(child);
                    below.push_back(&tree_.nodes_[child->node]);
                    token = child->token;
                }
                return below.empty() ? scan::value_end(text_, at)
                                     : descend_all(at, below, token, static_cast<std::size_t>(key.data() - text_.data()), known);
            });
        } else if (kind == ValueKind::array) {
            end = scan::elements(text_, begin, [&](std::size_t index, std::size_t at) {
                below.clear();
                std::string_view token;
                for (const Node* node : nodes)
                    for (const Child* child : {node->find(index), node->every()})
                        if (child != nullptr) {
                            below.push_back(&tree_.nodes_[child->node]);
                            token = child->token;
                        }
                return below.empty() ? scan::value_end(text_, at) : descend_all(at, below, token, at, duplicate_.has_value());
            });
        } else {
            end = scan::value_end(text_, begin);
        }
        for (std::size_t i = first; i < mine; ++i) out_[i].value_end = static_cast<std::uint32_t>(end);
        return end;
    }

    const Child* child_of(const Node& node, std::string_view key_token) {
        const std::string_view raw = key_token.substr(1, key_token.size() - 2);
        if (raw.find('\\') == std::string_view::npos) return node.find(raw);
        return unescape_json(key_token, unescaped_) ? node.find(unescaped_) : nullptr;
    }

    std::size_t object(std::size_t begin, const Node& node) {
        std::bitset<PathTree::kChildrenMax> seen;
        return scan::members(text_, begin, [&](std::string_view key, std::size_t at) {
            const Child* child = child_of(node, key);
            if (child == nullptr) return scan::value_end(text_, at);
            const auto ordinal = static_cast<std::size_t>(child - node.children.data());
            const bool known = duplicate_.has_value();
            if (seen[ordinal] && !known) duplicate_.emplace();
            seen[ordinal] = true;
            return descend(at, *child, static_cast<std::size_t>(key.data() - text_.data()), known);
        });
    }

    std::size_t array(std::size_t begin, const Node& node) {
        return scan::elements(text_, begin, [&](std::size_t index, std::size_t at) {
            const Child *child = node.find(index), *every = node.every();
            if (child != nullptr && every != nullptr)
                return descend_all(at, {&tree_.nodes_[child->node], &tree_.nodes_[every->node]}, child->token, at, duplicate_.has_value());
            if (child == nullptr) child = every;
            return child == nullptr ? scan::value_end(text_, at) : descend(at, *child, at, duplicate_.has_value());
        });
    }

    // A duplicate first met at this child or below it collects the tokens above it on the way back.
    std::size_t descend(std::size_t at, const Child& child, std::size_t member_begin, bool known) {
        const std::size_t end = value(at, tree_.nodes_[child.node], member_begin);
        if (duplicate_ && !known) duplicate_->push_back(child.token);
        return end;
    }

    std::size_t descend_all(std::size_t at, const std::vector<const Node*>& nodes, std::string_view token, std::size_t member_begin, bool known) {
        const std::size_t end = value_of_all(at, nodes, member_begin);
        if (duplicate_ && !known) duplicate_->push_back(token);
        return end;
    }

    const std::string_view text_;
    const PathTree& tree_;
    std::vector<FoundValue>& out_;
    std::string unescaped_;
    std::optional<std::vector<std::string_view>> duplicate_;  // tokens of the path, innermost first
    bool too_many_ = false;
};

Status find_values(std::string_view json, const PathTree& tree, std::vector<FoundValue>& out) { return SpanScanner(json, tree, out).scan(); }

}  // namespace licet::event
