#include "tests/unit/delivery/node.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "cloudevents.pb.h"

#include "base/limits.h"
#include "server/openssl/crypto.h"
#include "server/openssl/sealing.h"
#include "server/ports/log.h"
#include "server/stream/delivery/deflate.h"

// Delivery's logs are of no concern here.
void licet::log::write(Level, std::string_view, std::initializer_list<Field>) {}

namespace licet::testing {

Peer::~Peer() { close(); }

void Peer::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void Peer::half_close() { ::shutdown(fd_, SHUT_WR); }

void Peer::send(std::string_view bytes) { REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size())); }

std::uint64_t Peer::written() const {
    int unread = 0;
    if (fd_ >= 0) REQUIRE(::ioctl(fd_, FIONREAD, &unread) == 0);
    return wire_bytes_ + static_cast<std::uint64_t>(unread);
}

std::size_t Peer::read(std::size_t most) {
    std::size_t total = 0;
    std::string buffer(64 * 1024, '\0');
    while (fd_ >= 0 && total < most) {
        const auto n = ::recv(fd_, buffer.data(), std::min(buffer.size(), most - total), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) eof_ = true;
        if (n <= 0) break;
        total += static_cast<std::size_t>(n);
        wire_bytes_ += static_cast<std::uint64_t>(n);
        (records_ ? undecoded_ : plain_).append(buffer, 0, static_cast<std::size_t>(n));
    }
    for (std::uint32_t size; undecoded_.size() >= 4;) {
        std::memcpy(&size, undecoded_.data(), 4);
        if (undecoded_.size() < 4 + size) break;
        plain_.append(undecoded_, 4, size);
        records_end_.emplace_back(plain_.size(), (records_end_.empty() ? 0 : records_end_.back().second) + 4 + size);
        undecoded_.erase(0, 4 + size);
    }
    parse();
    return total;
}

std::uint64_t Peer::wire_of(std::uint64_t at) const {
    if (!records_) return at;
    const auto record = std::lower_bound(records_end_.begin(), records_end_.end(), at, [](const auto& r, std::uint64_t v) { return r.first < v; });
    return record->second;
}

std::string Peer::head() const { return plain_.substr(0, plain_.find("\r\n\r\n")); }

void Peer::add_event(std::string_view text, std::string cursor, std::uint64_t begin, std::uint64_t end) {
    const auto event = json::parse(text);
    Event e;
    e.n = event.at("data").at("n");
    e.who = event.at("data").at("who");
    e.conflated = event.value("conflated", 0u);
    e.cursor = event.at("cursor");
    if (!cursor.empty()) CHECK(cursor == e.cursor);
    const auto data = text.find(",\"data\":");
    e.data_bytes = text.size() - (data + 8) - 1;
    e.begin = wire_of(begin);
    e.end = wire_of(end);
    events_.push_back(std::move(e));
}

void Peer::add_protobuf(std::string_view message, std::uint64_t begin, std::uint64_t end) {
    io::cloudevents::v1::CloudEvent event;
    REQUIRE(event.ParseFromArray(message.data(), static_cast<int>(message.size())));
    const auto text = json{{"cursor", event.attributes().at("cursor").ce_string()}}.dump();
    add_event(text.substr(0, text.size() - 1) + ",\"data\":" + event.text_data() + "}", {}, begin, end);
}

bool Peer::parse_websocket() {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(plain_[parsed_ + i]); };
    const std::size_t have = plain_.size() - parsed_;
    if (have < 2) return false;
    REQUIRE((byte(1) & 0x80) == 0);
    std::size_t size = byte(1), head = 2;
    if (size >= 126) {
        const std::size_t extended = size == 126 ? 2 : 8;
        head += extended;
        if (have < head) return false;
        size = 0;
        for (std::size_t i = 0; i < extended; ++i) size = size << 8 | byte(2 + i);
    }
    if (have < head + size) return false;
    const auto payload = std::string_view(plain_).substr(parsed_ + head, size);
    const int opcode = byte(0);
    if (opcode == 0x81 || opcode == 0xc1) {
        REQUIRE_FALSE(close_code);
        std::string inflated;
        if (opcode == 0xc1) {
            REQUIRE(format_ == WireFormat::websocket_json_deflate);
            ++compressed;
            stream::Inflater one;
            for (const std::string_view part : {payload, std::string_view("\x00\x00\xff\xff", 4)})
                REQUIRE(one.feed(part, inflated, limits::event_max_bytes) == stream::Inflater::Fed::taken);
        }
        const auto text = opcode == 0xc1 ? std::string_view(inflated) : payload;
        if (auto message = json::parse(text); message.value("type", "") == "quota")
            quota_warnings.push_back(std::move(message));
        else
            add_event(text, {}, parsed_, parsed_ + head + size);
    } else if (opcode == 0x82) {
        REQUIRE_FALSE(close_code);
        REQUIRE(format_ == WireFormat::websocket_protobuf);
        add_protobuf(payload, parsed_, parsed_ + head + size);
    } else if (opcode == 0x89) {
        ++pings;
    } else if (opcode == 0x88) {
        if (size >= 2) close_code = static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
        close_reason = size >= 2 ? payload.substr(2) : "";
        if (const auto at = close_reason.find("; cursor="); at != std::string::npos) close_cursor = close_reason.substr(at + 9);
    } else {
        REQUIRE(opcode == 0x8a);
    }
    parsed_ += head + size;
    return true;
}

bool Peer::parse_sse() {
    const auto end = plain_.find("\n\n", parsed_);
    if (end == std::string::npos) return false;
    const auto block = std::string_view(plain_).substr(parsed_, end - parsed_);
    if (block.starts_with(": ") && std::isdigit(static_cast<unsigned char>(block[2]))) {
        close_code = std::stoi(std::string(block.substr(2, 4)));
        if (const auto at = block.find("\nid: "); at != std::string_view::npos) close_cursor = block.substr(at + 5);
    } else if (block.starts_with(":")) {
        ++pings;
    } else if (block.starts_with("event: quota\ndata: ")) {
        quota_warnings.push_back(json::parse(block.substr(19)));
    } else if (block.starts_with("id: ")) {
        REQUIRE_FALSE(close_code);
        const auto data = block.find("\ndata: ");
        REQUIRE(data != std::string_view::npos);
        add_event(block.substr(data + 7), std::string(block.substr(4, data - 4)), parsed_, end + 2);
    } else {
        REQUIRE(block.starts_with("retry: "));
    }
    parsed_ = end + 2;
    return true;
}

bool Peer::parse_page() {
    if (!in_body_) {
        const auto end = plain_.find("\r\n\r\n", parsed_);
        if (end == std::string::npos) return false;
        const auto text = plain_.substr(parsed_, end - parsed_);
        const auto field = [&](const std::string& name) {
            const auto at = text.find("\r\n" + name + ": ");
            REQUIRE(at != std::string::npos);
            const auto begin = at + name.size() + 4;
            return text.substr(begin, text.find("\r\n", begin) - begin);
        };
        page_left_ = text.starts_with("HTTP/1.1 204 ") ? 0 : std::stoul(field("Content-Length"));
        pending_cursor_ = field("Licet-Cursor");
        parsed_ = end + 4;
        in_body_ = true;
    }
    // Lines count as they come: a page that is cut off was delivered so far.
    const auto end = format_ == WireFormat::ndjson ? plain_.find('\n', parsed_) : parsed_ + page_left_ - 1;
    if (page_left_ > 0) {
        if (end >= plain_.size()) return false;
        const auto text = std::string_view(plain_).substr(parsed_, end + 1 - parsed_);
        if (format_ == WireFormat::ndjson) {
            add_event(text.substr(0, text.size() - 1), {}, parsed_, end + 1);
        } else if (format_ == WireFormat::one_protobuf) {
            add_protobuf(text, parsed_, end + 1);
        } else if (format_ == WireFormat::batch_protobuf) {
            io::cloudevents::v1::CloudEventBatch batch;
            REQUIRE(batch.ParseFromArray(text.data(), static_cast<int>(text.size())));
            for (const auto& event : batch.events()) add_protobuf(event.SerializeAsString(), parsed_, end + 1);
        } else {
            for (const auto& event : json::parse(text)) {
                const auto one = event.dump();
                events_.push_back(
                    {event.at("data").at("n"), event.at("data").at("who"), event.at("cursor"), event.at("data").dump().size(), 0, 0, 0});
            }
        }
        page_left_ -= end + 1 - parsed_;
        parsed_ = end + 1;
    }
    if (page_left_ > 0) return true;
    in_body_ = false;
    ++pages;
    page_cursor = pending_cursor_;
    return true;
}

void Peer::parse() {
    if (!stream::is_stream(format_)) {
        while (parsed_ < plain_.size() && parse_page()) {
        }
        return;
    }
    if (!in_body_) {
        const auto end = plain_.find("\r\n\r\n");
        if (end == std::string::npos) return;
        parsed_ = end + 4;
        in_body_ = true;
    }
    while (stream::is_websocket(format_) ? parse_websocket() : parse_sse()) {
    }
}

namespace {

const json kMapping{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                    {"fields", json::array({{{"pointer", "/mail"}, {"category", "pd:EmailAddress"}, {"infoType", "EMAIL_ADDRESS"}}})}};

}  // namespace

Node::Node(std::size_t shards, ports::UsageRanges ranges) : ranges_(std::move(ranges)) {
    journal->earlier = ranges_.suspense;
    lease->until_ns = ports::Lease::kAlways;
    siv = openssl::make_siv(as_bytes(std::string(64, 'c')));
    mapping_ = std::make_shared<event::Mapping>(*event::parse_mapping(kMapping, 1));
    consents->set_ready(true);
    configuration.epochs.global = 1;
    configuration.products.push_back({kProduct, "orders", "Orders", "owner", "owner", "", 1, {kMapping}});
    for (std::uint32_t i = 1; i <= 3; ++i) {
        const auto n = std::to_string(i);
        configuration.parties.push_back({"party" + n, "Party", "DE", {}, {}});
        ports::Contract contract;
        contract.no = {i};
        contract.name = "contract" + n;
        contract.party = "party" + n;
        contract.products = {"orders"};
        contract.purposes = {"dpv:ServiceOptimisation"};
        contract.pseudonym_scope = "contract";
        configuration.contracts.push_back(contract);
        ports::Client client;
        client.id = "client" + n;
        client.party = "party" + n;
        configuration.clients.push_back(client);
    }
    permit(true, 1);
    rebuild();

    std::vector<boost::asio::io_context*> raw;
    for (std::size_t i = 0; i < shards; ++i) raw.push_back(ios.emplace_back(std::make_unique<boost::asio::io_context>(1)).get());
    stream::DeliveryServices services;
    services.log = log;
    services.journal = journal;
    services.clock = clock;
    services.tick_ms = 3'600'000;  // not by themselves
    services.metrics = metrics;
    services.lease = lease;
    services.view_digest = [](std::string_view key) { return metering::ViewDigest{std::hash<std::string_view>{}(key)}; };
    services.make_pseudonymiser = [] { return std::make_unique<PlainPseudonymiser>(); };
    services.make_siv = [] { return openssl::make_siv(as_bytes(std::string(64, 'c'))); };
    subject_keys = std::make_shared<app::SubjectKeys>(
        app::SubjectKeys::Parts{key_store, openssl::make_key_wrapping({std::string(32, 'k')}), openssl::make_crypto(), clock});
    services.subject_keys = subject_keys;
    services.make_cipher = openssl::make_sealing_cipher;
    services.usage_ranges = [this](const ports::UsageOf&) -> Result<ports::UsageRanges> {
        ++ranges_asked;
        while (hold_ranges) std::this_thread::yield();
        return ranges_;
    };
    quotas = std::make_shared<app::Quotas>(
        app::Quotas::Parts{"node", 1, std::make_shared<MemoryLeases>(books, "node/1"), quota_ledger, clock, metrics, {}});
    services.quotas = quotas;
    delivery = stream::Delivery::create(raw, services, snapshot);
    log->on_appended([this](std::shared_ptr<const ports::LogBatch> batch) { delivery->on_appended(std::move(batch)); });
}

Node::~Node() {
    log->hold_reads(false);
    hold_ranges = false;
    // Handlers that still hold sessions go first; readers are joined with delivery.
    handed.clear();
    turn();
    delivery.reset();
    ios.clear();
}

void Node::permit(bool by_consent, std::uint32_t version) {
    json rule{{"uid", "r"}, {"target", "urn:licet:product:orders"}, {"action", "use"}};
    if (by_consent) rule["constraint"] = json::array({{{"leftOperand", "licet:consent"}, {"operator", "eq"}, {"rightOperand", "valid"}}});
    rule["duty"] = json::array({{{"action", "licet:transform"}, {"licet:transform", duty}, {"licet:pointer", "/mail"}}});
    configuration.active_policies = {{"p",
                                      version,
                                      "active",
                                      {{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
                                       {"@type", "Set"},
                                       {"uid", "urn:licet:policy:p"},
                                       {"profile", "https://licet.dev/ns/odrl-profile/1"},
                                       {"conflict", "prohibit"},
                                       {"permission", json::array({rule})}}}};
}

void Node::rebuild() { snapshot = app::build_snapshot(configuration, "eu", consents, policy::builtin_vocabulary()); }

stream::ReadRequest Node::request(const Wanted& w) const {
    stream::ReadRequest r;
    r.snapshot = snapshot;
    r.product = kProduct;
    r.contract = {w.contract};
    r.client = "client" + std::to_string(w.contract);
    r.authorised_until = w.authorised_until;
    r.token_issued_at = clock->utc_now();
    r.format = w.format;
    r.start = w.start;
    r.cursor = w.cursor;
    r.since = w.since;
    r.until = w.until;
    r.limit = w.limit;
    r.wait_ms = w.wait_ms;
    r.head_only = w.head_only;
    r.websocket_accept = "accept";
    if (w.format == WireFormat::websocket_json_deflate) r.websocket_extensions = "agreed";
    return r;
}

std::unique_ptr<Peer> Node::connect(const Wanted& w) {
    const std::size_t before = handed.size();
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    if (w.send_buffer > 0) REQUIRE(::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &w.send_buffer, sizeof w.send_buffer) == 0);
    boost::asio::ip::tcp::socket socket(*ios[w.shard]);
    socket.assign(boost::asio::ip::tcp::v4(), fds[0]);
    auto transport = std::make_unique<stream::Transport>(std::move(socket), w.records ? std::make_unique<RecordSession>(fds[0]) : nullptr);
    delivery->serve(w.shard, request(w), std::move(transport), [this](std::unique_ptr<stream::Transport> connection, std::optional<Error> error) {
        handed.push_back({std::move(connection), std::move(error)});
    });
    auto peer = std::make_unique<Peer>(fds[1], w.records, w.format);
    if (w.open && stream::is_stream(w.format)) await("a stream to open", [&] { return peer->written() > 0 || handed.size() > before; });
    return peer;
}

void Node::pull_again(const Wanted& w) {
    auto connection = std::move(handed.back().connection);
    handed.pop_back();
    delivery->serve(w.shard, request(w), std::move(connection), [this](std::unique_ptr<stream::Transport> back, std::optional<Error> error) {
        handed.push_back({std::move(back), std::move(error)});
    });
}

Offset Node::append(std::size_t count, const std::string& who, std::size_t padding) {
    const Offset first = next_;
    std::vector<ports::AppendItem> items;
    for (std::size_t i = 0; i < count; ++i) {
        EventText text;
        text.license = "CC0-1.0";
        text.jurisdiction = "DE";
        text.subject = who;
        text.partition_key = partition_key;
        text.expiry = {expiry};
        text.data = R"({"n":)" + std::to_string(next_++) + R"(,"who":")" + who + R"(","mail":"someone@example.org","pad":")" +
                    std::string(padding, 'x') + "\"}";
        items.push_back({{}, make_record(*mapping_, text)});
    }
    if (sealing) {
        REQUIRE(subject_keys->provide({subject_key(who)}).ok());
        REQUIRE(subject_keys->seal(kProduct, items, *openssl::make_sealing_cipher()).ok());
    }
    if (before_append) before_append();
    REQUIRE(log->append({kProduct, {0}}, std::move(items), {}).ok());
    return first;
}

void Node::limit(ports::QuotaTerms terms) {
    for (auto& contract : configuration.contracts) contract.quota = terms;
    rebuild();
    apply_all(false);
    if (!std::exchange(quotas_started_, true)) quotas->start();
}

void Node::limit_lag(ports::LagLimits lag) {
    for (auto& contract : configuration.contracts) contract.lag = lag;
    rebuild();
    apply_all(false);
}

void Node::bill_replays() {
    for (auto& contract : configuration.contracts) contract.replays_billed = true;
    rebuild();
    apply_all(false);
}

void Node::consent(const std::string& who, bool given) {
    const auto vocabulary = policy::builtin_vocabulary();
    consents->set(subject_key(who), given ? vocabulary->at_or_below(vocabulary->purpose("dpv:ServiceOptimisation").value()) : policy::PurposeSet{});
}

namespace {

app::EpochChange change_of(std::uint64_t epoch, std::shared_ptr<const app::Snapshot> snapshot, bool consents) {
    app::EpochChange change;
    change.epoch = {epoch};
    change.snapshot = std::move(snapshot);
    change.consents = consents;
    return change;
}

}  // namespace

void Node::apply_subject(const std::string& who, const std::function<void()>& on_ack) {
    auto change = change_of(++epoch_, snapshot, true);
    change.subject = subject_key(who);
    change.consents_until = consents_until;
    bool acknowledged = false;
    delivery->apply(std::move(change), [&] {
        if (on_ack) on_ack();
        acknowledged = true;
    });
    await("the acknowledgement of a subject", [&] { return acknowledged; });
}

void Node::apply_all(bool all_consents, const std::function<void()>& on_ack) {
    bool acknowledged = false;
    delivery->apply(change_of(++epoch_, snapshot, all_consents), [&] {
        if (on_ack) on_ack();
        acknowledged = true;
    });
    await("the acknowledgement of an epoch", [&] { return acknowledged; });
}

void Node::withdraw(const std::string& who, const std::function<void()>& on_ack) {
    consent(who, false);
    apply_subject(who, on_ack);
}

void Node::drain() {
    bool done = false;
    delivery->drain([&] { done = true; });
    await("the drain", [&] { return done; });
}

bool Node::turn() {
    std::size_t ran = 0;
    for (auto& io : ios) {
        io->restart();
        ran += io->poll();
    }
    return ran > 0;
}

void Node::quiet() {
    for (int still = 0; still < 3;) {
        still = turn() || log->reads_started != log->reads_done ? 0 : still + 1;
        if (still > 0) ios.front()->run_one_for(std::chrono::microseconds(200));
    }
}

void Node::await_tick() {
    bool ticked = false;
    delivery->tick([&] { ticked = true; });
    await("a tick", [&] { return ticked; });
    quiet();
}

void Node::await_look() {
    clock->advance_ms(1000);
    await_tick();
}

}  // namespace licet::testing
