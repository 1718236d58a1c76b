SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
CREATE TYPE public.job_status AS ENUM (
    'new',
    'running'
);
CREATE FUNCTION public.keyed_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM pg_notify('keyed_notification_channel', OLD.key);
	RETURN NEW;
END;
$$;
CREATE FUNCTION public.queue_status_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM pg_notify('queue_status_channel', NEW.id::text || ' ' || NEW.queue::text);
	RETURN NEW;
END;
$$;
CREATE FUNCTION public.upload_completion_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM pg_notify('upload_completion_channel', NEW.id::text);
	RETURN NEW;
END;
$$;
CREATE TABLE public.aliases (
    alias text NOT NULL,
    hash text NOT NULL,
    token text NOT NULL
);
CREATE TABLE public.details (
    identifier text NOT NULL,
    json jsonb NOT NULL
);
CREATE TABLE public.hashes (
    hash text NOT NULL,
    identifier text NOT NULL,
    motion_identifier text,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    blurhash text
);
CREATE TABLE public.job_queue (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    queue text NOT NULL,
    job jsonb NOT NULL,
    worker uuid,
    status public.job_status DEFAULT 'new'::public.job_status NOT NULL,
    queue_time timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    heartbeat timestamp without time zone,
    unique_key text,
    retry integer DEFAULT 5 NOT NULL
);
CREATE TABLE public.keyed_notifications (
    key text NOT NULL,
    heartbeat timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.proxies (
    url text NOT NULL,
    alias text NOT NULL,
    accessed timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    etag text,
    last_modified timestamp without time zone,
    revalidate_after timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.refinery_schema_history (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);
CREATE TABLE public.settings (
    key text NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.store_migrations (
    old_identifier text NOT NULL,
    new_identifier text NOT NULL
);
CREATE TABLE public.uploads (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    result jsonb,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.variants (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    hash text NOT NULL,
    variant text NOT NULL,
    identifier text NOT NULL,
    accessed timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
INSERT INTO public.aliases VALUES ('33de26ed-e238-4265-b4e4-27eb0170b1b5.png', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', '973fe964-c6fc-45ac-a0a3-d62b7ce95f5a');
INSERT INTO public.aliases VALUES ('0b6552af-3131-4c1e-bfa6-6848ea1157ca.png', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', '26364190-9c80-4229-82c1-364b913c689e');
INSERT INTO public.aliases VALUES ('24ea2f0d-e059-4c50-a933-94c0a0d28101.png', 'CeXsbdZTYTMAli7RtKupuQ7fEZ7wDzGqMOtosZtEbUMAAAAAAWwH', 'b9ce8faf-dd55-4dc3-875f-d5c377ad5f40');
INSERT INTO public.aliases VALUES ('d5b629b6-0b8b-4b71-aa6f-98513838192e.jpeg', '8uEKqUlVhSxxx0KTmePLa2IBo+EQ/rCXXjW/yvdrcRIAAAAADJ4F', '40959baf-8c75-4c4e-82df-b9a5ce782256');
INSERT INTO public.aliases VALUES ('421c84ba-b356-46f3-8c34-70dc097f4dfa.gif', 'N4E1W56k9g+JaqIo6szMaN8nfu7av0clMOJ/JkV+smkAAAAAAKUC', '5007a3a0-3c31-4bf6-8608-5de8af4691e3');
INSERT INTO public.aliases VALUES ('d8c2607d-2477-4b8a-9bab-09a0387eaf56.webp', 'GAvbLWQtKLrSBbXo6G7Qs8TpVXhUR0ZqySqmZJ4rs+MAAAAAASoI', '0b6c987d-bfe6-4995-bd8e-f5b7d9d17124');
INSERT INTO public.aliases VALUES ('3222d5a1-79a4-4ba4-be38-7d690e592de5.mp4', 'k41+JxUMvKuQjd3LPc/tKLQDY2vgp2KXx/QZBQjKYW4AAAAAC/8J', '46c5cee8-eb8b-4272-a057-e258fa544f63');
INSERT INTO public.aliases VALUES ('ba58c6ac-0a60-42f5-b4ee-871238221ffa.png', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', 'ccf68d86-2bec-4148-baee-9cc4456f4cd6');
INSERT INTO public.aliases VALUES ('a cat.png', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', 'c6d8db3e-3f1c-4eac-ad40-1d816d8091d9');
INSERT INTO public.aliases VALUES ('3b4037c0-74a5-4118-8820-d9f849e70684.png', 'PlNW7m18Z4yogFQzqfHEVuf5AbbqHjp1AaDHhJAJxg8AAAAAB2AH', '47bb97b7-cda7-48ac-93fc-806746daefc7');
INSERT INTO public.details VALUES ('01/a2/2e/0f/83/70/70/b9/ba/5a/4651001b64ac.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:04:59.85512971Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/8d/0c/73/7e/95/0f/4f746ebc6dee.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:05:02.5790082Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/97/3f/74/77/af/6f/f1e0aa410179.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:05:04.852372964Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/9f/b6/71/3d/b4/60/e53df5712c4c.jpeg', '{"width": 50, "format": {"Image": "jpeg"}, "frames": null, "height": 70, "created_at": "2026-11-30T20:05:07.092622722Z", "content_type": "image/jpeg"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/a7/a1/72/22/8c/ef/29100825d939.gif', '{"width": 20, "format": {"Animation": "gif"}, "frames": 3, "height": 20, "created_at": "2026-11-30T20:05:08.536568128Z", "content_type": "image/gif"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/ad/bd/76/b6/a9/e6/90a3930f1a43.webp', '{"width": 33, "format": {"Image": "webp"}, "frames": null, "height": 21, "created_at": "2026-11-30T20:05:10.370002784Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/b4/b4/75/2e/b6/b4/2967c9c82d78.mp4', '{"width": 64, "format": {"Video": "Mp4"}, "frames": 10, "height": 48, "created_at": "2026-11-30T20:05:11.281123356Z", "content_type": "video/mp4"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/b7/74/71/36/86/70/5f396f36367e.jpeg', '{"width": 64, "format": {"Image": "jpeg"}, "frames": null, "height": 48, "created_at": "2026-11-30T20:05:12.331693723Z", "content_type": "image/jpeg"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/dc/7f/73/a9/90/d8/f20ee84256ad.webp', '{"width": 8, "format": {"Image": "webp"}, "frames": null, "height": 5, "created_at": "2026-11-30T20:05:21.151205469Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/e0/58/77/99/ba/c7/418b521e7ec3.webp', '{"width": 8, "format": {"Image": "webp"}, "frames": null, "height": 5, "created_at": "2026-11-30T20:05:22.136419551Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/0f/e3/a4/74/a5/9d/7e/c801820c5fe0.png', '{"width": 30, "format": {"Image": "png"}, "frames": null, "height": 20, "created_at": "2026-11-30T20:05:24.170370151Z", "content_type": "image/png"}');
INSERT INTO public.hashes VALUES ('lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', '01/a2/2e/0f/83/70/70/b9/ba/5a/4651001b64ac.png', NULL, '2026-11-30 20:04:59.855161', 'LDGv9P^n:,]f^-vXK~yK]]zix^TW');
INSERT INTO public.hashes VALUES ('t92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', '01/a2/2e/0f/8d/0c/73/7e/95/0f/4f746ebc6dee.png', NULL, '2026-11-30 20:05:02.579029', 'LPHVM4?]Sz%2p]ryoaixKvS2axn6');
INSERT INTO public.hashes VALUES ('CeXsbdZTYTMAli7RtKupuQ7fEZ7wDzGqMOtosZtEbUMAAAAAAWwH', '01/a2/2e/0f/97/3f/74/77/af/6f/f1e0aa410179.png', NULL, '2026-11-30 20:05:04.852391', 'LNIN{=}c$jP9%%%3V?ahxoR%NLMx');
INSERT INTO public.hashes VALUES ('8uEKqUlVhSxxx0KTmePLa2IBo+EQ/rCXXjW/yvdrcRIAAAAADJ4F', '01/a2/2e/0f/9f/b6/71/3d/b4/60/e53df5712c4c.jpeg', NULL, '2026-11-30 20:05:07.092646', 'T+Glw$SeR*_LW=WV%MkBbExcocbE');
INSERT INTO public.hashes VALUES ('N4E1W56k9g+JaqIo6szMaN8nfu7av0clMOJ/JkV+smkAAAAAAKUC', '01/a2/2e/0f/a7/a1/72/22/8c/ef/29100825d939.gif', NULL, '2026-11-30 20:05:08.536581', 'KGTI?r|cfQ|co1fQfQfQfQ');
INSERT INTO public.hashes VALUES ('GAvbLWQtKLrSBbXo6G7Qs8TpVXhUR0ZqySqmZJ4rs+MAAAAAASoI', '01/a2/2e/0f/ad/bd/76/b6/a9/e6/90a3930f1a43.webp', NULL, '2026-11-30 20:05:10.370022', 'MuGl6Lxsw|f$bb~po{t6j=bbx]X8t5oJkC');
INSERT INTO public.hashes VALUES ('k41+JxUMvKuQjd3LPc/tKLQDY2vgp2KXx/QZBQjKYW4AAAAAC/8J', '01/a2/2e/0f/b4/b4/75/2e/b6/b4/2967c9c82d78.mp4', '01/a2/2e/0f/b7/74/71/36/86/70/5f396f36367e.jpeg', '2026-11-30 20:05:11.28114', 'LTEerv,7wN*ZH?O0W?PL~qsOWYq-');
INSERT INTO public.hashes VALUES ('PlNW7m18Z4yogFQzqfHEVuf5AbbqHjp1AaDHhJAJxg8AAAAAB2AH', '01/a2/2e/0f/e3/a4/74/a5/9d/7e/c801820c5fe0.png', NULL, '2026-11-30 20:05:24.170388', NULL);
INSERT INTO public.proxies VALUES ('http://127.0.0.1:32985/a.png', '3b4037c0-74a5-4118-8820-d9f849e70684.png', '2026-11-30 20:05:24.184617', NULL, NULL, '2026-11-30 20:05:24.178313');
INSERT INTO public.refinery_schema_history VALUES (0, 'enable_pgcrypto', '2026-11-30T20:04:55.291166902Z', '9317794008192182991');
INSERT INTO public.refinery_schema_history VALUES (1, 'create_hashes', '2026-11-30T20:04:55.31515248Z', '7074015432780081331');
INSERT INTO public.refinery_schema_history VALUES (2, 'create_variants', '2026-11-30T20:04:55.321101687Z', '9247905228450874791');
INSERT INTO public.refinery_schema_history VALUES (3, 'create_aliases', '2026-11-30T20:04:55.337596686Z', '18038391766803442429');
INSERT INTO public.refinery_schema_history VALUES (4, 'create_settings', '2026-11-30T20:04:55.347807276Z', '9597396539586452125');
INSERT INTO public.refinery_schema_history VALUES (5, 'create_details', '2026-11-30T20:04:55.352380334Z', '7187123035454364780');
INSERT INTO public.refinery_schema_history VALUES (6, 'create_queue', '2026-11-30T20:04:55.37497033Z', '11174656476603783827');
INSERT INTO public.refinery_schema_history VALUES (7, 'create_store_migrations', '2026-11-30T20:04:55.39358378Z', '13111315025377053081');
INSERT INTO public.refinery_schema_history VALUES (8, 'create_proxies', '2026-11-30T20:04:55.405208985Z', '7931845419320168099');
INSERT INTO public.refinery_schema_history VALUES (9, 'create_uploads', '2026-11-30T20:04:55.423153328Z', '16201227541284560667');
INSERT INTO public.refinery_schema_history VALUES (10, 'add_queue_time_index_to_job_queue', '2026-11-30T20:04:55.432050844Z', '12060541120329532483');
INSERT INTO public.refinery_schema_history VALUES (11, 'add_unique_name_jobs', '2026-11-30T20:04:55.447661084Z', '2320207569887721023');
INSERT INTO public.refinery_schema_history VALUES (12, 'add_blurhash_to_hashes', '2026-11-30T20:04:55.463817312Z', '15350846505633349541');
INSERT INTO public.refinery_schema_history VALUES (13, 'add_retry_count_to_jobs', '2026-11-30T20:04:55.464517387Z', '5809085820292009414');
INSERT INTO public.refinery_schema_history VALUES (14, 'add_keyed_notifications', '2026-11-30T20:04:55.467062972Z', '5279623279469307503');
INSERT INTO public.refinery_schema_history VALUES (15, 'add_proxy_metadata', '2026-11-30T20:04:55.471152917Z', '7539370505841982133');
INSERT INTO public.settings VALUES ('fix-tokens-and-aliases', '6669786564');
INSERT INTO public.settings VALUES ('404-alias', '24ea2f0de0594c50a93394c0a0d281012e706e67');
INSERT INTO public.variants VALUES ('e269333e-1a71-40aa-bc8d-8b5a3568a2bd', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', 'thumbnail/8/webp', '01/a2/2e/0f/dc/7f/73/a9/90/d8/f20ee84256ad.webp', '2026-11-30 20:05:21.152233');
INSERT INTO public.variants VALUES ('f73be8f0-cb18-42d9-9b68-3bf2a171ac87', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', 'thumbnail/8/webp', '01/a2/2e/0f/e0/58/77/99/ba/c7/418b521e7ec3.webp', '2026-11-30 20:05:22.144001');
ALTER TABLE ONLY public.aliases
    ADD CONSTRAINT aliases_pkey PRIMARY KEY (alias);
ALTER TABLE ONLY public.details
    ADD CONSTRAINT details_pkey PRIMARY KEY (identifier);
ALTER TABLE ONLY public.hashes
    ADD CONSTRAINT hashes_identifier_key UNIQUE (identifier);
ALTER TABLE ONLY public.hashes
    ADD CONSTRAINT hashes_motion_identifier_key UNIQUE (motion_identifier);
ALTER TABLE ONLY public.hashes
    ADD CONSTRAINT hashes_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY public.job_queue
    ADD CONSTRAINT job_queue_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.job_queue
    ADD CONSTRAINT job_queue_unique_key_key UNIQUE (unique_key);
ALTER TABLE ONLY public.job_queue
    ADD CONSTRAINT job_queue_worker_key UNIQUE (worker);
ALTER TABLE ONLY public.keyed_notifications
    ADD CONSTRAINT keyed_notifications_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.proxies
    ADD CONSTRAINT proxies_pkey PRIMARY KEY (url);
ALTER TABLE ONLY public.refinery_schema_history
    ADD CONSTRAINT refinery_schema_history_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.store_migrations
    ADD CONSTRAINT store_migrations_new_identifier_key UNIQUE (new_identifier);
ALTER TABLE ONLY public.store_migrations
    ADD CONSTRAINT store_migrations_pkey PRIMARY KEY (old_identifier);
ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.variants
    ADD CONSTRAINT variants_pkey PRIMARY KEY (id);
CREATE INDEX aliases_hash_index ON public.aliases USING btree (hash);
CREATE UNIQUE INDEX hash_variant_index ON public.variants USING btree (hash, variant);
CREATE INDEX heartbeat_index ON public.job_queue USING btree (heartbeat);
CREATE INDEX keyed_notifications_heartbeat_index ON public.keyed_notifications USING btree (heartbeat);
CREATE INDEX ordered_hash_index ON public.hashes USING btree (created_at, hash);
CREATE INDEX queue_time_index ON public.job_queue USING btree (queue_time);
CREATE TRIGGER keyed_notification_removed AFTER DELETE ON public.keyed_notifications FOR EACH ROW EXECUTE FUNCTION public.keyed_notify();
CREATE TRIGGER queue_status AFTER INSERT OR UPDATE OF status ON public.job_queue FOR EACH ROW EXECUTE FUNCTION public.queue_status_notify();
CREATE TRIGGER upload_result AFTER INSERT OR UPDATE OF result ON public.uploads FOR EACH ROW EXECUTE FUNCTION public.upload_completion_notify();
ALTER TABLE ONLY public.aliases
    ADD CONSTRAINT aliases_hash_fkey FOREIGN KEY (hash) REFERENCES public.hashes(hash);
ALTER TABLE ONLY public.proxies
    ADD CONSTRAINT proxies_alias_fkey FOREIGN KEY (alias) REFERENCES public.aliases(alias);
ALTER TABLE ONLY public.variants
    ADD CONSTRAINT variants_hash_fkey FOREIGN KEY (hash) REFERENCES public.hashes(hash);
