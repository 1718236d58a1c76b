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
    accessed timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
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
INSERT INTO public.aliases VALUES ('ee5472b3-0fcd-4add-8b91-c133f3b148c1.png', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', '1bc67643-c77a-4e8c-9b43-5fc914338e03');
INSERT INTO public.aliases VALUES ('5540b743-7cd6-4c52-9267-1206556a3088.png', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', 'de20de89-ceeb-45d7-81a2-46c13f374c23');
INSERT INTO public.aliases VALUES ('75263c9a-8f9d-470d-b4c7-9be86a90669a.png', 'CeXsbdZTYTMAli7RtKupuQ7fEZ7wDzGqMOtosZtEbUMAAAAAAWwH', '51756407-e2ed-4e41-96e8-4114371dc3df');
INSERT INTO public.aliases VALUES ('88509e3e-499d-4de1-8760-e5db7c888b86.jpeg', 'kimWb9wD+weZIdXRAZ3JIOmxzq3fL7zQ1jlYsuDbVCMAAAAADHoF', '33ad5920-27e6-4e23-939e-8e1b0f781767');
INSERT INTO public.aliases VALUES ('4b68994e-6dbb-42ae-84b3-d7d07f524d85.gif', 'N4E1W56k9g+JaqIo6szMaN8nfu7av0clMOJ/JkV+smkAAAAAAKUC', '56abce81-41ac-4285-841b-181d5607f4a3');
INSERT INTO public.aliases VALUES ('f1b7de2a-c1c2-4d86-a655-dcdb7ec9499a.webp', 'ksF8H2tGnZki2midHy90CRPd7aMbfmfUtWjXw9UxWgUAAAAAATAI', 'e7f8b6a9-1d69-4fba-9f86-293156860e4b');
INSERT INTO public.aliases VALUES ('86a33487-f30a-4a10-b461-9a6c2f8c03a0.mp4', 'k41+JxUMvKuQjd3LPc/tKLQDY2vgp2KXx/QZBQjKYW4AAAAAC/8J', 'e67e8a42-b7db-49da-8331-00b73cdb3271');
INSERT INTO public.aliases VALUES ('851cbc62-991d-4739-bbaf-abdd9f1f1bef.png', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', '5ab2543e-9d36-4b35-ac2f-02a631418473');
INSERT INTO public.aliases VALUES ('a cat.png', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', '41094003-117a-42e8-9e93-564ee3ff8382');
INSERT INTO public.aliases VALUES ('e19f5f99-b257-46bc-ad75-7e275cc28a6c.png', 'PlNW7m18Z4yogFQzqfHEVuf5AbbqHjp1AaDHhJAJxg8AAAAAB2AH', '1f2539f5-a40f-4ba5-bb0c-944fd1e76fe7');
INSERT INTO public.details VALUES ('01/a2/2e/13/cd/87/73/ec/bf/dd/b243cd7d1f52.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:09:40.935120977Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/13/d6/f3/76/e1/b3/48/ad5d301512c4.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:09:43.539092906Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/13/e0/af/73/06/a6/a9/e22190346459.png', '{"width": 12, "format": {"Image": "png"}, "frames": null, "height": 8, "created_at": "2026-11-30T20:09:45.671046364Z", "content_type": "image/png"}');
INSERT INTO public.details VALUES ('01/a2/2e/13/e8/b0/72/42/89/de/7513f510720d.jpeg', '{"width": 50, "format": {"Image": "jpeg"}, "frames": null, "height": 70, "created_at": "2026-11-30T20:09:47.999065003Z", "content_type": "image/jpeg"}');
INSERT INTO public.details VALUES ('01/a2/2e/13/f0/18/74/92/a8/9e/7775d11f0aa4.gif', '{"width": 20, "format": {"Animation": "gif"}, "frames": 3, "height": 20, "created_at": "2026-11-30T20:09:49.292244674Z", "content_type": "image/gif"}');
INSERT INTO public.details VALUES ('01/a2/2e/13/f6/fc/72/5e/97/5e/473581155a78.webp', '{"width": 33, "format": {"Image": "webp"}, "frames": null, "height": 21, "created_at": "2026-11-30T20:09:51.755074201Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/14/01/3f/76/43/9f/6d/54a3d783a9e2.mp4', '{"width": 64, "format": {"Video": "Mp4"}, "frames": 10, "height": 48, "created_at": "2026-11-30T20:09:53.120158628Z", "content_type": "video/mp4"}');
INSERT INTO public.details VALUES ('01/a2/2e/14/04/cb/73/bb/97/33/a1fdf68fe40d.jpeg', '{"width": 64, "format": {"Image": "jpeg"}, "frames": null, "height": 48, "created_at": "2026-11-30T20:09:54.526346933Z", "content_type": "image/jpeg"}');
INSERT INTO public.details VALUES ('01/a2/2e/14/28/6b/75/8a/b5/5d/903f4eb8af48.webp', '{"width": 8, "format": {"Image": "webp"}, "frames": null, "height": 5, "created_at": "2026-11-30T20:10:02.731067899Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/14/2d/c3/72/90/aa/f5/b6d75dc2bdc0.webp', '{"width": 8, "format": {"Image": "webp"}, "frames": null, "height": 5, "created_at": "2026-11-30T20:10:04.099696531Z", "content_type": "image/webp"}');
INSERT INTO public.details VALUES ('01/a2/2e/14/30/c3/73/ad/8d/5b/f82f752a4be0.png', '{"width": 30, "format": {"Image": "png"}, "frames": null, "height": 20, "created_at": "2026-11-30T20:10:06.179083097Z", "content_type": "image/png"}');
INSERT INTO public.hashes VALUES ('lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', '01/a2/2e/13/cd/87/73/ec/bf/dd/b243cd7d1f52.png', NULL, '2026-11-30 20:09:40.935153', 'LDGv9P^n:,]f^-vXK~yK]]zix^TW');
INSERT INTO public.hashes VALUES ('t92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', '01/a2/2e/13/d6/f3/76/e1/b3/48/ad5d301512c4.png', NULL, '2026-11-30 20:09:43.539121', 'LPHVM4?]Sz%2p]ryoaixKvS2axn6');
INSERT INTO public.hashes VALUES ('CeXsbdZTYTMAli7RtKupuQ7fEZ7wDzGqMOtosZtEbUMAAAAAAWwH', '01/a2/2e/13/e0/af/73/06/a6/a9/e22190346459.png', NULL, '2026-11-30 20:09:45.671071', 'LNIN{=}c$jP9%%%3V?ahxoR%NLMx');
INSERT INTO public.hashes VALUES ('kimWb9wD+weZIdXRAZ3JIOmxzq3fL7zQ1jlYsuDbVCMAAAAADHoF', '01/a2/2e/13/e8/b0/72/42/89/de/7513f510720d.jpeg', NULL, '2026-11-30 20:09:47.999094', 'TyHn,ArZwO~qnirv%LX4f5xHWUW.');
INSERT INTO public.hashes VALUES ('N4E1W56k9g+JaqIo6szMaN8nfu7av0clMOJ/JkV+smkAAAAAAKUC', '01/a2/2e/13/f0/18/74/92/a8/9e/7775d11f0aa4.gif', NULL, '2026-11-30 20:09:49.292266', 'KGTI?r|cfQ|co1fQfQfQfQ');
INSERT INTO public.hashes VALUES ('ksF8H2tGnZki2midHy90CRPd7aMbfmfUtWjXw9UxWgUAAAAAATAI', '01/a2/2e/13/f6/fc/72/5e/97/5e/473581155a78.webp', NULL, '2026-11-30 20:09:51.7551', 'M+Fr#NX6bIkCoa_4bXkVW;k8%4k8oeWWf$');
INSERT INTO public.hashes VALUES ('k41+JxUMvKuQjd3LPc/tKLQDY2vgp2KXx/QZBQjKYW4AAAAAC/8J', '01/a2/2e/14/01/3f/76/43/9f/6d/54a3d783a9e2.mp4', '01/a2/2e/14/04/cb/73/bb/97/33/a1fdf68fe40d.jpeg', '2026-11-30 20:09:53.120179', 'LTEerv,7wN*ZH?O0W?PL~qsOWYq-');
INSERT INTO public.hashes VALUES ('PlNW7m18Z4yogFQzqfHEVuf5AbbqHjp1AaDHhJAJxg8AAAAAB2AH', '01/a2/2e/14/30/c3/73/ad/8d/5b/f82f752a4be0.png', NULL, '2026-11-30 20:10:06.179109', NULL);
INSERT INTO public.proxies VALUES ('http://127.0.0.1:36123/a.png', 'e19f5f99-b257-46bc-ad75-7e275cc28a6c.png', '2026-11-30 20:10:06.200705');
INSERT INTO public.refinery_schema_history VALUES (0, 'enable_pgcrypto', '2026-11-30T20:09:37.176929695Z', '9317794008192182991');
INSERT INTO public.refinery_schema_history VALUES (1, 'create_hashes', '2026-11-30T20:09:37.207898908Z', '7074015432780081331');
INSERT INTO public.refinery_schema_history VALUES (2, 'create_variants', '2026-11-30T20:09:37.243263242Z', '9247905228450874791');
INSERT INTO public.refinery_schema_history VALUES (3, 'create_aliases', '2026-11-30T20:09:37.271755256Z', '18038391766803442429');
INSERT INTO public.refinery_schema_history VALUES (4, 'create_settings', '2026-11-30T20:09:37.278203126Z', '9597396539586452125');
INSERT INTO public.refinery_schema_history VALUES (5, 'create_details', '2026-11-30T20:09:37.287143915Z', '7187123035454364780');
INSERT INTO public.refinery_schema_history VALUES (6, 'create_queue', '2026-11-30T20:09:37.289064715Z', '11174656476603783827');
INSERT INTO public.refinery_schema_history VALUES (7, 'create_store_migrations', '2026-11-30T20:09:37.311515285Z', '13111315025377053081');
INSERT INTO public.refinery_schema_history VALUES (8, 'create_proxies', '2026-11-30T20:09:37.319798742Z', '7931845419320168099');
INSERT INTO public.refinery_schema_history VALUES (9, 'create_uploads', '2026-11-30T20:09:37.336326603Z', '16201227541284560667');
INSERT INTO public.refinery_schema_history VALUES (10, 'add_queue_time_index_to_job_queue', '2026-11-30T20:09:37.359242268Z', '12060541120329532483');
INSERT INTO public.refinery_schema_history VALUES (11, 'add_unique_name_jobs', '2026-11-30T20:09:37.383063937Z', '2320207569887721023');
INSERT INTO public.refinery_schema_history VALUES (12, 'add_blurhash_to_hashes', '2026-11-30T20:09:37.395677809Z', '15350846505633349541');
INSERT INTO public.refinery_schema_history VALUES (13, 'add_retry_count_to_jobs', '2026-11-30T20:09:37.400036456Z', '5809085820292009414');
INSERT INTO public.refinery_schema_history VALUES (14, 'add_keyed_notifications', '2026-11-30T20:09:37.401115208Z', '5279623279469307503');
INSERT INTO public.settings VALUES ('fix-tokens-and-aliases', '6669786564');
INSERT INTO public.settings VALUES ('404-alias', '75263c9a8f9d470db4c79be86a90669a2e706e67');
INSERT INTO public.variants VALUES ('3ab43518-981a-4847-a76d-cc1bc60419ad', 'lAG+KjIDMNcjXLKydZ8WuL9JTvJJQcqRdJtsBQsLhtkAAAAAAWwH', 'thumbnail/8/webp', '01/a2/2e/14/28/6b/75/8a/b5/5d/903f4eb8af48.webp', '2026-11-30 20:10:02.731949');
INSERT INTO public.variants VALUES ('2eac8128-4597-474f-9c28-73b5d8c0756d', 't92wNDyGiy0SmBxKGHb8H+r2gv7ai/SX2IFKfacqTrMAAAAAAWwH', 'thumbnail/8/webp', '01/a2/2e/14/2d/c3/72/90/aa/f5/b6d75dc2bdc0.webp', '2026-11-30 20:10:04.105044');
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
