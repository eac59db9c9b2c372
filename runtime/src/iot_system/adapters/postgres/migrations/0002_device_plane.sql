-- Commits are numbered: what users and timers change moves no position in the stream.
alter table partitions add column revision bigint not null default 0;

alter table devices add column gateway text collate "C";

create table commands (
    device integer references devices on delete cascade,
    id text collate "C",
    name text collate "C" not null,
    payload json not null,
    status text not null,
    created_us bigint not null,
    updated_us bigint not null,
    expires_us bigint not null,
    created_by text not null,
    room text collate "C",
    result json not null,
    reason text,
    sends integer not null,
    primary key (device, id)
);
create index commands_by_time on commands (device, created_us, id);
create index commands_open on commands (device, created_us, id) where status in ('queued', 'sent', 'delivered');
create index commands_at_end on commands (updated_us) where status not in ('queued', 'sent', 'delivered');
create index commands_of_rooms on commands (room, id) where room is not null;

-- When an actor is due next, and who is connected where: what a new owner begins with.
create table timers (
    partition integer,
    kind text,
    id text collate "C",
    due_us bigint not null,
    primary key (partition, kind, id)
);

create table connections (
    device integer primary key references devices on delete cascade,
    partition integer not null,
    gateway text not null
);
create index connections_by_partition on connections (partition);

create table failures (
    key bigint generated always as identity primary key,
    kind text not null,
    id text collate "C" not null,
    time_us bigint not null,
    handler text not null,
    error text not null,
    message text not null
);
create index failures_by_actor on failures (kind, id, key);

-- Apart from the rooms' states, as with devices. A room of which somebody has only heard has none.
create table room_registrations (
    id text collate "C" primary key,
    behaviour text not null,
    labels jsonb not null,
    stale_after_s double precision not null,
    created_us bigint not null,
    updated_us bigint not null
);
create index room_registrations_by_label on room_registrations using gin (labels jsonb_path_ops);

create table api_tokens (
    id text collate "C" primary key,
    name text not null,
    role text not null,
    scopes json not null,
    sha256 bytea not null,
    created_us bigint not null,
    expires_us bigint,
    created_by text not null
);

create table audit (
    key bigint generated always as identity primary key,
    time_us bigint not null,
    author text collate "C" not null,
    action text not null,
    target text collate "C" not null,
    detail json not null
);
create index audit_by_target on audit (target, key);
create index audit_by_author on audit (author, key);
create index audit_by_time on audit (time_us);
