// The peers of others, each at what its own documentation calls fast for this: no persistence, no access log, no limit that a burst would meet.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/peers/peer.h"
#include "bench/support/client.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

std::uint64_t server_frame_bytes(std::size_t payload) { return payload + (payload < 126 ? 2u : payload < 65536 ? 4u : 10u); }

// nats-server, its own protocol over WebSocket. It puts what waits for a subscriber into one frame.
class Nats final : public Peer {
  public:
    const char* name() const override { return "nats"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        if (!in_path("nats-server")) return nullptr;
        write_file(directory + "/nats.conf", "listen: \"127.0.0.1:" + std::to_string(free_port()) +
                                                 "\"\nwebsocket { listen: \"127.0.0.1:" + std::to_string(port) +
                                                 "\", no_tls: true }\nmax_pending: 512MB\nwrite_deadline: \"60s\"\nping_interval: \"3600s\"\n");
        return std::make_unique<Program>(std::vector<std::string>{"nats-server", "-c", directory + "/nats.conf"}, core, directory + "/nats.log");
    }
    std::vector<Step> subscribing() const override {
        auto out = publishing();
        out.push_back({client_frame("SUB e 1\r\nPING\r\n", 2), "PONG\r\n"});
        return out;
    }
    std::vector<Step> publishing() const override {
        return {upgrade("/"),
                {"", "\r\n"},  // INFO
                {client_frame("CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\nPING\r\n", 2), "PONG\r\n"}};
    }
    std::string publication(std::string_view message) const override {
        return "PUB e " + std::to_string(message.size()) + "\r\n" + std::string(message) + "\r\n";
    }
    std::string request(std::string_view publications) const override { return client_frame(publications, 2); }
    Framing framing() const override { return Framing::websocket; }
    std::uint64_t delivered_bytes(std::size_t message) const override {
        return std::string("MSG e 1 ").size() + std::to_string(message).size() + 2 + message + 2;
    }
};

// nginx with nchan, WebSocket subscribers and publisher.
class Nchan final : public Peer {
  public:
    const char* name() const override { return "nchan"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        const std::string module = "/usr/lib/nginx/modules/ngx_nchan_module.so";
        if (!in_path("nginx") || !std::filesystem::exists(module)) return nullptr;
        write_file(directory + "/nginx.conf", "load_module " + module + ";\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid " +
                                                  directory + "/nginx.pid;\nerror_log " + directory +
                                                  "/nginx.log error;\nevents { worker_connections 16384; }\nhttp {\n  access_log off;\n" +
                                                  "  client_body_temp_path " + directory + "/body;\n  proxy_temp_path " + directory +
                                                  "/proxy;\n  fastcgi_temp_path " + directory + "/fastcgi;\n  uwsgi_temp_path " + directory +
                                                  "/uwsgi;\n  scgi_temp_path " + directory +
                                                  "/scgi;\n  keepalive_requests 100000000;\n  nchan_shared_memory_size 256m;\n" +
                                                  "  server {\n    listen 127.0.0.1:" + std::to_string(port) +
                                                  " backlog=4096;\n    location /sub { nchan_subscriber websocket; nchan_channel_id e; "
                                                  "nchan_subscriber_first_message newest; nchan_websocket_ping_interval 0; }\n    location /pub { "
                                                  "nchan_publisher websocket; nchan_channel_id e; nchan_message_buffer_length 4096; }\n  }\n}\n");
        return std::make_unique<Program>(std::vector<std::string>{"nginx", "-p", directory, "-c", directory + "/nginx.conf"}, core,
                                         directory + "/nginx.log");
    }
    std::vector<Step> subscribing() const override { return {upgrade("/sub")}; }
    std::vector<Step> publishing() const override { return {upgrade("/pub")}; }
    std::string publication(std::string_view message) const override { return client_frame(message, 1); }
    Framing framing() const override { return Framing::bytes; }
    std::uint64_t delivered_bytes(std::size_t message) const override { return server_frame_bytes(message); }
};

// Redis pub/sub over plain TCP: no WebSocket, so less than the others do.
class Redis final : public Peer {
  public:
    const char* name() const override { return "redis"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        if (!in_path("redis-server")) return nullptr;
        return std::make_unique<Program>(
            std::vector<std::string>{"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                                     "--dir", directory, "--client-output-buffer-limit", "pubsub 0 0 0", "--tcp-backlog", "4096"},
            core, directory + "/redis.log");
    }
    std::vector<Step> subscribing() const override { return {{"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\ne\r\n", ":1\r\n"}}; }
    std::string publication(std::string_view message) const override {
        return "*3\r\n$7\r\nPUBLISH\r\n$1\r\ne\r\n$" + std::to_string(message.size()) + "\r\n" + std::string(message) + "\r\n";
    }
    Framing framing() const override { return Framing::bytes; }
    std::uint64_t delivered_bytes(std::size_t message) const override {
        return std::string("*3\r\n$7\r\nmessage\r\n$1\r\ne\r\n$\r\n\r\n").size() + std::to_string(message).size() + message;
    }
};

// The npm package ws, below LICET_BENCH_NODE_MODULES or build/bench/node_modules; see README.md.
class Ws final : public Peer {
  public:
    const char* name() const override { return "ws"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        const char* given = std::getenv("LICET_BENCH_NODE_MODULES");
        const std::string modules = given != nullptr ? given : "build/bench/node_modules";
        if (!in_path("node") || !std::filesystem::exists(modules + "/ws")) return nullptr;
        write_file(directory + "/ws.js", "const { WebSocketServer } = require('" + std::filesystem::absolute(modules + "/ws").string() + R"(');
const server = new WebSocketServer({ host: '127.0.0.1', port: )" +
                                             std::to_string(port) +
                                             R"(, backlog: 4096, perMessageDeflate: false, clientTracking: false });
const subscribers = new Set();
server.on('connection', (socket, request) => {
  if (request.url === '/pub') {
    socket.on('message', (message) => { for (const s of subscribers) s.send(message, { binary: false }); });
  } else {
    subscribers.add(socket);
    socket.on('close', () => subscribers.delete(socket));
  }
});
)");
        return std::make_unique<Program>(std::vector<std::string>{"node", directory + "/ws.js"}, core, directory + "/ws.log");
    }
    std::vector<Step> subscribing() const override { return {upgrade("/sub")}; }
    std::vector<Step> publishing() const override { return {upgrade("/pub")}; }
    std::string publication(std::string_view message) const override { return client_frame(message, 1); }
    Framing framing() const override { return Framing::bytes; }
    std::uint64_t delivered_bytes(std::size_t message) const override { return server_frame_bytes(message); }
};

}  // namespace

std::string client_frame(std::string_view payload, unsigned char opcode) {
    std::string out(1, static_cast<char>(0x80 | opcode));
    const auto put = [&](std::uint64_t value, int bytes) {
        while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes));
    };
    if (payload.size() < 126) {
        put(0x80 | payload.size(), 1);
    } else if (payload.size() < 65536) {
        put(0x80 | 126, 1);
        put(payload.size(), 2);
    } else {
        put(0x80 | 127, 1);
        put(payload.size(), 8);
    }
    out.append(4, '\0');  // a mask that changes nothing
    return out.append(payload);
}

Step upgrade(const std::string& path) {
    return {"GET " + path +
                " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n",
            kHeadEnd};
}

void write_file(const std::string& path, std::string_view text) {
    std::ofstream out(path);
    out << text;
    if (!out.flush()) die("cannot write " + path);
}

std::unique_ptr<Peer> make_peer(Service service) {
    switch (service) {
        case Service::relay:
            return make_relay();
        case Service::nats:
            return std::make_unique<Nats>();
        case Service::nchan:
            return std::make_unique<Nchan>();
        case Service::redis:
            return std::make_unique<Redis>();
        case Service::ws:
            return std::make_unique<Ws>();
        case Service::centrifugo:
            return make_centrifugo();
        case Service::mercure:
            return make_mercure();
        default:
            return nullptr;
    }
}

std::vector<RunningPeer> start_peers(const std::vector<Service>& services, const std::string& directory, int core) {
    std::vector<RunningPeer> out;
    for (const Service service : services) {
        const auto peer = make_peer(service);
        const std::string own = directory + "/" + peer->name();
        std::filesystem::create_directories(own);
        const std::uint16_t port = free_port();
        auto program = peer->start(own, core, port);
        if (!program) {
            std::printf("%s is not installed, and left out\n", peer->name());
            continue;
        }
        program->await_port(port);
        out.push_back({service, port, std::move(program)});
    }
    return out;
}

}  // namespace licet::bench
