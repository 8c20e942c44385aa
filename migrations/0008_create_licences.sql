-- Licences the organisation defined itself: global configuration, authored in one region and carried to the others.
CREATE TABLE licences (
    name text PRIMARY KEY,
    version integer NOT NULL CHECK (version > 0), -- of the body
    body jsonb NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON licences TO licet_serving;
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_publication WHERE pubname = 'licet_config') THEN
        ALTER PUBLICATION licet_config ADD TABLE licences;
    END IF;
    IF to_regproc('licet_keep_history_of') IS NOT NULL THEN
        PERFORM licet_keep_history_of('licences', 'name');
    END IF;
END $$;
