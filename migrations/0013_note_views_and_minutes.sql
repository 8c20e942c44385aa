-- The view a delivery was made under: the first 8 bytes of the SHA-256 of its key. 0: not noted.
ALTER TABLE usage_billed ADD COLUMN view bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_unbilled ADD COLUMN view bigint NOT NULL DEFAULT 0, ADD COLUMN region text NOT NULL DEFAULT '';
ALTER TABLE usage_delivered ADD COLUMN view bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_delivered DROP CONSTRAINT usage_delivered_pkey;
ALTER TABLE usage_delivered ADD PRIMARY KEY (contract, product, partition, stream_epoch, day, view);

-- The active minutes (UTC): those in which something was billed. Each counts once, in the line of the view that came first.
CREATE TABLE usage_minutes (
    contract integer NOT NULL,
    product integer NOT NULL,
    minute timestamptz NOT NULL,
    day date NOT NULL,
    region text NOT NULL,
    view bigint NOT NULL,
    PRIMARY KEY (contract, product, minute)
);
CREATE INDEX usage_minutes_by_day ON usage_minutes (day, contract, product);

-- Delivered again after it was billed, of contracts that pay for that. Ranges overlap: every time counts.
CREATE TABLE usage_replayed (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    range int8range NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    day date NOT NULL,
    region text NOT NULL,
    view bigint NOT NULL,
    node text NOT NULL,
    boot bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (node, boot, sequence)
);
CREATE INDEX usage_replayed_by_day ON usage_replayed (day, contract, product);

-- What partners said they received: by acks, and by the cursors they came back with.
CREATE TABLE usage_acked (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    ranges int8multirange NOT NULL,
    at timestamptz NOT NULL,  -- of the last one
    PRIMARY KEY (contract, product, partition, stream_epoch)
);

DROP VIEW usage_balance;
-- delivered = billed + unbilled on every line. Suspense is offsets without a day: usage_suspense_offsets.
CREATE VIEW usage_balance AS
SELECT contract, product, partition, stream_epoch, day, view,
       coalesce(sum(events) FILTER (WHERE side = 'delivered'), 0) AS delivered_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'delivered'), 0) AS delivered_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'billed'), 0) AS billed_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'billed'), 0) AS billed_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_bytes
FROM (SELECT contract, product, partition, stream_epoch, day, view, events, bytes, 'delivered' AS side FROM usage_delivered
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, view, events, bytes, 'billed' FROM usage_billed
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, view, events, bytes, 'unbilled' FROM usage_unbilled) entries
GROUP BY contract, product, partition, stream_epoch, day, view;

-- What lines of reports are made of.
CREATE VIEW usage_lines AS
SELECT contract, product, day, region, view, sum(events) AS events, sum(bytes) AS bytes, sum(minutes) AS minutes,
       sum(replayed_events) AS replayed_events, sum(replayed_bytes) AS replayed_bytes
FROM (SELECT contract, product, day, region, view, events, bytes, 0 AS minutes, 0 AS replayed_events, 0 AS replayed_bytes FROM usage_billed
      UNION ALL
      SELECT contract, product, day, region, view, 0, 0, 1, 0, 0 FROM usage_minutes
      UNION ALL
      SELECT contract, product, day, region, view, 0, 0, 0, events, bytes FROM usage_replayed) entries
GROUP BY contract, product, day, region, view;

GRANT SELECT, INSERT ON usage_minutes, usage_replayed TO licet_serving;
GRANT SELECT, INSERT, UPDATE ON usage_acked TO licet_serving;
GRANT SELECT ON usage_balance, usage_lines TO licet_serving;
