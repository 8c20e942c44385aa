// Every named limit of the server with its unit, in one place. Operators may lower most of them in the configuration
// (server/config); nothing may exceed these. docs/limits.md explains what happens when each is hit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace licet::limits {

// Edge
inline constexpr std::size_t request_target_max_bytes = 2048;
inline constexpr std::size_t request_header_max_bytes = 16 * 1024;
inline constexpr std::size_t ingest_body_max_bytes = 16 * 1024 * 1024;
inline constexpr std::size_t control_body_max_bytes = 4 * 1024 * 1024;
inline constexpr std::size_t control_json_depth_max = 64;  // of a body's objects and arrays
inline constexpr std::size_t token_body_max_bytes = 8 * 1024;
inline constexpr std::size_t upstream_response_max_bytes = 64 * 1024 * 1024;
inline constexpr int request_header_timeout_ms = 10'000;
inline constexpr int request_body_timeout_ms = 60'000;
inline constexpr int keep_alive_timeout_ms = 60'000;
inline constexpr int upstream_timeout_ms = 60'000;
inline constexpr std::size_t connections_max_per_shard = 65'536;
inline constexpr std::size_t request_bodies_max_bytes_per_shard = 512 * 1024 * 1024;  // bodies being received at one time
inline constexpr std::size_t upstream_connections_max_per_shard = 64;
inline constexpr int upstream_abandoned_timeout_ms = 600'000;  // an answer nobody waits for any more is still read to its end
inline constexpr std::size_t blocking_calls_max = 64;          // of the edge, on its worker pool
inline constexpr std::size_t ops_connections_max = 64;
inline constexpr std::size_t request_headers_max = 100;  // fields of one head
inline constexpr std::size_t allowed_origins_max = 64;
inline constexpr int preflight_max_age_s = 600;    // a browser asks again after so long whether it may
inline constexpr int ticket_lifetime_ms = 30'000;  // from its issue to its use
inline constexpr std::size_t ticket_body_max_bytes = 1024;
inline constexpr std::size_t tickets_max_per_node = 65'536;    // issued within one lifetime
inline constexpr std::size_t tickets_max_per_client = 16'384;  // the same, of one client
inline constexpr std::size_t ticket_calls_max = 4096;          // of the edge to where tickets are kept, on a pool of their own
inline constexpr int ticket_store_timeout_ms = 1'000;
inline constexpr std::int64_t tls_ticket_key_period_ms = 3'600'000;  // then tickets are sealed with the next key; one key back still opens
inline constexpr int tls_ticket_lifetime_s = 3600;
inline constexpr std::int64_t tls_resumption_max_ms = 86'400'000;  // after a full handshake, however often it was resumed
inline constexpr int accepts_per_turn = 64;                        // then whoever else is ready on the shard
inline constexpr std::size_t tls_handshakes_per_turn = 8;          // then whoever else is ready on the shard
inline constexpr int tls_client_chain_max = 4;                     // certificates between a client's and the CA's

// Events
inline constexpr std::size_t event_max_bytes = 1024 * 1024;
inline constexpr std::size_t ingest_batch_max_events = 10'000;
inline constexpr std::size_t event_attribute_max_bytes = 4096;
inline constexpr std::size_t event_extensions_max = 32;
inline constexpr std::size_t governed_spans_max = 1024;  // governed values within one event
inline constexpr std::size_t mapping_fields_max = 256;
inline constexpr std::size_t mapping_pointer_max_bytes = 512;
inline constexpr std::size_t ingest_rejections_reported_max = 1000;

// Streams
inline constexpr std::size_t tape_max_bytes = 8 * 1024 * 1024;  // per view and wire format
inline constexpr std::size_t tape_chunk_bytes = 1024 * 1024;
inline constexpr std::size_t catch_up_batch_max_bytes = 1024 * 1024;
inline constexpr std::size_t catch_up_batch_max_events = 4096;
inline constexpr std::size_t client_message_max_bytes = 64 * 1024;  // of a WebSocket client, fragments together, decompressed
inline constexpr std::size_t client_ack_max_bytes = 512;
inline constexpr std::size_t pull_page_max_events = 10'000;
inline constexpr std::size_t pull_page_max_bytes = 8 * 1024 * 1024;
inline constexpr int pull_wait_max_ms = 30'000;
inline constexpr int heartbeat_interval_ms = 15'000;
inline constexpr int sse_retry_ms = 1'000;
inline constexpr std::uint64_t conflation_pass_max_events = 262'144;
inline constexpr int pull_page_write_ms = 60'000;
inline constexpr std::size_t pull_page_write_bytes_per_ms = 64;
inline constexpr int draining_retry_spread_s = 8;
inline constexpr int pong_timeout_ms = 30'000;           // a WebSocket peer that gives no sign for so long after a ping is gone
inline constexpr int unacknowledged_max_ms = 75'000;     // bytes the peer's kernel does not take, on any connection (TCP_USER_TIMEOUT)
inline constexpr int drain_max_ms = 600'000;             // over which streams may be ended when the node goes down
inline constexpr int close_linger_ms = 2'000;            // for the peer to close too, once the last frame is written
inline constexpr int stalled_write_timeout_ms = 60'000;  // a subscriber that takes no byte for so long is closed
inline constexpr int subscriber_lag_max_ms = 600'000;    // behind the head for so long, once it had been there
inline constexpr int delivery_pause_max_ms = 30'000;     // streams wait so long for a node that may not deliver
inline constexpr std::size_t views_max_per_shard = 4096;
inline constexpr std::size_t catch_up_in_flight_max_bytes = 128 * 1024 * 1024;  // of the log, read for streams and not yet written; per node
inline constexpr std::size_t pages_in_flight_max_bytes = 128 * 1024 * 1024;     // the same for pull pages
inline constexpr std::size_t catch_up_batch_first_bytes = 64 * 1024;            // grows to catch_up_batch_max_bytes with who keeps up
inline constexpr std::size_t catch_up_slice_max_events = 512;                   // decided before others have their turn
inline constexpr std::size_t catch_up_slice_max_bytes = 256 * 1024;
inline constexpr int catch_up_held_max_ms = 2'000;        // by a subscriber that does not read, while others wait
inline constexpr std::size_t conflation_keys_max = 4096;  // of one pass
inline constexpr std::size_t conflation_pass_max_bytes = 1024 * 1024;
inline constexpr std::int64_t lag_events_max = 1'000'000'000;  // that a contract may allow

// Policy
inline constexpr std::size_t policy_document_max_bytes = 256 * 1024;
inline constexpr std::size_t policy_rules_max = 256;
inline constexpr std::size_t policy_constraint_depth_max = 8;
inline constexpr std::size_t policy_constraint_nodes_max = 1024;  // of one rule, refinements included
inline constexpr std::size_t policy_list_max = 1024;
inline constexpr std::size_t policy_mistakes_max = 100;           // reported of one document
inline constexpr std::size_t policy_findings_steps_max = 50'000;  // of the search for rules that cannot apply
inline constexpr std::size_t policy_findings_max = 100;
inline constexpr std::size_t contract_purposes_max = 16;
inline constexpr std::size_t policy_regex_max_bytes = 512;                 // of a pattern, and of its rewrite text
inline constexpr std::size_t policy_regex_program_max = 2'000;             // RE2 instructions
inline constexpr std::size_t policy_regex_memory_max_bytes = 1024 * 1024;  // of one compiled pattern with its automata
inline constexpr std::size_t licence_expression_licences_max = 32;
inline constexpr std::size_t licence_expression_depth_max = 8;
inline constexpr std::size_t licence_alternatives_max = 64;  // after the alternatives of every OR are multiplied out
inline constexpr std::size_t own_licences_max = 1024;
inline constexpr std::size_t decision_memo_max_entries = 16'384;     // per view; past it, decided without memo
inline constexpr std::size_t decision_memo_max_consent_states = 64;  // per entry: only contracts with several purposes have more than three
inline constexpr std::size_t simulation_contracts_max = 100;
inline constexpr std::size_t simulation_events_default = 10'000;
inline constexpr std::size_t simulation_events_max = 100'000;
inline constexpr std::size_t simulation_decisions_max = 500'000;  // events times contracts
inline constexpr std::size_t shadow_tallies_max = 4096;
inline constexpr std::size_t simulation_samples_max = 20;  // per contract

// Consents
inline constexpr std::size_t subject_id_max_bytes = 1024;
inline constexpr std::size_t consent_recipients_max = 4096;  // parties and categories that consents of a region name
inline constexpr std::size_t consent_record_recipients_max = 16;
inline constexpr std::size_t consent_evidence_max_bytes = 16 * 1024;
inline constexpr std::size_t consent_history_page_max = 1000;
inline constexpr std::size_t consent_import_body_max_bytes = 4ull * 1024 * 1024 * 1024;  // streamed, never held
inline constexpr std::size_t consent_import_part_max_bytes = 2 * 1024 * 1024;
inline constexpr std::size_t consent_import_part_max_records = 10'000;
inline constexpr int subject_token_lifetime_max_s = 3600;
inline constexpr int subject_token_lifetime_default_s = 900;

// Queues
inline constexpr std::size_t log_writer_queue_max_batches = 4096;
inline constexpr std::size_t log_writer_queue_max_bytes = 256ull * 1024 * 1024;
inline constexpr std::size_t log_writer_group_max_events = 16'384;
inline constexpr std::size_t journal_queue_max_records = 262'144;
inline constexpr std::size_t journal_segment_max_bytes = 64 * 1024 * 1024;
inline constexpr std::size_t journal_unflushed_max_bytes = 256ull * 1024 * 1024;
inline constexpr std::size_t ledger_flush_max_records = 4096;
inline constexpr std::size_t intent_lease_offsets = 65'536;
inline constexpr int delivered_record_interval_ms = 20;
inline constexpr std::size_t log_reader_queue_max_requests = 16'384;
inline constexpr std::size_t control_queue_max_requests = 1024;
inline constexpr int barrier_wait_max_ms = 10'000;
inline constexpr std::size_t barrier_audit_queue_max = 16'384;  // barriers that wait to be written into the audit log
inline constexpr std::size_t barriers_followed_max = 1024;      // answered 503 and not complete yet, per node

// Catalog and ledger
inline constexpr std::size_t catalog_connections_max = 8;
inline constexpr int catalog_connection_wait_ms = 5'000;
inline constexpr int catalog_connect_timeout_ms = 5'000;
inline constexpr int catalog_unanswered_timeout_ms = 15'000;  // sent bytes the server's machine does not acknowledge
inline constexpr int catalog_statement_timeout_ms = 60'000;

// Audit
inline constexpr std::size_t checkpoint_max_bytes = 16 * 1024;         // of a signed note
inline constexpr std::size_t audit_page_max_bytes = 1024 * 1024;       // read at one time; a longer line is a page of its own
inline constexpr std::size_t audit_exports_max_per_shard = 8;          // under way at one time, each with a page or two in memory
inline constexpr std::size_t audit_line_max_bytes = 64 * 1024 * 1024;  // that `licet verify` reads

// Keys of data subjects
inline constexpr std::size_t subject_keys_cached_max = 131'072;       // unwrapped, in memory; about 250 bytes each
inline constexpr std::size_t subject_keys_rewrapped_at_once = 1'000;  // in one transaction
inline constexpr std::size_t subject_report_scanned_max = 200'000;    // events read for one page
inline constexpr std::size_t subject_report_events_max = 100;         // told of on one page
inline constexpr int subject_report_page_ms = 5'000;                  // a page ends

}  // namespace licet::limits
