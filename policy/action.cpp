#include "policy/action.h"

#include <array>

namespace licet::policy {
namespace {

struct Entry {
    std::string_view name, included_in;
};
// The ODRL 2.2 vocabulary's actions, the deprecated ones included. Two are at the top: use and transfer.
constexpr Entry kActions[] = {
    {"use", ""},
    {"transfer", ""},
    {"give", "transfer"},
    {"sell", "transfer"},
    {"acceptTracking", "use"},
    {"adHocShare", "use"},
    {"aggregate", "use"},
    {"annotate", "use"},
    {"anonymize", "use"},
    {"append", "use"},
    {"appendTo", "use"},
    {"archive", "use"},
    {"attachPolicy", "use"},
    {"attachSource", "use"},
    {"attribute", "use"},
    {"commercialize", "use"},
    {"compensate", "use"},
    {"concurrentUse", "use"},
    {"copy", "use"},
    {"delete", "use"},
    {"derive", "use"},
    {"digitize", "use"},
    {"distribute", "use"},
    {"ensureExclusivity", "use"},
    {"execute", "use"},
    {"export", "use"},
    {"grantUse", "use"},
    {"include", "use"},
    {"index", "use"},
    {"inform", "use"},
    {"install", "use"},
    {"lease", "use"},
    {"lend", "use"},
    {"license", "use"},
    {"modify", "use"},
    {"move", "use"},
    {"nextPolicy", "use"},
    {"obtainConsent", "use"},
    {"pay", "use"},
    {"play", "use"},
    {"display", "play"},
    {"present", "use"},
    {"preview", "use"},
    {"print", "use"},
    {"read", "use"},
    {"reproduce", "use"},
    {"extract", "reproduce"},
    {"extractChar", "use"},
    {"extractPage", "use"},
    {"extractWord", "use"},
    {"reviewPolicy", "use"},
    {"secondaryUse", "use"},
    {"share", "use"},
    {"stream", "use"},
    {"synchronize", "use"},
    {"textToSpeech", "use"},
    {"transform", "use"},
    {"translate", "use"},
    {"uninstall", "use"},
    {"watermark", "use"},
    {"write", "use"},
    {"writeTo", "use"},
};

}  // namespace

std::optional<ActionId> find_action(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::size(kActions); ++i)
        if (kActions[i].name == name) return ActionId{static_cast<std::uint8_t>(i)};
    return std::nullopt;
}

std::string_view action_name(ActionId action) noexcept { return kActions[action.value].name; }

bool included_in(ActionId part, ActionId whole) noexcept {
    for (std::optional<ActionId> at = part; at; at = find_action(kActions[at->value].included_in))
        if (*at == whole) return true;
    return false;
}

ActionId delivery_action() noexcept {
    static const ActionId stream = *find_action("stream");
    return stream;
}

}  // namespace licet::policy
