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
inline constexpr int quota_urgent_interval_ms = 5;              // between exchanges of a quota somebody waits for
inline constexpr int quota_exchange_interval_ms = 100;          // with news
inline constexpr int quota_idle_interval_ms = 1'000;            // without
inline constexpr int quota_settle_interval_ms = 250;            // between looks at the ledger, near the limit
inline constexpr int quota_settle_idle_interval_ms = 10'000;    // far from it
inline constexpr int quota_ledger_pause_ms = 1'000;             // the ledger is not asked about quotas after it could not be
inline constexpr int quota_ledger_word_ms = 2'000;              // what it said is used within
inline constexpr std::size_t quota_pipeline_max = 64;           // exchanges of quotas in one round trip
inline constexpr std::int64_t quota_purse_idle_ms = 60'000;     // what is known of quotas is kept without anyone who reads
inline constexpr std::int64_t quota_past_kept_ms = 600'000;     // a passed span's balance, for a clock that is set back
inline constexpr std::int64_t quota_past_said_ms = 86'400'000;  // and at most, while its last word cannot be said
inline constexpr int usage_quotas_wait_ms = 1'000;              // a usage report waits for the state of all its quotas together
inline constexpr int quota_settle_max_ms = 3'000;               // what nodes counted twice is waited for before a quota counts as used up
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
inline constexpr std::size_t finance_tax_terms_max = 1'024;   // of the configuration
inline constexpr std::size_t usage_parts_page_rows = 10'000;  // parts of a contract's usage that are held; more stay with the database

inline constexpr int usage_watermark_period_ms = 1'000;       // a node says how far its deliveries are in the ledger
inline constexpr int usage_watermark_margin_ms = 5'000;       // and by how much less than it knows: a delivery is stamped before it is journalled
inline constexpr int node_silence_ms = 60'000;                // a node heard of since is not written off
inline constexpr int closing_statement_timeout_ms = 600'000;  // of one statement of SQL while a period is closed
inline constexpr int closing_silence_ms = 60'000;             // who makes statements and says nothing for so long is gone
inline constexpr int closing_wait_ms = 5'000;                 // for what is being booked when a period is cut, and for who closes it already
inline constexpr std::size_t statement_page_lines_max = 10'000;
inline constexpr std::size_t statements_page_max = 1'000;
inline constexpr std::size_t correction_lines_max = 1'000;
inline constexpr std::size_t correction_reason_max_bytes = 500;

// Webhooks that tell of quotas.
inline constexpr std::size_t webhooks_max = 4;  // of a contract
inline constexpr std::size_t webhook_url_max_bytes = 2'048;
inline constexpr int webhook_timeout_ms = 15'000;  // of one attempt, from the resolved name to the head of the answer
inline constexpr std::size_t webhook_answer_head_max_bytes = 16 * 1024;
inline constexpr int webhook_lease_ms = 120'000;              // a node that claimed a delivery posts it within this, or another may
inline constexpr int webhook_poll_interval_ms = 1'000;        // between looks for what is due
inline constexpr unsigned webhook_senders = 4;                // threads of a node that post
inline constexpr int webhook_retry_max_ms = 21'600'000;       // between two attempts
inline constexpr int webhook_secret_overlap_ms = 86'400'000;  // a secret that was rotated signs so long beside the new one
inline constexpr int webhook_kept_days = 90;                  // deliveries that are done with
inline constexpr std::size_t webhook_page_max_deliveries = 1'000;
inline constexpr std::size_t quota_warnings_waiting_max = 10'000;  // on a node, to be stored; beyond, they are counted again from the ledger
inline constexpr int quota_warnings_retry_ms = 1'000;              // while they cannot be stored

}  // namespace licet::limits
