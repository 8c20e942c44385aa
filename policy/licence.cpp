#include "policy/licence.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::policy {
namespace {

using Alternatives = std::vector<LicenceAlternative>;

Acts mask(Act act) noexcept { return static_cast<Acts>(act); }
bool same_terms_for_derivatives(const LicenceAlternative& a) noexcept {
    return has(a.requires_, Act::share_alike) || has(a.requires_, Act::copyleft);
}

bool word_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == ':';
}

LicenceAlternative combine(const LicenceAlternative& a, const LicenceAlternative& b, const Vocabulary& vocabulary) {
    LicenceAlternative out{a.known && b.known, static_cast<Acts>(a.permits & b.permits), static_cast<Acts>(a.requires_ | b.requires_),
                           static_cast<Acts>(a.prohibits | b.prohibits), a.ids};
    if (out.known && same_terms_for_derivatives(a) && same_terms_for_derivatives(b)) {
        // Derivatives cannot be under two licences at once; the same licence named twice is no conflict.
        const auto binding = [&](std::string_view id) {
            const auto* terms = vocabulary.licence(id);
            return terms != nullptr && terms->share_alike();
        };
        std::string_view first;
        for (const auto* side : {&a, &b})
            for (const auto id : side->ids) {
                if (!binding(id)) continue;
                if (first.empty()) first = id;
                out.known = out.known && id == first;
            }
    }
    out.ids.insert(out.ids.end(), b.ids.begin(), b.ids.end());
    return out;
}

// expression := conjunction { OR conjunction }; conjunction := part { AND part }; part := "(" expression ")" | id [ WITH id ]
class Parser {
  public:
    Parser(std::string_view text, const Vocabulary& vocabulary) : rest_(text), vocabulary_(vocabulary) { next(); }

    Alternatives read() {
        Alternatives out = expression();
        if (failed_ || !token_.empty()) return {};
        return out;
    }

  private:
    void next() {
        while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
        if (rest_.empty()) {
            token_ = {};
            return;
        }
        std::size_t length = 0;
        while (length < rest_.size() && word_char(rest_[length])) ++length;
        if (length == 0) length = 1;
        token_ = rest_.substr(0, length);
        rest_.remove_prefix(length);
        if (!word_char(token_.front()) && token_ != "(" && token_ != ")") failed_ = true;
    }
    [[nodiscard]] bool is_operator() const { return token_ == "AND" || token_ == "OR" || token_ == "WITH"; }
    Alternatives fail() {
        failed_ = true;
        return {};
    }

    Alternatives expression() {
        Alternatives out = conjunction();
        while (!failed_ && token_ == "OR") {
            next();
            Alternatives other = conjunction();
            std::move(other.begin(), other.end(), std::back_inserter(out));
            if (out.size() > limits::licence_alternatives_max) return fail();
        }
        return out;
    }
    Alternatives conjunction() {
        Alternatives out = part();
        while (!failed_ && token_ == "AND") {
            next();
            const Alternatives other = part();
            if (out.size() * other.size() > limits::licence_alternatives_max) return fail();
            Alternatives both;
            for (const auto& a : out)
                for (const auto& b : other) both.push_back(combine(a, b, vocabulary_));
            out = std::move(both);
        }
        return out;
    }
    Alternatives part() {
        if (failed_) return {};
        if (token_ == "(") {
            if (++depth_ > limits::licence_expression_depth_max) return fail();
            next();
            Alternatives out = expression();
            --depth_;
            if (failed_ || token_ != ")") return fail();
            next();
            return out;
        }
        if (token_.empty() || token_ == ")" || is_operator() || ++licences_ > limits::licence_expression_licences_max) return fail();
        std::string_view id = token_;
        next();
        if (token_ == "WITH") {
            next();
            if (token_.empty() || token_ == "(" || token_ == ")" || is_operator()) return fail();
            const auto end = token_.data() + token_.size();
            id = {id.data(), static_cast<std::size_t>(end - id.data())};  // "A WITH x": no licence of the tables
            next();
        }
        if (id.ends_with('+')) id.remove_suffix(1);
        LicenceAlternative out;
        out.ids.push_back(id);
        const LicenceTerms* terms = vocabulary_.licence(id);
        out.known = terms != nullptr;
        if (out.known) {
            out.permits = terms->permits;
            out.requires_ = terms->requires_;
            out.prohibits = terms->prohibits;
        }
        Alternatives one;
        one.push_back(std::move(out));
        return one;
    }

    std::string_view rest_, token_;
    const Vocabulary& vocabulary_;
    std::size_t licences_ = 0, depth_ = 0;
    bool failed_ = false;
};

Ternary allows(const LicenceAlternative& a, Act act) noexcept {
    if (has(a.prohibits, act)) return Ternary::no;
    if (has(a.permits, act)) return Ternary::yes;
    return act == Act::ai_training || act == Act::search ? Ternary::unknown : Ternary::no;
}

Ternary allows(const LicenceAlternative& a, const LicenceUse& use) noexcept {
    if (!a.known) return Ternary::unknown;
    Ternary out = Ternary::yes;
    for (Acts bit = 1; bit != 0; bit = static_cast<Acts>(bit << 1)) {
        const Act act = static_cast<Act>(bit);
        if (!has(use.needs, act) && !has(use.may_need, act)) continue;
        const Ternary one = allows(a, act);
        if (one == Ternary::no && has(use.needs, act)) return Ternary::no;
        if (one != Ternary::yes) out = Ternary::unknown;
    }
    return out;
}

}  // namespace

std::vector<LicenceAlternative> licence_alternatives(std::string_view expression, const Vocabulary& vocabulary) {
    if (expression.empty()) return {};
    return Parser(expression, vocabulary).read();
}

LicenceUse licence_use(const Vocabulary& vocabulary, std::optional<PurposeId> purpose, bool transforms) {
    LicenceUse use{Act::reproduction | Act::distribution, 0};
    const auto add = [&](Ternary needed, Acts acts) {
        if (needed == Ternary::yes) use.needs = static_cast<Acts>(use.needs | acts);
        if (needed == Ternary::unknown) use.may_need = static_cast<Acts>(use.may_need | acts);
    };
    if (transforms) add(Ternary::yes, mask(Act::derivative_works));
    add(purpose ? vocabulary.commercial(*purpose) : Ternary::unknown, mask(Act::commercial_use));
    add(purpose ? vocabulary.training(*purpose) : Ternary::unknown, Act::derivative_works | Act::ai_training);
    add(purpose ? vocabulary.searching(*purpose) : Ternary::unknown, mask(Act::search));
    return use;
}

Ternary licence_allows(std::string_view expression, const Vocabulary& vocabulary, const LicenceUse& use) {
    const auto alternatives = licence_alternatives(expression, vocabulary);
    if (alternatives.empty()) return Ternary::unknown;
    bool unknown = false;
    for (const auto& a : alternatives) {
        const Ternary one = allows(a, use);
        if (one == Ternary::yes) return Ternary::yes;
        unknown = unknown || one == Ternary::unknown;
    }
    return unknown ? Ternary::unknown : Ternary::no;
}

Ternary licence_among(std::string_view expression, const Vocabulary& vocabulary, std::span<const std::string> listed) {
    const auto alternatives = licence_alternatives(expression, vocabulary);
    std::size_t named = 0, found = 0;
    for (const auto& a : alternatives)
        for (const auto id : a.ids) {
            if (vocabulary.licence(id) == nullptr) return Ternary::unknown;
            ++named;
            found += static_cast<std::size_t>(std::find(listed.begin(), listed.end(), id) != listed.end());
        }
    if (named == 0) return Ternary::unknown;
    return found == named ? Ternary::yes : found == 0 ? Ternary::no : Ternary::unknown;
}

}  // namespace licet::policy
