-- Thresholds of quotas, each told once over all nodes and starts of the region: who inserts one tells it. Regional, as quotas are.
CREATE TABLE quota_warnings (
    contract integer NOT NULL,
    metric text NOT NULL CHECK (metric IN ('events', 'bytes')),
    kind text NOT NULL CHECK (kind IN ('hard', 'soft')),
    span text NOT NULL CHECK (length(span) IN (7, 10)), -- YYYY-MM, YYYY-MM-DD
    quota_limit bigint NOT NULL CHECK (quota_limit > 0), -- a limit that was changed is another to be told of
    percent smallint NOT NULL CHECK (percent BETWEEN 1 AND 100),
    message text NOT NULL UNIQUE CHECK (length(message) BETWEEN 16 AND 64), -- the webhook-id of all its deliveries
    body text NOT NULL, -- as it is sent, byte for byte
    told_at bigint NOT NULL DEFAULT licet_utc_ms(),
    PRIMARY KEY (contract, metric, kind, span, quota_limit, percent)
);

-- Where a contract's warnings are posted. Secrets are wrapped under the region's key-encryption key, bound to the endpoint's id.
CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY CHECK (length(id) = 32),
    contract integer NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    disabled text, -- why nothing is sent there; null: it is
    secret bytea NOT NULL,
    secret_under text NOT NULL,
    former bytea, -- the secret before, which signs too until then
    former_under text,
    former_until bigint NOT NULL DEFAULT 0,
    created bigint NOT NULL DEFAULT licet_utc_ms(),
    UNIQUE (contract, name),
    CHECK ((former IS NULL) = (former_under IS NULL))
);

CREATE TABLE webhook_deliveries (
    no bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    message text NOT NULL REFERENCES quota_warnings (message),
    endpoint text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0, -- begun
    next_at bigint NOT NULL DEFAULT licet_utc_ms(),
    lease_until bigint NOT NULL DEFAULT 0, -- whoever has claimed it may post it so long; 0: nobody has
    last_at bigint NOT NULL DEFAULT 0,
    last_status integer NOT NULL DEFAULT 0, -- of HTTP; 0: no answer
    last_error text NOT NULL DEFAULT '',
    UNIQUE (message, endpoint)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, no);

GRANT SELECT, INSERT, DELETE ON quota_warnings, webhook_endpoints, webhook_deliveries TO licet_serving;
GRANT UPDATE (url, disabled, secret, secret_under, former, former_under, former_until) ON webhook_endpoints TO licet_serving;
GRANT UPDATE (state, attempts, next_at, lease_until, last_at, last_status, last_error) ON webhook_deliveries TO licet_serving;
