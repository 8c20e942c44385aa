// The routes of the edge: those it answers itself and what it forwards to the control plane. Used to dispatch and by the test that
// compares them with the OpenAPI document. HEAD is answered wherever GET is. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace licet::stream {

enum class EdgeUse : std::uint8_t { token, publish, subscribe, endpoints, usage, audit_export, import_consents, ticket, export_content };

struct EdgeRoute {
    std::string_view method;
    std::string_view path;  // "/v1/products/{product}/events"
    EdgeUse use;
    std::string_view role = {};  // that the caller needs; empty: none, or the control plane says
    bool shared = false;         // the control plane answers other methods of the path
    bool browsers = false;       // pages of allowed origins may call it (cors.h); OPTIONS is answered
};

inline constexpr std::array kEdgeRoutes{
    EdgeRoute{"POST", "/oauth/token", EdgeUse::token},
    EdgeRoute{"GET", "/v1/products/{product}/events", EdgeUse::subscribe, {}, false, true},
    EdgeRoute{"POST", "/v1/products/{product}/events", EdgeUse::publish, {}, false, true},
    EdgeRoute{"GET", "/v1/products/{product}/endpoints", EdgeUse::endpoints, {}, false, true},
    EdgeRoute{"POST", "/v1/products/{product}/tickets", EdgeUse::ticket, {}, false, true},
    EdgeRoute{"GET", "/v1/usage", EdgeUse::usage, {}, false, true},
    EdgeRoute{"GET", "/v1/admin/audit/export", EdgeUse::audit_export, "auditor"},
    EdgeRoute{"GET", "/v1/finance/exports/{name}/content", EdgeUse::export_content, "finance"},
    EdgeRoute{"PUT", "/v1/admin/consents/imports/{name}", EdgeUse::import_consents, {}, true},
};

struct EdgeMatch {
    const EdgeRoute* route = nullptr;  // null: see `allow`
    std::string_view path;             // template; empty: the edge has no such path
    std::string product;               // value of {product} or {name}
    std::string allow;                 // methods of the path when only the method did not match
    bool shared = false, browsers = false;
};
// `segments`: of the target, decoded.
[[nodiscard]] EdgeMatch match_edge(std::string_view method, std::span<const std::string> segments);
// Whether the control plane answers below these segments, but for the routes above.
[[nodiscard]] bool for_control(std::span<const std::string> segments);

}  // namespace licet::stream
