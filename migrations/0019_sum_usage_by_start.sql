-- What each start of a node delivered for a contract on a day, summed as it is booked: quotas ask for it several times a second near a limit, while a
-- month of a contract may have millions of rows. Derived, and for quotas alone: what is billed is what usage_billed says.
LOCK TABLE usage_billed, usage_replayed, usage_unbilled IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE usage_by_start (
    contract integer NOT NULL,
    day date NOT NULL,
    node text NOT NULL,
    boot bigint NOT NULL,
    billed_events bigint NOT NULL DEFAULT 0, -- with paid replays
    billed_bytes bigint NOT NULL DEFAULT 0,
    unbilled_events bigint NOT NULL DEFAULT 0,
    unbilled_bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (contract, day, node, boot)
) WITH (fillfactor = 50); -- rows are changed in their place
INSERT INTO usage_by_start
SELECT contract, day, node, boot, sum(billed_events), sum(billed_bytes), sum(unbilled_events), sum(unbilled_bytes)
FROM (SELECT contract, day, node, boot, events AS billed_events, bytes AS billed_bytes, 0 AS unbilled_events, 0 AS unbilled_bytes FROM usage_billed
      UNION ALL
      SELECT contract, day, node, boot, events, bytes, 0, 0 FROM usage_replayed
      UNION ALL
      SELECT contract, day, node, boot, 0, 0, events, bytes FROM usage_unbilled) entries
GROUP BY contract, day, node, boot;

-- In the transaction that books, whoever it is: a flush that is sent again or torn off counts once or not at all. One upsert for each set of rows, of
-- rows that only this start of this node changes.
CREATE FUNCTION licet_sum_by_start() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_TABLE_NAME = 'usage_unbilled' THEN
        INSERT INTO usage_by_start (contract, day, node, boot, unbilled_events, unbilled_bytes)
        SELECT contract, day, node, boot, sum(events), sum(bytes) FROM added GROUP BY contract, day, node, boot ORDER BY contract, day, node, boot
        ON CONFLICT (contract, day, node, boot) DO UPDATE
        SET unbilled_events = usage_by_start.unbilled_events + excluded.unbilled_events,
            unbilled_bytes = usage_by_start.unbilled_bytes + excluded.unbilled_bytes;
    ELSE
        INSERT INTO usage_by_start (contract, day, node, boot, billed_events, billed_bytes)
        SELECT contract, day, node, boot, sum(events), sum(bytes) FROM added GROUP BY contract, day, node, boot ORDER BY contract, day, node, boot
        ON CONFLICT (contract, day, node, boot) DO UPDATE
        SET billed_events = usage_by_start.billed_events + excluded.billed_events, billed_bytes = usage_by_start.billed_bytes + excluded.billed_bytes;
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE
    name text;
BEGIN
    EXECUTE format('ALTER FUNCTION licet_sum_by_start() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    FOREACH name IN ARRAY ARRAY['usage_billed', 'usage_replayed', 'usage_unbilled'] LOOP
        EXECUTE format('CREATE TRIGGER summed AFTER INSERT ON %I REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION licet_sum_by_start()',
                       name);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION licet_sum_by_start() FROM PUBLIC;
GRANT SELECT ON usage_by_start TO licet_serving;
