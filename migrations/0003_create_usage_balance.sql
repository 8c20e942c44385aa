-- What the journals said was delivered, counted before anything is billed: the other side of the books.
CREATE TABLE usage_delivered (
    contract integer NOT NULL,
    product integer NOT NULL,
    partition integer NOT NULL,
    stream_epoch bigint NOT NULL,
    day date NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (contract, product, partition, stream_epoch, day)
);
INSERT INTO usage_delivered
SELECT contract, product, partition, stream_epoch, day, sum(events), sum(bytes)
FROM (SELECT contract, product, partition, stream_epoch, day, events, bytes FROM usage_billed
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, events, bytes FROM usage_unbilled) taken
GROUP BY 1, 2, 3, 4, 5;

-- delivered = billed + unbilled on every line. Suspense is offsets without a day: usage_suspense_offsets.
CREATE VIEW usage_balance AS
SELECT contract, product, partition, stream_epoch, day,
       coalesce(sum(events) FILTER (WHERE side = 'delivered'), 0) AS delivered_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'delivered'), 0) AS delivered_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'billed'), 0) AS billed_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'billed'), 0) AS billed_bytes,
       coalesce(sum(events) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_events,
       coalesce(sum(bytes) FILTER (WHERE side = 'unbilled'), 0) AS unbilled_bytes
FROM (SELECT contract, product, partition, stream_epoch, day, events, bytes, 'delivered' AS side FROM usage_delivered
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, events, bytes, 'billed' FROM usage_billed
      UNION ALL
      SELECT contract, product, partition, stream_epoch, day, events, bytes, 'unbilled' FROM usage_unbilled) entries
GROUP BY contract, product, partition, stream_epoch, day;

CREATE VIEW usage_suspense_offsets AS
SELECT contract, product, partition, stream_epoch, sum(upper(range) - lower(range)) AS offsets
FROM (SELECT contract, product, partition, stream_epoch, unnest(ranges) AS range FROM usage_suspense) open
GROUP BY contract, product, partition, stream_epoch;

GRANT SELECT, INSERT, UPDATE ON usage_delivered TO licet_serving;
GRANT SELECT ON usage_balance, usage_suspense_offsets TO licet_serving;
