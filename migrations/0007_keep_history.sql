-- What the catalog held at any moment from here on. Triggers write it, in a follower region too; a serving node may only read it.
-- Times are UTC milliseconds by the clock of this database when the change was committed, and never run back.
CREATE TABLE configuration_history (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    epoch bigint NOT NULL, -- the global one
    kind text NOT NULL,    -- table
    key text NOT NULL,     -- primary key within it
    body jsonb             -- the row; null: it was removed
);
CREATE INDEX configuration_history_by_key ON configuration_history (kind, key, id DESC);
CREATE INDEX configuration_history_by_time ON configuration_history (at);
CREATE TABLE consent_history (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    epoch bigint NOT NULL, -- the regional one
    subject bytea NOT NULL,
    purpose text NOT NULL,
    status text, -- null: the record was removed
    valid_until bigint NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    withdrawn_revision bigint NOT NULL,
    withdrawn_position bigint NOT NULL
);
CREATE INDEX consent_history_by_subject ON consent_history (subject, purpose, id DESC);
CREATE INDEX consent_history_by_time ON consent_history (at, revision);

CREATE FUNCTION licet_utc_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

-- One row changed. Arguments: the columns of the primary key. Deferred, so that the epoch is the one the change was committed with.
CREATE FUNCTION licet_record_configuration() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    old_key text := (SELECT string_agg(was ->> k, '/' ORDER BY n) FROM unnest(TG_ARGV) WITH ORDINALITY AS a (k, n));
    new_key text := (SELECT string_agg(is_now ->> k, '/' ORDER BY n) FROM unnest(TG_ARGV) WITH ORDINALITY AS a (k, n));
    record text := format('INSERT INTO %1$I.configuration_history (at, epoch, kind, key, body) SELECT greatest(%1$I.licet_utc_ms(), '
                          '(SELECT max(at) FROM %1$I.configuration_history)), coalesce((SELECT value FROM %1$I.global_epoch), 0), $1, $2, $3',
                          TG_TABLE_SCHEMA);
BEGIN
    IF was IS NOT DISTINCT FROM is_now THEN
        RETURN NULL;
    END IF;
    IF old_key IS NOT NULL AND old_key IS DISTINCT FROM new_key THEN
        EXECUTE record USING TG_TABLE_NAME::text, old_key, NULL::jsonb;
    END IF;
    IF new_key IS NOT NULL THEN
        EXECUTE record USING TG_TABLE_NAME::text, new_key, is_now;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION licet_record_configuration_emptied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$I.configuration_history (at, epoch, kind, key, body) SELECT greatest(%1$I.licet_utc_ms(), '
                   '(SELECT max(at) FROM %1$I.configuration_history)), coalesce((SELECT value FROM %1$I.global_epoch), 0), $1, key, NULL '
                   'FROM (SELECT DISTINCT ON (key) key, body FROM %1$I.configuration_history WHERE kind = $1 ORDER BY key, id DESC) held '
                   'WHERE body IS NOT NULL', TG_TABLE_SCHEMA) USING TG_TABLE_NAME::text;
    RETURN NULL;
END $$;

-- Keeps the history of a table of global configuration, from what it holds now; for a later migration that adds such a table, too.
CREATE FUNCTION licet_keep_history_of(name text, VARIADIC key text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE CONSTRAINT TRIGGER history_kept AFTER INSERT OR UPDATE OR DELETE ON %I DEFERRABLE INITIALLY DEFERRED '
                   'FOR EACH ROW EXECUTE FUNCTION licet_record_configuration(%s)',
                   name, (SELECT string_agg(quote_literal(k), ', ' ORDER BY n) FROM unnest(key) WITH ORDINALITY AS a (k, n)));
    EXECUTE format('CREATE TRIGGER history_kept_when_emptied AFTER TRUNCATE ON %I FOR EACH STATEMENT '
                   'EXECUTE FUNCTION licet_record_configuration_emptied()', name);
    -- Replicated changes are recorded too.
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER history_kept', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER history_kept_when_emptied', name);
    -- Last: no change can come between any more.
    EXECUTE format('WITH moment AS MATERIALIZED (SELECT greatest(licet_utc_ms(), (SELECT max(at) FROM configuration_history)) AS at) '
                   'INSERT INTO configuration_history (at, epoch, kind, key, body) SELECT moment.at, coalesce((SELECT value FROM global_epoch), 0), '
                   '%L, concat_ws(''/'', %s), to_jsonb(t) FROM %I t CROSS JOIN moment',
                   name, (SELECT string_agg(format('t.%I', k), ', ' ORDER BY n) FROM unnest(key) WITH ORDINALITY AS a (k, n)), name);
END $$;

-- All that one statement changed. A request may record a hundred thousand.
CREATE FUNCTION licet_record_consents() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('WITH moment AS MATERIALIZED (SELECT greatest(%1$I.licet_utc_ms(), (SELECT max(at) FROM %1$I.consent_history)) AS at) '
                   'INSERT INTO %1$I.consent_history (at, epoch, subject, purpose, status, valid_until, revision, position, withdrawn_revision, '
                   'withdrawn_position) SELECT moment.at, e.value, c.subject, c.purpose, CASE WHEN $1 THEN NULL ELSE c.status END, c.valid_until, '
                   'CASE WHEN $1 THEN e.consent_revision ELSE c.revision END, c.position, c.withdrawn_revision, c.withdrawn_position '
                   'FROM changed c CROSS JOIN %1$I.regional_epoch e CROSS JOIN moment',
                   TG_TABLE_SCHEMA) USING TG_OP = 'DELETE';
    RETURN NULL;
END $$;
CREATE FUNCTION licet_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history would not show this: % of %', TG_OP, TG_TABLE_NAME;
END $$;
REVOKE EXECUTE ON FUNCTION licet_record_configuration(), licet_record_configuration_emptied(), licet_record_consents(),
    licet_keep_history_of(text, text[]) FROM PUBLIC;

-- All of them before any is copied, in the order changes take them.
LOCK TABLE products, mappings, parties, contracts, policies, global_epoch IN SHARE ROW EXCLUSIVE MODE;
SELECT licet_keep_history_of('products', 'no');
SELECT licet_keep_history_of('mappings', 'product_no', 'version');
SELECT licet_keep_history_of('parties', 'name');
SELECT licet_keep_history_of('contracts', 'no');
SELECT licet_keep_history_of('policies', 'name', 'version');
SELECT licet_keep_history_of('global_epoch', 'id');

CREATE TRIGGER history_kept_given AFTER INSERT ON consents REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION licet_record_consents();
CREATE TRIGGER history_kept_changed AFTER UPDATE ON consents REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION licet_record_consents();
CREATE TRIGGER history_kept_removed AFTER DELETE ON consents REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION licet_record_consents();
CREATE TRIGGER history_kept_whole BEFORE UPDATE OF subject, purpose ON consents FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse();
CREATE TRIGGER history_kept_when_emptied BEFORE TRUNCATE ON consents FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse();
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_given;
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_changed;
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_removed;
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_whole;
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_when_emptied;

INSERT INTO consent_history (at, epoch, subject, purpose, status, valid_until, revision, position, withdrawn_revision, withdrawn_position)
SELECT moment.at, e.value, c.subject, c.purpose, c.status, c.valid_until, c.revision, c.position, c.withdrawn_revision, c.withdrawn_position
FROM consents c CROSS JOIN regional_epoch e CROSS JOIN (SELECT licet_utc_ms() AS at OFFSET 0) moment;
-- From here on it is known.
INSERT INTO configuration_history (at, epoch, kind, key)
VALUES (greatest(licet_utc_ms(), (SELECT max(at) FROM configuration_history), (SELECT max(at) FROM consent_history)),
        coalesce((SELECT value FROM global_epoch), 0), 'history', 'start');

GRANT SELECT ON configuration_history, consent_history TO licet_serving;
