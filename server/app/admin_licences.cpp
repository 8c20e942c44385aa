// Licences an organisation defines itself.
#include <algorithm>

#include "server/app/admin.h"
#include "server/app/fields.h"
#include "server/app/licences.h"
#include "server/ports/catalog_json.h"

namespace licet::app {

Result<Reply> Admin::put_licence(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (!valid_licence_name(name))
        return Error{Errc::invalid_parameter, "a licence's name is 1-64 characters of a-z 0-9 . - starting with a letter or digit", "path:name"};
    Fields fields(body);
    ports::Licence licence;
    licence.name = name;
    licence.title = fields.text("title");
    for (const char* key : {"permits", "requires", "prohibits"})
        if (fields.any(key) == nullptr) fields.fail(key, "is required; a licence that says nothing of it has an empty list");
    licence.permits = fields.texts("permits", 16);
    licence.requires_ = fields.texts("requires", 16);
    licence.prohibits = fields.texts("prohibits", 16);
    if (auto error = fields.finish()) return *error;
    if (const auto read = own_licence(licence); !read) return read.error();
    const auto changed = parts_.catalog->put_licence(licence, {actor.client, "licence.put", name, body, actor.only_at});
    if (changed) licence.version = changed->number;
    return held(changed, ports::to_json(licence));
}

Result<Reply> Admin::list_licences() const {
    const auto all = parts_.catalog->configuration();
    if (!all) return all.error();
    json list = json::array();
    for (const auto& l : all->licences) list.push_back(ports::to_json(l));
    return Reply{200, {{"licences", std::move(list)}}};
}

Result<Reply> Admin::get_licence(const std::string& name) const {
    const auto all = parts_.catalog->configuration();
    if (!all) return all.error();
    const auto at = std::find_if(all->licences.begin(), all->licences.end(), [&](const auto& l) { return l.name == name; });
    if (at == all->licences.end()) return Error{Errc::not_found, "no such licence", {}};
    return Reply{200, ports::to_json(*at)};
}

}  // namespace licet::app
