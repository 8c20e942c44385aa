// Open Policy Agent on the same rules, data and event, where there is one: the file LICET_OPA names, or `opa` in PATH.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace licet::bench {

struct OpaFigures {
    std::string version;
    double p50_ns = 0, p99_ns = 0;  // of its evaluation alone: `opa bench`, query prepared, input and data already parsed, no HTTP
    double server_ns = 0;           // median of a request within its server on loopback (`opa bench --e2e`); 0: not measured
};
// None where there is no OPA. Dies when its answer is not {"deliver":true,"data":expected}: a comparison of different work is none.
[[nodiscard]] std::optional<OpaFigures> measure_opa(const nlohmann::json& data, const nlohmann::json& input, const nlohmann::json& expected);

}  // namespace licet::bench
