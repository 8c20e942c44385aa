#include "server/app/licences.h"

#include <algorithm>

#include "base/ids.h"

namespace licet::app {

Result<policy::Acts> acts_from(std::span<const std::string> names, ActList list, std::string_view member) {
    policy::Acts out = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string at = "/" + std::string(member) + "/" + std::to_string(i);
        const auto act = policy::parse_act(names[i]);
        if (!act || policy::has(policy::kUses, *act) != (list == ActList::uses))
            return Error{Errc::invalid_document,
                         list == ActList::uses ? "expected Reproduction, Distribution, DerivativeWorks, CommercialUse, Sharing, TrainAI or Search"
                                               : "expected Notice, Attribution, ShareAlike, SourceCode, Copyleft, LesserCopyleft or StateChanges",
                         at};
        if (policy::has(out, *act)) return Error{Errc::invalid_document, "named twice", at};
        out = out | static_cast<policy::Acts>(*act);
    }
    return out;
}

Result<policy::OwnLicence> own_licence(const ports::Licence& licence) {
    const auto permits = acts_from(licence.permits, ActList::uses, "permits");
    if (!permits) return permits.error();
    const auto required = acts_from(licence.requires_, ActList::duties, "requires");
    if (!required) return required.error();
    const auto prohibits = acts_from(licence.prohibits, ActList::uses, "prohibits");
    if (!prohibits) return prohibits.error();
    for (std::size_t i = 0; i < licence.prohibits.size(); ++i)
        if (std::find(licence.permits.begin(), licence.permits.end(), licence.prohibits[i]) != licence.permits.end())
            return Error{Errc::invalid_document, "is permitted too", "/prohibits/" + std::to_string(i)};
    return policy::OwnLicence{licence.name, *permits, *required, *prohibits};
}

bool valid_licence_name(std::string_view name) { return valid_slug(name) && name.find('_') == std::string_view::npos; }

}  // namespace licet::app
