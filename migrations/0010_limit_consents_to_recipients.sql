-- A consent may be limited to a recipient: a party, or a category (collection) of parties. Numbered, so that a row of consents stays small; numbers
-- are never reused, and 0 stands for every recipient. Regional, like the consents.
CREATE TABLE consent_recipients (
    no integer PRIMARY KEY CHECK (no >= 0),
    name text NOT NULL UNIQUE -- party:<name>, category:<name>
);
INSERT INTO consent_recipients VALUES (0, '');
GRANT SELECT, INSERT ON consent_recipients TO licet_serving;

ALTER TABLE consents ADD COLUMN recipient integer NOT NULL DEFAULT 0 REFERENCES consent_recipients (no);
ALTER TABLE consents DROP CONSTRAINT consents_pkey;
ALTER TABLE consents ADD PRIMARY KEY (subject, purpose, recipient);
ALTER TABLE consent_history ADD COLUMN recipient integer NOT NULL DEFAULT 0;
DROP INDEX consent_history_by_subject;
CREATE INDEX consent_history_by_subject ON consent_history (subject, purpose, recipient, id DESC);

CREATE OR REPLACE FUNCTION licet_record_consents() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('WITH moment AS MATERIALIZED (SELECT greatest(%1$I.licet_utc_ms(), (SELECT max(at) FROM %1$I.consent_history)) AS at) '
                   'INSERT INTO %1$I.consent_history (at, epoch, subject, purpose, recipient, status, valid_until, revision, position, '
                   'withdrawn_revision, withdrawn_position) SELECT moment.at, e.value, c.subject, c.purpose, c.recipient, '
                   'CASE WHEN $1 THEN NULL ELSE c.status END, c.valid_until, '
                   'CASE WHEN $1 THEN e.consent_revision ELSE c.revision END, c.position, c.withdrawn_revision, c.withdrawn_position '
                   'FROM changed c CROSS JOIN %1$I.regional_epoch e CROSS JOIN moment',
                   TG_TABLE_SCHEMA) USING TG_OP = 'DELETE';
    RETURN NULL;
END $$;
DROP TRIGGER history_kept_whole ON consents;
CREATE TRIGGER history_kept_whole BEFORE UPDATE OF subject, purpose, recipient ON consents FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse();
ALTER TABLE consents ENABLE ALWAYS TRIGGER history_kept_whole;
