// Named limits of metering and money (prices, quotas, periods, exports), with their units: apart from base/limits.h, which everything includes.
// docs/limits.md explains what happens when each is hit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace licet::limits {

inline constexpr std::size_t price_charges_max = 16;   // of a price
inline constexpr std::size_t price_tiers_max = 64;     // of a charge
inline constexpr std::size_t price_changes_max = 240;  // of a contract

// Quotas and rate limits of a contract.
inline constexpr std::size_t quotas_max = 8;
inline constexpr std::uint64_t quota_limit_max = 999'999'999'999'999;  // events or bytes: what a structured field's integer holds
inline constexpr std::uint64_t rate_events_max_per_s = 1'000'000'000;
inline constexpr std::uint64_t rate_bytes_max_per_s = 10'000'000'000;
inline constexpr int quota_urgent_interval_ms = 5;            // between exchanges of a quota somebody waits for
inline constexpr int quota_exchange_interval_ms = 100;        // with news
inline constexpr int quota_idle_interval_ms = 1'000;          // without
inline constexpr int quota_settle_interval_ms = 250;          // between looks at the ledger, near the limit
inline constexpr int quota_settle_idle_interval_ms = 10'000;  // far from it
inline constexpr int quota_settle_max_ms = 3'000;             // what nodes counted twice is waited for before a quota counts as used up
inline constexpr int quota_store_timeout_ms = 1'000;
inline constexpr int quota_known_wait_ms = 3'000;                 // a request waits for the first word on its contract's quotas
inline constexpr int quota_page_wait_ms = 5'000;                  // a page waits for its quotas or rate to cover one event
inline constexpr int quota_page_gather_ms = 200;                  // and for them to cover all of it
inline constexpr std::size_t quota_draw_max_events = 1024;        // drawn at once before a write
inline constexpr std::uint64_t rate_portions_per_s = 20;          // nodes take a rate in portions of at least a twentieth of a second
inline constexpr int ledger_flush_interval_ms = 250;              // between flushes of the journal, unless there is a whole batch
inline constexpr int acked_record_interval_ms = 1000;             // acks of a meter are journaled as seldom
inline constexpr std::size_t export_page_lines = 5'000;           // read from the accounts at a time
inline constexpr std::size_t export_groups_max = 250'000;         // held at once
inline constexpr std::uint64_t export_direct_lines_max = 20'000;  // of a report that is answered at once
inline constexpr std::size_t exports_max = 64;                    // kept
inline constexpr std::uint64_t export_file_max_bytes = 16ull << 30;
inline constexpr std::uint64_t export_disk_left_bytes = 1ull << 30;  // an export ends before less is free
inline constexpr int export_attempts_max = 120;                      // a second apart, while the ledger cannot be read
inline constexpr std::size_t export_piece_bytes = 256 * 1024;        // sent at a time
inline constexpr std::size_t export_downloads_max_per_shard = 8;
inline constexpr std::size_t finance_text_max_bytes = 512;  // of a key of the configuration
inline constexpr std::size_t finance_address_max_lines = 8;
inline constexpr std::size_t finance_tax_terms_max = 1'024;  // of the configuration
inline constexpr std::size_t account_pages_kept_max = 4;     // accounts whose lines are kept between one page and the next
inline constexpr int account_pages_kept_ms = 60'000;

inline constexpr int usage_watermark_period_ms = 1'000;       // a node says how far its deliveries are in the ledger
inline constexpr int usage_watermark_margin_ms = 5'000;       // and by how much less than it knows: a delivery is stamped before it is journalled
inline constexpr int node_silence_ms = 60'000;                // a node heard of since is not written off
inline constexpr int closing_statement_timeout_ms = 600'000;  // of one statement of SQL while a period is closed
inline constexpr std::size_t statement_page_lines_max = 10'000;
inline constexpr std::size_t statements_page_max = 1'000;
inline constexpr std::size_t correction_lines_max = 1'000;
inline constexpr std::size_t correction_reason_max_bytes = 500;

}  // namespace licet::limits
