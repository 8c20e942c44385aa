// How decision and redaction scale with active policies and entitlements, and what 10,000 policies cost to read and compile.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/policy/scenario.h"

namespace licet::bench {

struct Scale {
    std::size_t policies = 0, entitlements = 0;
    double warm_p50_ns = 0, warm_p99_ns = 0, decisions_per_s = 0;  // decision and redaction, memo warm; percentiles include reading the clock
    double cold_p50_ns = 0, cold_p99_ns = 0;                       // the first of its kind: evaluated from the rules, then redacted
    double policy_bytes = 0, program_bytes = 0;                    // heap: the rules as read; programs, deciders and their memos
};
[[nodiscard]] Scale measure_scale(const Scenario& scenario, std::size_t policies, std::size_t entitlements);
[[nodiscard]] nlohmann::json to_json(const Scale& scale);

// Processor time, the least of three: documents as JSON text to rules, rules to one entitlement's program.
struct CompileTime {
    double read_s = 0, compile_s = 0;
};
[[nodiscard]] CompileTime measure_compile(const Scenario& scenario, std::size_t policies);

// What reading the clock costs: in every percentile above.
[[nodiscard]] double clock_ns();

}  // namespace licet::bench
