#include "policy/transform_regex.h"

#include <re2/re2.h>

#include <array>

#include "base/limits.h"
#include "event/json_text.h"

namespace licet::policy {
namespace {

constexpr int kGroups = 10;  // \0 to \9

RE2::Options options() {
    RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(static_cast<std::int64_t>(limits::policy_regex_memory_max_bytes));
    return o;
}

class Re2Regex final : public Regex {
  public:
    Re2Regex(const std::string& pattern, std::string rewrite) : re_(pattern, options()), rewrite_(std::move(rewrite)) {}

    [[nodiscard]] const RE2& re() const noexcept { return re_; }

    [[nodiscard]] bool replace(std::string_view text, std::string& out) const override {
        out.clear();
        const re2::StringPiece all(text.data(), text.size());
        const int groups = 1 + RE2::MaxSubmatch(rewrite_);
        std::array<re2::StringPiece, kGroups> match;
        std::size_t at = 0, copied = 0;
        while (at <= text.size() && re_.Match(all, at, text.size(), RE2::UNANCHORED, match.data(), groups)) {
            const auto begin = static_cast<std::size_t>(match[0].data() - text.data()), size = match[0].size();
            out.append(text, copied, begin - copied);
            if (!re_.Rewrite(&out, rewrite_, match.data(), groups) || out.size() > limits::event_max_bytes) return false;
            copied = begin + size;
            at = copied;
            // An empty match: on to the next character, which stays.
            if (size == 0) at += std::max<std::size_t>(event::code_point_size(text.substr(at)), 1);
        }
        out.append(text, copied);
        return out.size() <= limits::event_max_bytes;
    }

  private:
    RE2 re_;
    std::string rewrite_;
};

}  // namespace

Result<std::shared_ptr<const Regex>> make_regex(const std::string& pattern, const std::string& rewrite) {
    const auto bad = [](const char* where, std::string what) { return Error{Errc::invalid_document, std::move(what), where}; };
    constexpr const char *kPattern = "/licet:pattern", *kRewrite = "/licet:replacement";
    if (pattern.empty() || pattern.size() > limits::policy_regex_max_bytes)
        return bad(kPattern, "expected a regular expression of at most " + std::to_string(limits::policy_regex_max_bytes) + " bytes");
    if (rewrite.size() > limits::policy_regex_max_bytes)
        return bad(kRewrite, "longer than " + std::to_string(limits::policy_regex_max_bytes) + " bytes");
    auto out = std::make_shared<Re2Regex>(pattern, rewrite);
    if (!out->re().ok()) return bad(kPattern, "expected RE2 syntax: " + out->re().error());
    if (out->re().ProgramSize() > static_cast<int>(limits::policy_regex_program_max))
        return bad(kPattern, "compiles to more than " + std::to_string(limits::policy_regex_program_max) + " instructions");
    if (RE2::FullMatch("", out->re())) return bad(kPattern, "matches the empty text, which is everywhere");
    std::string error;
    if (!out->re().CheckRewriteString(rewrite, &error)) return bad(kRewrite, error);
    return std::shared_ptr<const Regex>(std::move(out));
}

}  // namespace licet::policy
