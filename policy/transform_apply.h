// Transforms at work on one value or one part of a text. Used by redaction only; what to apply where is the plan's affair. Pure, but for the keyed
// functions passed in.
#pragma once

#include <string>
#include <string_view>

#include "event/record.h"
#include "policy/engine.h"
#include "policy/transform.h"

namespace licet::policy {

// What transforms need besides the value. Referred-to objects outlive it.
struct TransformContext {
    std::string_view key_scope;
    Pseudonymiser& pseudonymiser;
    const SubjectKey& subject;  // of the event; none: it names nobody
};

// Applies transforms; keeps its buffers. Not thread-safe.
class TransformApplier {
  public:
    // Appends what becomes of a JSON value: a JSON value. Redaction of the member around it is the caller's. `type`: what replaceWithInfoType names.
    // False: not possible with certainty; `out` then holds rubbish from its old end on.
    [[nodiscard]] bool value(const Transform& t, event::ValueKind kind, std::string_view token, event::InfoType type, const TransformContext& with,
                             std::string& out);
    // The same for a piece of a string's escaped text: appends escaped text.
    [[nodiscard]] bool part(const Transform& t, std::string_view escaped, event::InfoType type, const TransformContext& with, std::string& out);
    // Whether nothing of the value shows in the result, however much of it is sensitive.
    [[nodiscard]] static bool hides_all(const Transform& t) noexcept;

  private:
    // text -> result_, both unescaped.
    [[nodiscard]] bool text(const Transform& t, std::string_view text, const TransformContext& with);
    [[nodiscard]] bool mask(const Transform& t, std::string_view text);
    [[nodiscard]] bool number(const Transform& t, std::string_view number);
    [[nodiscard]] bool hash(std::string_view value, const TransformContext& with);
    [[nodiscard]] bool encrypt(char form, std::string_view value, const TransformContext& with);
    [[nodiscard]] bool shift(const Transform& t, std::string_view text, const TransformContext& with);

    std::string text_, result_, sealed_;
};

}  // namespace licet::policy
